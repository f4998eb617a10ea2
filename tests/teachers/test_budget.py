"""What the end of a shard with too many failures says."""

import pytest

from distill_dagster.errors import TeacherError
from distill_dagster.teachers.budget import FEWEST, FailureWatch
from distill_dagster.teachers.protocol import Reply


def test_the_message_shows_a_failure_though_the_last_reply_was_an_answer():
    watch = FailureWatch(0.5)
    for n in range(FEWEST - 1):
        watch.see(Reply(f"h{n}", None, "error", error_code="http_498", error="host answered 498: full"))
    with pytest.raises(
        TeacherError, match=r"49 of 50 requests failed \(http_498 49\).*the last: host answered 498: full"
    ):
        watch.see(Reply("h", "4", "stop"))
