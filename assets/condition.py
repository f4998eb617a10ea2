"""When an asset is made again: its inputs changed, and all that it reads is up to date and has passed its checks.

Dagster's stock conditions forget a change that arrives while the asset is being made, because the end of that older
run resets the latch that remembers the change. `rerun_when_inputs_change` is reset only when a run is requested, so
the change survives. A change between that tick and the next one, in which the reset takes effect, requests another
run. The price: a manual run does not count, and the asset is requested once more. If its inputs are unchanged, that
costs seconds.

Assets downstream wait for more than the request: the artefact must have been made, because a run that fails makes
nothing, and its blocking checks must have passed, because a check that crashed has checked nothing.
"""

import dagster as dg

AC = dg.AutomationCondition
CHANGED = "the version of something that it reads changed"


def rerun_when_inputs_change() -> dg.AutomationCondition:
    """True when the asset is missing, or a dependency's data version changed since the asset was last requested.

    Held back while the asset or a dependency is being made, while a dependency is missing or has not caught up with
    its own inputs and settings (nobody requested it, or its run failed or was cancelled), and while a blocking check
    of a dependency fails, has crashed, or has not ended. A blocking check that never ran on the present artefact
    holds nothing back: it was added or switched on later, and a tick never requests a check alone.
    """
    moved = AC.any_deps_match(AC.data_version_changed()).with_label(CHANGED) | AC.code_version_changed().with_label(
        "its settings or its code changed"
    )
    wanted = _until_requested(moved | AC.newly_missing().with_label("it is missing since the last look"))
    wanted = wanted.with_label("it has to be made: an input or a setting changed, or it is missing")
    # a dependency must catch up with its own inputs first
    waiting = AC.any_deps_match(_until_made(moved)).with_label("an asset that it reads is not up to date yet")
    # not `any_deps_missing`: it would request a missing dependency and all that follows it in one run
    idle = (~AC.in_progress()).with_label("it is not being made")
    there = (~AC.any_deps_match(AC.missing() | AC.in_progress())).with_label(
        "all that it reads exists and is not being made"
    )
    # not `check_failed`: a check whose run died, or was cancelled, has neither failed nor passed
    unchecked = AC.any_deps_match(AC.any_checks_match(~(AC.check_passed() | AC.missing()), blocking_only=True))
    checked = (~unchecked).with_label("no blocking check of what it reads fails, has crashed, or has not ended")
    # `~waiting` comes first: Dagster skips the operands after a false one, and a skipped operand misses changes
    caught_up = (~waiting).with_label("all that it reads is up to date")
    return (caught_up & wanted & idle & there & checked).with_label("rerun_when_inputs_change")


def _until_requested(cause: dg.AutomationCondition) -> dg.AutomationCondition:
    """True from `cause` on until a run was requested.

    The next tick sees the request. A cause that has come up by then is newer than the request, and the run may have
    read its inputs before it. So the cause stays, although Dagster would let the reset win the tie.
    """
    reset = (~cause & AC.newly_requested()).with_label("a run was requested, and nothing changed since")
    return cause.since(reset)


def _until_made(cause: dg.AutomationCondition) -> dg.AutomationCondition:
    """True from `cause` on until a run was requested and the asset was made after that, by this run or another."""
    unasked = _until_requested(cause).with_label("it changed, and no run of it was requested yet")
    # not `~unasked & newly_updated`: Dagster stores the state of a `since` under the names of its operands' outermost
    # operators, so this one would share the state of `_until_requested`
    made = (~(unasked | ~AC.newly_updated())).with_label("a run was requested, and it was made after that")
    return unasked | cause.since(made).with_label("it changed, and it was not made after a request yet")
