"""A training on two nodes of a cluster: the curve of one process, a node that dies, and a rank that fails."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from distill_dagster.config import Need, StudentTrainingConfig
from distill_dagster.errors import UserError
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student
from testing.models_tiny import write_examples, write_model
from testing.ray_cluster import RayNode
from testing.waiting import PATIENCE, wait_for

SETTINGS = {"learning_rate": 5e-3, "batch_size": 6, "max_length": 64, "early_stopping_patience": None}


@pytest.fixture
def spec_of(tmp_path) -> Callable[..., TrainSpec]:
    """A spec that trains a tiny student in folders of its own; 25 rows, so that a rank has none of each fifth batch."""
    base = write_model(tmp_path / "base")
    examples = write_examples(tmp_path / "examples.parquet", 25, 3)

    def spec(name: str, **training) -> TrainSpec:
        out = tmp_path / name / "out"
        out.mkdir(parents=True)
        config = StudentTrainingConfig(**SETTINGS, **training)
        paths = {"examples": examples, "out": str(out), "work": str(tmp_path / name / "work")}
        return TrainSpec(student_base=base, teacher=base, task="qa", training=config, name="tiny", **paths)

    return spec


class OnNodes:
    """A step that trains in two processes, on nodes of one core each, in a thread of this process."""

    def __init__(self, spec: TrainSpec, cluster, store: Path) -> None:
        settings = {"address": cluster.address, "store": str(store)}
        self.compute = Compute.of(Need(gpus=0, processes=2), GpuPool(devices=[]), "ray", settings)
        self.spec, self.cluster, self.result, self.error = spec, cluster, None, None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        @dg.asset
        def student(context: dg.AssetExecutionContext, compute: Compute):
            try:
                self.result = compute.run(context, "train_student", self.spec)
            except UserError as e:
                self.error = e
            yield dg.MaterializeResult()

        dg.materialize([student], resources={"compute": self.compute})

    def end(self) -> Any:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.result

    def checkpoints(self) -> list[Path]:
        return list(Path(self.spec.work).glob("runs/*/checkpoint-*/complete.json"))

    def ranks(self) -> dict[int, tuple[RayNode, psutil.Process]]:
        """The node and the process of each rank; torchrun gives each a session of its own."""
        found = {}
        for node in self.cluster.workers:
            for process in node.processes():
                with contextlib.suppress(psutil.Error):
                    if "distill_dagster.ranks.launcher" in process.cmdline():
                        found |= {int(rank.environ()["RANK"]): (node, rank) for rank in process.children()}
        return found


def test_two_nodes_train_as_one_process(cluster, spec_of, tmp_path):
    one, two = spec_of("one", epochs=2), spec_of("two", epochs=2)
    together = OnNodes(two, cluster, tmp_path / "store").end()
    alone = train_student(one, "cpu")
    assert together.counts == alone.counts
    assert together.best_validation_loss == pytest.approx(alone.best_validation_loss, rel=1e-4)
    assert {path.name for path in Path(two.out).iterdir()} == {path.name for path in Path(one.out).iterdir()}


@pytest.mark.parametrize("rank", [0, 1])
def test_a_training_goes_on_from_its_checkpoint_when_one_of_its_nodes_dies(cluster, spec_of, tmp_path, rank):
    spec = spec_of("two", epochs=40, evaluations=4)
    training = OnNodes(spec, cluster, tmp_path / "store")
    wait_for(training.checkpoints, "a checkpoint")
    node, _ = training.ranks()[rank]
    node.kill()
    result = training.end()
    assert training.error is None
    assert result.counts.steps == 200
    assert result.resumed_from_step >= 50
    assert node.id not in {one.id for one, _ in training.ranks().values()}
    unbroken = train_student(spec_of("unbroken", epochs=40, evaluations=4), "cpu")
    assert result.best_validation_loss == pytest.approx(unbroken.best_validation_loss, rel=1e-3)


def test_a_rank_that_ends_is_named_and_leaves_no_process(cluster, spec_of, tmp_path):
    training = OnNodes(spec_of("two", epochs=1000, evaluations=1000), cluster, tmp_path / "store")
    wait_for(training.checkpoints, "a checkpoint")
    training.ranks()[1][1].kill()
    assert training.end() is None
    assert "rank 1 was ended by SIGKILL" in str(training.error)
    wait_for(lambda: not training.ranks(), "the end of the ranks")


def test_a_launcher_that_its_machine_kills_is_started_again(cluster, spec_of, tmp_path):
    training = OnNodes(spec_of("two", epochs=40, evaluations=4), cluster, tmp_path / "store")
    wait_for(training.checkpoints, "a checkpoint")
    training.ranks()[1][1].parent().kill()
    assert training.end().resumed_from_step >= 50, training.error


def test_what_a_rank_refuses_is_said_in_its_words(cluster, spec_of, tmp_path):
    training = OnNodes(spec_of("two", epochs=1, lora={"targets": ["q_proi"]}), cluster, tmp_path / "store")
    assert training.end() is None
    assert "q_proi" in str(training.error)
