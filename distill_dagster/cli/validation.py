"""Judges source files without making anything. Refused rows come as they are found, so that files of any size fit.

    {"file": "a.jsonl", "line": 7, "code": "E005", "message": "E005: message 3 is …", "snippet": "{\\"messages\\"…",
     "shard": "a", "row_id": null, "stage": "raw_dataset",
     "ours": "refuses", "azure": "accepts", "azure_message": ""}        the last three with --compat azure

With `azure`, the rows that only Azure refuses come too, under the code of Azure's rule. A gold answer that no parser
reads refuses no row, and each file says how many there are.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel
from rich.console import Console

from distill_dagster.cli.console import shown_path, table
from distill_dagster.config import DataConfig, FormatName, QualityConfig, TaskName
from distill_dagster.config.reading import load_config
from distill_dagster.errors import ConfigError, DataError
from distill_dagster.quality.gold_form import GoldForm
from distill_dagster.sources.files.discovery import SourceFile, discover, discover_test, named
from distill_dagster.sources.judging import azure
from distill_dagster.sources.judging.decoding import Decoded, decode
from distill_dagster.sources.judging.raw_rows import fault_text, make_reject
from distill_dagster.sources.judging.rules import Fault
from distill_dagster.sources.judging.shared_ids import RowIds, open_row_ids
from distill_dagster.sources.judging.verdicts import Batch, SourceReading
from distill_dagster.tasks.prompts import has_gold

SHOWN = 50  # rows of the printed table, and files with gold answers in no form; --json has them all
RefusedRow = dict[str, Any]  # a row of the rejects table, and the file that holds it


class JudgedFile(BaseModel, frozen=True):
    """What was found in one file."""

    file: str
    shard: str
    split: str | None
    error: str | None  # why the file cannot be used
    counts: dict[str, int]  # lines, rows, rejected, and the rejected by code
    gold: int = 0  # rows with a gold answer to one of their prompts
    gold_off_form: int = 0  # rows whose gold answers no parser reads; they are not refused
    gold_message: str = ""  # what is wrong with them
    refused_by_azure: int = 0
    azure_message: str = ""  # what Azure finds in the file as a whole

    @property
    def is_refused(self) -> bool:
        """Whether the file or a row of it is refused, by us or by Azure."""
        return bool(self.error or self.counts["rejected"] or self.refused_by_azure or self.azure_message)

    def document(self, compat: str | None) -> dict[str, Any]:
        """The file in the JSON document, on one level."""
        said = {"file", "shard", "split", "error", "gold", "gold_off_form", "gold_message"}
        ours = {**self.model_dump(include=said), **self.counts}
        return ours | self.model_dump(include={"refused_by_azure", "azure_message"}) if compat else ours


@dataclass(slots=True)
class Validation:
    """One pass over source files. `files` is filled while `refused_rows` is iterated."""

    sources: list[SourceFile]
    data: DataConfig
    task: TaskName
    compat: str | None = None  # azure
    quality: QualityConfig = field(default_factory=QualityConfig)  # for its labels
    files: list[JudgedFile] = field(default_factory=list)

    def refused_rows(self) -> Iterator[RefusedRow]:
        """Yield every refused row of every file, in order. A file that cannot be used has an `error` in `files`.

        The ids of a project's rows differ in all shards, and in all test files. Files of a command line may belong to
        several projects or splits, so their ids are not compared.
        """
        with open_row_ids() as shards, open_row_ids(strict=True) as tests:
            for source in self.sources:
                yield from self._judge(source, tests if source.split == "test" else shards if source.split else None)

    def _judge(self, source: SourceFile, ids: RowIds | None) -> Iterator[RefusedRow]:
        """Yield the refused rows of one file, and add the file to `files`."""
        reading, error, refused_by_azure = SourceReading(source, self.data, self.task), None, 0
        gold, with_gold = GoldForm(self.quality), 0
        try:
            for batch in reading:
                rows = batch.rows.to_pylist()
                gold.add(rows)
                with_gold += sum(map(has_gold, rows))
                if ids is not None:
                    ids.add(source.key, batch.rows["row_id"].to_pylist(), batch.contents)
                for found in self._refused(source, batch):
                    refused_by_azure += found.get("azure") == "refuses"
                    yield found
        except DataError as e:
            error = str(e)
        if ids is not None and (shared := ids.shared(source.key)):
            error = "; ".join(["E011: " + found.text for found in shared])
        whole = azure.judge_file(source.url, self.task, reading.counts["lines"]) if self.compat else []
        place = {"file": source.url, "shard": source.key, "split": source.split}
        judged = JudgedFile(
            **place,
            error=error,
            counts=dict(reading.counts),
            gold=with_gold,
            gold_off_form=gold.off_form,
            gold_message=gold.text if gold.off_form else "",
            refused_by_azure=refused_by_azure,
            azure_message=fault_text(whole),
        )
        self.files.append(judged)

    def _refused(self, source: SourceFile, batch: Batch) -> Iterator[RefusedRow]:
        """The rows of a batch that we refuse, or with `compat` Azure."""
        if not self.compat:
            yield from ({"file": source.url, **reject} for reject in batch.rejects)
            return
        ours = {reject["line"]: reject for reject in batch.rejects}
        for item in (decode(line, self.data.max_row_bytes) for line in batch.lines):
            found = azure.judge_record(item, self.task)
            if found or item.line.number in ours:
                yield _both(source, item, ours.get(item.line.number), found)

    @property
    def refused(self) -> bool:
        """Whether anything was refused, by us or, with `compat`, by Azure."""
        return any(file.is_refused for file in self.files)


def _both(source: SourceFile, item: Decoded, ours: RefusedRow | None, found: list[Fault]) -> RefusedRow:
    """A row that we refuse, or Azure, or both."""
    return {
        "file": source.url,
        **(ours or make_reject(item, source.key, found)),
        "ours": "refuses" if ours else "accepts",
        "azure": "refuses" if found else "accepts",
        "azure_message": fault_text(found),
    }


def write_json(validation: Validation, stream: TextIO) -> None:
    """Write one JSON document, {"rejects": […], "files": […]}, as the rows are found."""
    stream.write('{"rejects": [')
    for n, row in enumerate(validation.refused_rows()):
        stream.write((",\n" if n else "\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))
    files = [file.document(validation.compat) for file in validation.files]
    stream.write('],\n"files": ' + json.dumps(files, ensure_ascii=False, allow_nan=False) + "}\n")


def validation_of(
    files: list[str], task: TaskName | None, form: FormatName, compat: str | None, config: Path
) -> Validation:
    """The validation of the files that the command line names, or else of the config's files.

    Raises:
        ConfigError: files without a task, a task or format without files, or a config that is wrong.
        DataError: a pattern matches no file, or a file cannot be read as rows.
    """
    if not files:
        if task is not None or form != "auto":
            raise ConfigError("--task and --format are for FILES; those of the config are in distill.yaml")
        project = load_config(config)
        sources = [*discover(project.data), *discover_test(project.data)]
        return Validation(sources, project.data, project.task, compat, project.quality)
    if task is None:
        raise ConfigError("FILES need a --task, such as --task nli: it decides how many turns a row may have")
    data = DataConfig.model_validate({"train": files, "test": files, "format": form})
    return Validation(named(files), data, task, compat)


def print_tables(validation: Validation, out: Console) -> None:
    """Print the refused rows (the first `SHOWN`; the others are counted) and the files, as two tables."""
    shown, count = [], 0
    for row in validation.refused_rows():
        count += 1
        if count <= SHOWN:
            shown.append([row[column] for column in _row_columns(validation)] + [row["snippet"]])
            shown[-1][0] = f"{row['shard']}:{row['line']}"
    if shown:
        first = f", the first {SHOWN} of them; --json prints all" if count > SHOWN else ""
        columns = ["where", "code", "why", *(["azure", "why azure"] if validation.compat else []), "row"]
        out.print(table(f"Refused rows ({count:,}{first})", columns, shown))
    files = [
        [
            shown_path(file.file),
            file.split,
            f"{file.counts['rows']:,}",
            f"{file.gold:,}",
            f"{file.counts['rejected']:,}",
            _codes(file),
            file.error or "",
            *([_by_azure(file)] if validation.compat else []),
        ]
        for file in validation.files
    ]
    columns = ["file", "split", "rows", "with gold", "refused", "by code", "error"]
    out.print(table("Source files", columns + (["refused by azure"] if validation.compat else []), files))
    off_form = [file for file in validation.files if file.gold_message]
    for file in off_form[:SHOWN]:
        out.print(f"{shown_path(file.file)}: {file.gold_message}", markup=False, highlight=False)
    if len(off_form) > SHOWN:
        out.print(f"The same is said of {len(off_form) - SHOWN:,} more files; --json has all")


def _row_columns(validation: Validation) -> list[str]:
    return ["line", "code", "message", *(["azure", "azure_message"] if validation.compat else [])]


def _codes(file: JudgedFile) -> str:
    return ", ".join(f"{code} {n:,}" for code, n in file.counts.items() if code.startswith("E0"))


def _by_azure(file: JudgedFile) -> str:
    """Azure's refusals: the number of records, and what is wrong with the file as a whole."""
    return "; ".join(filter(None, [f"{file.refused_by_azure:,} records", file.azure_message]))
