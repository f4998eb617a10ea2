"""Results read manifests of earlier versions, and write the keys that those had."""

import pytest

from distill_dagster.errors import DataError
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import Usage
from distill_dagster.training.record import StepLoss, ValidationLoss
from distill_dagster.training.specs import PrepareResult, TrainResult

USAGE = {
    "device": "cpu",
    "seconds": 9.5,
    "gpu_seconds": 0.0,
    "peak_memory_bytes": 1024,
    "versions": {"torch": "2.13.0"},
}
RUN = {
    "device": "cpu",
    "dtype": "float32",
    "steps": 8,
    "history": [
        {"step": 4, "loss": 2.5, "learning_rate": 0.001},
        {"step": 4, "validation_loss": 2.25, "learning_rate": 0.001},
    ],
    "best_validation_loss": 2.25,
    "kept": "best",
    "resumed_from_step": 4,
    "tokens_per_second": 100.5,
    "seconds": 9.25,
    "training": {"learning_rate": 0.001, "a_field_that_is_gone": None},
}
MODEL = {"name": "llama-1.2M", "origin": "built", "dtype": "float32"}
FITTED = {**MODEL, "origin": "fitted", "base_revision": "5f1c"}
ROWS = {"train_rows": 96, "validation_rows": 16, "too_long": 1, "E015": 0, "train_tokens": 900, "steps": 8}
STUDENT = {**ROWS, "parameters": 46_240}
MANIFESTS = [
    (TrainResult, STUDENT, {**RUN, "base": "llama"}),
    (PrepareResult, {**ROWS, "no_gold": 2, "contaminated": 0, "parameters": 5, "vocabulary": 400}, {**FITTED, **RUN}),
    (PrepareResult, {"parameters": 5, "vocabulary": 400}, MODEL),
    (PrepareResult, {"parameters": 0}, {**MODEL, "origin": "endpoint", "dtype": "not known"}),
]


def manifest(counts, facts):
    facts = {**facts, "usage": USAGE, "leased": ["0"]}
    own = {"fingerprint": "f", "inputs": {}, "files": {}, "version": "v", "created_at": "2026-01-01T00:00:00"}
    return Manifest("student_checkpoint", None, data_version="d1", counts=counts, facts=facts, **own)


@pytest.mark.parametrize(("kind", "counts", "facts"), MANIFESTS)
def test_a_manifest_reads_as_its_result_and_is_written_with_the_same_keys_and_values(kind, counts, facts):
    before = manifest(counts, facts)
    result = before.read(kind)
    assert result.parts() == (before.counts, before.facts)
    assert result.data_version == "d1"
    assert kind.model_validate(result.model_dump(mode="json")) == result  # as between two processes


def test_a_fit_is_read_as_a_training_run():
    fit = manifest({"parameters": 5}, {**FITTED, **RUN}).read(PrepareResult).fit
    assert fit.history == [
        StepLoss(step=4, loss=2.5, learning_rate=0.001),
        ValidationLoss(step=4, validation_loss=2.25, learning_rate=0.001),
    ]
    assert (fit.kept, fit.resumed_from_step, fit.best_validation_loss) == ("best", 4, 2.25)
    assert manifest({"parameters": 5}, MODEL).read(PrepareResult).fit is None


def test_the_usage_and_the_lease_are_added_beside_the_fit():
    result = manifest({"parameters": 5}, {**FITTED, **RUN}).read(PrepareResult)
    used = result.with_usage(Usage(**{**USAGE, "seconds": 1.5})).with_lease(["1"])
    _, facts = used.parts()
    assert (facts["usage"]["seconds"], facts["seconds"], facts["leased"]) == (1.5, 9.25, ["1"])


def test_an_older_manifest_may_lack_what_is_only_shown():
    shown = ("training", "tokens_per_second", "resumed_from_step", "seconds", "dtype", "device")
    older = {key: value for key, value in RUN.items() if key not in shown}
    assert manifest(STUDENT, {**older, "base": "llama"}).read(TrainResult).training == {}
    with pytest.raises(DataError, match=r"no TrainResult \(history: Field required\)"):
        manifest(STUDENT, {"base": "llama", "steps": 8, "kept": "best"}).read(TrainResult)
