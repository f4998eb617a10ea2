"""The PostgreSQL server of the tests starts although another process takes the port that was free."""

import socket

import pytest

from testing import postgres
from testing.dev_server import free_port

pytestmark = [pytest.mark.processes, postgres.needs_postgres]


def test_a_port_that_is_taken_meanwhile_is_not_used(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = iter([taken])
        monkeypatch.setattr(postgres, "free_port", lambda: next(ports, None) or free_port())
        with postgres.open_postgres() as server:
            assert server.port != taken
            first = server.port
            server.crash()
            server.start()
            assert server.port == first, "what is configured for it goes on"
