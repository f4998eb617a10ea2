"""The logits signal: what is captured is found by its row, and the objective is that of the full distributions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from distill_dagster.config import ModelConfig
from distill_dagster.errors import TrainingError
from distill_dagster.logits.distributions import LOWEST
from distill_dagster.models.loading import open_tokenizer
from distill_dagster.training.examples import TrainingSet
from distill_dagster.training.signals.logits import LogitsSignal
from distill_dagster.training.signals.stored import StoredLogits, without_others
from testing.captured import ROWS, VOCABULARY, Captured, training
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import LLAMA, TINY, write_model

HALVES = {"temperature": 1, "divergence": "forward_kl"}


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
