"""A real HTTP server that speaks OpenAI's batch protocol: /files, /batches, and what fault_server.py speaks.

    with BatchServer() as server:
        server.script(batch={"hold": True})     # batches stay in progress until `server.script` says otherwise
        ...                                     # send batches to server.url
        server.counts()["batches"]              # the batches that were created, by id

The answers, and the faults of rows, are those of fault_server.py: a rule of `status` fails a row of a batch. The
script's field `batch` has these fields and defaults; a change does not forget the batches:

    hold          false   batches stay in progress
    lose_reply    0       so many batches are created, and the connection closed before the answer
    hang_reply    0       so many batches are created, and never answered
    expire        []      prompts whose rows expire; each expires once
    drop          []      prompts whose rows have no result; each once
    end           "completed"    or "failed", "cancelled": the status in which the next batch ends, once
    errors        []      the errors of a batch that failed
    lines         {}      prompts whose line of results is this text, with {id} for the custom_id; each once
    statuses      []      statuses with which the next calls of /files and /batches fail, one each
    headers       {"retry-after-ms": "10"}    of those failures
    odd           {}      call, such as "POST /v1/batches" -> texts that are sent instead of its next answers

`python -m testing.batch_server --port 0` prints its port as the first line.
"""

import asyncio
import json
import time
from collections import Counter
from typing import Any

from aiohttp import web

from testing.fault_server import FaultServer, Handlers, close, error, main
from testing.made_answers import completion
from testing.strict_models import refused_parameter

DEFAULTS = {"hold": False, "lose_reply": 0, "hang_reply": 0, "expire": [], "drop": [], "end": "completed"}
DEFAULTS |= {"errors": [], "statuses": [], "headers": {"retry-after-ms": "10"}, "lines": {}, "odd": {}}
PAGE = 2  # batches in one page of the list


