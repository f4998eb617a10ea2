"""Approximate likelihood matching: the objective over spans is that of a dense computation, whatever is cut how."""

import itertools
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.loading import open_model
from distill_dagster.models.rendering import encode, end_ids
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.examples import TrainingSet, tokenize
from distill_dagster.training.signals import open_signal
from distill_dagster.training.signals.alm import (
    AlmSignal,
    Matching,
    binary_cross_entropy,
    log1mexp,
    own_logprobs,
)
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.kernel import LogProbs, head_loss, logits_loss
from distill_dagster.training.specs import TrainSpec
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import LLAMA, TINY, raw_row, rows, write_model

N, H, V, TAU = 9, 5, 23, 100.0
SPANS = [[1], [2, 3, 4], [6], [7, 8]]  # tokens 0 and 5 are outside of all
GROUPS = torch.tensor([0, 1, 2, 2, 2, 3, 4, 5, 5])


def matching(ids, logprobs, alpha=0.25, tau=TAU, dtype=torch.float64):
    """A term over SPANS whose teacher gives each token these log-probabilities (N,)."""
    closes, sums, in_span = (
        torch.zeros(N, dtype=torch.bool),
        torch.zeros(N, dtype=dtype),
        torch.zeros(N, dtype=torch.bool),
    )
    for span in SPANS:
        closes[span[-1]], sums[span[-1]], in_span[span] = True, logprobs[span].sum(), True
    by_token = torch.where(in_span, alpha, 1.0).to(dtype)
    return Matching(ids[:, None], GROUPS, closes, sums, by_token, (1 - alpha) * tau, tau)


def dense(logits, ids, logprobs, alpha=0.25, tau=TAU):
    """The objective by hand, span by span."""
    own = logits.log_softmax(dim=-1).gather(1, ids[:, None])[:, 0]
    total = -own[[0, 5]].sum()
    for span in SPANS:
        a, b = logprobs[span].sum() / tau, own[span].sum() / tau
        match = -(a.exp() * b + (1 - a.exp()) * (1 - b.exp()).log())
        total = total - alpha * own[span].sum() + (1 - alpha) * tau * match
    return total


@pytest.fixture
def given():
    torch.manual_seed(0)
    head = torch.nn.Linear(H, V, dtype=torch.float64)
    ids = torch.randint(V, (N,))
    teacher = torch.randn(N, V, dtype=torch.float64).log_softmax(-1).gather(1, ids[:, None])[:, 0]
    return torch.randn(N, H, dtype=torch.float64, requires_grad=True), head, ids, teacher


@pytest.mark.parametrize("tau", [1.0, 7.0, 100.0])
@pytest.mark.parametrize("positions", [1, 2, 4, 100])
def test_loss_and_gradients_are_those_of_the_dense_objective(given, tau, positions):
    hidden, head, ids, teacher = given
    expected = torch.autograd.grad(dense(head(hidden), ids, teacher, tau=tau), [hidden, head.weight, head.bias])
    loss = head_loss(hidden, head, [matching(ids, teacher, tau=tau)], positions * V, GROUPS)
    made = torch.autograd.grad(loss, [hidden, head.weight, head.bias])
    assert loss.item() == pytest.approx(dense(head(hidden), ids, teacher, tau=tau).item(), rel=1e-10)
    assert all(torch.allclose(one, other, rtol=1e-9, atol=1e-12) for one, other in zip(made, expected, strict=True))


def test_gradcheck(given):
    hidden, head, ids, teacher = given
    term = matching(ids, teacher)
    assert torch.autograd.gradcheck(
        lambda logits: logits_loss(logits, [term], 2 * V, GROUPS), head(hidden).detach().requires_grad_()
    )


def test_no_chunk_of_the_kernel_holds_more_positions_than_asked_but_for_one_long_group(given, monkeypatch):
    hidden, head, ids, teacher = given
    term, seen = matching(ids, teacher), []
    plain = Matching.loss
    monkeypatch.setattr(
        Matching,
        "loss",
        lambda self, chunk, logs: (seen.append((chunk.start, chunk.stop)), plain(self, chunk, logs))[1],
    )
    head_loss(hidden, head, [term], 2 * V, GROUPS)
    assert seen == [(0, 2), (2, 5), (5, 7), (7, 9)]


