"""The answer of every family's template trains behind the prompt that inference reads, or the row says why not."""

import pytest

from distill_dagster.models.answer_text import answer_text
from distill_dagster.models.frames import Frame, RenderError, frame_of, opening_of, render
from distill_dagster.models.rendering import encode, encode_example, end_ids, render_prompt
from testing.chat_templates import FAMILIES, REFUSES_SYSTEM, tokenizer_of

USER = [{"role": "user", "content": "Which colour is the door?"}]
SYSTEM = [{"role": "system", "content": "Be brief."}, *USER]
LATER = [*USER, {"role": "assistant", "content": "red"}, {"role": "user", "content": "And the cup?"}]
ANSWERS = ["red", "The door is red.", "a", "Two lines:\n- red\n- green", "l'été 3.5 %"]
TEXTS = [m["content"] for m in LATER] + ANSWERS
GLUES_APART = {"deepseek-r1", "smollm-3", "other-header", "line-or-space"}


@pytest.fixture(scope="module", params=list(FAMILIES))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(name):
    return tokenizer_of(FAMILIES[name], TEXTS)


@pytest.mark.parametrize("messages", [USER, SYSTEM, LATER], ids=["user", "system", "later"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_every_family_trains(name, tokenizer, messages, answer):
    family = FAMILIES[name]
    if messages is SYSTEM and REFUSES_SYSTEM in family.template:
        with pytest.raises(RenderError, match="no system role"):
            encode_example(tokenizer, messages, answer, end_ids(tokenizer))
        return
    made = encode_example(tokenizer, messages, answer, end_ids(tokenizer))
    prompt, taught = made.ids[: made.answer_start], made.ids[made.answer_start :]
    assert prompt == encode(tokenizer, render_prompt(tokenizer, messages))
    assert taught[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id not in taught[:-1]
    text = answer_text(tokenizer, taught, family.opening)
    assert text.removeprefix(family.opening).strip() == answer
    assert opening_of(tokenizer) == family.opening


def test_what_trains_is_the_templates_own_text_where_it_continues_the_prompt(name, tokenizer):
    if name in GLUES_APART:
        pytest.skip("its prompt is no part of the finished text")
    made = encode_example(tokenizer, USER, "The door is red.", end_ids(tokenizer))
    whole = render(tokenizer, [*USER, {"role": "assistant", "content": "The door is red."}], generate=False)
    own = encode(tokenizer, whole)
    if FAMILIES[name].opening:  # else prompt and answer are tokenized apart
        assert made.ids[:-1] == own[: len(made.ids) - 1]
    assert whole.replace(" ", "").startswith(tokenizer.decode(made.ids[:-1]).replace(" ", ""))


@pytest.mark.parametrize("apart", sorted(GLUES_APART))
def test_a_prompt_that_no_finished_text_has_stays_as_inference_reads_it(apart):
    tokenizer = tokenizer_of(FAMILIES[apart], TEXTS)
    prompt = render_prompt(tokenizer, USER)
    whole = render(tokenizer, [*USER, {"role": "assistant", "content": "red"}], generate=False)
    assert not whole.startswith(prompt)
    frame = frame_of(tokenizer, USER, prompt, "red")
    assert frame.opening == FAMILIES[apart].opening
    assert frame.closing
    assert whole.endswith("red" + frame.closing)


def test_a_system_message_that_a_finished_turn_loses_is_taught():
    tokenizer = tokenizer_of(FAMILIES["mistral-v3"], TEXTS)
    whole = render(tokenizer, [*SYSTEM, {"role": "assistant", "content": "red"}], generate=False)
    assert "Be brief." not in whole
    made = encode_example(tokenizer, SYSTEM, "red", end_ids(tokenizer))
    text = " ".join(tokenizer.decode(made.ids).split())
    assert text == "<s>[INST] Be brief. Which colour is the door?[/INST] red</s>"


def test_a_space_before_the_answer_is_part_of_its_first_word():
    tokenizer = tokenizer_of(FAMILIES["mistral-v1"], TEXTS)
    made = encode_example(tokenizer, USER, "red", end_ids(tokenizer))
    assert tokenizer.convert_ids_to_tokens(made.ids[made.answer_start :])[0].startswith("▁r")


def test_the_words_of_an_opening_are_no_part_of_an_answer():
    tokenizer = tokenizer_of(FAMILIES["gpt-oss"], TEXTS)
    opening = FAMILIES["gpt-oss"].opening
    assert answer_text(tokenizer, encode(tokenizer, opening + "red"), opening) == "red"
    assert answer_text(tokenizer, encode(tokenizer, "finally red"), opening) == "finally red"
    assert answer_text(tokenizer, encode(tokenizer, opening), opening) == ""


@pytest.mark.parametrize("change", ["upper", "replace('e', '3')", "truncate(3, true, '')", "reverse"])
def test_a_template_that_rewrites_an_answer_is_refused(change):
    tokenizer = tokenizer_of(FAMILIES["phi-3"], TEXTS)
    tokenizer.chat_template = tokenizer.chat_template.replace("m.content", f"(m.content | {change})")
    with pytest.raises(RenderError, match="writes an answer as it is"):
        encode_example(tokenizer, USER, "the red door", end_ids(tokenizer))


@pytest.mark.parametrize("answer", ["Jx", "Wq", "J", "q", "jX"])
def test_an_answer_like_a_probe_is_found(answer):
    tokenizer = tokenizer_of(FAMILIES["mistral-v1"], TEXTS)
    assert frame_of(tokenizer, USER, render_prompt(tokenizer, USER), answer) == Frame(" ", "</s>")


def test_a_template_that_fails_in_any_way_is_an_error_of_the_row():
    tokenizer = tokenizer_of(FAMILIES["phi-3"], TEXTS)
    for broken in ("{{ messages[0].content + 1 }}", "{{ 1 / 0 }}", "{{ messages[5].content.x }}", "{% if %}"):
        tokenizer.chat_template = broken
        with pytest.raises(RenderError, match="roles user"):
            render_prompt(tokenizer, USER)
