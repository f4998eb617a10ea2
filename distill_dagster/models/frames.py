"""What a chat template writes around an answer: the opening between the prompt and the answer, and the closing.

    template            prompt                     rendered with the answer "red"            opening   closing
    this package's      …<|assistant|>             …<|assistant|>red<|end|>                  ""        <|end|>
    Mistral's first     [INST] Which? [/INST]      [INST] Which? [/INST] red</s>             " "       </s>
    gpt-oss             …<|start|>assistant        …assistant<|channel|>final<|message|>red  <|chan…   <|return|>

Where the answer lies in the rendered text is found by rendering another answer too: what both texts begin and end with
is the frame. Some templates render a finished turn in another way than the prompt of an open one:

    DeepSeek-R1         …<|Assistant|><think>\\n     …<|Assistant|>red<|end|>     the prompt opens a thought
    Mistral's third     [INST] Be brief. Which?    [INST] Which? red</s>        the system message is gone

At inference the model reads the prompt, so the prompt stays as it is. Behind it comes the opening that the template
writes in a plain conversation, or the end of an opened thought, and then the answer with its closing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.first_token import with_first_token_once

# Templates ignore variables that they do not read. Qwen3's then writes an empty thought instead of a long one.
TEMPLATE_OPTIONS = {"enable_thinking": False}
PLAIN: Sequence[Mapping[str, str]] = [{"role": "user", "content": "Which colour is the door?"}]
PLAIN_ANSWER = "red"
THOUGHT_OPENS, THOUGHT_CLOSES = "<think>", "</think>"
END_OF_THOUGHT = "\n</think>\n\n"  # behind "<think>\n" it makes the empty thought of Qwen3
PROBES = ("Jx", "Wq")  # one of the two differs from an answer in its first character, and one in its last


class RenderError(ModelError):
    """A chat template cannot render a row, or does not put the answer into it as it is (E015)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The texts before and behind an answer: prompt, opening, answer, closing."""

    opening: str
    closing: str


def render(tokenizer: Any, messages: Sequence[Mapping[str, str]], generate: bool) -> str:
    """The template's text, with BOS at most once; with `generate` it ends where the model's answer begins.

    Raises:
        RenderError: the template refuses the messages, or fails on them.
    """
    from jinja2 import TemplateError

    plain = [{"role": m["role"], "content": m["content"]} for m in messages]
    try:
        text = tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=generate, **TEMPLATE_OPTIONS)
    except (TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as e:
        roles = ", ".join(m["role"] for m in plain)
        raise RenderError(f"the chat template refuses messages with the roles {roles}: {e}") from e
    return with_first_token_once(tokenizer, text)


def frame_of(tokenizer: Any, messages: Sequence[Mapping[str, str]], prompt: str, answer: str) -> Frame:
    """What the template writes around `answer` to `messages`, whose prompt is rendered as `prompt`.

    Raises:
        RenderError: the template refuses the row, or writes another text than the answer.
    """
    whole = _answered(tokenizer, messages, answer)
    if whole.startswith(prompt + answer):
        return Frame("", whole[len(prompt) + len(answer) :])
    other = _answered(tokenizer, messages, _probe(answer))
    start = shared(whole, other)
    behind = shared(whole[start:][::-1], other[start:][::-1])
    end = len(whole) - behind
    if whole[start:end] != answer:
        raise RenderError(
            f"the chat template renders the answer {answer[:40]!r} as {whole[start:end][:40]!r}, so the row cannot "
            "train: use a template that writes an answer as it is"
        )
    return Frame(_opening(tokenizer, messages, prompt, whole[:start]), whole[end:])


def opening_of(tokenizer: Any) -> str:
    """The opening in a plain conversation; "" if the template puts an answer right behind its prompt or rewrites it."""
    return _plain_frame(tokenizer).opening


def closing_of(tokenizer: Any) -> str:
    """The closing in a plain conversation; "" if the template writes nothing behind an answer or rewrites it."""
    return _plain_frame(tokenizer).closing


def _plain_frame(tokenizer: Any) -> Frame:
    try:
        return frame_of(tokenizer, PLAIN, render(tokenizer, PLAIN, generate=True), PLAIN_ANSWER)
    except RenderError:
        return Frame("", "")


def shared(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many elements, from the first on, two sequences have in common."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _answered(tokenizer: Any, messages: Sequence[Mapping[str, str]], answer: str) -> str:
    return render(tokenizer, [*messages, {"role": "assistant", "content": answer}], generate=False)


def _probe(answer: str) -> str:
    """Another answer, whose first and last characters differ from this one's in any case."""
    first = next(p[0] for p in PROBES if p[0].lower() != answer[:1].lower())
    last = next(p[1] for p in PROBES if p[1].lower() != answer[-1:].lower())
    return first + last


def _opening(tokenizer: Any, messages: Sequence[Mapping[str, str]], prompt: str, before: str) -> str:
    """What belongs between `prompt` and an answer that the template writes behind `before`."""
    if before.startswith(prompt):
        return before[len(prompt) :]
    only_in_prompt = prompt[shared(prompt, before) :]
    _, opened, thought = only_in_prompt.rpartition(THOUGHT_OPENS)
    if opened and THOUGHT_CLOSES not in thought:
        return END_OF_THOUGHT
    return opening_of(tokenizer) if messages is not PLAIN else ""
