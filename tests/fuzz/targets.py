"""What is fuzzed: functions of bytes that read what others wrote. Each may raise a UserError, and nothing else.

    source        a source file: .jsonl, .json, .parquet, compressed ones; the first byte chooses the ending
    row           lines of a .jsonl under each row format, judged as raw_dataset judges them
    reply         the body of a response of status 200, or the events of a stream
    refusal       status, headers and body of a response of another status
    journal       a journal of stored replies, and the text that a batch leaves
    manifest      the manifest of an artefact, and the typed result in it
    logits        the packed columns of a teacher's distributions
    config        distill.yaml
    report        report.json and benchmark.json

`python -m tests.fuzz --seconds 600` feeds them for a time (harness.py); test_targets.py does so with hypothesis.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill_dagster.config import DataConfig, EndpointConfig
from distill_dagster.config.reading import load_config
from distill_dagster.errors import UserError
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.logits.distributions import decode
from distill_dagster.report.document import read_document
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.files.lines import split
from distill_dagster.sources.files.rows import read_source
from distill_dagster.sources.formats.registry import FORMATS
from distill_dagster.sources.judging.judge import Judge
from distill_dagster.store.artefacts import Store
from distill_dagster.teachers.causes import cause_of_body
from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.responses import Responses
from distill_dagster.teachers.retries import AttemptError, refusal_by
from distill_dagster.teachers.usage import cached_tokens

MOST_BYTES = 1 << 16
ENDINGS = (".jsonl", ".json", ".parquet", ".jsonl.gz", ".jsonl.zst")
DATA = DataConfig(train="*.jsonl", test="*.jsonl")
ENDPOINT = EndpointConfig(url="http://127.0.0.1:9/v1", model="made", api_key="MADE_KEY")
REQUEST = Request("00", [{"role": "user", "content": "2 + 2?"}])
KEY = "sk-made-0123456789abcdefghij"
Target = Callable[[bytes], None]


def _folder() -> Any:
    return tempfile.TemporaryDirectory(prefix="fuzz-")


def source(data: bytes) -> None:
    """Read a source file to its end."""
    ending = ENDINGS[data[0] % len(ENDINGS)] if data else ENDINGS[0]
    with _folder() as folder:
        path = Path(folder) / f"a{ending}"
        path.write_bytes(data[1:])
        for _ in read_source(str(path), MOST_BYTES):
            pass


def row(data: bytes) -> None:
    """Judge the lines of a file under each format."""
    file = SourceFile("a", "train", "a.jsonl")
    for form in FORMATS:
        lines = list(split(iter([data]), MOST_BYTES))
        judged = Judge(file, DATA, "qa", form)(lines)
        assert judged.table.num_rows + len(judged.rejects) == len(lines)


def reply(data: bytes) -> None:
    """Read a reply; a body without an answer is an AttemptError, which the sender handles."""
    received = receive(data)
    if cause := cause_of_body(ENDPOINT, received, (KEY,)):
        raise cause
    usage = received.value.get("usage") if isinstance(received.value, dict) else None
    assert cached_tokens(usage) >= 0
    try:
        found = read_reply(received, REQUEST, (KEY,), ENDPOINT.api_key)
    except AttemptError as e:
        found = e.reply("00")
    json.dumps(found._asdict(), allow_nan=False)  # as the journal does


def refusal(data: bytes) -> None:
    """What a status that is no success means: the first byte is the status, then a line of headers, then the body."""
    status = 400 + (data[0] if data else 0) % 200
    head, _, body = data[1:].partition(b"\n")
    header = head.decode("latin-1")
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        content = body.decode("utf-8", "replace")
    error = refusal_by(ENDPOINT, status, {"retry-after": header, "x-ratelimit-reset-requests": header}, content)
    assert error.retry_after_s is None or error.retry_after_s >= 0


def journal(data: bytes) -> None:
    """Find replies in a damaged journal."""
    with _folder() as folder:
        path = Path(folder) / "journals" / "a.jsonl"
        path.parent.mkdir()
        path.write_bytes(data)
        responses = Responses(folder)
        responses.find(["00"])
        responses.spent()


def manifest(data: bytes) -> None:
    """Read a manifest, and what its maker said."""
    with _folder() as folder:
        place = Path(folder) / "teacher_outputs" / "a"
        place.mkdir(parents=True)
        (place / "manifest.json").write_bytes(data)
        found = Store(Path(folder)).find("teacher_outputs", "a")
        if found is not None:
            found.read(GenerateResult)


def logits(data: bytes) -> None:
    """Unpack columns: the first bytes are the counts, the rest is shared by the columns."""
    tokens, k, size, kind = (*data[:4], *bytes(4))[:4]
    blob, columns = data[4:], ("token_ranks", "topk_ids", "topk_logprobs", "tail_logmass", "tail_logsums", "tail_draws")
    cut = max(1, len(blob) // len(columns))
    packed = {name: blob[i * cut : (i + 1) * cut] for i, name in enumerate(columns)}
    given = {name: value for i, (name, value) in enumerate(packed.items()) if i < 4 or kind >> i & 1}
    try:
        decode(given, tokens % 8, k % 8, size + 1, "compact" if kind & 1 else "lossless")
    except ValueError as e:  # `logits.table.opened` names the file, and raises DataError
        raise UserError(str(e)) from e


def config(data: bytes) -> None:
    """Read a config."""
    with _folder() as folder:
        path = Path(folder) / "distill.yaml"
        path.write_bytes(data)
        load_config(path)


def report(data: bytes) -> None:
    """Read a report."""
    with _folder() as folder:
        path = Path(folder) / "report.json"
        path.write_bytes(data)
        read_document(path)


TARGETS: dict[str, Target] = {
    target.__name__: target for target in (source, row, reply, refusal, journal, manifest, logits, config, report)
}


def feed(name: str, data: bytes) -> bool:
    """Give a target some bytes; whether it took them. Any error but a UserError is a finding, and passes on."""
    try:
        TARGETS[name](data)
    except UserError:
        return False
    return True
