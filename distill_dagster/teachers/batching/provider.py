"""The calls of a batch API, each repeated after a failure that may pass.

Creating a batch is the one call that costs money. After a failure that leaves open whether the provider has created it,
the batch is looked for before another one is created. Responses are read by this package's own reader, not by OpenAI's
client, so that an odd one is a failure like any other.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import EndpointError, TeacherError
from distill_dagster.teachers.batching.records import BatchRecord
from distill_dagster.teachers.batching.state import BatchState, read_state
from distill_dagster.teachers.bounded_json import read_json
from distill_dagster.teachers.causes import cause_of_connection, is_certain
from distill_dagster.teachers.client import no_key
from distill_dagster.teachers.completion import error_body
from distill_dagster.teachers.retries import AttemptError, log_pause, pause_s, refusal_by
from distill_dagster.teachers.secrets import Secrets, hide_key
from distill_dagster.teachers.waits import back_off_s

if TYPE_CHECKING:
    import openai

PATH = "/v1/chat/completions"  # as the API names it, whichever path the endpoint's URL has
WINDOW = "24h"  # the only one that the API knows
METADATA_KEY = "distill_dagster"
TRANSFER_TIMEOUT_S = 3600.0  # a file has up to 200 MB
SETTLE_S = 10.0  # a request that a killed run had sent may take effect after its death
CLOCKS_S = 3600.0  # most by which the provider's clock may differ from this machine's
EXCERPT_CHARACTERS = 200  # of a response in a message
Called = TypeVar("Called")


class BatchProvider:
    """The batch API of one endpoint."""

    def __init__(
        self, client: "openai.AsyncOpenAI", endpoint: EndpointConfig, key: str | None, secrets: Secrets
    ) -> None:
        self._files, self._batches = client.files.with_raw_response, client.batches.with_raw_response
        self._streamed_files = client.files.with_streaming_response
        self._endpoint, self._secrets = endpoint, secrets
        self._host = urlsplit(endpoint.url).hostname or ""
        self._headers: Any = no_key(key)

    async def upload(self, name: str, content: bytes) -> str:
        """Upload a file of requests; its id."""

        async def call() -> str:
            response = await self._files.create(
                file=(name, content, "application/jsonl"), purpose="batch", extra_headers=self._headers
            )
            return self._read(response.content, _file_id)

        return await self._patiently(call, TRANSFER_TIMEOUT_S)

    async def create(self, record: BatchRecord) -> str:
        """Create the batch of an uploaded file, once; its id."""
        assert record.input_file_id is not None, "the file is uploaded before the batch is created"
        file_id, is_sent = record.input_file_id, False

        async def call() -> str:
            nonlocal is_sent
            if is_sent and (found := await self._find(record)):
                return found
            is_sent = True
            response = await self._batches.create(
                input_file_id=file_id,
                endpoint=PATH,
                completion_window=WINDOW,
                metadata={METADATA_KEY: record.key},
                extra_headers={**self._headers, "Idempotency-Key": record.key},
            )
            return self._read(response.content, read_state).id

        return await self._patiently(call)

    async def find(self, record: BatchRecord) -> str | None:
        """The id of a batch that an earlier run may have created; None if there is none."""
        found = await self._patiently(lambda: self._find(record))
        if found is None and (rest := record.saved_at + SETTLE_S - time.time()) > 0:
            await asyncio.sleep(min(rest, SETTLE_S))
            found = await self._patiently(lambda: self._find(record))
        return found

    async def _find(self, record: BatchRecord) -> str | None:
        """The provider lists the newest batch first."""
        import openai

        after: Any = openai.NOT_GIVEN
        while True:
            response = await self._batches.list(limit=100, after=after, extra_headers=self._headers)
            batches, has_more = self._read(response.content, _page)
            for batch in batches:
                if batch.metadata.get(METADATA_KEY) == record.key:
                    return batch.id
                if record.input_file_id is not None and batch.input_file_id == record.input_file_id:
                    return batch.id
                if batch.created_at is not None and batch.created_at < record.saved_at - CLOCKS_S:
                    return None
            if not batches or not has_more:
                return None
            after = batches[-1].id

    async def status(self, batch_id: str) -> BatchState:
        """The batch as it is now."""

        async def call() -> BatchState:
            response = await self._batches.retrieve(batch_id, extra_headers=self._headers)
            return self._read(response.content, read_state)

        return await self._patiently(call)

    async def download(self, file_id: str) -> bytes:
        """The content of a file of results, of any size: it is paid for."""

        async def call() -> bytes:
            async with self._streamed_files.content(file_id, extra_headers=self._headers) as response:
                return await response.read()

        return await self._patiently(call, TRANSFER_TIMEOUT_S)

    def _read(self, content: bytes, read: Callable[[Any], Called]) -> Called:
        """What `read` makes of a response; AttemptError if it is not what the API promises."""
        try:
            return read(read_json(content))
        except ValueError as e:
            said = hide_key(content.decode("utf-8", "replace"), *self._secrets)[:EXCERPT_CHARACTERS]
            raise AttemptError("bad_response", f"{self._host}: {e}: {said}") from e

    async def _patiently(self, call: Callable[[], Awaitable[Called]], timeout_s: float = 0.0) -> Called:
        """Call until it works.

        Raises:
            TeacherError: it cannot work, or failed too often; EndpointError where no other call can work either, or
                the provider asks for too long a wait.
        """
        import openai

        attempt = 0
        while True:
            attempt += 1
            try:
                async with asyncio.timeout(max(timeout_s, self._endpoint.timeout_seconds)):
                    return await call()
            except openai.NotFoundError as e:
                raise self._not_found(e) from None
            except (AttemptError, TimeoutError, openai.APIError) as e:
                failure = self._failure(e, is_last=attempt >= self._endpoint.attempts)
            pause = pause_s(self._endpoint, failure, attempt)
            if not failure.passing or attempt >= self._endpoint.attempts:
                raise TeacherError(
                    f"the batch API failed: {failure}\n  batches that were sent go on at the provider, and the next "
                    "run reads their results; if the provider has no batch API, set `batch: false`"
                )
            log_pause(self._endpoint, failure, pause)
            await asyncio.sleep(back_off_s(attempt, pause))

    def _failure(self, error: Exception, is_last: bool) -> AttemptError:
        """The failure of a call.

        Raises:
            EndpointError: no call can work, such as without a key or without a connection.
        """
        import openai

        if isinstance(error, AttemptError):
            return error
        if isinstance(error, TimeoutError):
            return AttemptError("timeout", f"{self._host}: no answer in time")
        if isinstance(error, openai.APIStatusError):
            body = error_body(error.response.content, self._secrets)
            return refusal_by(self._endpoint, error.status_code, error.response.headers, body)
        if (cause := cause_of_connection(self._endpoint, error)) and (is_certain(error) or is_last):
            raise cause from error
        return AttemptError("connection", f"{self._host}: {hide_key(str(error.__cause__ or error), *self._secrets)}")

    def _not_found(self, error: "openai.NotFoundError") -> TeacherError:
        """The error for a path or a batch that is not there; no batch can be sent if it is the path."""
        kind = EndpointError if error.request.method == "POST" else TeacherError
        return kind(
            f"{self._host} has no {error.request.method} {error.request.url.path} (404): if the provider has no batch "
            "API, set `batch: false`. A batch of another account, or one that the provider has deleted, is forgotten "
            "if you delete its file in responses/batches/ of the store; its requests are then sent again"
        )


def _file_id(body: Any) -> str:
    if isinstance(body, dict) and isinstance(body.get("id"), str) and body["id"]:
        return body["id"]
    raise ValueError("a file without an id")


def _page(body: Any) -> tuple[list[BatchState], bool]:
    """The batches of a page of the list, and whether another page follows."""
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise ValueError("a list of batches without `data`")
    return [read_state(one) for one in body["data"]], bool(body.get("has_more"))
