"""`transformers serve` as an independent server: it gives the same answers as the local engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.protocol import Request
from testing.dev_server import environment, free_port, wait_until_up
from testing.models_tiny import rows, write_model

pytestmark = pytest.mark.processes

GENERATION = GenerationConfig(max_new_tokens=8)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A tiny model behind `transformers serve`: (its ref, the server's base URL)."""
    folder = tmp_path_factory.mktemp("serve")
    ref = write_model(folder / "model")
    port, log_path = free_port(), folder / "log"
    command = [Path(sys.executable).with_name("transformers"), "serve", ref.path, "--host", "127.0.0.1"]
    offline = {**environment(), "HF_HUB_OFFLINE": "1"}
    with log_path.open("w") as log:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log, env=offline)
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}/health", log_path)
        yield ref, f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def answers(ref):
    replies = []
    asked = [Request(f"h{n}", row["messages"][:1]) for n, row in enumerate(rows(6))]
    open_teacher(ref, GENERATION, "cpu").answer(asked, replies.append)
    return {reply.request_hash: (reply.text, reply.error_code) for reply in replies}


def test_it_answers_as_the_local_engine_does(served):
    ref, url = served
    endpoint = EndpointConfig(url=url, model=ref.path, concurrency=2, json_mode="none")
    found = answers(ModelRef(name=ref.path, revision="", endpoint=endpoint))
    assert found == answers(ref)
    assert len(found) == 6
    assert not any(code for _, code in found.values())
