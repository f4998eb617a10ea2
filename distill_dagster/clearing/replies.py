"""The stored replies that go: those to rows which no source file has had for a long time.

    responses/removed/prompts.json    {"2026-01-02T08:00:00+00:00": ["9c01…", …]}     gone when a `gc` looked then

They were paid for, so a reply stays as long as a present row could use it. A change to teachers or generation does not
matter: a reply is known by the row's own prompt, before prompting and template. Which rows there are,
and what their prompts are, follows from the source files and the present `task`, `data.format`, `data.require_system`
and `data.max_row_bytes`. A row that comes back takes its prompt off the list. A reply also stays while a journal or a
published table of answers holds it, so what a released student learned stays as long as the table does.
Replies of before 0.2.0 do not say which prompt they answer, and those of judges' duels, benchmarks and chats answer no
training row: they stay.
"""

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from distill_dagster.clearing.specs import Dated, Lot, Part, Rules, by_reason
from distill_dagster.errors import DataError, UserError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.source_rows import SourceRows
from distill_dagster.store import parquet
from distill_dagster.store.documents import Documents
from distill_dagster.store.hashing import prompt_hash
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers.responses import Responses, SealedReplies

compute: Any = pc  # its functions are generated, which type checkers do not see
LISTED = "prompts.json"
NO_ROW = "it answers no training row, or was stored before replies said which"
USABLE = "a present row could use it"
IN_A_TABLE = "a published table of answers holds it"
UNFINISHED = "a shard that is not finished holds it"


@dataclass(frozen=True, slots=True)
class _Absent:
    """A reply whose prompt no present row has."""

    request_hash: str
    prompt: str
    created_at: datetime
    size: int  # its part of the bytes of its segment


def look_at_replies(look: Snapshot, tables: Iterable[Path], rules: Rules) -> Part:
    """What goes of the replies of finished shards; `tables` are the tables of answers that stay.

    Raises:
        DataError: a segment is damaged, or the place cannot be used.
    """
    responses = Responses(look.project.responses)
    try:
        present = _present_prompts(look)
    except UserError as e:  # such as a pattern that matches no file
        count = sum(len(sealed.hashes) for sealed in responses.sealed())
        return Part([Lot("reply", count, None, why=f"what rows there are is not known: {e}")], list)
    absent, stays = list[_Absent](), dict[str, tuple[int, int]]()
    usable = pa.array(present, pa.string())
    for sealed in responses.sealed():
        absent += _sort(sealed, usable, stays)
    listed = _read(responses.documents("removed"))
    since = {prompt: at for prompt, at in listed.items() if prompt not in present}  # also of replies that move now
    found = _RepliesToClear(look, {reply.prompt: rules.now for reply in absent} | since)
    reasons = dict.fromkeys(responses.unfinished(), UNFINISHED)
    reasons |= dict.fromkeys(_held([reply.request_hash for reply in absent], tables), IN_A_TABLE)
    for reply in absent:
        found.add(reply, reasons.get(reply.request_hash), rules)
    return found.part([Lot("reply", count, size, why=why) for why, (count, size) in stays.items()])


