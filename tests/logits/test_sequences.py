"""Which tokens the second pass reads, and with which code it refuses an answer."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.logits.sequences import Refusal, sequences_of
from distill_dagster.models.loading import load
from distill_dagster.models.rendering import encode, encode_example, render_prompt
from testing.logits_tiny import teacher_row
from testing.models_tiny import raw_row, rows, write_model

END = 1  # <|end|> of the tiny tokenizer


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(write_model(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


@pytest.fixture
def made(loaded):
    """The sequence or the refusal of one answer to the first tiny row, or to `raw`."""

    def one(text, raw=None, model=loaded, **changes):
        raw = raw or rows(1)[0]
        row = teacher_row(model.ref, raw["row_id"], text, **changes)
        (sequence,) = sequences_of([row], {raw["row_id"]: raw}, model)
        return sequence

    return one


def templated(loaded, template):
    """The same model under another chat template, the tokenizer a copy."""
    import copy

    tokenizer = copy.deepcopy(loaded.tokenizer)
    tokenizer.chat_template = template
    return replace(loaded, tokenizer=tokenizer)


def test_the_prompt_is_the_one_that_was_generated_from_and_the_answer_ends(made, loaded):
    sequence = made("red")
    prompt = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, rows(1)[0]["messages"]))
    assert sequence.ids == [*prompt, *encode(loaded.tokenizer, "red"), END]
    assert (sequence.answer_start, sequence.answer_tokens) == (len(prompt), len(sequence.ids) - len(prompt))


def test_an_answer_that_was_cut_off_has_no_end_token(made):
    whole, cut = made("The door"), made("The door", finish_reason="length")
    assert cut.ids == whole.ids[:-1]
    assert whole.ids[-1] == END


def test_tokens_are_counted_against_those_that_were_generated(made):
    tokens = made("red").answer_tokens
    assert not made("red", completion_tokens=tokens).retokenized
    assert made("red", completion_tokens=tokens + 1).retokenized


def test_a_stop_without_a_word_is_its_end_token(made):
    assert (made("").ids[-1], made("").answer_tokens) == (END, 1)


def test_of_several_end_tokens_the_templates_own_is_taken(made, loaded):
    config = loaded.model.generation_config
    config.eos_token_id = [0, END]
    try:
        assert made("red").ids[-1] == END
    finally:
        config.eos_token_id = END


def test_a_conversation_hears_the_teachers_own_earlier_replies(loaded):
    asked = ["Hello", "And the cup?", "Bye"]
    turns = [m for text in asked for m in ({"role": "user", "content": text}, {"role": "assistant", "content": "-"})]
    raw = raw_row("c", turns, [], task="conversation")
    replies = ["blue cup", "red", "The lamp"]
    answers = [teacher_row(loaded.ref, "c", text, turn=turn) for turn, text in enumerate(replies)]
    history = []
    for sequence, text, reply in zip(sequences_of(answers, {"c": raw}, loaded), asked, replies, strict=True):
        history.append({"role": "user", "content": text})
        prompt = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, history))
        assert sequence.ids == [*prompt, *encode(loaded.tokenizer, reply), END]
        history.append({"role": "assistant", "content": reply})


@pytest.mark.parametrize(
    ("text", "changes", "code"),
    [
        ("red", {"teacher_revision": "another"}, "other_teacher"),
        ("red", {"turn": 1}, "unknown_row"),
        ("red", {"row_id": "nobody"}, "unknown_row"),
        ("red<|user|>blue", {}, "text_changed"),
        ("", {"finish_reason": "length"}, "empty_answer"),
        ("door " * 130, {}, "E010"),
    ],
)
def test_what_cannot_be_told_token_by_token_is_refused_by_name(loaded, text, changes, code):
    raw = rows(1)[0]
    row = {**teacher_row(loaded.ref, raw["row_id"], text), **changes}
    (refused,) = sequences_of([row], {raw["row_id"]: raw}, loaded)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.text) == (code, text)


def test_a_turn_after_one_that_failed_is_refused(loaded):
    turns = [{"role": role, "content": "-"} for role in ("user", "assistant") * 2]
    answers = [
        teacher_row(loaded.ref, "c", None, status="failed"),
        teacher_row(loaded.ref, "c", "red", turn=1),
    ]
    (refused,) = sequences_of(answers, {"c": raw_row("c", turns, [], task="conversation")}, loaded)
    assert refused.code == "unknown_row"


def test_an_answer_that_merges_with_its_prompt_is_refused_and_not_shifted(made, loaded):
    spaced = templated(loaded, "{% for m in messages %}{{ m['content'] }} Answer: {% endfor %}")
    prompt = encode(spaced.tokenizer, render_prompt(spaced.tokenizer, rows(1)[0]["messages"]))
    joint = encode(spaced.tokenizer, render_prompt(spaced.tokenizer, rows(1)[0]["messages"]) + "is red")
    assert joint[: len(prompt)] != prompt, "the tiny tokenizer has ' is' as one token"
    assert made("is red", model=spaced).code == "prompt_merged"
    assert not isinstance(made("\tred", model=spaced), Refusal)


@pytest.mark.parametrize("opening", [" ", "<|system|>final<|user|>"])
@pytest.mark.parametrize("stop", ["stop", "length"])
def test_what_opens_an_answer_is_read_as_it_is_taught(made, loaded, opening, stop):
    template = loaded.tokenizer.chat_template.replace(
        "+ message['content']", f"+ ('{opening}' if message['role'] == 'assistant' else '') + message['content']"
    )
    opened = templated(loaded, template)
    taught = encode_example(opened.tokenizer, rows(1)[0]["messages"], "red", [END])
    sequence = made("red", model=opened, finish_reason=stop)
    assert sequence.answer_start == taught.answer_start
    assert sequence.ids == (taught.ids if stop == "stop" else taught.ids[:-1])
    if opening == " ":
        assert made(" red", model=opened, finish_reason=stop).ids == sequence.ids  # as a byte-level decoder gives it


def test_messages_that_the_template_refuses_are_refused(made, loaded):
    strict = templated(loaded, "{{ raise_exception('no') }}")
    assert made("red", model=strict).code == "E015"


def test_failed_rows_are_left_out(loaded):
    raw = rows(2)
    answers = [
        teacher_row(loaded.ref, raw[0]["row_id"], None, status="failed"),
        teacher_row(loaded.ref, raw[1]["row_id"], "red"),
    ]
    (sequence,) = sequences_of(answers, {row["row_id"]: row for row in raw}, loaded)
    assert sequence.key == (raw[1]["row_id"], 0, 0)


@given(text=st.text(max_size=40) | st.text("ab <|>éñd\n\ufffd", max_size=12), stopped=st.booleans())
@settings(deadline=None)
def test_any_answer_is_told_token_by_token_or_refused(loaded, text, stopped):
    raw = rows(1)[0]
    row = teacher_row(loaded.ref, raw["row_id"], text, finish_reason="stop" if stopped else "length")
    (made,) = sequences_of([row], {raw["row_id"]: raw}, loaded)
    if isinstance(made, Refusal):
        assert made.code in ("text_changed", "empty_answer")
        assert (made.code == "empty_answer") == (text == "")
        return
    prompt = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, raw["messages"]))
    assert made.ids[: made.answer_start] == prompt
    assert made.answer_tokens > 0
    answer = made.ids[made.answer_start :]
    assert (answer[-1] == END) == stopped
    assert loaded.tokenizer.decode(answer, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text
