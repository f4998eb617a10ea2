"""What went wrong in a run, in the words of the check or of the error that ended it."""

import dagster as dg

from distill_dagster.errors import BudgetError, EndpointError

ERROR = "error"  # in the metadata of a failure: the class of the user's error
OWN_RUNS = "failed_in_runs_of_their_own"  # marks a step whose artefacts each failed in a run of its own


def explain_step(event: dg.DagsterEvent) -> str:
    """Why a step failed, in the words of the error that ended it."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error.cause if failure.error and failure.error.cause else failure.error
    where = f" (in {error.stack[-1].strip().splitlines()[0]})" if error and error.stack else ""
    return f"{error.message.strip()}{where}" if error else "the step failed; its log is in the Dagster UI"


def explain_failure(result: dg.ExecuteInProcessResult) -> str:
    """Why a run failed."""
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.blocking:
            return f"check {evaluation.check_name}: {evaluation.description}"
    for event in result.all_events:
        if event.is_step_failure:
            return explain_step(event)
    return "the run failed; its log is in the Dagster UI"


def was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether the run was ended by Ctrl-C or a signal, which Dagster reports as an error of a step."""
    errors = (event.step_failure_data.error for event in result.all_events if event.is_step_failure)
    return any(error is not None and error.cls_name == "DagsterExecutionInterruptedError" for error in errors)


def met_the_endpoint(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a run failed with an error that every other request would meet too: no connection, a refused key, …"""
    said = (event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure)
    kinds = (failure.metadata.get(ERROR) for failure in said if failure)
    return any(kind is not None and kind.value in (EndpointError.__name__, BudgetError.__name__) for kind in kinds)