@dataclass(frozen=True, slots=True)
class _RepliesToClear:
    """The replies whose prompt no present row has; `since` says of each prompt since when it is known to be gone.

    A segment that is merged during the look is not seen, so `since` also has what was noted before.
    """

    look: Snapshot
    since: dict[str, datetime]
    going: list[tuple[_Absent, Dated]] = field(default_factory=list)
    staying: list[tuple[str, _Absent, Dated]] = field(default_factory=list)

    def add(self, reply: _Absent, why: str | None, rules: Rules) -> None:
        """Add a reply, which goes if it is old and there is no reason why it stays."""
        dated = Dated(reply.request_hash, reply.size, max(self.since[reply.prompt], reply.created_at))
        if why is None and not rules.is_old(dated.since, rules.reply_days):
            why = f"its row was found to be gone less than {rules.reply_days:g} days ago"
        if why:
            self.staying.append((why, reply, dated))
        else:
            self.going.append((reply, dated))

    def part(self, others: list[Lot]) -> Part:
        """The same, to be shown and deleted, with the lots that stay for other reasons."""
        going = Lot.of("reply", [dated for _, dated in self.going])
        staying = by_reason("reply", ((why, dated) for why, _, dated in self.staying))
        return Part([_nameless(lot) for lot in (going, *staying, *others)], self._delete)

    def _delete(self) -> list[Lot]:
        """Write down what is gone, and delete what went long ago. Replies to rows that are back stay."""
        responses = Responses(self.look.project.responses)
        responses.tidy()
        notes = responses.documents("removed")
        _write(notes, self.since)
        if not self.going:
            return []
        try:
            again = _present_prompts(Snapshot(self.look.project))
        except UserError:
            return []
        stays = responses.unfinished()
        gone = [(r, dated) for r, dated in self.going if r.prompt not in again and r.request_hash not in stays]
        responses.delete([reply.request_hash for reply, _ in gone])
        _write(notes, self._left({reply.request_hash for reply, _ in gone}))
        return [_nameless(Lot.of("reply", [dated for _, dated in gone]))]

    def _left(self, gone: set[str]) -> dict[str, datetime]:
        """The notes without the prompts whose replies have all been deleted."""
        deleted = {reply.prompt for reply, _ in self.going if reply.request_hash in gone}
        held = {reply.prompt for _, reply, _ in self.staying}
        held |= {reply.prompt for reply, _ in self.going if reply.request_hash not in gone}
        return {prompt: at for prompt, at in self.since.items() if prompt in held or prompt not in deleted}


def _nameless(lot: Lot) -> Lot:
    """Without the hashes, which say nothing to anybody."""
    return replace(lot, names=())


def _sort(sealed: SealedReplies, present: pa.Array, stays: dict[str, tuple[int, int]]) -> list[_Absent]:
    """The replies of a segment whose prompt no present row has; the others are counted by the reason why they stay."""
    total = len(sealed.hashes)
    size = sealed.size // max(total, 1)
    known = compute.is_valid(sealed.prompts)
    prompts = sealed.prompts.filter(known).unique()
    absent_prompts = prompts.filter(compute.invert(compute.is_in(prompts, present)))
    absent = compute.is_in(sealed.prompts, absent_prompts)
    counts = {NO_ROW: total - (compute.sum(known).as_py() or 0)}
    counts[USABLE] = total - counts[NO_ROW] - (compute.sum(absent).as_py() or 0)
    for why, count in counts.items():
        if count:
            before = stays.get(why, (0, 0))
            stays[why] = before[0] + count, before[1] + count * size
    columns = (column.filter(absent).to_pylist() for column in (sealed.hashes, sealed.prompts, sealed.times))
    return [_Absent(key, prompt, _time(at), size) for key, prompt, at in zip(*columns, strict=True)]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _present_prompts(look: Snapshot) -> set[str]:
    """The prompts of all rows of the present source files.

    Raises:
        UserError: one of the files cannot be used, or a pattern matches none.
    """
    prompts = set[str]()
    with tempfile.TemporaryDirectory(prefix="distill-rows-") as folder:
        rows = SourceRows(look, Path(folder))
        for asset, shard in (("eval_dataset", None), *(("raw_dataset", shard) for shard in look.shards)):
            found = rows.of(asset, shard)
            if found is None:
                raise DataError(rows.problems[-1])
            prompts.update(prompt_hash(prompt.messages) for row in found for prompt in prompts_of(row))
    return prompts


def _held(hashes: Sequence[str], tables: Iterable[Path]) -> set[str]:
    """Those of the requests whose answers are in one of the tables."""
    wanted, held = pa.array(hashes, pa.string()), set[str]()
    for table in tables if hashes else ():
        column = parquet.load_table(table, ["request_hash"])["request_hash"]
        held |= set(column.filter(compute.is_in(column, wanted)).to_pylist())
    return held


def _read(documents: Documents) -> dict[str, datetime]:
    """Prompt -> since when no row has it."""
    text = documents.read(LISTED)
    times: dict[str, list[str]] = json.loads(text) if text else {}
    return {prompt: datetime.fromisoformat(at) for at, prompts in times.items() for prompt in prompts}


def _write(documents: Documents, since: dict[str, datetime]) -> None:
    times: dict[str, list[str]] = {}
    for prompt, at in sorted(since.items()):
        times.setdefault(at.isoformat(), []).append(prompt)
    if times or documents.read(LISTED) is not None:
        documents.write(LISTED, json.dumps(times, allow_nan=False))
