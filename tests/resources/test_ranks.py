"""A training in two processes over gloo, started through the compute seam: the curve and the weights of one process."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from safetensors.torch import load_file

from distill_dagster.config import Need, StudentTrainingConfig, TrainingConfig
from distill_dagster.models.loading import open_model
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.store import files
from distill_dagster.store.result import Spec
from distill_dagster.training.record import StepLoss, TrainingRun
from distill_dagster.training.specs import PrepareResult, PrepareSpec, TrainSpec
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import LLAMA, TINY, rows, write_examples, write_model, write_rows

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
    """A spec to train a tiny student, in folders of its own, with what any signal reads of a larger teacher."""
    base = write_model(tmp_path / "base")
    larger = {**LLAMA, "num_hidden_layers": 3, "hidden_size": 48}
    teacher = write_model(tmp_path / "teacher", TINY.model_copy(update={"settings": larger}))
    examples = write_examples(tmp_path / "examples.parquet", 25, 3)
    raw = [*rows(25), *rows(3, "validation")]
    (tmp_path / "captured").mkdir()
    capture(tmp_path / "captured", teacher, raw, [teacher_row(teacher, r["row_id"], r["reference"][0]) for r in raw])

    def spec(name: str, **training) -> TrainSpec:
        (tmp_path / name).mkdir(exist_ok=True)
        config = StudentTrainingConfig(**{**TRAINING, **training})
        return TrainSpec(
            student_base=base,
            teacher=teacher,
            task="qa",
            training=config,
            examples=examples,
            logits=[str(tmp_path / "captured" / files.LOGITS_FILE)] if config.reads_logits else [],
            name="tiny",
            out=str(tmp_path / name),
            work=str(tmp_path / f"work-{name}"),
        )

    return spec


def run(spec: Spec, processes: int, worker: str = "train_student") -> Any:
    """Run the worker as an asset does; its result."""
    made = []

    @dg.asset
    def model(context: dg.AssetExecutionContext, compute: Compute):
        made.append(compute.run(context, worker, spec))
        yield dg.MaterializeResult()

    compute = Compute.of(Need(processes=processes), GpuPool(devices=[]), "inline")
    dg.materialize([model], resources={"compute": compute})
    return made[0]


def curve(result: TrainingRun) -> list[tuple[int, float]]:
    return [(p.step, p.loss if isinstance(p, StepLoss) else p.validation_loss) for p in result.history]


def weights(result_spec: TrainSpec) -> dict:
    return load_file(f"{result_spec.out}/model/model.safetensors")


HIDDEN = {"layers": [[1, 2], [2, 3]], "relations": {"heads": 4, "layers": [[2, 3]]}}


@pytest.mark.parametrize(
    ("parallel", "settings"),
    [
        ("ddp", {}),
        ("fsdp", {"gradient_checkpointing": True}),
        ("ddp", {"signal": "logits", "logits": {"temperature": 2}}),
        ("fsdp", {"signal": "hidden", "hidden": HIDDEN, "logits": {"alpha": 0.3}}),
        ("fsdp", {"lora": {"rank": 4}, "weights": "bfloat16"}),
    ],
    ids=["ddp", "fsdp", "logits", "hidden", "adapters"],
)
def test_two_ranks_train_as_one_process(spec_of, parallel, settings):
    one, two = spec_of("one", **settings), spec_of("two", **settings, parallel=parallel)
    alone, together = run(one, 1), run(two, 2)
    near = 1e-3 if "weights" in settings else 1e-4
    assert [step for step, _ in curve(together)] == [step for step, _ in curve(alone)]
    assert [loss for _, loss in curve(together)] == pytest.approx([loss for _, loss in curve(alone)], rel=near)
    assert together.counts == alone.counts
    expected, given = weights(one), weights(two)
    assert given.keys() == expected.keys()
    for name, tensor in expected.items():
        assert given[name].shape == tensor.shape
        assert float((given[name] - tensor).abs().max()) < 10 * near, name
    assert {p.name for p in Path(two.out).iterdir()} == {p.name for p in Path(one.out).iterdir()}
    configs = [json.loads(Path(spec.out, "model", "config.json").read_text()) for spec in (one, two)]
    assert configs[0] == configs[1]
    assert type(open_model(Path(two.out, "model"), "float32")).__name__ == "LlamaForCausalLM"


def test_two_ranks_fit_a_teacher_and_one_process_pins_it(tmp_path):
    tables = [write_rows(tmp_path / "t.parquet", rows(25)), write_rows(tmp_path / "v.parquet", rows(3, "validation"))]
    fit = TrainingConfig(**TRAINING, parallel="fsdp")

    def prepared(name: str, processes: int, **changes) -> PrepareResult:
        (tmp_path / name).mkdir()
        paths = {"rows": tables, "out": str(tmp_path / name), "work": str(tmp_path / f"work-{name}")}
        return run(PrepareSpec(role="teacher", model=TINY, **paths, **changes), processes, "prepare_model")

    alone, together = prepared("one", 1, fit=fit), prepared("two", 2, fit=fit)
    assert together.counts == alone.counts
    assert together.fit is not None
    assert alone.fit is not None
    assert curve(together.fit) == [(step, pytest.approx(loss, rel=1e-4)) for step, loss in curve(alone.fit)]
    assert {p.name for p in (tmp_path / "two").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}
    assert prepared("three", 2).origin == "built"  # without a fit there is nothing to share
