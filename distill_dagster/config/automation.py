"""`automation:` - what Dagster does without a request, and when."""

import difflib
import zoneinfo
from datetime import datetime

from pydantic import Field, field_validator

from distill_dagster.config.section import Section

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


class AutomationConfig(Section):
    """What Dagster does without a request, and when."""

    observe_seconds: int = Field(
        default=30, ge=5, description="Seconds between two looks at the source files, after which changes are acted on."
    )
    enabled: bool = Field(default=False, description="Make again what a change made stale. If false, only on request.")
    cron: str | None = Field(
        default=None,
        description="When to make everything stale again, such as `0 3 * * *`. If left out, never on a schedule.",
    )
    shards_per_run: int = Field(
        default=1,
        ge=1,
        description="About how many shards one run makes, one after the other, where a backfill or the automation asks "
        "for several. Each keeps its own checks and a run of its own in the same process. If 1, each is queued alone.",
    )
    report_hours: float | None = Field(
        default=None,
        gt=0,
        description="Age in hours after which Dagster shows the student and the report as overdue. If left out, never.",
    )
    timezone: str = Field(default="UTC", description="Time zone of `cron`, such as Europe/Berlin.")

    @field_validator("cron")
    @classmethod
    def _comes(cls, value: str | None) -> str | None:
        if value is not None and (problem := cron_problem(value)):
            raise ValueError(problem)
        return value

    @field_validator("timezone")
    @classmethod
    def _exists(cls, value: str) -> str:
        known = zoneinfo.available_timezones()
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1)
            hint = f", did you mean {near[0]}?" if near else ": use a name such as Europe/Berlin"
            raise ValueError(f"no time zone of this name exists{hint}")
        return value


def cron_problem(cron: str) -> str | None:
    """What is wrong with a cron expression: Dagster takes five fields, and some date has to fit; None if it is fine."""
    from croniter import CroniterBadDateError, CroniterError, croniter

    if cron.startswith("@"):
        return None if croniter.is_valid(cron) and cron != "@reboot" else "no such shorthand: use one such as @daily"
    parts = cron.split()
    if len(parts) != len(FIELDS):
        names = ", ".join(name for name, _, _ in FIELDS)
        return f"{len(parts)} fields are given, and five are needed ({names}), such as `0 3 * * *`"
    for part, (name, low, high) in zip(parts, FIELDS, strict=True):
        for item in part.split(","):
            step = item.partition("/")[2]
            if step.isdecimal() and int(step) > high - low:
                return (
                    f"the step of `{item}` is larger than the range of the {name} ({low} to {high}): it never repeats"
                )
    if any(part.upper().startswith(("R", "H")) for part in parts):
        return "R and H are not supported: write a number"
    try:
        croniter(cron, datetime(2024, 1, 1)).get_next()
    except CroniterBadDateError:
        return "no date fits it"
    except CroniterError as e:
        return f"not a cron expression ({e}): write one such as `0 3 * * *`"
    return None
