"""bfloat16 weights move as far as float32 ones on average, and the optimizers that save memory train and resume."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from distill_dagster.config import StudentTrainingConfig, TrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.models.loading import open_model
from distill_dagster.progress import listen
from distill_dagster.ranks.group import LAUNCHER
from distill_dagster.training import optimizers
from distill_dagster.training.optimizers import RoundingAdamW, optimizer_arguments, round_stochastically
from distill_dagster.training.record import ValidationLoss
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student
from testing.models_tiny import without_speed, write_examples, write_model

TRAINING = StudentTrainingConfig(
    learning_rate=5e-3, epochs=2, batch_size=8, evaluations=4, max_length=64, early_stopping_patience=None
)


@pytest.fixture
def spec_of(tmp_path):
    base, examples = write_model(tmp_path / "base"), write_examples(tmp_path / "examples.parquet")

    def spec(name, **changes):
        (tmp_path / name).mkdir(exist_ok=True)
        own = {"student_base": base, "teacher": base, "task": "qa", "examples": examples, "name": "tiny"}
        folders = {"work": str(tmp_path / f"{name}-work"), "out": str(tmp_path / name)}
        return TrainSpec(**own, **folders, training=TRAINING.model_copy(update=changes))

    return spec


def losses(result) -> list[float]:
    return [point.validation_loss for point in result.history if isinstance(point, ValidationLoss)]


def test_rounding_is_right_on_average_and_keeps_what_bfloat16_has():
    torch.manual_seed(0)
    values = torch.tensor([1.001, -3.017, 1e-3, 1.0, 0.0, -2.5])
    draws = torch.stack([round_stochastically(values.clone()) for _ in range(20_000)])
    assert draws.equal(draws.to(torch.bfloat16).float()), "each draw is a bfloat16 number"
    assert draws[:, 3:].equal(values[3:].expand(20_000, 3))
    steps = 2.0 ** (values[:3].abs().log2().floor() - 7)  # from one bfloat16 number to the next
    assert ((draws[:, :3] - values[:3]).abs() < steps).all()
    bound = 4 * steps / 2 / 20_000**0.5  # four standard errors; the deviation of a coin is at most half a step
    assert ((draws[:, :3].mean(dim=0) - values[:3]).abs() < bound).all()


def test_updates_that_the_nearest_number_would_swallow_add_up():
    """4,096 weights of 1, with gradients that move them by 1e-4 a step: the next bfloat16 number is 0.0039 away."""
    torch.manual_seed(0)
    moved = {}
    for name, optimizer_of in {"nearest": torch.optim.AdamW, "rounding": RoundingAdamW}.items():
        weights = torch.nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
        optimizer = optimizer_of([weights], lr=1e-4, weight_decay=0.0)
        for _ in range(50):
            weights.grad = torch.ones_like(weights)
            optimizer.step()
        moved[name] = 1 - weights.detach().float().mean().item()
    assert moved["nearest"] == 0
    assert moved["rounding"] == pytest.approx(50 * 1e-4, rel=0.05)


@pytest.mark.parametrize("chunk", [7, 2**24])
def test_without_rounding_it_is_torchs_adamw(monkeypatch, chunk):
    monkeypatch.setattr(optimizers, "CHUNK", chunk)
    torch.manual_seed(0)
    start, gradients = torch.randn(5, 9), torch.randn(4, 5, 9)
    ends = []
    for optimizer_of in (torch.optim.AdamW, RoundingAdamW):
        weight = torch.nn.Parameter(start.clone())
        optimizer = optimizer_of([weight], lr=0.01, weight_decay=0.1)
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        ends.append(weight.detach())
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-6, atol=1e-7)


def test_the_moments_stay_in_float32_when_they_are_loaded():
    weight = torch.nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
    weight.grad = torch.full_like(weight, 0.3)
    optimizer = RoundingAdamW([weight])
    optimizer.step()
    other = RoundingAdamW([torch.nn.Parameter(weight.detach().clone())])
    other.load_state_dict(optimizer.state_dict())
    (before,), (after,) = optimizer.state.values(), other.state.values()
    assert after["square"].dtype == torch.float32
    assert all(before[name].equal(after[name]) for name in ("step", "mean", "square"))


SMALL_MEMORY = {
    "bfloat16": {"weights": "bfloat16"},
    "bfloat16 with adapters": {"weights": "bfloat16", "lora": {"rank": 8}, "learning_rate": 2e-2},
    "8 bits": {"optimizer": "adamw_8bit"},
    "adafactor": {"optimizer": "adafactor"},
    "checkpointing": {"gradient_checkpointing": True},
}


class StoppedError(Exception):
    pass


@pytest.mark.processes
@pytest.mark.parametrize("name", SMALL_MEMORY)
def test_a_training_that_saves_memory_learns_and_resumes_to_the_same_weights(spec_of, name):
    if name == "8 bits":
        pytest.importorskip("bitsandbytes")
    made = StudentTrainingConfig(**{**TRAINING.model_dump(), **SMALL_MEMORY[name]})
    changes = {field: getattr(made, field) for field in SMALL_MEMORY[name]}
    whole = train_student(spec_of("whole", **changes), "cpu")
    first, *_, last = losses(whole)
    assert last < first
    spec = spec_of("stopped", **changes)

    def stop(progress):
        if list(Path(spec.work).glob("runs/*/checkpoint-*/complete.json")):
            raise StoppedError

    with pytest.raises(StoppedError), listen(stop):
        train_student(spec, "cpu")
    resumed = train_student(spec, "cpu")
    assert resumed.resumed_from_step > 0
    assert resumed.data_version == whole.data_version
    assert open_model(Path(spec.out) / "model", "float32").config.dtype == torch.float32, "published as its base is"


@pytest.mark.processes
def test_what_saves_memory_learns_as_much(spec_of):
    plain = train_student(spec_of("plain"), "cpu")
    rounded = train_student(spec_of("rounded", weights="bfloat16"), "cpu")
    assert losses(rounded) == pytest.approx(losses(plain), rel=0.02)
    again = train_student(spec_of("again", gradient_checkpointing=True), "cpu")
    assert again.data_version == plain.data_version
    assert without_speed(again.history) == without_speed(plain.history)


@pytest.mark.processes
def test_checkpointing_changes_no_checkpoint(spec_of, tmp_path):
    """So that a training that ran out of memory can go on with it."""
    first = train_student(spec_of("out"), "cpu")
    again = spec_of("out", gradient_checkpointing=True)
    assert train_student(again, "cpu").resumed_from_step == first.counts.steps


@pytest.mark.processes
def test_the_precision_is_written_down(spec_of):
    assert train_student(spec_of("a", weights="bfloat16"), "cpu").dtype == "bfloat16 weights, rounded stochastically"
    assert train_student(spec_of("b"), "cpu").dtype == "float32"


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(optimizers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"install `distill-dagster\[bitsandbytes\]`"):
        optimizer_arguments(TrainingConfig(optimizer="adamw_8bit"))


@pytest.mark.parametrize("optimizer", ["adamw_8bit", "adafactor"])
def test_bfloat16_weights_need_an_optimizer_that_rounds_stochastically(optimizer):
    with pytest.raises(ValidationError, match="would round most updates to 0"):
        TrainingConfig(weights="bfloat16", optimizer=optimizer)
    TrainingConfig(weights="bfloat16", optimizer=optimizer, lora={})


@pytest.mark.parametrize("seed", [0, 3])
def test_ranks_that_hold_all_weights_round_alike(monkeypatch, seed):
    """Their generators differ, as after batches of other lengths with dropout."""

    def trained(rank: int, launched: bool = True) -> torch.Tensor:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        if launched:
            monkeypatch.setenv(LAUNCHER, "1")
        else:
            monkeypatch.delenv(LAUNCHER)
        weight = torch.nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
        optimizer = RoundingAdamW([weight], lr=1e-4, seed=seed)
        torch.manual_seed(rank)
        for _ in range(3):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        return weight.detach()

    first = trained(0)
    assert len(first.unique()) > 1  # some went down, some stayed
    assert torch.equal(first, trained(1))
    assert not torch.equal(first, trained(1, launched=False))  # another launcher's variables make no ranks
