"""One call of `answer` through the batch API: sends what no batch holds yet, waits, and records the results.

    requests        batches that an earlier run sent are waited for; the others are sent as new ones
    completed       replies are recorded; requests without one are sent again, in another batch
    expired         the same: what is missing is sent again
    failed          the provider took no request of the file: an error that says why
    cancelled       what was answered is recorded, then an error: somebody stopped the batch

An interrupt, a kill or an error of `record` leaves the batches at the provider, and their records on disk.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import BudgetError, DataError, TeacherError
from distill_dagster.progress import Advance, track
from distill_dagster.teachers.batching.provider import BatchProvider
from distill_dagster.teachers.batching.records import Batching, BatchRecord
from distill_dagster.teachers.batching.results import ResultLine, lines_of, read_result, results_in
from distill_dagster.teachers.batching.state import BatchState
from distill_dagster.teachers.body import request_body
from distill_dagster.teachers.client import make_client, secrets_of
from distill_dagster.teachers.limits import estimated_tokens, prompt_characters
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.retries import AttemptError, pause_s
from distill_dagster.teachers.secrets import without_secrets
from distill_dagster.teachers.unsupported import refuse_unsupported

FIRST_POLL_S = 0.5  # then twice as long each time
LONGEST_POLL_S = 60.0
ENDED = {"completed", "failed", "expired", "cancelled"}


class BatchSender:
    """The state of one call of `answer`."""

    def __init__(
        self,
        endpoint: EndpointConfig,
        generation: GenerationConfig,
        batching: Batching,
        key: str | None,
        record: Callable[[Reply], None],
    ) -> None:
        self._endpoint, self._generation, self._batching = endpoint, generation, batching
        self._key, self._record, self._secrets = key, record, secrets_of(endpoint, key)
        self._waiting: dict[str, Request] = {}
        self._attempts: dict[str, int] = {}  # batches that a request was in, where it failed in all of them
        self._spent: dict[str, float] = {}  # US dollars for answers that could not be used
        self._completed: dict[str, int] = {}  # batch -> requests that it has answered so far
        self._error: Exception | None = None

    async def run(self, requests: Sequence[Request]) -> None:
        """Record a reply to each request; raises the first error after the batch at hand is recorded."""
        self._waiting = {request.request_hash: request for request in requests}
        async with make_client(self._endpoint, self._key) as client:
            self._provider = BatchProvider(client, self._endpoint, self._key, self._secrets)
            sent = [record for record in self._batching.of(self._waiting) if await self._resume(record)]
            with track(f"batches of {self._endpoint.model}", len(requests)) as advance:
                while self._waiting:
                    await self._send_rest(sent)
                    record, batch = await self._next_ended(sent, advance)
                    sent.remove(record)
                    await self._collect(record, batch)
                    if self._error is not None:
                        raise self._error

    async def _resume(self, record: BatchRecord) -> bool:
        """Whether the provider has the batch of a record that an earlier run left."""
        if record.batch_id is None:
            record.batch_id = await self._provider.find(record)
            if record.batch_id is None:
                self._batching.remove(record)
                return False
            self._batching.save(record)
        return True

    async def _send_rest(self, sent: list[BatchRecord]) -> None:
        """Send the requests that are in no batch, and add their records to `sent`.

        Raises:
            BudgetError: the budget does not hold them, and no batch is left whose results could be recorded first.
        """
        held = {key for record in sent for key in record.hashes}
        rest = [request for key, request in self._waiting.items() if key not in held]
        most = {request.request_hash: self._most_usd(request) for request in rest}
        try:
            for chunk in lines_of(rest, self._endpoint, self._generation):
                hashes = [key for key, _ in chunk]
                attempt = 1 + max(self._attempts.get(key, 0) for key in hashes)
                record = BatchRecord(hashes, attempt, most_usd=[most[key] for key in hashes])
                self._batching.reserve(record, math.fsum(most.values()))
                sent.append(await self._send(record, b"".join(line for _, line in chunk)))
                for key in hashes:
                    del most[key]
        except BudgetError:
            if not sent:
                raise

    def _most_usd(self, request: Request) -> float:
        """The most that a request can cost: an answer as long as `max_new_tokens` allows, and its failed attempts."""
        prompt = estimated_tokens(prompt_characters(request.messages))
        most = self._endpoint.cost(prompt, self._generation.max_new_tokens)
        return most + self._spent.get(request.request_hash, 0.0)

    async def _send(self, record: BatchRecord, content: bytes) -> BatchRecord:
        """Upload and create one batch; before each step the record says how far it got."""
        record.input_file_id = await self._provider.upload(f"distill-{record.key}.jsonl", content)
        self._batching.save(record)
        record.batch_id = await self._provider.create(record)
        self._batching.save(record)
        return record

    async def _next_ended(self, sent: Sequence[BatchRecord], advance: Advance) -> tuple[BatchRecord, BatchState]:
        """The first of the batches that has ended."""
        delay = FIRST_POLL_S
        while True:
            for record in sent:
                assert record.batch_id is not None, "a batch that was sent has an id"
                batch = await self._provider.status(record.batch_id)
                new = max(0, batch.completed - self._completed.get(batch.id, 0))
                self._completed[batch.id] = self._completed.get(batch.id, 0) + new
                advance(new, partial(_said_of, batch))
                if batch.status in ENDED:
                    return record, batch
            await asyncio.sleep(delay)
            delay = min(LONGEST_POLL_S, 2 * delay)

    async def _collect(self, record: BatchRecord, batch: BatchState) -> None:
        """Record what a batch answered; its failed requests stay waiting until they have had their attempts."""
        if batch.status == "failed":
            self._batching.remove(record)
            self._refuse(record, batch)
        results: dict[str, ResultLine] = {}
        for file_id in (batch.error_file_id, batch.output_file_id):  # an answer counts more than an error
            if file_id:
                results |= results_in(await self._provider.download(file_id))
        latency_ms = batch.milliseconds / len(record.hashes)
        is_recorded, asked = True, [key for key in record.hashes if key in self._waiting]
        for key in asked:
            try:
                if reply := self._outcome(record, self._waiting[key], results.get(key)):
                    self._record(reply._replace(latency_ms=latency_ms))
            except (TeacherError, BudgetError) as e:
                self._error = self._error or e
            except DataError as e:  # the disk is full: the next run reads these results again
                self._error, is_recorded = self._error or e, False
        if is_recorded:
            self._batching.recorded(record, set(asked))
        if batch.status == "cancelled":
            self._error = self._error or TeacherError(
                f"the batch {batch.id} was cancelled at the provider; what it answered is kept: run again to send the "
                "rest"
            )

    def _outcome(self, record: BatchRecord, request: Request, result: ResultLine | None) -> Reply | None:
        """The reply to a request; None if it is sent again.

        Raises:
            EndpointError: no request can work, or the provider asks for too long a wait.
        """
        key = request.request_hash
        try:
            reply = read_result(result, request, self._endpoint, self._generation, self._secrets)
        except AttemptError as e:
            self._attempts[key] = record.attempt
            self._spent[key] = self._spent.get(key, 0.0) + self._endpoint.cost(*e.usage)
            if e.passing and record.attempt < self._endpoint.attempts:
                pause_s(self._endpoint, e, record.attempt)  # ends the shard if it is too long; a batch outlasts others
                return None
            reply = e.reply(key)
        del self._waiting[key]
        return reply._replace(attempts=record.attempt, cost_usd=reply.cost_usd + self._spent.get(key, 0.0))

    def _refuse(self, record: BatchRecord, batch: BatchState) -> None:
        """Raise for a batch whose file the provider did not accept."""
        errors = without_secrets(batch.errors, self._secrets)
        host = urlsplit(self._endpoint.url).hostname or ""
        sample = next((self._waiting[key] for key in record.hashes if key in self._waiting), None)
        if sample is not None:
            body = request_body(sample, self._endpoint, self._generation)
            refuse_unsupported(400, errors, body, host, self._endpoint)
        said = "; ".join(str(error.get("message") or error.get("code")) for error in errors[:3]) or "no message"
        raise TeacherError(
            f"{host} did not accept the batch {batch.id} of {len(record.hashes):,} requests: {said[:300]}\n  none "
            "was answered; after a limit on queued tokens, run again when earlier batches have ended"
        )


def _said_of(batch: BatchState) -> str:
    """The state of a batch, for a line of progress."""
    failed = f", {batch.failed:,} failed" if batch.failed else ""
    return f"{batch.id}: {batch.status}, {batch.completed:,} of {batch.total:,} completed{failed}"
