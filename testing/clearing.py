"""Stores with old versions and with replies to rows that are gone, and a process that dies while it clears them."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from distill_dagster.clearing.replies import look_at_replies
from distill_dagster.clearing.specs import Lot, Part, Rules
from distill_dagster.clearing.versions import VersionsToClear
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.release.register import Register, write_register
from distill_dagster.release.specs import ReleaseState
from distill_dagster.store.artefacts import Store
from distill_dagster.store.hashing import prompt_hash
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import Counts, Result
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.responses import Responses
from testing.killed_at import arm
from testing.waiting import PATIENCE

NOWHERE = SimpleNamespace(url="http://127.0.0.1:9/v1")  # a teacher that nobody may ask
NAMES = ("a.txt", "model/b.txt")
LATER = Rules(now=datetime.now(UTC) + timedelta(days=40))  # when all that a test makes is old
MUCH_LATER = Rules(now=datetime.now(UTC) + timedelta(days=140))


def publish(store: Store, key: str, data: str, **inputs: Any) -> Manifest:
    """A version whose content, and data version, is `data`, made from these inputs."""

    def make(out: Path, work: Path) -> Result:
        for name in NAMES:
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_text(data * 1000)
        return Result(data_version=data, counts=Counts())

    asset, _, shard = key.partition("/")
    return store.publish(asset, shard or None, fingerprint=uuid.uuid4().hex, inputs=inputs, make=make)


def release(store: Store, champions: list[str], first: str | None = None) -> Manifest:
    """A release that keeps these students; the newest one comes first."""

    def make(out: Path, work: Path) -> Result:
        state = ReleaseState(champions=champions, first=first)
        return write_register(out, Register(state), dict.fromkeys(state.kept, out / "none"))

    return store.publish("released_student", None, fingerprint=uuid.uuid4().hex, inputs={}, make=make)


def text_of(manifest: Manifest) -> str:
    """The text of a version; AssertionError if its files are not all there and all of one version."""
    assert {manifest.file(name).read_text() for name in NAMES} == {manifest.data_version * 1000}, "half a version"
    return manifest.data_version


def answer(number: int, **changes: Any) -> Reply:
    """A reply to the row of a question; it cost half a dollar."""
    prompt = prompt_hash([{"role": "user", "content": f"question <{number}>"}])
    return Reply(
        f"{number:064x}",
        f"answer {number}",
        "stop",
        completion_tokens=10,
        cost_usd=0.5,
        teacher="made",
        teacher_revision="1",
        created_at=f"2026-01-01T00:00:00.{number:06}+00:00",
        prompt=prompt,
    )._replace(**changes)


def store_replies(responses: Responses, journal: str, replies: Iterable[Reply]) -> None:
    """Write a finished shard."""
    with responses.journal(journal) as log:
        for reply in replies:
            log.append(reply._asdict())


def look_at(project: Project, rules: Rules) -> list[Part]:
    """What goes of its versions and replies."""
    versions = VersionsToClear.look(project.store, project.config, rules)
    return [versions.part(), look_at_replies(Snapshot(project), versions.answers(), rules)]


def clear(project: Project, rules: Rules) -> list[Lot]:
    """Delete that; returns what went."""
    return [lot for part in look_at(project, rules) for lot in part.delete()]


def clear_and_die(path: Path, rules: Rules, target: str, number: int) -> None:
    """Clear a project in a process of its own, which is killed at a call of one function."""
    arm(target, number)
    clear(Project(load_config(path)), rules)


def publish_many(path: Path, key: str, rounds: int, cleared: Any, ended: Any) -> None:
    """Publish an artefact of a project again and again, and read each version back; halfway, wait for a clearing."""
    store = Project(load_config(path)).store
    for n in range(rounds):
        if n == rounds // 2:
            cleared.wait(PATIENCE)
        text_of(publish(store, key, f"text {n} "))
    ended.put("done")


def seal_many(path: Path, rounds: int, cleared: Any, ended: Any) -> None:
    """Store a reply to a present row again and again, at another time each, as requests that are asked again are.

    Halfway, wait for a clearing.
    """
    responses = Responses(Project(load_config(path)).responses)
    for n in range(rounds):
        if n == rounds // 2:
            cleared.wait(PATIENCE)
        store_replies(responses, f"s{n}", [answer(n % 12, created_at=f"2026-03-01T00:00:00.{n:06}+00:00")])
    ended.put("done")