class BatchHandlers(Handlers):
    """The paths of the server, over its files and batches."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_script: dict[str, Any] = dict(DEFAULTS)
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()  # prompt -> how many batches asked it

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_post("/v1/files", self.guarded(self.upload))
        app.router.add_get("/v1/files/{id}/content", self.guarded(self.content))
        app.router.add_post("/v1/batches", self.guarded(self.create))
        app.router.add_get("/v1/batches", self.guarded(self.list))
        app.router.add_get("/v1/batches/{id}", self.guarded(self.retrieve))
        return app

    def guarded(self, handler):
        """A handler behind the key and the scripted statuses."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if self.batch_script["statuses"]:
                return error(self.batch_script["statuses"].pop(0), "made to fail", self.batch_script["headers"])
            response = self.refused(request, None) or await handler(request)
            odd = self.batch_script["odd"].get(f"{request.method} {request.path}")
            return web.Response(text=odd.pop(0), content_type="application/json") if odd else response

        return handle

    async def script(self, request: web.Request) -> web.Response:
        given = await request.json()
        self.batch_script |= {**DEFAULTS, **given.pop("batch", {})}
        return self.follow(given) if given or not self.batches else web.json_response({})

    async def counts(self, request: web.Request) -> web.Response:
        batches = {key: {**batch, "lines": None} for key, batch in self.batches.items()}
        return web.json_response(
            {**self.state.counts(), "batches": batches, "files": len(self.files), "asked_in_batches": self.asked}
        )

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        field = form["file"]
        file_id = self.keep(field.file.read())
        return web.json_response({"id": file_id, "object": "file", "purpose": "batch", "filename": field.filename})

    def keep(self, content: bytes) -> str:
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = content
        return file_id

    async def content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def create(self, request: web.Request) -> web.StreamResponse:
        given = await request.json()
        lines = [json.loads(line) for line in self.files[given["input_file_id"]].splitlines()]
        batch_id = f"batch_{len(self.batches)}"
        batch = {"id": batch_id, "object": "batch", "created_at": int(time.time()), "status": "in_progress", **given}
        self.batches[batch_id] = {**batch, "lines": lines}
        self.asked.update(line["body"]["messages"][-1]["content"] for line in lines)
        for fault in ("lose_reply", "hang_reply"):
            if self.batch_script[fault]:
                self.batch_script[fault] -= 1
                await asyncio.sleep(600 if fault == "hang_reply" else 0)
                return close(request)
        return web.json_response(batch)

    async def list(self, request: web.Request) -> web.Response:
        newest = list(self.batches)[::-1]
        after = request.query.get("after")
        rest = newest[newest.index(after) + 1 :] if after else newest
        data = [self.shown(key) for key in rest[:PAGE]]
        return web.json_response({"object": "list", "data": data, "has_more": len(rest) > PAGE})

    async def retrieve(self, request: web.Request) -> web.Response:
        batch_id = request.match_info["id"]
        if batch_id not in self.batches:
            return error(404, f"No batch found with id '{batch_id}'.")
        if self.batches[batch_id]["status"] == "in_progress" and not self.batch_script["hold"]:
            self.finish(self.batches[batch_id])
        return web.json_response(self.shown(batch_id))

    def shown(self, batch_id: str) -> dict[str, Any]:
        batch = self.batches[batch_id]
        total, is_open = len(batch["lines"]), batch["status"] == "in_progress"
        counts = {"total": total, "completed": total // 2 if is_open else total, "failed": 0}
        return {**{key: value for key, value in batch.items() if key != "lines"}, "request_counts": counts}

    def finish(self, batch: dict[str, Any]) -> None:
        """End a batch as the script says, with a file of answers and one of errors."""
        batch["status"], self.batch_script["end"] = self.batch_script["end"], "completed"
        batch["completed_at"] = int(time.time())
        if batch["status"] == "failed":
            batch["errors"] = {"object": "list", "data": self.batch_script["errors"]}
            return
        lines = batch["lines"][: len(batch["lines"]) // 2] if batch["status"] == "cancelled" else batch["lines"]
        results = [result for line in lines if (result := self.result(line)) is not None]
        good = [result for result in results if result["response"] and result["response"]["status_code"] == 200]
        bad = [result for result in results if result not in good]
        if any(result["error"] for result in bad):
            batch["status"] = "expired"
        for name, part in (("output_file_id", good[::-1]), ("error_file_id", bad)):
            if part:
                batch[name] = self.keep("".join(self.line(result, batch) for result in part).encode())

    def line(self, result: dict[str, Any], batch: dict[str, Any]) -> str:
        """A line of a file of results, or what the script says instead."""
        key = result["custom_id"]
        prompts = {line["custom_id"]: line["body"]["messages"][-1]["content"] for line in batch["lines"]}
        text = self.batch_script["lines"].pop(prompts[key], None)
        return (json.dumps(result) if text is None else text.replace("{id}", key)) + "\n"

    def result(self, line: dict[str, Any]) -> dict[str, Any] | None:
        """The result of one row; None: it has none."""
        body, same = line["body"], {"id": f"req_{line['custom_id'][:8]}", "custom_id": line["custom_id"]}
        prompt = body["messages"][-1]["content"]
        if prompt in self.batch_script["drop"]:
            self.batch_script["drop"].remove(prompt)
            return None
        if prompt in self.batch_script["expire"]:
            self.batch_script["expire"].remove(prompt)
            return {**same, "response": None, "error": {"code": "batch_expired", "message": "out of time"}}
        status, answer = self.row(body)
        return {**same, "response": {"status_code": status, "request_id": "r", "body": answer}, "error": None}

    def row(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if refused := refused_parameter(body, self.state.script):
            return refused
        rule = self.state.rule_for(body["messages"])
        if rule.get("fault") == "status":
            return rule["status"], {"error": {"message": "made to fail", "type": "made", "code": None}}
        return 200, completion(body, self.state.script, rule)


class BatchServer(FaultServer):
    """The server in its own process."""

    module = "testing.batch_server"


if __name__ == "__main__":
    main(BatchHandlers())
