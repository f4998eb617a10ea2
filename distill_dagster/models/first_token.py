"""The token that begins a text (BOS): a prompt has it exactly once if the model expects one.

    tokenizer adds BOS    template writes it    rendered
    yes                   once                  <s>[INST] Which? [/INST]
    yes                   never (Zephyr)        <s><|user|>\\nWhich?</s>…       the template is changed to write it
    either                twice                 <s>[INST] Which? [/INST]      the others are taken off
    no                    never (Qwen, Phi)     <|im_start|>user\\nWhich?…      as it is

Rendered texts are tokenized without special tokens, so that the template alone decides. A template that leaves BOS to
the tokenizer is changed where the tokenizer is opened; the student's folder ships it, and every server then renders the
same.
"""

from typing import Any

from distill_dagster.models.dates import OURS
from distill_dagster.models.templates import change_templates

LINE = "{{- bos_token }}"
PLAIN = [{"role": "user", "content": "Which colour is the door?"}]


def pin_first_token(tokenizer: Any) -> None:
    """Let the tokenizer's templates write BOS if the tokenizer puts it before every other text, and they do not."""
    if adds_first_token(tokenizer):
        change_templates(tokenizer, lambda template: _writing(tokenizer, template))


def adds_first_token(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts BOS before a text."""
    begins = tokenizer.bos_token_id
    bare, whole = (tokenizer("x", add_special_tokens=special)["input_ids"][:1] for special in (False, True))
    return begins is not None and bare != [begins] and whole == [begins]


def with_first_token_once(tokenizer: Any, text: str) -> str:
    """A rendered text without the second BOS, and any further one, at its start."""
    begins = tokenizer.bos_token
    while begins and text.startswith(begins * 2):
        text = text[len(begins) :]
    return text


def _writing(tokenizer: Any, template: str) -> str:
    """The template with a line that writes BOS, behind the lines that pin its date; as it is if it writes BOS."""
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(PLAIN, chat_template=template, tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return template  # `render` says what it refuses
    if text.startswith(tokenizer.bos_token):
        return template
    before = OURS.match(template)
    assert before is not None, "both groups are optional"
    return template[: before.end()] + LINE + template[before.end() :]
