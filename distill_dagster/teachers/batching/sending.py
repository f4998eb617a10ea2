"""One call of `answer` through the batch API: sends what no batch holds yet, waits, and records the results.

    requests        batches that an earlier run sent are waited for; the others are sent as new ones
    completed       replies are recorded; requests without one are sent again, in another batch
    expired         the same: what is missing is sent again
    failed          the provider took no request of the file: an error that says why
    cancelled       what was answered is recorded, then an error: somebody stopped the batch

An interrupt, a kill or an error of `record` leaves the batches at the provider, and their records on disk.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import BudgetError, DataError, TeacherError
from distill_dagster.teachers.batching.provider import BatchProvider
from distill_dagster.teachers.batching.records import Batching, BatchRecord
from distill_dagster.teachers.batching.results import lines_of, read_result, results_in
from distill_dagster.teachers.body import request_body
from distill_dagster.teachers.client import make_client, secrets_of
from distill_dagster.teachers.limits import estimated_tokens, prompt_characters
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.retries import AttemptError
from distill_dagster.teachers.unsupported import refuse_unsupported

if TYPE_CHECKING:
    from openai.types import Batch

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
        self._error: Exception | None = None

    async def run(self, requests: Sequence[Request]) -> None:
        """Record a reply to each request; raises the first error after the batch at hand is recorded."""
        self._waiting = {request.request_hash: request for request in requests}
        async with make_client(self._endpoint, self._key) as client:
            self._provider = BatchProvider(client, self._endpoint, self._key, self._secrets)
            sent = [record for record in self._batching.of(self._waiting) if await self._resume(record)]
            while self._waiting:
                sent += await self._send_rest(sent)
                record, batch = await self._next_ended(sent)
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

    async def _send_rest(self, sent: Sequence[BatchRecord]) -> list[BatchRecord]:
        """Send the requests that are in no batch."""
        held = {key for record in sent for key in record.hashes}
        rest = [request for key, request in self._waiting.items() if key not in held]
        if rest:
            self._batching.afford(self.most_usd(rest))
        return [await self._send(chunk) for chunk in lines_of(rest, self._endpoint, self._generation)]

    def most_usd(self, requests: Sequence[Request]) -> float:
        """The most that these requests can cost: every answer as long as `max_new_tokens` allows."""
        prompts = sum(estimated_tokens(prompt_characters(request.messages)) for request in requests)
        return self._endpoint.cost(prompts, self._generation.max_new_tokens * len(requests))

    async def _send(self, chunk: Sequence[tuple[str, bytes]]) -> BatchRecord:
        """Upload and create one batch; before each step the record says how far it got."""
        hashes = [key for key, _ in chunk]
        record = BatchRecord(hashes, 1 + max(self._attempts.get(key, 0) for key in hashes))
        self._batching.save(record)
        content = b"".join(line for _, line in chunk)
        record.input_file_id = await self._provider.upload(f"distill-{record.key}.jsonl", content)
        self._batching.save(record)
        record.batch_id = await self._provider.create(record)
        self._batching.save(record)
        return record

    async def _next_ended(self, sent: Sequence[BatchRecord]) -> "tuple[BatchRecord, Batch]":
        """The first of the batches that has ended."""
        delay = FIRST_POLL_S
        while True:
            for record in sent:
                assert record.batch_id is not None, "a batch that was sent has an id"
                batch = await self._provider.status(record.batch_id)
                if batch.status in ENDED:
                    return record, batch
            await asyncio.sleep(delay)
            delay = min(LONGEST_POLL_S, 2 * delay)

    async def _collect(self, record: BatchRecord, batch: "Batch") -> None:
        """Record what a batch answered; its failed requests stay waiting until they have had their attempts."""
        if batch.status == "failed":
            self._batching.remove(record)
            self._refuse(record, batch)
        results: dict[str, dict[str, Any]] = {}
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                results |= results_in(await self._provider.download(file_id))
        latency_ms = _milliseconds(batch) / len(record.hashes)
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

    def _outcome(self, record: BatchRecord, request: Request, result: dict[str, Any] | None) -> Reply | None:
        """The reply to a request; None if it is sent again."""
        key = request.request_hash
        try:
            reply = read_result(result, request, self._endpoint, self._generation, self._key, self._secrets)
        except AttemptError as e:
            self._attempts[key] = record.attempt
            self._spent[key] = self._spent.get(key, 0.0) + self._endpoint.cost(*e.usage)
            if e.passing and record.attempt < self._endpoint.attempts:
                return None
            reply = Reply(key, None, "error", *e.usage, error_code=e.code, error=str(e))
        del self._waiting[key]
        return reply._replace(attempts=record.attempt, cost_usd=reply.cost_usd + self._spent.get(key, 0.0))

    def _refuse(self, record: BatchRecord, batch: "Batch") -> None:
        """Raise for a batch whose file the provider did not accept."""
        errors = [error.to_dict() for error in (batch.errors.data if batch.errors else None) or []]
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


def _milliseconds(batch: "Batch") -> float:
    """The time that a batch took, by the provider's clock; 0 if it does not say."""
    end = batch.completed_at or batch.expired_at or batch.cancelled_at
    return max(0.0, (end - batch.created_at) * 1000.0) if isinstance(end, int) and batch.created_at else 0.0
