"""A training in two processes over gloo, started through the compute seam: the curve and the weights of one process."""

import dagster as dg
import pytest
from safetensors.torch import load_file

from distill_dagster.config import Need, StudentTrainingConfig
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.training.specs import StepLoss, TrainResult, TrainSpec
from testing.models_tiny import write_examples, write_model

pytestmark = pytest.mark.processes

# 25 rows: the last batch of an epoch has one, so that a rank has none of it. 3 validation rows.
TRAINING = {
    "learning_rate": 5e-3,
    "epochs": 2,
    "batch_size": 6,
    "gradient_accumulation": 2,
    "evaluations": 3,
    "max_length": 64,
    "prompt_loss_weight": 0.3,
    "early_stopping_patience": None,
}


@pytest.fixture
def spec_of(tmp_path):
    """A spec to train a tiny student, in folders of its own."""
    base = write_model(tmp_path / "base")
    examples = write_examples(tmp_path / "examples.parquet", 25, 3)

    def spec(name: str, **training) -> TrainSpec:
        (tmp_path / name).mkdir(exist_ok=True)
        return TrainSpec(
            student_base=base,
            teacher=base,
            task="qa",
            training=StudentTrainingConfig(**{**TRAINING, **training}),
            examples=examples,
            name="tiny",
            out=str(tmp_path / name),
            work=str(tmp_path / f"work-{name}"),
        )

    return spec


def run(spec: TrainSpec, processes: int) -> TrainResult:
    """Run the training as an asset does."""
    made = []

    @dg.asset
    def student(context: dg.AssetExecutionContext, compute: Compute):
        made.append(compute.run(context, "train_student", spec))
        yield dg.MaterializeResult()

    compute = Compute.of(Need(processes=processes), GpuPool(devices=[]), "inline")
    dg.materialize([student], resources={"compute": compute})
    return made[0]


def curve(result: TrainResult) -> list[tuple[int, float]]:
    return [(p.step, p.loss if isinstance(p, StepLoss) else p.validation_loss) for p in result.history]


def weights(result_spec: TrainSpec) -> dict:
    return load_file(f"{result_spec.out}/model/model.safetensors")


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_ranks_train_as_one_process(spec_of, parallel):
    one, two = spec_of("one"), spec_of("two", parallel=parallel)
    alone, together = run(one, 1), run(two, 2)
    assert [step for step, _ in curve(together)] == [step for step, _ in curve(alone)]
    assert [loss for _, loss in curve(together)] == pytest.approx([loss for _, loss in curve(alone)], rel=1e-4)
    assert together.counts == alone.counts
    expected, given = weights(one), weights(two)
    assert given.keys() == expected.keys()
    for name, tensor in expected.items():
        assert given[name].shape == tensor.shape
        assert float((given[name] - tensor).abs().max()) < 1e-3, name