def test_a_student_that_is_its_teacher_has_no_gradient(given):
    hidden, head, ids, _ = given
    own = head(hidden).log_softmax(-1).gather(1, ids[:, None])[:, 0].detach()
    term = matching(ids, own, alpha=0.0)
    term = Matching(term.ids, term.groups, term.closes, term.logprobs, term.by_token * 0, term.by_span, term.tau)
    (gradient,) = torch.autograd.grad(head_loss(hidden, head, [term], None, GROUPS), [hidden])
    (other,) = torch.autograd.grad(head_loss(hidden, head, [matching(ids, own - 1)], None, GROUPS), [hidden])
    assert gradient.norm() < 1e-12 < other.norm()


def test_at_tau_one_a_span_of_one_token_is_the_kl_of_two_outcomes_up_to_the_teachers_entropy():
    """The span is this token or not: the binary KL is the forward KL with k = 1 and a bucket."""
    p, q = torch.tensor([0.7, 0.2, 0.999], dtype=torch.float64), torch.tensor([0.4, 0.6, 0.9], dtype=torch.float64)
    kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    assert torch.allclose(binary_cross_entropy(p.log(), q.log()), kl + entropy)


def test_a_large_tau_keeps_the_size_of_the_gradient():
    """Times tau it tends to 1 - (sum log p) / (sum log q) of the span's log-probability."""
    for tau in (1e2, 1e3):
        own = torch.tensor([-3.0], dtype=torch.float64, requires_grad=True)
        loss = tau * binary_cross_entropy(torch.tensor([-1.2], dtype=torch.float64) / tau, own / tau).sum()
        (gradient,) = torch.autograd.grad(loss, [own])
        assert -gradient.item() == pytest.approx(1 - 1.2 / 3.0, rel=3 / tau)


def test_log1mexp_has_all_digits_near_zero_and_far_from_it():
    x = torch.tensor([-1e-30, -1e-8, -0.1, -0.7, -5.0, -50.0, -1000.0])
    exact = [-69.0775527898, -18.4206807490, -2.35216846, -0.686341002808, -6.76074946e-3, -1.92874985e-22, 0.0]
    assert log1mexp(x).tolist() == pytest.approx(exact, rel=1e-6, abs=1e-30)
    x.requires_grad_()
    assert torch.isfinite(torch.autograd.grad(log1mexp(x).sum(), [x])[0][1:]).all()


