"""Teacher and student are tried together before the teacher is paid; a problem shows what differs and the way out."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.building import END, train_tokenizer
from distill_dagster.models.fitness import Parts, parts_of
from distill_dagster.models.loading import open_model
from distill_dagster.models.ref import read_ref
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.pairing import Pairing, Sides
from distill_dagster.training.pairing.tokens import ANSWERS, token_problems, token_warnings
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.specs import PrepareSpec
from testing.chat_templates import FAMILIES, tokenizer_of
from testing.models_tiny import COLOURS, LLAMA, TINY, rows, write_model, write_rows

LOGITS = Pairing(training={"signal": "logits"}, k=4)
HIDDEN = Pairing(training={"signal": "hidden"})
ON_POLICY = Pairing(training={"signal": "on_policy"})
ALM = Pairing(training={"signal": "logits", "logits": {"across_tokenizers": "alm"}}, k=4)
TEXT = Pairing()
FIT = {"epochs": 1, "batch_size": 16, "max_length": 64}


def parts(tokenizer, name="model", padding=0) -> Parts:
    config = LlamaConfig(vocab_size=len(tokenizer) + padding)
    return Parts(name, config, tokenizer, [tokenizer.eos_token_id])


def byte_level(size=300, **changes) -> Parts:
    made = train_tokenizer([*COLOURS, "The door is red."], size)
    for name, value in changes.items():
        setattr(made, name, value)
    return parts(made)


def said(teacher, student, pairing=LOGITS) -> str:
    return "; ".join(token_problems(Sides(teacher, student), pairing))


def test_one_tokenizer_fits_every_signal():
    one = byte_level()
    assert said(one, one) == said(one, one, ALM) == said(one, one, TEXT) == said(one, one, HIDDEN) == ""
    assert said(one, one, ON_POLICY) == ""
    assert list(token_warnings(Sides(one, one), LOGITS)) == []


def test_more_tokens_of_a_distribution_than_both_have_are_refused():
    tokenizer, added = byte_level().tokenizer, byte_level().tokenizer
    added.add_tokens(["<made>"])
    size = len(tokenizer)
    padded, student, other = parts(tokenizer, padding=8), parts(tokenizer), parts(added, padding=7)
    for k, taught, learns, words in (
        (size + 8, padded, padded, ""),
        (size + 9, padded, padded, f"k is {size + 9}, and model has {size + 8} tokens: lower `k`"),
        (size, padded, student, ""),
        (size + 1, padded, student, f"k is {size + 1}, and {size} tokens belong to both models: lower `k`"),
        (size, padded, other, ""),
        (size + 1, padded, other, f"k is {size + 1}, and {size} tokens belong to both models: lower `k`"),
    ):
        problem = said(taught, learns, LOGITS.model_copy(update={"k": k}))
        assert words in problem
        assert bool(words) is bool(problem)
    too_many = {"k": size + 9}
    assert said(padded, student, TEXT.model_copy(update=too_many)).endswith("lower `k`")
    assert said(student, student, TEXT) == ""


def test_two_tokenizers_fit_text_and_across_tokenizers():
    one, other = byte_level(), byte_level(270)
    assert said(one, other, TEXT) == said(one, other, ALM) == ""
    problem = said(one, other)
    assert problem.startswith("`student.training.signal: logits`: ")
    assert "to the teacher's tokenizer and [" in problem
    assert "use a student with the teacher's tokenizer, `signal: text`, or `signal: logits` with `logits.ac" in problem


def test_templates_that_open_an_answer_in_other_ways_are_refused_with_the_answers_tokens():
    """Every token behind an opening of the teacher's alone would be learned as text."""
    template = train_tokenizer(["x"], 300).chat_template
    opens = template.replace(
        "message['role'] + '|>' +", "message['role'] + '|>' + ('Sure:' if message['role'] == 'assistant' else '') +"
    )
    one, other = byte_level(chat_template=opens), byte_level()
    problem = said(one, other)
    assert problem.startswith("`student.training.signal: logits`: 'red' is [")
    assert said(other, other) == said(one, other, TEXT) == said(one, other, HIDDEN) == ""
    assert said(one, other, ON_POLICY).startswith("`student.training.signal: on_policy`: 'red' is [")


def test_templates_that_end_an_answer_with_other_tokens_are_refused_where_the_teacher_reads_samples():
    """The teacher would give its own end token the mass that the student's needs."""
    template = byte_level().tokenizer.chat_template
    one, other = byte_level(), byte_level(chat_template=template.replace(END, "<|eot|>"))
    for each in (one, other):
        each.tokenizer.add_tokens(["<|eot|>"], special_tokens=True)
    other.tokenizer.eos_token = "<|eot|>"
    student = parts(other.tokenizer)
    assert said(one, student) == said(one, student, TEXT) == said(one, student, HIDDEN) == ""
    problem = said(one, student, ON_POLICY)
    assert f"the teacher's template ends an answer with ['{END}'] and the student's with ['<|eot|>']" in problem
    assert "give it the teacher's chat template and end token" in problem
    assert said(one, one, ON_POLICY) == said(student, student, ON_POLICY) == ""


def test_a_template_with_a_token_that_the_teacher_lacks_is_refused_where_the_teacher_reads_the_students_rows():
    one, other = byte_level(), byte_level()
    other.tokenizer.add_tokens(["<tool>"], special_tokens=True)
    assert said(one, other, HIDDEN) == ""
    other.tokenizer.chat_template = "<tool>" + other.tokenizer.chat_template
    problem = said(one, other, HIDDEN)
    assert problem.startswith("`student.training.signal: hidden`: the student's template writes token ")
    assert "which is '<tool>' to the student and None to the teacher" in problem
    assert said(one, other) == ""


