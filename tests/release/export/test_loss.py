"""The score that an export loses, and the loss at which its check fails."""

from types import SimpleNamespace

import pytest

from distill_dagster.checks import CHECKS
from distill_dagster.checks.base import Inspection
from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import DataError
from distill_dagster.release.export.loss import loss_of
from distill_dagster.release.export.specs import ExportCounts, ExportResult

EVALUATION = EvaluationConfig(resamples=2000)


def scores(count, wrong=0):
    return {f"r{n}": float(n >= wrong) for n in range(count)}


def test_the_interval_is_that_of_the_differences_and_not_of_the_scores():
    same = loss_of(scores(1000, wrong=500), scores(1000, wrong=500), EVALUATION)
    assert (same.checkpoint, same.export, same.items) == (0.5, 0.5, 1000)
    assert (same.low, same.high) == pytest.approx((-0.0034, 0.0034), abs=1e-4)
    worse = loss_of(scores(1000), scores(1000, wrong=30), EVALUATION)
    assert worse.export - worse.checkpoint == pytest.approx(-0.03)
    assert worse.low < -0.04 < worse.high < -0.01


def test_scores_of_other_items_are_not_compared():
    with pytest.raises(DataError, match="export and checkpoint were not scored on the same items"):
        loss_of(scores(3), scores(4), EVALUATION)


def found(name, **changes):
    """The finding about an export of 440 prompts that answers as the checkpoint does, except for `changes`."""
    (check,) = [check for check in CHECKS if (check.name, check.asset) == (name, "student_export_gguf_q8_0")]
    counts = {"rows": 400, "predictions": 440, "same_prompts": 440, "same_answers": 440, "failed": 0}
    result = {
        "form": "gguf_q8_0",
        "runtime": "",
        "bytes_on_disk": 1,
        "checkpoint_bytes": 3,
        "score": 0.95,
        "checkpoint_score": 0.95,
        "difference": 0.0,
        "interval": (-0.009, 0.009),
        "items": 400,
        **{key: value for key, value in changes.items() if key not in counts},
    }
    made = ExportResult(data_version="", counts=ExportCounts(**{**counts, **changes}), **result)
    look = SimpleNamespace(get=lambda *_: SimpleNamespace(read=lambda _: made))
    return check.inspect(Inspection(look, check.asset, None, check.default_limit or 0.0))


def test_an_export_passes_if_its_loss_is_shown_to_be_small():
    assert found("export_keeps_score").passed
    assert found("export_reads_prompts_alike").passed


def test_a_loss_beyond_the_limit_fails_on_few_rows_too():
    lost = found("export_keeps_score", difference=-0.05, interval=(-0.12, 0.01), score=0.90)
    assert (lost.passed, lost.undecided) == (False, False)
    assert "-5.00 points (95 % interval -12.00 to +1.00)" in lost.description


def test_a_loss_within_the_limit_on_too_few_rows_is_a_warning():
    few = found("export_keeps_score", difference=0.0, interval=(-0.03, 0.03), items=120)
    assert (few.passed, few.undecided) == (False, True)
    assert "add held-out rows" in few.description


def test_a_prompt_that_is_read_as_other_tokens_fails():
    other = found("export_reads_prompts_alike", same_prompts=439)
    assert (other.passed, other.undecided) == (False, False)
    assert other.description.startswith("439 of 440 prompts")
