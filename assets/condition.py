"""When an asset is made again: its inputs changed, and nothing that it reads is behind or refused.

Dagster's stock conditions forget a change that arrives while the asset is running: the latch that remembers it
is reset by that older run's end. `rerun_when_inputs_change` is reset only when a run is asked for, so the change
survives; and one that arrives between that tick and the next, when the reset is seen, is a reason of its own to ask
again. Its price is that a manual run is not noticed, and asked for once more: every asset here returns in
seconds where its inputs are unchanged.

What follows waits for more than the request: until the artefact was made, since a run that fails makes nothing, and
until the blocking checks of it have passed, since a check that crashed has not looked.
"""

import dagster as dg

AC = dg.AutomationCondition


def rerun_when_inputs_change() -> dg.AutomationCondition:
    """True when the asset is missing, or a dependency's data version moved since it was last asked for.

    Held back while the asset or a dependency is being made, while a dependency is missing or was not yet made of a
    change of its own inputs or settings (nobody has asked for it, or its run failed or was cancelled), and while a
    blocking check of a dependency fails, has crashed, or has yet to say. A blocking check that nobody ran on what is
    there holds nothing back: it was added or switched on since, and a tick asks for no check alone.
    """
    moved = AC.any_deps_match(AC.data_version_changed()) | AC.code_version_changed()
    wanted = _until_requested(moved | AC.newly_missing())
    waiting = AC.any_deps_match(_until_made(moved))  # a dependency has its own inputs to catch up with first
    # `any_deps_missing` would not do: it lets what is missing go out in one run with all that follows
    settled = ~AC.in_progress() & ~AC.any_deps_match(AC.missing() | AC.in_progress())
    # not `check_failed`: a check whose run died, or was cancelled, has neither failed nor passed
    checked = ~AC.any_deps_match(AC.any_checks_match(~(AC.check_passed() | AC.missing()), blocking_only=True))
    # `~waiting` comes first: a later operand is not evaluated where an earlier one is false, and misses changes then
    return (~waiting & wanted & settled & checked).with_label("rerun_when_inputs_change")


def _until_requested(cause: dg.AutomationCondition) -> dg.AutomationCondition:
    """True from `cause` on until a run was asked for.

    That a run was asked for is seen at the next tick. A cause that has come up by then is newer than the request, and
    the run may have read its inputs before it: it stays, where Dagster would let the reset win the tie.
    """
    return cause.since(~cause & AC.newly_requested())


def _until_made(cause: dg.AutomationCondition) -> dg.AutomationCondition:
    """True from `cause` on until a run was asked for and the asset was made after that, by this run or by another."""
    unasked = _until_requested(cause)
    # not `~unasked & newly_updated`: Dagster keeps the memory of a `since` under the names of its operands' outermost
    # operators, so that it would share that of `_until_requested`
    return unasked | cause.since(~(unasked | ~AC.newly_updated()))
