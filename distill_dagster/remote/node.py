"""What a machine has and sees, found there: its GPUs and memory, versions, the store, models.

    python -m distill_dagster.remote.node '{"paths": ["/models/t"]}'      prints the facts as JSON

Facts(python="3.11.2", package="0.2.0", gpus={"0": 79.6}, main_gb=251.4, …, unseen=["/models/llama-3.1-8b-instruct"])
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from distill_dagster.errors import ComputeError
from distill_dagster.process import main_memory_gb
from distill_dagster.remote.gpus import machine_devices

PACKAGE = "distill-dagster"


@dataclass(frozen=True, slots=True)
class Look:
    """What a machine is asked."""

    probe: str | None = None  # a file in the store, whose text is `text`
    text: str = ""
    paths: tuple[str, ...] = ()  # that must exist there
    finds_cuda: bool = False  # whether to import torch, and ask it


@dataclass(frozen=True, slots=True)
class Facts:
    """What it answers."""

    python: str
    package: str
    gpus: dict[str, float] = field(default_factory=dict)  # device -> memory in GB, as nvidia-smi lists them
    gpu_problem: str | None = None
    main_gb: float = 0.0
    sees_store: bool = True
    unseen: list[str] = field(default_factory=list)  # of the paths
    finds_cuda: bool | None = None  # None: not asked
    has_vllm: bool = False


def facts(look: Look) -> Facts:
    """The facts of this machine."""
    gpus, problem = _gpus()
    return Facts(
        python=platform.python_version(),
        package=version(PACKAGE),
        gpus=gpus,
        gpu_problem=problem,
        main_gb=main_memory_gb(),
        sees_store=look.probe is None or _reads(Path(look.probe), look.text),
        unseen=[path for path in look.paths if not Path(path).exists()],
        finds_cuda=_finds_cuda() if look.finds_cuda and gpus else None,
        has_vllm=importlib.util.find_spec("vllm") is not None,
    )


def facts_apart(look: Look) -> Facts:
    """The facts, found by a process of its own, which sees the GPUs that Ray hides from a task that leases none."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    seen = {name: value for name, value in os.environ.items() if not (hidden and name == "CUDA_VISIBLE_DEVICES")}
    command = [sys.executable, "-m", __name__, json.dumps(asdict(look), allow_nan=False)]
    done = subprocess.run(command, env=seen, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ComputeError(done.stderr.strip().rpartition("\n")[2])
    return Facts(**json.loads(done.stdout))


def _gpus() -> tuple[dict[str, float], str | None]:
    try:
        return machine_devices(), None
    except ComputeError as e:
        return {}, str(e)


def _reads(probe: Path, text: str) -> bool:
    """Whether the file that the step has written is here, and can be answered beside it."""
    try:
        is_same = probe.read_text(encoding="utf-8") == text
        probe.with_name(f"{probe.name}.{os.getpid()}").write_text(text, encoding="utf-8")
    except OSError:
        return False
    return is_same


def _finds_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(asdict(facts(Look(**{**asked, "paths": tuple(asked["paths"])}))), allow_nan=False))
