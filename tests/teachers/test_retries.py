"""What a refusal by status means."""

import pytest

from distill_dagster.errors import EndpointError
from distill_dagster.teachers.complaint import MESSAGE_CHARACTERS
from distill_dagster.teachers.retries import refusal


@pytest.mark.parametrize("status", [408, 409, 425, 429, 498, 500, 502, 503, 504, 529])
def test_what_heals(status):
    assert refusal(status, {}, None, "host", None).passing


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
def test_what_does_not_heal_within_a_run(status):
    error = refusal(status, {}, "x" * 5000, "host", None)
    assert not error.passing
    assert error.code == f"http_{status}"
    assert len(str(error)) < MESSAGE_CHARACTERS + 40


def test_only_429_and_503_say_that_the_account_is_asked_too_fast():
    overloaded = [status for status in range(400, 600) if status not in (401, 402, 403, 404)]
    assert [s for s in overloaded if refusal(s, {}, None, "host", None).overload] == [429, 503]


@pytest.mark.parametrize("body", [None, "", [], {"error": None}, {"error": "text"}, {"detail": "x"}, {"message": "x"}])
def test_no_body_is_too_strange(body):
    assert "host answered 400" in str(refusal(400, {}, body, "host", None))


@pytest.mark.parametrize("body", ["no way", {"message": "no way"}, {"detail": "no way"}, {"error": "no way"}])
def test_what_the_server_said_is_in_the_message(body):
    assert str(refusal(400, {}, body, "host", None)) == "host answered 400: no way"


@pytest.mark.parametrize(("variable", "way_out"), [("MY_KEY", "MY_KEY"), (None, "`api_key`")])
def test_a_refused_key_is_named_by_its_variable(variable, way_out):
    with pytest.raises(EndpointError, match=f"host answered 401[\\s\\S]*{way_out}"):
        refusal(401, {}, {"error": {"message": "no"}}, "host", variable)
