"""Runs that fail in ways that are alerted, and a tick of the alert sensor that sees them."""

import logging
import time
from pathlib import Path

import dagster as dg

from distill_dagster.lineage.project import Project
from distill_dagster.operations.alerting import send_alerts

LOG = logging.getLogger("alerts")
POISON = '{{"messages": [{{"role": "robot", "content": "mail ana@example.org <script>{0}</script>"}}]}}\n'


def poison(folder: Path, part: int = 1, rows: int = 60) -> None:
    """Append rows with an unknown role and a mail address in each."""
    path = folder / "data" / "train" / f"part-{part:02}.jsonl"
    path.write_text(path.read_text() + "".join(POISON.format(number) for number in range(rows)))


def look_again(config, instance, later=0.0):
    """A tick of the sensor, this many seconds from now; returns what it says."""
    return send_alerts(instance, Project(config), time.time() + later, LOG)


def run_checks(instance, *, passed, severity=dg.AssetCheckSeverity.WARN, count=1, blocking=False):
    """Execute a run of an asset with `count` checks that pass or fail."""

    @dg.asset(check_specs=[dg.AssetCheckSpec(f"check_{i}", asset="thing", blocking=blocking) for i in range(count)])
    def thing():
        results = [
            dg.AssetCheckResult(
                check_name=f"check_{i}", passed=passed, severity=severity, description="3 of 9", metadata={"share": 0.3}
            )
            for i in range(count)
        ]
        return dg.MaterializeResult(check_results=results)

    return dg.materialize([thing], instance=instance, raise_on_error=False)


def run_step(instance, error: str | None):
    """Execute a run of an asset that raises, or does not."""

    @dg.asset
    def thing():
        if error:
            raise dg.Failure(error, allow_retries=False)

    return dg.materialize([thing], instance=instance, raise_on_error=False)
