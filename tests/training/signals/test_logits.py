"""The logits signal: what is captured is found by its row, and the objective is that of the full distributions."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.logits.distributions import LOWEST, NO_DRAW
from distill_dagster.logits.table import LogitsRow
from distill_dagster.models.loading import open_model, open_tokenizer
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.rendering import end_ids
from distill_dagster.training.examples import TrainingSet, tokenize
from distill_dagster.training.signals.divergence import divergence_of
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.kernel import logits_loss
from distill_dagster.training.signals.logits import Distillation, LogitsSignal, at_temperature
from distill_dagster.training.signals.stored import StoredLogits, without_others
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import LLAMA, TINY, rows, write_model

ROWS = rows(12)
VOCABULARY = 356  # tokens that the tiny tokenizer has
HALVES = {"temperature": 1, "divergence": "forward_kl"}


def training(**objective):
    return StudentTrainingConfig(signal="logits", logits={"alpha": 0.0, **objective}, max_length=64)


class Captured:
    """A teacher's distributions over its answers to ROWS, and a student of the same tokenizer."""

    def __init__(self, folder: Path, padding: int = 0, **settings) -> None:
        self.folder = folder
        self.ref = write_model(folder / "teacher")
        if padding:
            wider = open_model(folder / "teacher", "float32")
            wider.resize_token_embeddings(VOCABULARY + padding, mean_resizing=False)
            wider.save_pretrained(folder / "teacher")
            self.ref = pin_folder(folder / "teacher", name="teacher")
        self.teacher, self.tokenizer = open_model(folder / "teacher", "float32"), open_tokenizer(folder / "teacher")
        answers = [teacher_row(self.ref, row["row_id"], row["reference"][0]) for row in ROWS]
        capture(folder, self.ref, ROWS, answers, **{"k": VOCABULARY, **settings})
        changed = ModelConfig(
            architecture="llama", settings={**LLAMA, "max_position_embeddings": 128}, vocab_size=400, seed=7
        )
        write_model(folder / "student", changed)
        self.student = open_model(folder / "student", "float32").eval()

    def signal(self, **objective) -> LogitsSignal:
        paths, config = [str(self.folder / "logits.parquet")], training(**objective)
        return LogitsSignal.open(config, paths, self.student, self.tokenizer, self.folder / "cache")

    @cached_property
    def own(self) -> TrainingSet:
        """The rows with their gold answers."""
        return self.examples({})

    def examples(self, answers: dict[int, str]) -> TrainingSet:
        kept = {"sample": 0, "turn": 0, "split": "train"}
        table = [
            {
                **kept,
                "row_id": row["row_id"],
                "messages": row["messages"],
                "answer": answers.get(i, row["reference"][0]),
            }
            for i, row in enumerate(ROWS)
        ]
        ends = end_ids(self.tokenizer, self.student.generation_config)
        return tokenize(Dataset.from_list(table), self.tokenizer, ends, 64)

    def loss(self, signal, data, model=None):
        """(loss over all rows, gradient of the student's head)"""
        model = model or self.student
        model.zero_grad()
        batch = signal.collate(list(data.joined(signal.join).train))
        with computing_loss(model):
            loss = signal.loss(model, batch, 1.0)
        loss.backward()
        return loss.item(), model.get_output_embeddings().weight.grad.clone()

    def dense(self, objective, model=None):
        """The same by hand from two full forwards, row by row, in float64."""
        model = model or self.student
        model.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for row in self.own.train:
            ids, start = torch.tensor([row["input_ids"]]), row["answer_start"]
            with torch.no_grad():
                p = self.teacher(ids).logits[0, start - 1 : -1].double()
            q, tokens = model(ids).logits[0, start - 1 : -1].double(), ids[0, start:]
            temperature = objective["temperature"]
            logp, logq = (p / temperature).log_softmax(-1), (q / temperature).log_softmax(-1)
            if objective["divergence"] == "reverse_kl":
                logp, logq = logq, logp
            divergence = (logp.exp() * (logp - logq)).sum()
            entropy = torch.nn.functional.cross_entropy(q, tokens, reduction="sum")
            alpha = objective.get("alpha", 0.0)
            total = total + alpha * entropy + (1 - alpha) * temperature**2 * divergence
        total.backward()
        return total.item(), model.get_output_embeddings().weight.grad.clone()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Every token of the vocabulary is stored."""
    return Captured(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return Captured(tmp_path_factory.mktemp("eight"), k=8)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    return Captured(tmp_path_factory.mktemp("sampled"), k=8, tail="sampled")


@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl"])
@pytest.mark.parametrize("temperature", [1, 2, 4])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_with_the_whole_vocabulary_stored_it_is_the_dense_objective(whole, divergence, temperature, alpha):
    objective = {"divergence": divergence, "temperature": temperature, "alpha": alpha}
    (loss, gradient), (expected, dense) = (
        whole.loss(whole.signal(**objective), whole.own),
        whole.dense(objective),
    )
    assert loss == pytest.approx(expected, rel=2e-3)  # what is stored is fp16
    assert torch.linalg.vector_norm(gradient - dense) < 5e-3 * torch.linalg.vector_norm(dense)


def test_the_squared_temperature_is_in_the_gradient(whole):
    """The gradient at T = 4 is that of D times 16, so that its size stays that at T = 1 (section 2 of the paper)."""
    at = {t: whole.loss(whole.signal(temperature=t), whole.own)[1].norm() for t in (1, 4)}
    assert 0.5 < at[4] / at[1] < 2
    plain = whole.dense({"divergence": "forward_kl", "temperature": 4})[1].norm() / 16
    assert at[4] == pytest.approx(16 * plain, rel=1e-2)


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_a_student_that_is_its_teacher_has_a_gradient_of_almost_zero(eight, temperature):
    signal, data = eight.signal(temperature=temperature), eight.own
    _, own = eight.loss(signal, data, eight.teacher.eval())
    _, other = eight.loss(signal, data)
    assert own.norm() < 0.05 * other.norm()  # what is stored is fp16


def test_eight_tokens_and_the_tail_point_where_the_whole_distribution_does(eight):
    _, gradient = eight.loss(eight.signal(), eight.own)
    _, dense = eight.dense(HALVES)
    assert torch.cosine_similarity(gradient.flatten().double(), dense.flatten().double(), dim=0) > 0.2
    assert eight.loss(eight.signal(), eight.own)[0] <= eight.dense(HALVES)[0] * (1 + 1e-3)


def test_rows_are_found_by_their_keys_in_any_order(whole):
    signal, data = whole.signal(), whole.own
    shuffled = TrainingSet(data.train.shuffle(seed=3), data.validation, data.counts)
    assert whole.loss(signal, shuffled)[0] == pytest.approx(whole.loss(signal, data)[0], rel=1e-5)


def test_a_row_without_stored_logits_is_refused_and_counted(whole):
    data = whole.own
    strange = data.train.map(lambda row, i: {"row_id": "other" if i < 2 else row["row_id"]}, with_indices=True)
    joined = TrainingSet(strange, data.validation, data.counts).joined(whole.signal().join)
    assert joined.counts["no_logits"] == 2
    assert joined.counts["train_rows"] == len(joined.train) == len(ROWS) - 2
    with pytest.raises(TrainingError, match=r"0 of 12 rows can train with this signal: 12 no_logits"):
        TrainingSet(data.train.map(lambda _: {"turn": 1}), data.validation, data.counts).joined(whole.signal().join)


def test_where_the_answers_differ_the_rest_is_learned_as_text(whole):
    """Of "red" the set says "red and blue": only the tokens in common have a distribution."""
    data = whole.examples({0: ROWS[0]["reference"][0] + " and blue"}).joined(whole.signal().join)
    row = data.train[0]
    assert 0 < row["matched"] < row["length"] - row["answer_start"]
    batch = whole.signal().collate([row])
    assert batch["stored"]["has"].tolist() == [True] * row["matched"] + [False] * (
        row["length"] - row["answer_start"] - row["matched"]
    )
    text = whole.signal(alpha=1.0)
    alone = TrainingSet(data.train.select([0]), data.validation, data.counts)
    plain = torch.nn.functional.cross_entropy
    ids, start = torch.tensor([row["input_ids"]]), row["answer_start"]
    expected = plain(whole.student(ids).logits[0, start - 1 : -1], ids[0, start:], reduction="sum").item()
    assert whole.loss(text, alone)[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("teachers", "students"), [(0, 24), (24, 0), (24, 8)])
def test_vocabularies_that_are_padded_to_different_sizes(tmp_path, teachers, students):
    """What only one side has is left out on both: the student's head gets no gradient there from the divergence."""
    one = Captured(tmp_path, padding=teachers, k=8)
    one.student.resize_token_embeddings(VOCABULARY + students, mean_resizing=False)
    signal, data = one.signal(), one.own
    loss, gradient = one.loss(signal, data)
    common = VOCABULARY + min(teachers, students)
    assert gradient[common:].abs().sum() == 0
    assert gradient[:common].abs().sum() > 0
    stored = signal.collate(list(data.joined(signal.join).train))["stored"]
    assert stored["ids"].max() < common
    mass = stored["p"].exp().sum(dim=-1)
    assert torch.allclose(mass, torch.ones_like(mass), atol=2e-3)
    assert 0 < loss < float("inf")