@pytest.mark.parametrize("gap", [10.0, 40.0, 100.0, 400.0])
@pytest.mark.parametrize("p", [0.0, -1e-6, -2.0, -65504.0])
def test_sides_that_are_sure_have_a_finite_loss_and_gradient(gap, p):
    """float32: the student gives its token all mass but exp(-gap)."""
    logits = torch.zeros(1, 8)
    logits[0, 3] = gap
    logits.requires_grad_()
    term = Matching(
        torch.tensor([[3]]), torch.tensor([0]), torch.tensor([True]), torch.tensor([p]), torch.zeros(1), TAU, TAU
    )
    loss = logits_loss(logits, [term], None, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(loss, [logits])
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_the_log_probability_of_a_sure_token_keeps_its_digits():
    rest = torch.tensor([-30.0, -12.0, -0.1])
    seen = LogProbs(torch.log1p(-rest.exp())[:, None], rest, None, None)
    assert own_logprobs(seen)[0].item() == pytest.approx(-9.3576e-14, rel=1e-4)  # float32's 1 - 1e-13 is 1
    assert torch.allclose(own_logprobs(seen)[2:], seen.kept[2:, 0])


ASKED = [{"role": "user", "content": "Which colour?"}]
ANSWERS = ("red", "blue and grün", "赤い 🙂 door", "The door number 7 is yellow.")
TABLE = [*rows(8), *(raw_row(f"own-{i}", ASKED, [answer]) for i, answer in enumerate(ANSWERS))]


class Across:
    """A teacher that has answered TABLE, and a student with another tokenizer."""

    def __init__(self, folder: Path, vocab_size=300, bos=False) -> None:
        self.folder, self.teacher_ref = folder, write_model(folder / "teacher")
        model = ModelConfig(
            architecture="llama", settings={**LLAMA, "max_position_embeddings": 128}, vocab_size=vocab_size, seed=7
        )
        self.ref = write_model(folder / "student", model)
        if bos:
            path = folder / "student" / "chat_template.jinja"
            path.write_text("<|pad|>" + path.read_text())
        answers = [teacher_row(self.teacher_ref, row["row_id"], row["reference"][0]) for row in TABLE]
        _, self.stored, _ = capture(folder, self.teacher_ref, TABLE, answers, k=1)
        self.teacher, self.student = (open_model(folder / name, "float32").eval() for name in ("teacher", "student"))
        self.teachers, self.students = (open_tokenizer(folder / name) for name in ("teacher", "student"))

    def spec(self, **objective) -> TrainSpec:
        training = StudentTrainingConfig(
            signal="logits", logits={"across_tokenizers": "alm", **objective}, max_length=120
        )
        paths = {"examples": "", "logits": [str(self.folder / "logits.parquet")], "out": "", "work": ""}
        return TrainSpec(
            student_base=self.ref, teacher=self.teacher_ref, training=training, name="a", task="qa", **paths
        )

    def signal(self, **objective) -> AlmSignal:
        return open_signal(self.spec(**objective), self.student, self.students, self.folder / "cache")

    def examples(self, answers=None) -> TrainingSet:
        keys = {"sample": 0, "turn": 0, "split": "train"}
        table = [
            {
                **keys,
                "row_id": row["row_id"],
                "messages": row["messages"],
                "answer": (answers or {}).get(row["row_id"], row["reference"][0]),
            }
            for row in TABLE
        ]
        return tokenize(Dataset.from_list(table), self.students, end_ids(self.students), 120)

    def loss(self, signal, data):
        self.student.zero_grad()
        batch = signal.collate(list(data.joined(signal.join).train))
        with computing_loss(self.student):
            loss = signal.loss(self.student, batch, 1.0)
        loss.backward()
        return loss.item(), self.student.get_output_embeddings().weight.grad.clone()

    def dense(self, alpha, tau):
        """By hand from two forwards in each row: its text in both tokenizations, spans by their decoded texts."""
        self.student.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for row, example in zip(TABLE, self.examples().train, strict=True):
            prompt = self.teachers.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
            start = len(encode(self.teachers, prompt))
            teacher_ids = torch.tensor([encode(self.teachers, prompt + row["reference"][0] + "<|end|>")])
            student_ids, own_start = torch.tensor([example["input_ids"]]), example["answer_start"]
            p, q = own_of(self.teacher, teacher_ids, start).detach(), own_of(self.student, student_ids, own_start)
            one, other = (
                lengths(self.teachers, teacher_ids[0, start:]),
                lengths(self.students, student_ids[0, own_start:]),
            )
            bounds = [0, *sorted(set(one) & set(other))]
            assert one[-1] == other[-1] == len(row["reference"][0].encode()) + len("<|end|>")
            total = total - alpha * q.sum()
            for low, high in itertools.pairwise(bounds):
                a = sum(v for v, end in zip(p, one, strict=True) if low < end <= high) / tau
                b = sum(v for v, end in zip(q, other, strict=True) if low < end <= high) / tau
                total = total - (1 - alpha) * tau * (a.exp() * b + (1 - a.exp()) * (1 - b.exp()).log())
        total.backward()
        return total.item(), self.student.get_output_embeddings().weight.grad.clone()


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
    (loss, gradient), (expected, dense_gradient) = across.loss(signal, data), across.dense(alpha, tau)
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
    signal = open_signal(spec, across.student, across.students, across.folder / "cache")
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
            spec.model_copy(update={"training": plain}), across.student, across.students, across.folder / "cache"
        )
