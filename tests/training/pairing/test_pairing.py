"""A student that cannot learn from its teacher as asked is found by configs and tokenizers, before any is paid."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from distill_dagster.config import DistillConfig, ModelConfig, StudentTrainingConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.fitness import Use
from distill_dagster.training import optimizers
from distill_dagster.training.pairing import Pairing, Sides, cut_parameters, pairing_problems
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.specs import PrepareSpec
from testing.models_tiny import LLAMA, TINY, write_model
from testing.projects import tiny_settings

DEEP = ModelConfig(architecture="llama", settings={**LLAMA, "num_hidden_layers": 4}, vocab_size=400)
OTHER = ModelConfig(architecture="llama", settings=LLAMA, vocab_size=330)
LEARNED = ModelConfig(
    architecture="gpt2", settings={"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 48}, vocab_size=400
)


@pytest.fixture
def problems(tmp_path):
    """The problems of a teacher and a student with a training, both saved from these configs."""

    def found(training: dict, student=TINY, teacher=DEEP, init=None) -> list[str]:
        names = {"teacher": teacher, **({"student": student} if init is None else {})}
        named = {}
        for name, config in names.items():
            write_model(tmp_path / name, config)
            named[name] = ModelConfig(name=str(tmp_path / name))
        given = {"max_length": 48, **training}
        trained = StudentTrainingConfig(**given)
        use = Use(trains=True, max_length=trained.max_length)
        return pairing_problems(Pairing(**named, init=init, training=trained, use=use))

    return found


def test_a_student_that_can_learn_has_no_problem(problems):
    assert problems({"signal": "hidden", "hidden": {"relations": {"heads": 4}}}) == []
    assert problems({"signal": "logits"}) == []
    assert problems({"signal": "hidden"}, init={"from": "teacher", "layers": 3, "feed_forward": 32}) == []
    assert problems({"signal": "text"}, student=OTHER) == []


@pytest.mark.parametrize("signal", ["logits", "hidden"])
def test_another_tokenizer_is_a_problem_of_every_signal_that_compares_tokens(problems, signal):
    (said,) = problems({"signal": signal}, student=OTHER)
    assert said.startswith(f"`student.training.signal: {signal}`: ")
    assert "to the teacher's tokenizer and [" in said
    assert "use a student with the teacher's tokenizer, `signal: text`, or `signal: logits` with `logits.acro" in said


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ({"layers": [[2, 5]]}, "pairs 2 with 5, and the teacher has 4 layers"),
        ({"layers": [[3, 4]]}, "pairs 3 with 4, and the student has 2 layers"),
        ({"relations": {"heads": 3}}, "`relations.heads: 3` does not divide"),
    ],
)
def test_layers_that_are_not_there_and_heads_that_do_not_divide(problems, hidden, said):
    (found,) = problems({"signal": "hidden", "hidden": hidden})
    assert said in found


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"optimizer": "adamw_8bit"}, "needs bitsandbytes, which is not installed: install `distill-dagster"),
        ({"lora": {"targets": ["q_proi"]}}, "does not fit this model"),
    ],
)
def test_a_training_that_could_not_begin(problems, monkeypatch, training, said):
    monkeypatch.setattr(optimizers.importlib.util, "find_spec", lambda name: None)
    (problem,) = problems({"signal": "text", **training})
    assert problem.startswith("`student.training`: `")
    assert said in problem
    assert problems({"signal": "text", "lora": {"targets": ["q_proj"]}}) == []
    assert problems({"signal": "text", "lora": {}}, init={"layers": 2}) == []


def test_rows_that_are_longer_than_the_teacher_reads(problems):
    (said,) = problems({"signal": "hidden", "max_length": 64}, teacher=LEARNED)
    assert "`student.training.max_length` is 64, and the teacher" in said
    assert "positions for 48 tokens" in said


def test_a_cut_that_the_teacher_has_no_layers_for(problems):
    (said,) = problems({}, init={"from": "teacher", "layers": 5})
    assert "`student.init.layers` is 5, and the teacher has 4 layers" in said
    (said,) = problems({"signal": "hidden", "hidden": {"layers": [[4, 4]]}}, init={"from": "teacher", "layers": 3})
    assert "the student has 3 layers" in said


def test_it_is_found_when_the_teacher_is_pinned_and_no_weights_are_built(tmp_path, monkeypatch):
    """`teacher_model` comes before every answer."""
    for name, config in (("teacher", DEEP), ("student", OTHER)):
        write_model(tmp_path / name, config)
    teacher, student = (ModelConfig(name=str(tmp_path / name)) for name in ("teacher", "student"))
    pairing = Pairing(teacher=teacher, student=student, training=StudentTrainingConfig(signal="hidden"))
    spec = {"role": "teacher", "model": teacher, "pairing": pairing, "work": str(tmp_path)}
    (out := tmp_path / "out").mkdir()
    built = []
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda self: built.append(self.weight.device.type))
    with pytest.raises(ModelError, match="to the teacher's tokenizer and"):
        prepare_model(PrepareSpec(**spec, out=str(out)), "cpu")
    assert not list(Path(out).iterdir())
    assert set(built) == {"meta"}


def test_a_pairing_follows_the_config():
    def of(**changes):
        return Pairing.of(DistillConfig.model_validate(tiny_settings(**changes)))

    found = of(**{"teacher.logits": {"k": 4}, "student.training": {"signal": "hidden", "max_length": 77}})
    assert (found.teacher.architecture, found.student.architecture) == ("llama", "llama")
    assert (found.training.signal, found.use.max_length, found.k, found.new_tokens) == ("hidden", 77, 4, 12)
    assert of().k == 0
    found = of(**{"student.model": None, "student.init": {"from": "teacher", "layers": 2}})
    assert (found.student, found.init.layers) == (None, 2)
    assert cut_parameters(of()) == 0 < cut_parameters(found)


def test_a_cut_student_has_the_tokens_of_its_teacher(tmp_path):
    write_model(tmp_path / "teacher", DEEP)
    init, teacher = {"from": "teacher", "layers": 2}, ModelConfig(name=str(tmp_path / "teacher"))
    sides = Sides.of(Pairing(teacher=teacher, init=init))
    assert sides.student is sides.teacher
    assert Sides.of(Pairing(init=init), made=sides.teacher) == sides


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"student.training.hidden": {}}, "`hidden` is the objective of `signal: hidden`"),
        (
            {"student.training": {"signal": "hidden", "logits": {"across_tokenizers": "alm"}}, "teacher.logits": {}},
            "`logits.across_tokenizers: alm` is for a student with another tokenizer, and `signal: hidden` needs",
        ),
        ({"student.training.signal": "hidden", "student.training.logits": {}}, "`student.training.logits` needs the"),
        ({"student.training.signal": "hidden", "student.model.tokenizer": "train"}, "use `tokenizer: teacher`"),
        ({"student.training.signal": "hidden", "student.model": {"name": "./x"}}, "is trained on the rows, while ./x"),
        (
            {"student.training.signal": "hidden", "student.training.hidden": {"layers": []}},
            "without `relations` imitates nothing",
        ),
        ({"student.training.signal": "hidden", "student.training.hidden": {"layers": [[1, 0]]}}, "greater than"),
        (
            {"student.training.signal": "hidden", "student.training.hidden": {"layers": [[1, 1], [1, 1]]}},
            r"names the pair \[1, 1\] twice",
        ),
        ({"student.init": {"from": "teacher", "layers": 2}}, "exactly one of `model`"),
        ({"student.model": None}, "exactly one of `model`"),
        ({"student.model": None, "student.init": {"from": "teacher", "layers": 1}}, "greater than or equal to 2"),
    ],
)
def test_the_config_refuses_what_cannot_be(changes, said):
    with pytest.raises(ValidationError, match=said):
        DistillConfig.model_validate(tiny_settings(**changes))


@pytest.mark.parametrize("student", [{"training": {"signal": "hidden"}}, {"init": {"from": "teacher", "layers": 2}}])
def test_a_teacher_behind_an_endpoint_has_no_weights(student):
    settings = tiny_settings()
    settings["teacher"] = {"endpoint": {"url": "https://example.com/v1", "model": "m"}}
    settings["student"] = {"model": {"name": "./student"}, **student} if "init" not in student else student
    with pytest.raises(ValidationError, match=r"`teacher\.model`"):
        DistillConfig.model_validate(settings)


def test_what_a_project_does_not_set_changes_no_fingerprint():
    plain = StudentTrainingConfig()
    assert "hidden" not in plain.shaping
    assert "signal" not in plain.shaping
    assert StudentTrainingConfig(signal="logits").shaping.keys() - plain.shaping.keys() == {"signal", "logits"}
    imitating = StudentTrainingConfig(signal="hidden")
    assert imitating.shaping.keys() - plain.shaping.keys() == {"signal", "hidden"}
    assert StudentTrainingConfig(signal="hidden", hidden={}).shaping == imitating.shaping
    both = StudentTrainingConfig(signal="hidden", logits={})
    assert both.shaping["logits"].keys() == {"alpha", "temperature", "divergence", "skew", "beta"}


def test_the_formula_says_what_is_added_up():
    both = StudentTrainingConfig(signal="hidden", logits={}, hidden={"alpha": 0.2, "layers": [[1, 2]]})
    inner = "0.5 * CE + 0.5 * forward_kl at T = 1"
    assert both.loss == f"0.2 * ({inner}) + 0.8 * (cosine of hidden states (student:teacher 1:2))"
