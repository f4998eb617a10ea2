"""How many rows a second are read and judged, and in how much memory: a .jsonl into raw.parquet, all rules applied.

The file is made on the fly: chat rows of an NLI task of about 700 bytes, as Azure's example file has them, half of them
with an id and a gold answer, one in a thousand invalid, one in a thousand a duplicate. Each reading runs in a fresh
process; the peaks are of that process and of the second one that it starts at the 50,000th row, added up, and hold
about 130 MB each for Python, pyarrow and numpy. The time is that of reading, judging (E001 to E011), hashing and
writing, without the interpreter's start.

    python -m benchmarks.reading FILE FOLDER     one such process; prints one JSON document
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._peak import peak_bytes

SMALL, LARGE = 100_000, 1_000_000
SYSTEM = "You are a helpful assistant. Your output should only be one of 'entailment', 'contradiction', or 'neutral'."
ASKED = (
    "Given the following two texts, your task is to determine the logical relationship between them. The first text is "
    "the 'premise' and the second text is the 'hypothesis'. The relationship should be labeled as 'entailment' if the "
    "premise entails the hypothesis, 'contradiction' if it contradicts it, or 'neutral' if it does neither."
)


def write_rows(path: Path, rows: int) -> None:
    """A .jsonl of `rows` rows."""
    with path.open("w") as f:
        f.writelines(row_text(n) for n in range(rows))


def row_text(n: int) -> str:
    """One line of the file."""
    if n % 1000 == 999:
        return '{"messages": [{"role": "user", "content": "  "}]}\n'
    told = n - 1 if n % 1000 == 500 else n  # as the row before
    place = f"{told % 9973} Mill Lane"
    text = f"{ASKED}\\n\\nPremise: Parcel {told} left for {place}.\\nHypothesis: Parcel {told} was sent to {place}."
    messages = f'[{{"role": "system", "content": "{SYSTEM}"}}, {{"role": "user", "content": "{text}"}}]'
    gold = f', "id": "row-{n}", "reference": "entailment"' if told % 2 else ""
    return f'{{"messages": {messages}{gold}}}\n'


def read(path: Path, out: Path) -> dict[str, float]:
    """Read a file in this process: seconds, rows, and peak memory in MB (10^6 bytes), the second process included."""
    from distill_dagster.config import DataConfig
    from distill_dagster.sources.files.discovery import SourceFile
    from distill_dagster.sources.judging.raw_tables import RawTables
    from distill_dagster.sources.judging.verdicts import SourceReading

    source = SourceFile("rows", "train", str(path))
    started = time.perf_counter()
    with RawTables(out) as tables:
        tables.write(SourceReading(source, DataConfig(train=[source.url], test=[source.url]), "nli"))
    seconds = time.perf_counter() - started
    second = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    cpu_seconds = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "lines": tables.result().counts.lines,
        "peak_mb": (peak_bytes() + second) / 1e6,
    }


def measure() -> dict[str, float]:
    """Of the large file rows a second and CPU time a row, in both processes; the peaks of both files."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = (_in_child(Path(folder), rows) for rows in (SMALL, LARGE))
    return {
        "read_rows_per_s": large["lines"] / large["seconds"],
        "read_cpu_us_per_row": large["cpu_seconds"] / large["lines"] * 1e6,
        "read_peak_mb_100k": small["peak_mb"],
        "read_peak_mb_1m": large["peak_mb"],
    }


def _in_child(folder: Path, rows: int) -> dict[str, float]:
    path = folder / "rows.jsonl"
    write_rows(path, rows)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.reading", str(path), str(folder)]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert measured["lines"] == rows
    return measured


if __name__ == "__main__":
    print(json.dumps(read(Path(sys.argv[1]), Path(sys.argv[2]))))