def test_the_mass_of_tokens_that_the_student_lacks_goes_to_the_others():
    logprobs, tail = np.log([[0.5, 0.2, 0.1], [0.6, 0.3, 0.05]]), np.log([0.2, 0.05])
    ids = np.array([[7, 11, 2], [1, 4, 6]])
    common = {"row_id": "a", "sample": 0, "turn": 0, "token_ids": np.array([7, 1]), "tail_logsums": None}
    own = {"vocab_size": 12, "temperature": 1.0, "tokenizer_hash": "", "teacher_revision": ""}
    row = LogitsRow(ids=ids, logprobs=logprobs, tail_logmass=tail, draws=np.array([[9, 3]] * 2), **common, **own)
    made = without_others(row, 8)
    assert made.ids[0].tolist()[::2] == [7, 2]
    assert made.ids[0, 1] < 8
    assert len(set(made.ids[0])) == 3
    # 0.3 of the first goes: 0.2 of token 11, and with the draw of token 9 half of the tail's 0.2
    assert np.exp(made.logprobs[0]) == pytest.approx([0.5 / 0.7, 0, 0.1 / 0.7])
    assert np.exp(made.logprobs[1]) == pytest.approx([0.6 / 0.975, 0.3 / 0.975, 0.05 / 0.975])
    assert np.exp(made.tail_logmass) == pytest.approx([0.1 / 0.7, 0.025 / 0.975])
    assert made.draws.tolist() == [[NO_DRAW, 3]] * 2


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_masked_tokens_are_gone_at_every_temperature(temperature):
    """Of 40 tokens the student has 34, and two of the other six have most of the teacher's mass."""
    logits = 2 * np.random.default_rng(0).standard_normal((5, 40))
    logits[:, 34:] -= 100  # tokens of the tail that the student lacks have no mass
    logits[:3, 34] = logits[:3].max(axis=1) + np.array([1, 4, 30])  # all but 1e-13 of it in the third position
    logits[1, 39] = 4
    row = stored_row(logits, k=12)
    logprobs, tail = at_temperature(without_others(row, 34), temperature)
    scaled = logits[:, :34] / temperature
    dense = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    kept = without_others(row, 34).ids
    is_masked = row.ids >= 34
    assert np.array_equal(np.where(is_masked, 0, kept), np.where(is_masked, 0, row.ids))
    expected = np.take_along_axis(dense, kept, axis=1)
    assert np.exp(logprobs)[~is_masked] == pytest.approx(np.exp(expected)[~is_masked], rel=1e-6)
    assert np.exp(logprobs)[is_masked].max() == 0
    rest = np.exp(dense).sum(axis=1) - np.where(is_masked, 0, np.exp(expected)).sum(axis=1)
    assert np.exp(tail) == pytest.approx(rest, rel=1e-6)


