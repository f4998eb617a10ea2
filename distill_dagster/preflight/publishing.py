"""The places where the release is published: keys, packages and write access, before anything is made."""

from collections.abc import Iterator
from functools import partial

from distill_dagster.lineage.published import PUBLISHED
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import LATER, Requirement, require
from distill_dagster.release.publish.places import places_in


def publish_requirements(pending: Pending, *, whole: bool) -> Iterator[Requirement]:
    """A requirement for each place. Without `whole`, nothing is sent: only what this machine shows is looked at."""
    rule = pending.config.release
    if PUBLISHED not in pending.stages or rule is None or rule.publish is None:
        return
    for place in places_in(rule.publish):
        name = f"release.publish.{place.kind}"
        found = require("place", name, partial(place.look, pending.config.name, whole))
        if found.state == "ok" and not whole and place.kind != "folder":
            found = Requirement("place", name, "not checked", f"{found.found}; {LATER}")
        yield found
