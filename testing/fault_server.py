"""A real HTTP server that speaks OpenAI's chat completions protocol and fails as a script says.

    with FaultServer() as server:                       # a process of its own, on a free port of loopback
        server.script(latency=0.05, rules=[{"match": "Paris", "fault": "status", "status": 503, "times": 2}])
        ...                                             # send requests to server.url, http://127.0.0.1:40123/v1
        server.counts()["total"]                        # chat requests that it has received

An answer depends on the messages alone ("answer 4168220" or one of `choices`), so that two runs can be compared byte by
byte. The script is one JSON object with these fields and defaults:

    latency  0.0     seconds before every answer
    key      null    the bearer key that the server expects; another key gets a 401 that repeats it
    models   null    the models that exist; another gets a 404
    logprobs 5       most alternatives a token for requests with logprobs; 0: no logprobs
    choices  null    the texts from which an answer is chosen
    rules    []      the first rule that applies decides; without one the server answers as usual
    refuses  {}      parameters that the model refuses; this, refuse_status and stream_only: strict_models.py
    cached   0       prompt tokens of every answer that the usage counts as read from the cache

A rule applies to chat requests whose messages contain `match` (default: all). It skips the first `skip` of them and
then applies `times` times (default: always). Its `fault` is one of

    status           an error of `status`, with `headers` and JSON `body` if they are given
    hang             no answer for `seconds`
    drop             the connection is closed before any answer
    cut              the connection is closed in the middle of the body
    broken_json      status 200 with a body that is no JSON
    no_choices       an empty list of choices, but tokens in the usage
    null_content     content null; `finish_reason` stop, unless the rule says another
    say              the content `text`, with the rule's `finish_reason` (length, content_filter, ...), if it has one,
                     and the fields of `choice` added to the choice
    message          the fields of `message` added to the message, such as reasoning_content
    body             exactly the bytes whose base64 is `base64`, with `status` or else 200, and `headers`
    endless          white space that does not end

With `stream: true` the answer is a stream, which has faults of its own: see event_streams.py.

`python -m testing.fault_server --port 0` prints its port as the first line. Paths: POST /v1/chat/completions,
GET /v1/models, POST /control/script (which also resets the counts), GET /control/counts.
"""

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from testing.event_streams import stream
from testing.made_answers import completion
from testing.strict_models import refused_parameter

DEFAULTS = {"latency": 0.0, "key": None, "models": None, "logprobs": 5, "choices": None, "rules": []}
DEFAULTS |= {"refuses": {}, "refuse_status": 400, "stream_only": False, "cached": 0}


