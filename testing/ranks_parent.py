"""A run that leases two devices and trains in one or two processes, on the CPU; tests kill it.

    python -m testing.ranks_parent SPEC.json LOCKS 2

prints the result as JSON, or the class and the words of an error.
"""

import sys
from pathlib import Path

import dagster as dg

from distill_dagster.config import Need
from distill_dagster.resources.compute.subprocess import run_subprocess
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.training.specs import TrainSpec

DEVICES = ["0", "1"]


def pool_in(locks: str) -> GpuPool:
    """A pool of two made-up devices."""
    return GpuPool(devices=DEVICES, lock_folder=locks)


def main(spec_file: str, locks: str, ranks: str) -> None:
    """Train as an asset does that has leased both devices, but on the CPU."""
    spec = TrainSpec.model_validate_json(Path(spec_file).read_text(encoding="utf-8"))

    @dg.asset
    def student(context: dg.AssetExecutionContext):
        with pool_in(locks).lease(Need(gpus=2)):
            result = run_subprocess(context, "train_student", spec, [], int(ranks))
        print(result.model_dump_json(), flush=True)
        yield dg.MaterializeResult()

    try:
        dg.materialize([student])
    except Exception as e:
        print(f"{type(e).__name__}: {e}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
