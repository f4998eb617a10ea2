"""A response of any size is read up to a limit, and asked for once in a run; an error keeps its status."""

import base64
import gzip
import zlib

import pytest

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.bounded_body import BASE, OF_AN_ERROR, largest_answer
from distill_dagster.teachers.faults import may_heal
from testing.endpoint_teacher import ask_one

ANSWER = b'{"choices": [{"message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}]}'
REFUSAL = b'{"error": {"message": "slow down"}}'


def sent(content: bytes, encoding: str, **rule) -> dict:
    body = base64.b64encode(content).decode()
    return {"fault": "body", "base64": body, "headers": {"Content-Encoding": encoding}, **rule}


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """White space of more than the limit, in a thousandth of it."""
    found = gzip.compress(b" " * (BASE + 1))
    assert len(found) < BASE / 900
    return found


def test_an_endless_body_is_read_up_to_the_limit(fault_server):
    refused(fault_server, {"fault": "endless"})


def test_a_body_that_decompresses_to_more_than_the_limit(bomb, fault_server):
    refused(fault_server, sent(bomb, "gzip"))


def test_a_body_that_is_compressed_twice(bomb, fault_server):
    refused(fault_server, sent(gzip.compress(bomb), "gzip, gzip"))


def refused(server, rule: dict) -> None:
    """The one question that the rule answers has failed, and the next run asks it again."""
    server.script(rules=[rule])
    reply = ask_one(server)
    assert reply.error == "127.0.0.1: a response of more than 32 MiB is not read"
    assert may_heal(str(reply.error_code))
    assert server.counts()["total"] == 1, "no other attempt is made"


def test_an_error_with_a_long_body_is_judged_by_its_status(bomb, fault_server):
    fault_server.script(rules=[sent(bomb, "gzip", status=401)])
    with pytest.raises(EndpointError, match="answered 401"):
        ask_one(fault_server)
    fault_server.script(rules=[sent(bomb, "gzip", status=503, times=1)])
    assert ask_one(fault_server).attempts == 2


def test_of_an_error_the_beginning_is_read(fault_server):
    fault_server.script(rules=[sent(REFUSAL + b" " * (OF_AN_ERROR - len(REFUSAL)), "identity", status=400)])
    assert "slow down" in str(ask_one(fault_server).error)


@pytest.mark.parametrize(
    ("compress", "encoding"),
    [
        (gzip.compress, "gzip"),
        (gzip.compress, "GZIP"),
        (zlib.compress, "deflate"),
        (bytes, "identity"),
        (bytes, "utf-8"),
    ],
)
def test_a_compressed_answer_is_an_answer(compress, encoding, fault_server):
    fault_server.script(rules=[sent(compress(ANSWER), encoding)])
    assert ask_one(fault_server).text == "4"


def test_log_probabilities_have_room(fault_server):
    """A token with 20 alternatives has 1,360 bytes in compact JSON."""
    plain, long = EndpointConfig(url=fault_server.url, model="made"), GenerationConfig(max_new_tokens=32_000)
    assert largest_answer(plain, long) == BASE
    assert largest_answer(plain.model_copy(update={"top_logprobs": 20}), long) - BASE > 2 * 32_000 * 1_360