@dataclass
class State:
    """The script, and what the server has received and sent."""

    script: dict[str, Any] = field(default_factory=lambda: dict(DEFAULTS))
    matched: list[int] = field(default_factory=list)  # by rule
    total: int = 0
    answered: int = 0  # complete answers
    in_flight: int = 0
    most_in_flight: int = 0
    by_prompt: dict[str, int] = field(default_factory=dict)  # the last message's text -> requests
    by_status: dict[str, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)  # of arrival, monotonic
    tokens: list[int] = field(default_factory=list)  # of every complete answer, prompt and completion together
    last_body: dict[str, Any] | None = None
    last_headers: dict[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, Any]:
        """The document of `GET /control/counts`."""
        return {key: value for key, value in vars(self).items() if key not in ("script", "matched")}

    def rule_for(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """The first rule that applies to these messages, or {}."""
        asked = "\n".join(message["content"] for message in messages)
        for i, rule in enumerate(self.script["rules"]):
            if rule.get("match", "") in asked:
                self.matched[i] += 1
                first = rule.get("skip", 0) + 1
                if first <= self.matched[i] < first + rule.get("times", float("inf")):
                    return rule
        return {}


def error(status: int, message: str, headers: dict[str, str] | None = None, body: Any = None) -> web.Response:
    """An error with the given body, by default as OpenAI words it."""
    payload = body if body is not None else {"error": {"message": message, "type": "made", "code": None}}
    return web.json_response(payload, status=status, headers=headers)


def close(request: web.Request) -> web.Response:
    """Close the connection; the response that is returned is never sent."""
    if request.transport:
        request.transport.close()
    return web.Response()


async def cut(request: web.Request, text: str) -> web.StreamResponse:
    """Send half of a text, and close the connection."""
    response = web.StreamResponse(headers={"Content-Length": str(len(text)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(text[: len(text) // 2].encode())
    close(request)
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    """Send white space, which JSON may begin with, until the client has enough."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while request.transport and not request.transport.is_closing():
        await response.write(b" " * 2**20)
    return response


class Handlers:
    """The paths of the server, over one state."""

    def __init__(self) -> None:
        self.state = State()

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/control/script", self.script)
        app.router.add_get("/control/counts", self.counts)
        return app

    async def chat(self, request: web.Request) -> web.StreamResponse:
        state = self.state
        state.times.append(time.monotonic())
        state.total += 1
        state.in_flight += 1
        state.most_in_flight = max(state.most_in_flight, state.in_flight)
        try:
            body = await request.json()
            prompt = body["messages"][-1]["content"]
            state.by_prompt[prompt] = state.by_prompt.get(prompt, 0) + 1
            state.last_body, state.last_headers = body, dict(request.headers)
            response = self.refused(request, body["model"]) or await self.answered(request, body)
            state.by_status[str(response.status)] = state.by_status.get(str(response.status), 0) + 1
            return response
        finally:
            state.in_flight -= 1

    def refused(self, request: web.Request, model: str | None) -> web.Response | None:
        key, models = self.state.script["key"], self.state.script["models"]
        given = request.headers.get("Authorization", "no key")
        if key is not None and given != f"Bearer {key}":
            return error(401, f"Incorrect API key provided: {given}")
        if models is not None and model is not None and model not in models:
            return error(404, f"The model `{model}` does not exist")
        return None

    async def answered(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if refused := refused_parameter(body, self.state.script):
            return web.json_response(refused[1], status=refused[0])
        rule = self.state.rule_for(body["messages"])
        fault = rule.get("fault")
        await asyncio.sleep(rule.get("seconds", 60) if fault == "hang" else self.state.script["latency"])
        if fault == "status":
            return error(rule["status"], rule.get("text", "made to fail"), rule.get("headers"), rule.get("body"))
        if fault == "drop":
            return close(request)
        if fault == "body":
            content = base64.b64decode(rule["base64"])
            status, headers = rule.get("status", 200), rule.get("headers")
            return web.Response(body=content, status=status, headers=headers, content_type="application/json")
        if fault == "endless":
            return await endless(request)
        payload = completion(body, self.state.script, rule)
        text = json.dumps(payload)
        if body.get("stream") and payload["choices"]:
            self.state.tokens.append(payload["usage"]["total_tokens"])
            return await stream(request, payload, fault, bool(body.get("stream_options")))
        if fault == "cut":
            return await cut(request, text)
        if fault == "broken_json":
            return web.Response(text=text[: len(text) // 2], content_type="application/json")
        self.state.answered += bool(payload["choices"])
        self.state.tokens.append(payload["usage"]["total_tokens"])
        return web.Response(text=text, content_type="application/json")

    async def models(self, request: web.Request) -> web.Response:
        known = self.state.script["models"] or ["made"]
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in known]
        return self.refused(request, None) or web.json_response({"object": "list", "data": data})

    async def script(self, request: web.Request) -> web.Response:
        return self.follow(await request.json())

    def follow(self, given: dict[str, Any]) -> web.Response:
        if unknown := sorted(set(given) - set(DEFAULTS)):
            return error(400, f"no such fields: {unknown}")
        self.state = State({**DEFAULTS, **given}, [0] * len(given.get("rules", [])))
        return web.json_response({})

    async def counts(self, request: web.Request) -> web.Response:
        return web.json_response(self.state.counts())


async def serve(port: int, app: web.Application) -> None:
    """Serve on loopback until the process ends; prints the port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


class FaultServer:
    """The server in its own process, which ends with the block, or when the process that started it dies."""

    module = "testing.fault_server"

    def __enter__(self) -> "FaultServer":
        command = [sys.executable, "-m", self.module, "--port", "0", "--until-stdin-closes"]
        root = Path(__file__).parents[1]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def script(self, **script: Any) -> None:
        """Set the script and reset the counts."""
        self._control("script", json.dumps(script).encode())

    def counts(self) -> dict[str, Any]:
        """What the server has received and sent since the last script: the fields of `State`."""
        return self._control("counts")

    def _control(self, path: str, data: bytes | None = None) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/{path}", data, timeout=30) as response:
            return json.load(response)


def main(handlers: Handlers) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started this")
    options = parser.parse_args()
    if options.until_stdin_closes:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(serve(options.port, handlers.app()))


if __name__ == "__main__":
    main(Handlers())