@pytest.mark.parametrize("k", [12, 34])
@pytest.mark.parametrize("temperature", [1, 2, 4])
@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "skew_kl", "jsd"])
def test_a_filler_belongs_to_the_tail(divergence, temperature, k):
    """The loss is that of the shared tokens among the k and of all others together, in float64 and by hand."""
    random = np.random.default_rng(1)
    logits, student = random.standard_normal((6, 40)), torch.tensor(random.standard_normal((6, 34)))
    logits[:, 34:] = -1e6
    logits[:3, 34:36] = [[2.0, 1.0]]  # two tokens among the k that the student lacks
    row = without_others(stored_row(logits, k), 34)
    logprobs, tail = at_temperature(row, temperature)
    term = Distillation(
        ids=torch.tensor(row.ids.astype(np.int64)),
        p=torch.tensor(np.concatenate([logprobs, tail[:, None]], axis=1)),
        by_divergence=torch.ones(6, dtype=torch.float64),
        divergence=divergence_of(divergence, skew=0.1, beta=0.5),
        temperature=float(temperature),
        has_fillers=True,
    )
    found, expected = student.clone().requires_grad_(), student.clone().requires_grad_()
    loss, total = logits_loss(found, [term]), torch.zeros(())
    for i in range(6):
        kept = [t for t, logprob in zip(row.ids[i], row.logprobs[i], strict=True) if logprob > LOWEST]
        rest = [t for t in range(34) if t not in kept]
        sides = [
            (torch.tensor(logits[i, :34]) / temperature).log_softmax(-1),
            (expected[i] / temperature).log_softmax(-1),
        ]
        merged = [torch.cat([q[kept], q[rest].logsumexp(0)[None]]) if rest else q[kept] for q in sides]
        total = total + term.divergence(merged[0][None], merged[1][None]).sum()
    total.backward()
    loss.backward()
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    assert torch.allclose(found.grad, expected.grad, atol=1e-9)


