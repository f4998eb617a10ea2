"""What many tests stand on: a small project on the demo's world, and one that was run end to end, once."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pytest
import yaml
from filelock import FileLock

from distill_dagster.cli.execution import Outcome, Runner, dagster_home
from distill_dagster.config import DistillConfig
from distill_dagster.config_file import load_config
from distill_dagster.demo.world import write_dataset
from distill_dagster.lineage import Project
from tests.dev_server import Said, run_command
from tests.fault_server import FaultServer

DAEMONS = {  # file -> process
    "test_automation_daemon": "daemon-1",
    "test_ui_checks": "daemon-1",
    "test_poisoned_shard": "daemon-2",
    "test_ui": "daemon-2",
}
TINY_LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 512,
}


def pytest_collection_modifyitems(items):
    """Files that wait for a daemon go first: one that is begun last is waited for."""
    items.sort(key=lambda item: item.path.stem not in DAEMONS)


def pytest_xdist_make_scheduler(config, log):
    """A file's tests stay in one process, and so do those of two files that wait for a daemon.

    More than two daemons at a time slow each other down.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            stem = Path(nodeid.split("::")[0]).stem
            return DAEMONS.get(stem, stem)

    return ByFile(config, log)


def tiny_settings(**changes) -> dict:
    """A project whose models train in seconds; keys may be dotted paths."""
    settings = {
        "task": "qa",
        "data": {"train": "data/train/*.jsonl", "validation": "data/validation.jsonl", "test": "data/test.jsonl"},
        "teacher": {
            "model": {"architecture": "llama", "settings": TINY_LLAMA, "vocab_size": 400},
            "fit": {"learning_rate": 1e-2, "epochs": 12, "batch_size": 16, "evaluations": 2},
            "generation": {"max_new_tokens": 12},
            "smoke": {"rows": 0},
        },
        "student": {
            "model": {
                "architecture": "llama",
                "settings": {**TINY_LLAMA, "hidden_size": 16, "num_hidden_layers": 1},
                "tokenizer": "teacher",
            },
            "training": {"learning_rate": 1e-2, "epochs": 6, "batch_size": 16, "evaluations": 2},
        },
        # models of this size write nonsense: the gates are wide, the numbers are not the point
        "quality": {"contamination": "exact"},
        "checks": {
            **{"min_teacher_rows": 5, "min_train_rows": 5, "min_acceptance": 0, "min_success_share": 0},
            **{name: 1 for name in ("max_truncated_share", "max_off_form_share", "max_degenerate_share")},
            "severity": {"loads_and_generates": "warn"},
        },
        "evaluation": {"latency_requests": 4, "resamples": 200},
        "compute": {"devices": []},
    }
    for path, value in changes.items():
        *parents, last = path.split(".")
        section = settings
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return settings


def write_project(folder: Path, **changes) -> Path:
    """Write rows and distill.yaml of a tiny project; returns the config's path."""
    write_dataset(folder / "data", tasks=("nli", "math"), train_rows=90, validation_rows=12, test_rows=12, shards=3)
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(**changes)))
    return path


def run_project(config: DistillConfig, instance: dg.DagsterInstance, until: str | None = None) -> Outcome:
    """Bring a project up to date, quietly, or its first stages."""
    return Runner(config, instance, lambda title, state: None).run(until)


@contextlib.contextmanager
def own_instance(config: DistillConfig) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance in the project's store, which `distill-dagster` opens where DAGSTER_HOME names no other."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("DAGSTER_HOME", raising=False)
        with dg.DagsterInstance.from_config(str(dagster_home(config))) as instance:
            yield instance


@pytest.fixture
def tiny_config(tmp_path) -> DistillConfig:
    """A tiny project that nothing was made of yet."""
    return load_config(write_project(tmp_path))


@pytest.fixture
def instance():
    """A Dagster instance that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as value:
        yield value


@pytest.fixture(scope="session")
def made(tmp_path_factory, worker_id):
    """A tiny project that `distill-dagster run` has run end to end, once for all processes of the tests.

    (project, instance, what the command said). Tests only read it, or ask for `copy_of_made`.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "made"
    root.mkdir(exist_ok=True)
    told = root / "said.json"
    with FileLock(root / "lock"):
        if not told.exists():
            said = run_command("run", "--config", str(write_project(root)))
            assert said.exit_code in (0, 3), said.output  # 3: the verdict is FAIL, on models of this size
            told.write_text(json.dumps(asdict(said)))
    project = Project(load_config(root / "distill.yaml"))
    with dg.DagsterInstance.from_config(str(Path(project.config.store) / ".dagster")) as value:
        yield project, value, Said(**json.loads(told.read_text()))


@pytest.fixture
def copy_of_made(made, tmp_path):
    """Call it for a copy of that project, to change: the path of its config, with these changes in it.

    A run of it on a new instance makes nothing, and tells the instance what there is.
    """

    def copy(**changes) -> Path:
        path = write_project(tmp_path, **changes)
        shutil.copytree(made[0].config.store, tmp_path / "store", ignore=shutil.ignore_patterns(".dagster"))
        return path

    return copy


def unpublish(project: Project, asset: str) -> None:
    """Let an artefact be missing again."""
    (project.store.folder(asset) / "manifest.json").unlink()


@pytest.fixture(scope="session")
def fault_server():
    """The server that fails as it is told to, in a process of its own."""
    with FaultServer() as value:
        yield value


@pytest.fixture
def server(fault_server):
    """The same one, with the usual script and nothing counted."""
    fault_server.script()
    return fault_server
