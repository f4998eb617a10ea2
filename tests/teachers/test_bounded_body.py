"""A response of any size, packed or not, takes no more memory than the limit, and is asked for once in a run."""

import base64
import gzip
import zlib

import pytest

from distill_dagster.teachers.bounded_body import LARGEST
from distill_dagster.teachers.faults import may_heal
from testing.endpoint_teacher import ask_one

ANSWER = b'{"choices": [{"message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}]}'


def sent(content: bytes, packing: str, **rule) -> dict:
    body = base64.b64encode(content).decode()
    return {"fault": "body", "base64": body, "headers": {"Content-Encoding": packing}, **rule}


def refused(server, rule: dict) -> str:
    """The error of the one question that the rule answers."""
    server.script(rules=[rule])
    reply = ask_one(server)
    assert reply.error_code is not None
    assert may_heal(reply.error_code)
    assert server.counts()["total"] == 1, "no other attempt is made"
    return str(reply.error)


def test_an_endless_body_is_read_up_to_the_limit(fault_server):
    assert refused(fault_server, {"fault": "endless"}) == "127.0.0.1: a response of more than 128 MiB is not read"


@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_body_that_unpacks_to_more_than_the_limit(status, fault_server):
    bomb = gzip.compress(b" " * (LARGEST + 1))
    assert len(bomb) < LARGEST / 1000
    assert "of more than 128 MiB" in refused(fault_server, sent(bomb, "gzip", status=status))


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip", "x" * 100])
def test_a_packing_that_was_not_asked_for_is_refused(packing, fault_server):
    error = refused(fault_server, sent(ANSWER, packing))
    assert error.startswith(f"127.0.0.1: a response with the content encoding {packing[:40]!r} is not read")


@pytest.mark.parametrize(
    ("pack", "packing"),
    [(gzip.compress, "gzip"), (gzip.compress, "GZIP"), (zlib.compress, "deflate"), (bytes, "identity")],
)
def test_a_packed_answer_is_an_answer(pack, packing, fault_server):
    fault_server.script(rules=[sent(pack(ANSWER), packing)])
    assert ask_one(fault_server).text == "4"
