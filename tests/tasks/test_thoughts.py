"""Texts that carry thoughts, in the forms that models, chat templates and servers give them."""

import pytest

from distill_dagster.tasks import get_task
from distill_dagster.tasks.thoughts import is_mark, part_thoughts

ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"

SEED = "think_never_used_51bce0c785ca2f68081bfa7d91973934"

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
    **{
        f"<{name}>": (f"<{name}>17 * 23</{name}>\n\n391", "17 * 23", "391")
        for name in (
            *("rationale", "reason", "cot", "plan", "ponder", "monologue", "reasoning_content", "Rationale"),
            *("seed:cot_budget_reflect", "inner_thoughts", "my_reasoning", "reasoning_steps", "let_me_think"),
            *("self_reflection", "brainstorming", "deliberation", "step_by_step_reasoning", "PLAN", "innerThoughts"),
        )
    },
    "an unknown element and one for the answer": ("<my_thoughts>a</my_thoughts>\n<answer>391</answer>", "a", "391"),
    "an element with an attribute": ('<plan kind="short">a</plan>391', "a", "391"),
    "several blocks": ("<plan>a</plan>\n<cot>b</cot>\n391", "a\n\nb", "391"),
    "thoughts, then a plan": ("<think>a</think>\n<plan>b</plan>\n391", "a\n\nb", "391"),
    "a plan, then thoughts": ("<plan>a</plan>\n<think>b</think>\n391", "a\n\nb", "391"),
    "thoughts in code-like text": ("<rationale>1 < 2</rationale>391", "1 < 2", "391"),
    "Seed-OSS, budget": (
        "<seed:think>a<seed:cot_budget_reflect>b</seed:cot_budget_reflect>c</seed:think>391",
        "a<seed:cot_budget_reflect>b</seed:cot_budget_reflect>c",
        "391",
    ),
    "bold words": ("**Thinking:** 17 * 23\n\n**Answer:** 391", "17 * 23", "391"),
    "bold words on one line": ("**Thinking**: 17 * 23. **Final answer**: 391", "17 * 23.", "391"),
    "bold lines": ("**Thought process**\n17 * 23\n\n**Response**\n391", "17 * 23", "391"),
    "headings": ("### Thinking\n17 * 23\n\n### Response\n391", "17 * 23", "391"),
    "headings of another level": ("# Thinking process:\n17 * 23\n## Final Answer\n391", "17 * 23", "391"),
    "ReAct": ("Thought: I know it.\nFinal Answer: 391", "I know it.", "391"),
    "plain words": ("Thinking: 17 * 23\nAnswer: 391", "17 * 23", "391"),
    "Chinese words": ("**思考：** 17 * 23\n\n**回答：** 391", "17 * 23", "391"),
    "Doubao-Seed": (f"<{SEED}>a</{SEED}>391", "a", "391"),
    "Doubao-Seed, no opening mark": (f"a</{SEED}>391", "a", "391"),
    "Doubao-Seed, thoughts that do not end": (f"<{SEED}>a", "a", ""),
    "s1": ("<|im_start|>think\na\n<|im_start|>answer\n391", "a", "391"),
    "s1, with an end": ("<|im_start|>think\na\n<|im_start|>answer\n391<|im_end|>", "a", "391"),
    "s1, thoughts that do not end": ("<|im_start|>think\n17 * 23 is", "17 * 23 is", ""),
    "s1, special tokens lost": ("think\n17 * 23\nanswer\n391", "17 * 23", "391"),
    "a fence of thoughts": ("```thinking\n17 * 23\n```\n391", "17 * 23", "391"),
    "another fence of thoughts": ("~~~reasoning\na\n~~~\n\n391", "a", "391"),
    "a summary": ("<details><summary>Thought for 3 seconds</summary>\na\n</details>\n391", "a", "391"),
    "a summary with a sign": ("<details>\n<summary>💭 Thinking</summary>a</details>391", "a", "391"),
    "a summary in bold": ("<details><summary><b>Thinking</b></summary>a</details>391", "a", "391"),
    "a summary in Chinese": ("<details><summary>思考过程</summary>a</details>391", "a", "391"),
    "hyphens": ("<chain-of-thought>a</chain-of-thought>391", "a", "391"),
    "hyphens, thoughts that do not end": ("<chain-of-thought>a", "a", ""),
    "other hyphens": ("<inner-monologue>a</inner-monologue>391", "a", "391"),
    "hyphens in an unknown name": ("<my-reasoning>a</my-reasoning>391", "a", "391"),
    **{
        f"the answer in <{name}>": (f"<thinking>a</thinking>\n<{name}>391</{name}>", "a", "391")
        for name in ("result", "reply", "output", "final-answer", "final_answer", "solution", "response", "final")
    },
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
        "<plan>Buy milk.</plan>",
        "<plan>Buy milk.</plan>\n<cost>3</cost>",
        "<reasoning_report><title>T</title></reasoning_report>",
        "<cot>a</cot><b>c</b>",
        "<planet>Mars</planet> is red.",
        "<reasonable_price>5</reasonable_price> euros",
        "<treason>No.</treason> Said he.",
        "<div>a</div>\n391",
        "<b>Thinking</b> is hard.",
        "<scene>He walks.</scene>\nThe end.",
        '<?xml version="1.0"?>\n<plan>a</plan>\n391',
        "```xml\n<plan>a</plan>\n```\n391",
        "Use it so: <plan>a</plan> 391",
        "**Thinking** is hard. **Answering** is harder.",
        "**Thinking, Fast and Slow** is a book. **Answer:** Kahneman.",
        "# Thinking\nIt is hard.",
        "Thinking: it is hard.",
        "I think </think> is a tag",
        "I think </think> ends it and <think> opens it.",
        "Remove the </think> from the output.",
        "A closing </think> may be missing.",
        "Both <think> and </think> are tags.",
        "```thinking\na\n```",
        "```python\nthink()\n```\n391",
        "<details><summary>Thought for 3 seconds</summary>a</details>",
        "<details><summary>More</summary>a</details>\n391",
        "<details><summary>Thinking caps</summary>a</details>",
        "Think\nof an answer\n391",
        "think\nof it",
        "<think-tank>RAND</think-tank> is one.",
        "<result>391</result>",
        "<reply>391</reply>",
    ],
)
def test_a_text_that_only_speaks_of_thoughts_is_an_answer(text):
    assert part_thoughts(text) == (None, text)


def test_the_special_tokens_that_a_text_needs():
    assert all(map(is_mark, ["[THINK]", "[/THINK]", "<think>", "</think>", "<|channel|>", "<|message|>", "◁/think▷"]))
    assert not any(map(is_mark, ["<|end|>", "<s>", "</s>", "<pad>", "<|im_end|>", "[INST]", ""]))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part",
    [
        "<plan>",
        "<plan>a</plan>",
        "<plan>a</plan>b ",
        "**Thinking:** ",
        "### Thinking\n",
        "Thought: ",
        "<think>",
        "</think>",
        "[think]",
        "a <think> b ",
        "```<think>",
        "<|channel|>analysis",
        "<think>a</think>",
        "```thinking\n",
        "<details><summary>Thinking</summary>",
        "think\n",
        "<|im_start|>think\n",
        "<my-",
    ],
)
def test_a_degenerate_text_takes_no_time(part):
    thoughts, rest = part_thoughts(part * 20_000)
    assert len(thoughts or "") + len(rest) <= len(part) * 20_000 + 2 * 20_000
