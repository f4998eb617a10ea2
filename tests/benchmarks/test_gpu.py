"""The GPU benchmark runs every part on a CPU, and reports parts that fail or have no time."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PARTS = [
    *(
        "prepare_model",
        "try_model",
        "generate_continuous",
        "capture_logits",
        "train_text",
        "train_logits",
        "train_bfloat16",
        "train_lora",
        "train_ddp",
        "train_fsdp",
    ),
    *("head_loss", "step_vs_trl", "run_benchmark", "time_models", "generate_transformers", "generate_batched"),
]

# The packages of the GPU's machine; those of wheels.sh are installed beside them.
MACHINE = ("torch", "transformers", "accelerate", "peft", "pyarrow", "pandas")

# Python without some of the modules that are installed.
BARE = """
import sys
from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {absent!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
"""

# Parts that cost nothing. Two of them fail: one raises, one is killed.
FAILING = """
import os, signal
from benchmarks.gpu.parts import PARTS

PARTS.clear()
PARTS["prepare_model"] = lambda job: {"seconds": 1.0}
PARTS["raises"] = lambda job: [][0]
PARTS["dies"] = lambda job: os.kill(os.getpid(), signal.SIGKILL)
PARTS["last"] = lambda job: {"seconds": 2.0}
"""


def run_small(folder: Path, *arguments: str, path: Path = ROOT):
    """Run the benchmark on tiny models; returns (exit status, lines of the table, document)."""
    env = {**os.environ, "OUT": str(folder), "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "benchmarks.gpu", "--small", "--folder", str(folder), *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr
    assert ended.stdout, ended.stderr
    *table, document = ended.stdout.splitlines()
    return ended.returncode, table, json.loads(document)


def statuses(document) -> list[tuple[str, str]]:
    return [(part["part"], part["status"]) for part in document["parts"]]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def with_requirements(names) -> set[str]:
    """The distributions of these names, and those that they require."""
    found, waiting = set(), [canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            required = map(Requirement, importlib.metadata.requires(name) or [])
            waiting += [
                canonical(one.name) for one in required if one.marker is None or one.marker.evaluate({"extra": ""})
            ]
    return found


def carried() -> set[str]:
    """The distributions that wheels.sh collects for the workers."""
    listed = re.search(
        r"^WORKERS=\((.*?)^\)", (ROOT / "benchmarks/gpu/wheels.sh").read_text(), re.MULTILINE | re.DOTALL
    )
    return {canonical(name) for row in listed[1].splitlines() for name in row.partition("#")[0].split()}


def absent_modules() -> list[str]:
    """The modules that are installed here, and neither on the GPU's machine nor in the wheels."""
    there = with_requirements(MACHINE) | carried() | {"distill-dagster"}
    modules = importlib.metadata.packages_distributions()
    return sorted(module for module, owners in modules.items() if not there & {canonical(one) for one in owners})


def test_every_part_runs_with_the_carried_packages_and_has_figures(tmp_path):
    absent = absent_modules()
    assert {"dagster", "openai", "zstandard"} <= set(absent)
    (tmp_path / "sitecustomize.py").write_text(BARE.format(absent=absent))
    code, table, document = run_small(tmp_path, path=tmp_path)
    assert statuses(document) == [(f"tiny:{part}", "ok") for part in PARTS], document["parts"]
    assert code == 0
    assert len(table) == 2 + len(PARTS)
    assert all(part["seconds"] > 0 for part in document["parts"])
    by_name = {part["part"].removeprefix("tiny:"): part for part in document["parts"]}
    assert all(by_name[name]["tokens_per_second"] > 0 for name in PARTS[2:] if name != "time_models")
    assert by_name["step_vs_trl"]["trl_step_vs_ours"] > 0
    assert by_name["train_text"]["steps"] == by_name["train_logits"]["steps"] == 8
    assert document["small"] is True
    assert json.loads((tmp_path / "gpu.json").read_text()) == document
    assert not list(tmp_path.glob("gpu-*"))  # models and checkpoints are gone


def test_a_part_that_fails_says_why_and_the_others_run(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(FAILING)
    code, table, document = run_small(tmp_path, path=tmp_path)
    assert statuses(document) == [
        ("tiny:prepare_model", "ok"),
        ("tiny:raises", "failed"),
        ("tiny:dies", "failed"),
        ("tiny:last", "ok"),
    ]
    assert code == 1
    reasons = [part["reason"][-1] for part in document["parts"] if "reason" in part]
    assert reasons == ["IndexError: list index out of range", "killed by signal 9"]
    assert f"    {reasons[0]}" in table


def test_without_time_every_part_is_skipped(tmp_path):
    code, _, document = run_small(tmp_path, "--budget", "0")
    assert statuses(document) == [(f"tiny:{part}", "skipped") for part in PARTS]
    assert document["parts"][0]["reason"] == ["the time budget of 0 s is spent"]
    assert code == 0


def test_the_step_against_trl_is_skipped_where_trl_is_not_installed(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BARE.format(absent=["trl"]))
    code, table, document = run_small(tmp_path, "--only", "tiny:step", path=tmp_path)
    assert statuses(document) == [("tiny:prepare_model", "ok"), ("tiny:step_vs_trl", "skipped")]
    assert document["parts"][1]["reason"] == ["trl cannot be imported: No module named 'trl'"]
    assert "    trl cannot be imported: No module named 'trl'" in "\n".join(table)
    assert code == 0


def test_some_parts_can_be_chosen(tmp_path):
    _, _, document = run_small(tmp_path, "--only", "tiny:head_loss,tiny:capture")
    assert statuses(document) == [(f"tiny:{part}", "ok") for part in ("prepare_model", "capture_logits", "head_loss")]
