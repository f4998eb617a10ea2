"""A run whose step failed because Dagster's database went away is started again; other failed steps are not.

`run_retries` in dagster.yaml does not repeat a run that a step failed: a user's mistake would be made again. But if the
server of the database is restarted, a step fails because its events cannot be written. This hook of every asset then
marks the run, and Dagster's daemon takes the mark for the setting.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

START_AGAIN = {"dagster/retry_on_asset_or_op_failure": "true"}
ERRORS = ("OperationalError", "InterfaceError")  # of SQLAlchemy: the connection, not the statement


@dg.failure_hook(name="start_again_after_a_lost_database")
def start_again(context: dg.HookContext) -> None:
    """Mark the run of a step that lost the database."""
    if is_lost(context.op_exception):
        context.log.warning("the database was lost: the run is started again")
        context.instance.add_run_tags(context.run_id, START_AGAIN)


def is_lost(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is of the connection to the database."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    while error is not None:
        if isinstance(error, OperationalError | InterfaceError):
            return True
        error = error.__cause__ or error.__context__
    return False


def was_lost(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a run inside this process failed of it."""
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return any(cause.cls_name in ERRORS for error in failures for cause in _chain(error))


def _chain(error: Any) -> Iterator[Any]:
    """An error and what it came from: Dagster wraps the errors of an asset."""
    while error is not None:
        yield error
        error = error.cause or error.context
