"""What is stored of a teacher with another tokenizer is found by its row, and matched over the spans of the text."""

import itertools

import pytest
import torch

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.rendering import encode
from distill_dagster.training.examples import TrainingSet
from distill_dagster.training.signals import open_signal
from testing.across_tiny import ANSWERS, TABLE, Across
from testing.models_tiny import TINY


def dense(across, alpha, tau):
    """By hand from two forwards in each row: its text in both tokenizations, spans by their decoded texts."""
    across.student.zero_grad()
    total = torch.zeros((), dtype=torch.float64)
    for row, example in zip(TABLE, across.examples().train, strict=True):
        prompt = across.teachers.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
        start = len(encode(across.teachers, prompt))
        teacher_ids = torch.tensor([encode(across.teachers, prompt + row["reference"][0] + "<|end|>")])
        student_ids, own_start = torch.tensor([example["input_ids"]]), example["answer_start"]
        p, q = own_of(across.teacher, teacher_ids, start).detach(), own_of(across.student, student_ids, own_start)
        one, other = (
            lengths(across.teachers, teacher_ids[0, start:]),
            lengths(across.students, student_ids[0, own_start:]),
        )
        bounds = [0, *sorted(set(one) & set(other))]
        assert one[-1] == other[-1] == len(row["reference"][0].encode()) + len("<|end|>")
        total = total - alpha * q.sum()
        for low, high in itertools.pairwise(bounds):
            a = sum(v for v, end in zip(p, one, strict=True) if low < end <= high) / tau
            b = sum(v for v, end in zip(q, other, strict=True) if low < end <= high) / tau
            total = total - (1 - alpha) * tau * (a.exp() * b + (1 - a.exp()) * (1 - b.exp()).log())
    total.backward()
    return total.item(), across.student.get_output_embeddings().weight.grad.clone()


def own_of(model, ids, start):
    """Log-probabilities of the tokens from `start` on."""
    logs = model(ids).logits[0, start - 1 : -1].double().log_softmax(-1)
    return logs.gather(1, ids[0, start:, None])[:, 0]


def lengths(tokenizer, ids):
    """Bytes of the text up to each token, read off the tokens' own characters: this alphabet has one for each byte."""
    tokens = tokenizer.convert_ids_to_tokens(ids)
    return torch.tensor([len(token) for token in tokens]).cumsum(0).tolist()


@pytest.fixture(scope="module")
def across(tmp_path_factory):
    return Across(tmp_path_factory.mktemp("across"))


@pytest.mark.parametrize(("alpha", "tau"), [(0.0, 100.0), (0.5, 100.0), (0.3, 5.0)])
def test_from_stored_logits_of_another_tokenizer_it_is_the_dense_objective(across, alpha, tau):
    signal, data = across.signal(alpha=alpha, tau=tau), across.examples()
    assert any(encode(across.teachers, text) != encode(across.students, text) for text in ANSWERS)
    (loss, gradient), (expected, dense_gradient) = across.loss(signal, data), dense(across, alpha, tau)
    assert loss == pytest.approx(expected, rel=1e-3)  # what is stored is fp16
    assert torch.linalg.vector_norm(gradient - dense_gradient) < 5e-3 * torch.linalg.vector_norm(dense_gradient)


def test_a_bos_of_the_student_changes_no_span(across, tmp_path):
    with_bos = Across(tmp_path, bos=True)
    plain, other = (one.signal().join(one.examples().train)[0] for one in (across, with_bos))
    assert [ids[1:] for ids in other["input_ids"]] == plain["input_ids"]
    assert (other["span_of"], other["teacher_logprobs"]) == (plain["span_of"], plain["teacher_logprobs"])


def test_with_the_teachers_own_tokenizer_each_token_is_a_span(tmp_path):
    same = Across(tmp_path, vocab_size=TINY.vocab_size)
    joined, left_out = same.signal().join(same.examples().train)
    assert left_out == {"no_logits": 0, "no_span": 0}
    for row in joined:
        stored = same.stored[row["row_id"], 0, 0]
        assert row["span_of"] == list(range(len(stored.token_ids)))
        assert row["teacher_logprobs"] == pytest.approx(stored.logprobs[:, 0].tolist())


def test_the_true_token_is_stored_even_with_one_token_a_position(across):
    assert all((row.ids[:, 0] == row.token_ids).all() for row in across.stored.values())


def test_where_the_answers_differ_tokens_are_learned_as_text_and_rows_without_a_span_are_refused(across):
    answers = {"train-0": "red and blue", "train-1": "purple"}
    data, signal = across.examples(answers), across.signal()
    joined = data.joined(signal.join)
    assert (joined.counts["no_span"], joined.counts["no_logits"]) == (1, 0)
    row = joined.train[0]
    assert row["span_of"][-1] == -1 < row["span_of"][0] + 1
    batch = signal.collate([row])
    each = [numbers >= 0 for numbers in row["span_of"]]
    assert batch["in_span"].tolist() == each
    assert len(row["teacher_logprobs"]) == batch["closes"].sum()
    strange = data.train.map(lambda _: {"row_id": "unknown"})
    with pytest.raises(TrainingError, match="12 no_logits, 0 no_span"):
        TrainingSet(strange, data.validation, data.counts).joined(signal.join)


def test_prompt_tokens_with_a_weight_are_learned_as_text(across):
    spec = across.spec(alpha=0.0)
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"prompt_loss_weight": 0.5})})
    signal = open_signal(spec, across.student, across.students, across.folder / "cache", "cpu")
    (row, *_), _ = signal.join(across.examples().train)
    batch = signal.collate([row])
    prompt = row["answer_start"] - 1
    assert batch["in_span"].tolist() == [False] * prompt + [True] * (row["length"] - row["answer_start"])
    assert batch["groups"][:prompt].diff().eq(1).all()


def test_another_tokenizer_in_the_teachers_folder_is_refused(tmp_path):
    one = Across(tmp_path)
    for changed in (tmp_path / "student").glob("tokenizer*"):
        (tmp_path / "teacher" / changed.name).write_bytes(changed.read_bytes())
    with pytest.raises(TrainingError, match="restore the teacher's folder"):
        one.signal()
    (tmp_path / "teacher").rename(tmp_path / "moved")
    with pytest.raises(TrainingError, match="is gone, and the student's tokenizer is compared"):
        one.signal()


def test_without_across_tokenizers_such_a_student_is_refused_with_the_way_out(across):
    spec = across.spec()
    plain = StudentTrainingConfig(signal="logits", max_length=120)
    with pytest.raises(
        ModelError, match=r"to the teacher's tokenizer and .* to the student's: use a student with .*alm"
    ):
        open_signal(
            spec.model_copy(update={"training": plain}), across.student, across.students, across.folder / "cache", "cpu"
        )