def stored_row(logits, k):
    """What a capture would keep of these logits (T, V), in float64."""
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    ids = np.argsort(-logs, axis=1)[:, :k]
    others = logs.copy()
    np.put_along_axis(others, ids, -np.inf, axis=1)
    sums = np.stack([np.logaddexp.reduce(others / t, axis=1) for t in (2, 4)], axis=1)
    return LogitsRow(
        **{"row_id": "a", "sample": 0, "turn": 0, "token_ids": ids[:, -1], "ids": ids},
        logprobs=np.take_along_axis(logs, ids, axis=1),
        tail_logmass=np.logaddexp.reduce(others, axis=1),
        tail_logsums=sums,
        **{"draws": None, "vocab_size": logits.shape[1], "temperature": 1.0},
        **{"tokenizer_hash": "", "teacher_revision": ""},
    )


def test_a_row_without_mass_on_a_shared_token_is_refused(whole, monkeypatch):
    """The teacher is sure of a token that the student lacks, so that nothing remains of its distribution."""
    signal, data, row_of = whole.signal(temperature=2), whole.examples({}), StoredLogits.row

    def lost(stored, place):
        row = row_of(stored, place)
        logprobs = np.where(np.arange(row.ids.shape[1]) == 0, 0.0, LOWEST) + np.zeros_like(row.logprobs)
        ids = row.ids.copy()
        ids[:, 0] = VOCABULARY + 5
        tail, sums = np.full(len(ids), LOWEST), np.full((len(ids), 2), LOWEST)
        sure = replace(row, ids=ids, logprobs=logprobs, tail_logmass=tail, tail_logsums=sums)
        return without_others(sure, VOCABULARY) if row.row_id == ROWS[3]["row_id"] else row

    monkeypatch.setattr(StoredLogits, "row", lost)
    joined = data.joined(signal.join)
    assert (joined.counts["no_shared_token"], joined.counts["no_logits"]) == (1, 0)
    assert len(joined.train) == len(ROWS) - 1
    loss, gradient = whole.loss(signal, data)
    assert np.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"k": 4}, r"differ in k \(8, 4\)"),
        ({"precision": "compact"}, r"differ in precision \(lossless, compact\)"),
        ({"tail": "sampled"}, r"differ in their tails \(\d+ of \d+ rows have no tail_logsums\)"),
    ],
)
def test_shards_that_were_captured_differently_are_refused(eight, tmp_path, other, said):
    answers = [teacher_row(eight.ref, row["row_id"], row["reference"][0]) for row in ROWS]
    capture(tmp_path, eight.ref, ROWS, answers, **{"k": 8, **other})
    paths = [str(folder / "logits.parquet") for folder in (eight.folder, tmp_path)]
    with pytest.raises(TrainingError, match=said):
        StoredLogits(paths, tmp_path / "cache", VOCABULARY)


