"""Texts that carry thoughts, in the forms that models, chat templates and servers give them."""

import pytest

from distill_dagster.tasks import get_task
from distill_dagster.tasks.thoughts import is_mark, part_thoughts

ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"

FORMS = {  # what the text is: (text, thoughts, answer)
    "no opening mark, one line": ("17 * 23 is 391.</think>391", "17 * 23 is 391.", "391"),
    "no opening mark, spaces": ("17 * 23 </think> 391", "17 * 23", "391"),
    "no opening mark, twice": ("a\n</think>\n\n</think>\n391", "a\n</think>", "391"),
    "Magistral": ("[THINK]17 * 23[/THINK]391", "17 * 23", "391"),
    "Gemini, EXAONE Deep": ("<thought>\n17 * 23\n</thought>\n\n391", "17 * 23", "391"),
    "Reka": ("<reasoning> 17 * 23 </reasoning> 391", "17 * 23", "391"),
    "two blocks": ("<think>a</think>\n<think>b</think>\n391", "a\n\nb", "391"),
    "text before the block": ("Let me see.\n<think>17 * 23</think>\n391", "Let me see.\n\n17 * 23", "391"),
    "text around two blocks": ("Sure. <think>a</think>39<think>b</think>1", "Sure.\n\na\n\nb", "391"),
    "thoughts behind the answer": ("391 <think>It is right.</think>", "It is right.", "391"),
    "thoughts that do not end": ("<think>17 * 23 is", "17 * 23 is", ""),
    "text, then thoughts that do not end": ("Well.\n<think>17 * 23 is", "Well.\n\n17 * 23 is", ""),
    "only thoughts": ("17 * 23 is 391.</think>", "17 * 23 is 391.", ""),
    "gpt-oss": (f"{ANALYSIS}a<|end|><|start|>assistant{FINAL}391<|return|>", "a", "391"),
    "gpt-oss, tokens lost": (f"{ANALYSIS}17 * 23 final<|message|>391", "17 * 23", "391"),
    "gpt-oss, special tokens lost": ("analysisWe need 17 * 23.assistantfinal391", "We need 17 * 23.", "391"),
    "gpt-oss, commentary": (
        f"{ANALYSIS}a<|end|><|start|>assistant<|channel|>commentary to=functions.sum <|constrain|>json<|message|>{{}}"
        f"<|call|><|start|>assistant{FINAL}391",
        "a\n\n{}",
        "391",
    ),
    "gpt-oss, an answer alone": (f"{FINAL}391<|return|>", None, "391"),
    "gpt-oss, no answer": (f"{ANALYSIS}17 * 23 is", "17 * 23 is", ""),
    "gpt-oss, no answer, special tokens lost": ("analysisWe need 17 * 23", "We need 17 * 23", ""),
    "Seed-OSS": ("<seed:think>a</seed:think>391", "a", "391"),
    "LongCat": ("<longcat_think>\na\n</longcat_think>\n391", "a", "391"),
    "Kimi": ("◁think▷a◁/think▷391", "a", "391"),
    "Command A Reasoning": (
        "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>391<|END_RESPONSE|>",
        "a",
        "391",
    ),
    "OpenThinker": (
        "<|begin_of_thought|>a<|end_of_thought|>\n\n<|begin_of_solution|>391<|end_of_solution|>",
        "a",
        "391",
    ),
    "Gemma 4": ("<|channel>thought\na\n<channel|>391", "a", "391"),
    "MedGemma": ("<unused94>thought\na<unused95>391", "a", "391"),
    "Granite 3.2": ("Here is my thought process: a\n\nHere is my response: 391", "a", "391"),
    "Granite 3.3": ("<think>a</think>\n<response>391</response>", "a", "391"),
    "Apriel": ("Here are my reasoning steps:\na\n[BEGIN FINAL RESPONSE]\n391\n[END FINAL RESPONSE]\n", "a", "391"),
    "Hunyuan": ("<think>\na\n</think>\n<answer>\n391\n</answer>", "a", "391"),
    "trained with GRPO, stopped at the mark": ("<reasoning>a</reasoning>\n<answer>391", "a", "391"),
    "GLM with a box": ("<think>a</think><|begin_of_box|>391<|end_of_box|>", "a", "391"),
    "ERNIE": ("a\n</think>\n\n<response>\n391\n</response>\n", "a", "391"),
    "Ollama's command line": ("Thinking...\na\n...done thinking.\n\n391", "a", "391"),
    "Open WebUI": (
        '<details type="reasoning" done="true">\n<summary>Thought</summary>\na</details>\n391',
        "<summary>Thought</summary>\na",
        "391",
    ),
    "Poe": ("*Thinking...*\n\n> a\n> b\n\n391", "> a\n> b", "391"),
    "escaped as HTML": ("&lt;think&gt;a&lt;/think&gt;391", "a", "391"),
    "an attribute, upper case": ('<THINKING kind="short">a</THINKING>391', "a", "391"),
    "an empty mark": ("<think/>391", None, "391"),
    "no thoughts": ("<think>\n\n</think>\n\n391", None, "391"),
    "Claude, asked for XML": ("<scratchpad>a</scratchpad>\n<answer>391</answer>", "a", "391"),
    "an analysis, then the answer": ("<analysis>a</analysis>\n\n391", "a", "391"),
    "brackets in lower case": ("[reasoning]17 * 23[/reasoning] 391", "17 * 23", "391"),
    "marks for start and end": ("<|thought_start|>a<|thought_end|>391", "a", "391"),
    "Claude, in Amazon's form": ("<thinking_process>a</thinking_process>391", "a", "391"),
    "Reflection": (
        "<thinking>a<reflection>b</reflection></thinking><output>391</output>",
        "<thinking>a<reflection>b</reflection>",
        "391",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_thoughts_are_parted_from_the_answer(name):
    text, thoughts, answer = FORMS[name]
    assert part_thoughts(text) == (thoughts, answer)
    for task in ("qa", "math", "conversation"):
        assert get_task(task).read(text, "plain", None).answer == (answer or None)


@pytest.mark.parametrize(
    "text",
    [
        "Close it with </think>, then go on",
        "Use <think> to begin",
        "Wrap the plan in <think> and </think> tags.",
        "The mark `</think>` ends it.",
        'The marks are "<think>" and "</think>".',
        "Write this:\n```xml\n<think>a</think>\n```\nIt is all.",
        "```xml\n<thinking>a</thinking>\n```",
        '{"reason": "They write <think>a</think> here.", "answer": "4"}',
        "analysis of the final chapter",
        "The final message was lost in the assistant channel.",
        "I think, so I am. [thinking]",
        "Thinking... it is 4.",
        "1 < 2 > 1",
        "<reason>It is cheap.</reason>",
    ],
)
def test_a_text_that_only_speaks_of_thoughts_is_an_answer(text):
    assert part_thoughts(text) == (None, text)


def test_the_special_tokens_that_a_text_needs():
    assert all(map(is_mark, ["[THINK]", "[/THINK]", "<think>", "</think>", "<|channel|>", "<|message|>", "◁/think▷"]))
    assert not any(map(is_mark, ["<|end|>", "<s>", "</s>", "<pad>", "<|im_end|>", "[INST]", ""]))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part", ["<think>", "</think>", "[think]", "a <think> b ", "```<think>", "<|channel|>analysis", "<think>a</think>"]
)
def test_a_degenerate_text_takes_no_time(part):
    thoughts, rest = part_thoughts(part * 20_000)
    assert len(thoughts or "") + len(rest) <= len(part) * 20_000 + 2 * 20_000
