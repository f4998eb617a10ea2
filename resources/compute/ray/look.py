"""What the preflight asks a Ray cluster, in a process of its own: a driver ends when the head of its cluster does.

python -m distill_dagster.resources.compute.ray.look < asked.json      prints the nodes, or the error, as JSON
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.remote.attempt import JOBS
from distill_dagster.remote.node import Facts, Look
from distill_dagster.resources.compute.ray.asking import ask_nodes
from distill_dagster.resources.compute.ray.cluster import Node, connect, nodes

PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A node with its facts, or why it has none."""

    node: Node
    facts: Facts | None
    problem: str | None = None


def look_at_cluster(address: str, store: Path, paths: Sequence[str], finds_cuda: bool) -> list[SeenNode]:
    """The nodes of a cluster. A file in the store is written here, and read by each of them.

    Raises:
        ComputeError: no cluster answers at the address.
    """
    asked = {"address": address, "store": str(store), "paths": list(paths), "finds_cuda": finds_cuda}
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked, allow_nan=False), capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as e:
        raise ComputeError(f"the Ray cluster at {address} does not answer within {PATIENCE_S:.0f} s") from e
    last = done.stdout.strip().rpartition("\n")[2]
    if not last.startswith("{"):
        raise ComputeError(f"the Ray cluster at {address} cannot be asked: {done.stderr.strip()[-500:]}")
    said = json.loads(last)
    if "error" in said:
        raise ComputeError(said["error"])
    return [_seen(entry) for entry in said["nodes"]]


def _seen(entry: dict[str, Any]) -> SeenNode:
    facts = entry["facts"]
    return SeenNode(Node(**entry["node"]), Facts(**facts) if facts else None, entry["problem"])


def main() -> None:
    """Connect, ask every node, and print."""
    asked = json.loads(sys.stdin.read())
    try:
        connect(asked["address"])
        said: dict[str, Any] = {"nodes": _ask(asked)}
    except ComputeError as e:
        said = {"error": str(e)}
    print(json.dumps(said, allow_nan=False), flush=True)


def _ask(asked: dict[str, Any]) -> list[dict[str, Any]]:
    found, text = nodes(), uuid.uuid4().hex
    jobs = Path(asked["store"]) / JOBS
    jobs.mkdir(parents=True, exist_ok=True)
    probe = jobs / f"probe-{text}"
    probe.write_text(text, encoding="utf-8")
    try:
        answers = ask_nodes(found, Look(str(probe), text, tuple(asked["paths"]), asked["finds_cuda"]))
    finally:
        for path in jobs.glob(f"{probe.name}*"):
            path.unlink(missing_ok=True)
    return [
        {"node": asdict(node), "facts": None, "problem": answer}
        if isinstance(answer, str)
        else {"node": asdict(node), "facts": asdict(answer), "problem": None}
        for node, answer in zip(found, answers, strict=True)
    ]


if __name__ == "__main__":
    main()
