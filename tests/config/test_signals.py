"""The objective of a signal: what contradicts itself is refused, and older projects keep their fingerprints."""

from functools import partial

import pytest
from pydantic import ValidationError

from distill_dagster.config import DistillConfig, StudentTrainingConfig
from testing.projects import tiny_settings


def training(**objective) -> StudentTrainingConfig:
    return StudentTrainingConfig(signal="logits", logits=objective)


@pytest.mark.parametrize("field", [{"temperature": 2}, {"divergence": "jsd"}, {"skew": 0.2}, {"beta": 0.1}])
def test_what_belongs_to_a_divergence_does_not_go_with_alm(field):
    (name,) = field
    with pytest.raises(ValidationError, match=f"`{name}` belongs to the divergence of two distributions"):
        training(across_tokenizers="alm", **field)


def test_tau_belongs_to_alm():
    with pytest.raises(ValidationError, match="`tau: 5` belongs to `across_tokenizers: alm`"):
        training(tau=5)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        training(across_tokenizers="alm", tau=0.5)


def test_the_loss_is_a_formula():
    assert training(across_tokenizers="alm").loss == "0.5 * CE + 0.5 * 100 * ALM at tau = 100"
    assert training(across_tokenizers="alm", alpha=0, tau=20).loss == "0 * CE + 1 * 20 * ALM at tau = 20"


def test_a_config_that_went_through_json_is_the_same():
    for given in (training(across_tokenizers="alm", tau=7), training(temperature=2)):
        assert StudentTrainingConfig.model_validate_json(given.model_dump_json()) == given


def test_a_project_without_alm_is_shaped_by_the_fields_it_had():
    assert training().shaping["logits"] == {
        "alpha": 0.5,
        "temperature": 1,
        "divergence": "forward_kl",
        "skew": 0.1,
        "beta": 0.5,
    }
    assert training(across_tokenizers="alm").shaping["logits"] == {"alpha": 0.5, "across_tokenizers": "alm", "tau": 100}


@pytest.mark.parametrize(
    ("divergence", "own"), [("forward_kl", None), ("reverse_kl", None), ("skew_kl", "skew"), ("jsd", "beta")]
)
def test_a_parameter_shapes_the_student_only_with_its_divergence(divergence, own):
    """Else its change would train a student again, into the same weights."""
    on_policy = partial(StudentTrainingConfig, signal="on_policy")
    for name in ("skew", "beta"):
        settings = {"divergence": divergence, name: 0.25}
        logits = training(**settings).shaping != training(divergence=divergence).shaping
        rollouts = on_policy(on_policy=settings).shaping != on_policy(on_policy={"divergence": divergence}).shaping
        assert (logits, rollouts) == ((True, True) if name == own else (False, False))


def test_a_new_student_may_train_its_own_tokenizer_across_tokenizers():
    changes = {
        "teacher.logits": {"tail": "sampled"},
        "student.model.tokenizer": "train",
        "student.training.signal": "logits",
    }
    with pytest.raises(ValidationError, match="across_tokenizers: alm"):
        DistillConfig.model_validate(tiny_settings(**changes))
    alm = {"student.training.logits": {"across_tokenizers": "alm"}}
    DistillConfig.model_validate(tiny_settings(**changes, **alm))
    without = {name: value for name, value in changes.items() if name != "teacher.logits"}
    with pytest.raises(ValidationError, match=r"`teacher.logits` is not given"):
        DistillConfig.model_validate(tiny_settings(**without, **alm))