def test_a_teacher_whose_answers_merge_with_the_prompt_cannot_be_captured():
    """The prompt ends in a letter, and its tokenizer merges it with the answer."""
    merging = train_tokenizer(["nred nred nred"] * 9, 300)
    merging.chat_template = "{% for m in messages %}{{ m.content }}n{% endfor %}"
    problem = said(parts(merging), byte_level(), Pairing(k=4))
    assert "`teacher.logits`: model cannot be captured, since of the answer 'red' behind" in problem
    assert "(prompt_merged): use another template, or remove `teacher.logits`" in problem
    assert said(parts(merging), byte_level(), TEXT) == ""


def test_bytes_have_to_be_known_for_both_sides():
    whole = Tokenizer(models.WordLevel({"[UNK]": 0, "red": 1, END: 2}, unk_token="[UNK]"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    words = PreTrainedTokenizerFast(tokenizer_object=whole, unk_token="[UNK]", eos_token=END)
    words.chat_template = byte_level().tokenizer.chat_template
    assert "cannot be told apart by their bytes" in said(byte_level(), parts(words), ALM)
    assert "cannot be told apart by their bytes" in said(parts(words), None, ALM.model_copy(update={"k": 0}))


def test_answers_that_never_fit_the_students_rows_are_a_warning():
    one = byte_level()
    pairing = Pairing(training={"max_length": 64}, new_tokens=64)
    (warning,) = token_warnings(Sides(None, one), pairing)
    assert (
        "`teacher.generation.max_new_tokens` is 64, and rows of more than `student.training.max_length: 64`" in warning
    )
    assert not list(token_warnings(Sides(None, one), pairing.model_copy(update={"new_tokens": 63})))
    rollouts = {"signal": "on_policy", "max_length": 64, "on_policy": {"max_new_tokens": 64}}
    (warning,) = token_warnings(Sides(None, one), Pairing(training=rollouts, new_tokens=32))
    assert "`student.training.on_policy.max_new_tokens` is 64, and rows of more than" in warning


def test_an_answer_that_is_tokenized_otherwise_behind_the_prompt_is_a_warning():
    """This tokenizer puts a space before every text, and so before an answer alone."""
    student = parts(tokenizer_of(FAMILIES["zephyr"], [*ANSWERS, "Which colour is the door?"]))
    (warning,) = token_warnings(Sides(None, student), TEXT)
    assert "'red' is [" in warning
    assert "a pretrained student may know the first better" in warning


def test_a_template_that_refuses_some_answers_is_no_problem_of_text():
    template = byte_level().tokenizer.chat_template
    picky = "{% for m in messages %}{% if '42' in m.content %}{{ raise_exception('no digits') }}{% endif %}{% endfor %}"
    student = byte_level(chat_template=picky + template)
    assert said(None, student, TEXT) == "" == "".join(token_warnings(Sides(None, student), TEXT))
    assert "no digits" in said(byte_level(), student)


def test_parts_of_a_model_that_is_still_to_be_made():
    assert parts_of(TINY, None) is None


@pytest.fixture
def prepare(tmp_path):
    """Prepare a teacher whose student is `student`; its folder afterwards."""

    def prepared(teacher, student, pairing=LOGITS, **changes):
        out = tmp_path / "out"
        out.mkdir()
        spec = {
            "role": "teacher",
            "model": teacher,
            "pairing": pairing.model_copy(update={"teacher": teacher, "student": student}),
            "out": str(out),
            "work": str(tmp_path),
            **changes,
        }
        try:
            prepare_model(PrepareSpec(**spec), "cpu")
        finally:
            made = sorted(path.name for path in out.iterdir())
        return made

    return prepared


def folder(path: Path, vocab_size: int = TINY.vocab_size) -> ModelConfig:
    return ModelConfig(
        name=write_model(path, ModelConfig(architecture="llama", settings=LLAMA, vocab_size=vocab_size)).path
    )


def test_the_worker_refuses_another_tokenizer_before_anything_is_made(prepare, tmp_path):
    with pytest.raises(ModelError, match="to the teacher's tokenizer and"):
        prepare(folder(tmp_path / "one"), folder(tmp_path / "other", 300))
    assert list((tmp_path / "out").iterdir()) == []


def test_the_worker_takes_it_across_tokenizers(prepare, tmp_path):
    assert prepare(folder(tmp_path / "one"), folder(tmp_path / "other", 300), ALM) == ["faculty.json", "model.json"]


def test_a_new_teacher_is_tried_with_its_student_before_it_is_fitted(prepare, tmp_path):
    """Its tokenizer is trained on the rows and cannot be that of an existing student."""
    data = {"rows": [write_rows(tmp_path / "rows.parquet", rows(32))], "fit": FIT}
    with pytest.raises(ModelError, match="to the teacher's tokenizer and"):
        prepare(TINY.model_copy(update={"vocab_size": 300}), folder(tmp_path / "student"), **data)
    assert not list(tmp_path.glob("checkpoint*"))


def test_padded_vocabularies_and_other_added_tokens_pass(prepare, tmp_path):
    """The student has an added token and more rows than the teacher, whose rows are padded too."""
    teacher, student = folder(tmp_path / "teacher"), folder(tmp_path / "student")
    wider = open_model(Path(student.name), "float32")
    wider.resize_token_embeddings(500, mean_resizing=False)
    wider.save_pretrained(student.name)
    tokenizer = open_tokenizer(Path(student.name))
    tokenizer.add_tokens(["<tool>"], special_tokens=True)
    tokenizer.save_pretrained(student.name)
    assert json.loads((tmp_path / "student/config.json").read_text())["vocab_size"] == 500
    assert prepare(teacher, student) == ["faculty.json", "model.json"]
    assert read_ref(tmp_path / "out").path == teacher.name