def test_shards_of_two_teachers_are_refused(eight, tmp_path):
    other = write_model(tmp_path / "teacher", TINY.model_copy(update={"seed": 5}))
    answers = [teacher_row(other, row["row_id"], row["reference"][0]) for row in ROWS]
    capture(tmp_path, other, ROWS, answers, k=8)
    paths = [str(folder / "logits.parquet") for folder in (eight.folder, tmp_path)]
    with pytest.raises(TrainingError, match="differ in teacher_revision"):
        StoredLogits(paths, tmp_path / "cache", VOCABULARY)


def test_a_store_of_version_0_1_0_is_read_with_and_without_newer_shards(eight, tmp_path):
    """Its files have no columns for the tail, so that only T = 1 can be asked for."""
    new = eight.folder / "logits.parquet"
    table = pq.read_table(new)
    pq.write_table(table.drop_columns(["tail_logsums", "tail_draws"]), tmp_path / "old.parquet")
    old = StoredLogits([str(tmp_path / "old.parquet")], tmp_path / "cache", VOCABULARY)
    assert (old.tail, old.has_logsums) == ("bucket", False)
    assert old.row(0).ids.shape[1] == 8
    for paths in ([new, tmp_path / "old.parquet"], [tmp_path / "old.parquet", new]):
        with pytest.raises(TrainingError, match="differ in their tails"):
            StoredLogits([str(path) for path in paths], tmp_path / "cache", VOCABULARY)


def test_another_tokenizer_is_refused(eight, tmp_path):
    fewer = ModelConfig(architecture="llama", settings=LLAMA, vocab_size=330)
    other = open_tokenizer(Path(write_model(tmp_path / "other", fewer).path))
    with pytest.raises(TrainingError, match="is not the one whose tokens the stored logits are of"):
        LogitsSignal.open(training(), [str(eight.folder / "logits.parquet")], eight.student, other, tmp_path / "cache")


def test_a_sampled_tail_serves_only_the_forward_kl_at_temperature_one(sampled):
    with pytest.raises(TrainingError, match="reverse_kl at temperature 1"):
        sampled.signal(divergence="reverse_kl")
    with pytest.raises(TrainingError, match="forward_kl at temperature 2"):
        sampled.signal(temperature=2)


def test_only_temperatures_whose_tail_is_stored_can_be_asked_for():
    with pytest.raises(ValueError, match="temperature"):
        training(temperature=3)
