"""Let the teacher answer one shard: `raw.parquet` in, `teacher.parquet` out, one row a request.

A conversation is answered turn by turn, and the teacher sees its own earlier replies; all conversations of a shard
are asked together, round by round:

    round 0   every row's first user turn          (a single-turn row is finished here)
    round 1   S, user 1, the teacher's reply, user 2
    …

A request that fails is a row with a status, and takes the later turns of its conversation with it:

    row_id  turn  status  error_code            finish_reason
    d-17    0     ok      null                  stop
    d-17    1     failed  E010                  error          no room for the answer in the context
    d-17    2     failed  previous_turn_failed  error
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill_dagster import files, records
from distill_dagster.config import GenerationConfig
from distill_dagster.models.decoding import Completion, complete
from distill_dagster.models.loading import LoadedModel, load
from distill_dagster.models.rendering import RenderError, render_prompt
from distill_dagster.progress import track
from distill_dagster.requests import GenerateRequest, ModelRef
from distill_dagster.storage import Produced
from distill_dagster.tasks import get_task
from distill_dagster.tasks.prompts import Prompt, prompts_of, with_replies

PREVIOUS_TURN_FAILED = "previous_turn_failed"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the teacher: a turn of a row, drawn for the `sample`-th time."""

    row: int  # position in the shard
    sample: int
    turn: int
    messages: list[dict[str, str]]
    request_hash: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a shard cost: only requests that were computed count, not the rows that shared an answer."""

    distinct: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def plus(self, completions: Sequence[Completion], seconds: float) -> "Usage":
        """This usage and that of more completions."""
        return Usage(
            self.distinct + len(completions),
            self.prompt_tokens + sum(c.prompt_tokens for c in completions),
            self.completion_tokens + sum(c.completion_tokens for c in completions),
            self.seconds + seconds,
        )


def generate_shard(request: GenerateRequest, device: str) -> Produced:
    """Write `teacher.parquet` into `request.out`; every prompt of the shard has a row, answered or failed.

    Raises:
        DataError: the shard's rows cannot be read.
        ModelError: the teacher cannot be loaded.
    """
    rows = records.read_table(Path(request.rows))
    loaded = load(request.model, device)
    answered, usage = _converse(rows, loaded, request.generation)
    table = [_teacher_row(rows[call.row], call, c, request) for call, c in answered]
    table.sort(key=lambda row: row.pop("position"))
    records.write_table(Path(request.out) / files.TEACHER_FILE, table, records.TEACHER)
    return Produced(records.rows_hash(table), _count(rows, table), _facts(table, usage, loaded))


def _converse(
    rows: Sequence[Mapping[str, Any]], loaded: LoadedModel, generation: GenerationConfig
) -> tuple[list[tuple[Call, Completion]], Usage]:
    """Every turn of every row, round by round, with the completion that it got."""
    prompts = [prompts_of(row) for row in rows]
    replies: dict[tuple[int, int], list[str] | None] = {  # None: a turn of it has failed
        (i, sample): [] for i in range(len(rows)) for sample in range(generation.samples)
    }
    answered: list[tuple[Call, Completion]] = []
    usage = Usage()
    with track(f"generate with {loaded.ref.name}", total=sum(map(len, prompts)) * generation.samples) as advance:
        for turn in range(max(map(len, prompts), default=0)):
            asked = [key for key in replies if turn < len(prompts[key[0]])]
            calls = [_call(rows, prompts[i][turn], i, n, replies[i, n], loaded, generation) for i, n in asked]
            completions, usage = _answer(calls, loaded, generation, usage, advance)
            for call, completion in zip(calls, completions, strict=True):
                history = replies[call.row, call.sample]
                failed = completion.finish_reason == "error"
                replies[call.row, call.sample] = None if failed or history is None else [*history, completion.text]
            answered += zip(calls, completions, strict=True)
    return answered, usage


def _call(
    rows: Sequence[Mapping[str, Any]],
    prompt: Prompt,
    position: int,
    sample: int,
    replies: list[str] | None,
    loaded: LoadedModel,
    generation: GenerationConfig,
) -> Call:
    """The request for one turn; its messages are empty where an earlier turn has failed."""
    messages = with_replies(prompt, replies) if replies is not None else []
    row_id = rows[position]["row_id"]
    return Call(position, sample, prompt.turn, messages, request_hash(loaded, messages, generation, row_id, sample))


def request_hash(
    loaded: LoadedModel, messages: Sequence[Mapping[str, str]], generation: GenerationConfig, row_id: str, sample: int
) -> str:
    """What makes a request the same request: rendered text, model and revision, how it is sampled, sample number.

    At temperature 0 two rows with one prompt are one request; above it each row draws its own answer.
    """
    try:
        text: Any = render_prompt(loaded.tokenizer, messages) if messages else None
    except RenderError:
        text = [dict(message) for message in messages]
    key = {
        "prompt": text,
        "model": _identity(loaded.ref),
        "params": sampling_params(generation),
        "sample": sample,
        "row_id": row_id if generation.temperature > 0 or text is None else None,
    }
    return records.sha256(records.canonical_json(key))


def _identity(ref: ModelRef) -> dict[str, str]:
    return {"name": ref.name, "revision": ref.revision}


def sampling_params(generation: GenerationConfig) -> dict[str, Any]:
    """The parameters that decide which tokens are chosen; what only batches them is left out."""
    params: dict[str, Any] = {"temperature": generation.temperature, "max_new_tokens": generation.max_new_tokens}
    return params if generation.temperature == 0 else {**params, "top_p": generation.top_p, "seed": generation.seed}


def _answer(
    calls: Sequence[Call],
    loaded: LoadedModel,
    generation: GenerationConfig,
    usage: Usage,
    advance: Callable[[int], None],
) -> tuple[list[Completion], Usage]:
    """A completion for each call of a round; equal requests are computed once."""
    distinct = {call.request_hash: call.messages for call in calls if call.messages}
    start = time.perf_counter()
    completions = complete(
        loaded,
        list(distinct.values()),
        max_new_tokens=generation.max_new_tokens,
        batch_tokens=generation.batch_tokens,
        temperature=generation.temperature,
        top_p=generation.top_p,
        seed=generation.seed,
        advance=advance,
    )
    advance(len(calls) - len(distinct))
    by_hash = dict(zip(distinct, completions, strict=True))
    skipped = Completion("", "error", 0, 0, 0.0, PREVIOUS_TURN_FAILED)
    return [by_hash.get(c.request_hash, skipped) for c in calls], usage.plus(completions, time.perf_counter() - start)


def _teacher_row(
    row: Mapping[str, Any], call: Call, completion: Completion, request: GenerateRequest
) -> dict[str, Any]:
    """One line of `records.TEACHER`; `position` is for sorting and is taken out again."""
    ok = completion.finish_reason != "error"
    return {
        "position": (call.row, call.sample, call.turn),
        "row_id": row["row_id"],
        "sample": call.sample,
        "turn": call.turn,
        "request_hash": call.request_hash,
        "teacher": request.model.name,
        "teacher_revision": request.model.revision,
        "params": records.canonical_json(sampling_params(request.generation)),
        "raw_text": completion.text if ok else None,
        "reasoning": None,
        "answer": get_task(row["task"]).parse(completion.text, request.labels) if ok else None,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "latency_ms": completion.latency_ms,
        "cost_usd": 0.0,
        "attempts": 0 if completion.error_code == PREVIOUS_TURN_FAILED else 1,
        "status": "ok" if ok else "failed",
        "error_code": completion.error_code,
        "created_at": datetime.now(UTC),
    }


def _count(rows: Sequence[Any], table: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """`requests == ok + failed`; `truncated` and `unparsed` are among the ok ones."""
    ok = [row for row in table if row["status"] == "ok"]
    return {
        "rows": len(rows),
        "requests": len(table),
        "ok": len(ok),
        "failed": len(table) - len(ok),
        "truncated": sum(row["finish_reason"] == "length" for row in ok),
        "unparsed": sum(row["answer"] is None for row in ok),
    }


def _facts(table: Sequence[Mapping[str, Any]], usage: Usage, loaded: LoadedModel) -> dict[str, Any]:
    """What people read: usage, speed, where it ran, and why rows failed."""
    errors = [row["error_code"] for row in table if row["error_code"]]
    return {
        "teacher": loaded.ref.name,
        "distinct_requests": usage.distinct,
        **{key: value for key, value in asdict(usage).items() if key != "distinct"},
        "tokens_per_second": usage.completion_tokens / usage.seconds if usage.seconds else 0.0,
        "errors": {code: errors.count(code) for code in sorted(set(errors))},
        "device": loaded.device,
        "dtype": loaded.dtype,
    }
