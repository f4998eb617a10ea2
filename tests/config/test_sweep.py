"""`student.sweep`: every corner of the space is a training that the config accepts, or the config is refused."""

from itertools import combinations, product

import pytest

from distill_dagster.config import DistillConfig, StudentTrainingConfig, SweepConfig
from distill_dagster.config.reading import load_config
from distill_dagster.config.space import corners_of
from distill_dagster.config.sweep import at, in_words
from distill_dagster.errors import ConfigError
from testing.projects import tiny_settings, write_project

RATES = {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}


def sweep(**space) -> dict:
    return {"student.sweep": {"space": space}}


def test_a_point_changes_fields_and_those_of_sections():
    training = StudentTrainingConfig(signal="logits", lora={"rank": 2, "alpha": 7})
    found = at(training, {"learning_rate": 1e-3, "logits.temperature": 2, "lora.rank": 8})
    assert (found.learning_rate, found.objective.temperature, found.lora.rank, found.lora.alpha) == (1e-3, 2, 8, 7)
    assert training.lora.rank == 2
    assert in_words({"learning_rate": 0.00012345, "lora.rank": 8}) == "learning_rate 0.000123, lora.rank 8"


def test_any_two_values_of_two_fields_meet_at_a_corner():
    space = SweepConfig.model_validate({"space": {**RATES, "batch_size": [4, 8], "epochs": [1, 2, 3]}}).space
    corners = list(corners_of(space))
    values = {"learning_rate": (1e-5, 1e-3), "batch_size": (4, 8), "epochs": (1, 2, 3)}
    for one, other in combinations(values, 2):
        assert {(point[one], point[other]) for point in corners} == {*product(values[one], values[other])}
    alone = SweepConfig.model_validate({"space": {"batch_size": [4, 8]}}).space
    assert list(corners_of(alone)) == [{"batch_size": 4}, {"batch_size": 8}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (sweep(), "no field is searched"),
        (sweep(max_length=[64]), "unknown field max_length"),
        (sweep(learning_rate=[1e-5, 0.5]), "learning_rate`: Input should be less than or equal to 0.1 (got 0.5)"),
        (sweep(learning_rate={"low": 1e-5, "high": 0.5}), "less than or equal to 0.1 (got 0.5)"),
        (sweep(batch_size=[8, 0]), "greater than or equal to 1 (got 0)"),
        (sweep(batch_size={"low": 1.5, "high": 4}), "batch_size.low: Input should be a valid integer"),
        (sweep(learning_rate={"low": 1e-3, "high": 1e-5}), "`low: 0.001` is not below `high: 1e-05`"),
        (sweep(warmup_share={"low": 0, "high": 0.5, "log": True}), "`log: true` needs a `low` above 0"),
        (sweep(epochs=[1, 2, 1]), "1.0 is listed twice"),
        (sweep(epochs=[]), "at least 1 item"),
        (sweep(epochs=3), "student.sweep.space.epochs"),
        (sweep(lora={"rank": [4]}), "`training.lora` is not given: add `lora: {}`"),
        (sweep(logits={"alpha": [0.1]}), "use `signal: logits`, or remove it from `space`"),
        (sweep(hidden={"layers": [[[1, 1]]]}), "the signal is `text`: use `signal: hidden`"),
        (sweep(logits={"temperature": [3]}), "temperature"),
        (sweep(**RATES) | {"student.training.signal": "on_policy"}, "is a chain of several: remove `sweep`"),
        (
            sweep(logits={"temperature": [1, 2]})
            | {"student.training.signal": "logits", "teacher.logits": {"tail": "sampled"}},
            "asks for forward_kl at temperature 2: use `tail: bucket`",
        ),
        (
            sweep(logits={"temperature": [1, 2]}, epochs=[1])
            | {"student.training.signal": "logits", "student.training.logits": {"across_tokenizers": "alm"}}
            | {"teacher.logits": {}},
            "`sweep.space` at epochs 1, logits.temperature 2: `temperature` belongs to",
        ),
        (sweep(hidden={"layers": [[[1, 1]], []]}) | {"student.training.signal": "hidden"}, "imitates nothing"),
        (sweep(**RATES) | {"data.validation": [], "data.validation_share": 0}, "there are no validation rows"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_config(tmp_path, changes, expected):
    with pytest.raises(ConfigError) as e:
        load_config(write_project(tmp_path, **changes))
    assert expected in str(e.value)


def test_the_points_that_take_most_memory_are_those_of_most_rows_and_rank():
    found = SweepConfig.model_validate(
        {"space": {**RATES, "batch_size": {"low": 2, "high": 64}, "lora": {"rank": [8, 2]}}}
    )
    assert found.heaviest() == [{"batch_size": 64, "lora.rank": 8}]
    found = SweepConfig.model_validate({"space": {"batch_size": [8, 4], "logits": {"divergence": ["jsd", "skew_kl"]}}})
    assert [point["logits.divergence"] for point in found.heaviest()] == ["jsd", "skew_kl"]


def test_a_project_without_a_sweep_has_one_training():
    student = DistillConfig.model_validate(tiny_settings()).student
    assert student.trainings == [student.training]


def test_a_config_with_a_sweep_survives_being_written_and_read():
    """As the launchpad's settings of a run do it."""
    space = {**RATES, "epochs": [1, 2.5], "batch_size": {"low": 2, "high": 8}, "lora": {"rank": [2, 4]}}
    config = DistillConfig.model_validate(tiny_settings(**sweep(**space), **{"student.training.lora": {}}))
    assert DistillConfig.model_validate(config.model_dump()) == config
    assert DistillConfig.model_validate_json(config.model_dump_json()) == config
