"""The checks of source rows: are they valid, do their prompts differ, and can a model give their gold answers?"""

from distill_dagster.checks.base import Check, Finding, Inspection, at_least, at_most
from distill_dagster.quality.duplicates.prompt_keys import digest, duplicate_key
from distill_dagster.quality.gold_form import COLUMNS, GoldForm
from distill_dagster.sources.specs import ReadResult
from distill_dagster.store import files, parquet


def _enough_valid(of: Inspection) -> Finding:
    counts = of.manifest.read(ReadResult).counts
    share = counts.rows / max(1, counts.lines)
    numbers = {"valid_share": share, "rejected": counts.rejected}
    return at_least(counts.rows, counts.lines, of.limit, "rows are valid", numbers)


def _few_duplicates(of: Inspection) -> Finding:
    """Rows with the prompt of an earlier row of the shard, and those that were refused as the same row (E011)."""
    manifest = of.manifest
    rows = parquet.rows_of(parquet.load_table(manifest.file(files.RAW_FILE), ["task", "messages"]))
    asked = {digest(duplicate_key(row)) for row in rows}
    rejects = parquet.read_table(manifest.file(files.REJECTS_FILE), ["code"])
    counts = manifest.read(ReadResult).counts
    again = counts.rows - len(asked) + sum(row["code"] == "E011" for row in rejects)
    lines = counts.lines
    numbers = {"duplicate_share": again / max(1, lines), "duplicates": again}
    return at_most(again, lines, of.limit, "rows ask what an earlier one asks", numbers)


def _gold_in_form(of: Inspection) -> Finding:
    """Rows whose gold answers the task's parser cannot read, so that every answer to them counts as wrong."""
    found = GoldForm(of.config.quality)
    found.add(parquet.read_table(of.manifest.file(files.RAW_FILE), list(COLUMNS)))
    return Finding(not found.off_form, found.text, {"gold": found.gold, "gold_off_form": found.off_form})


CHECKS = (
    Check(
        "enough_valid_rows",
        "raw_dataset",
        "The share of rows that are valid is at least `checks.min_valid_share`.",
        _enough_valid,
        severity=lambda s: s.enough_valid_rows,
        limit=lambda c: c.min_valid_share,
        shows=None,
    ),
    Check(
        "few_duplicate_rows",
        "raw_dataset",
        "The share of rows that ask what an earlier row of the shard asks is at most `checks.max_duplicate_share`.",
        _few_duplicates,
        severity=lambda s: s.few_duplicate_rows,
        limit=lambda c: c.max_duplicate_share,
        shows=("E011",),
    ),
    Check(
        "gold_in_form",
        "raw_dataset",
        "Every gold answer is in its task's form, such as a label of the set, so that it can be learned.",
        _gold_in_form,
        severity=lambda s: s.gold_in_form,
    ),
    Check(
        "enough_valid_test_rows",
        "eval_dataset",
        "The share of held-out rows that are valid is at least `checks.min_valid_share`.",
        _enough_valid,
        severity=lambda s: s.enough_valid_test_rows,
        limit=lambda c: c.min_valid_share,
        shows=None,
    ),
    Check(
        "test_gold_in_form",
        "eval_dataset",
        "Every held-out gold answer is in its task's form, such as a label of the set, so that a model can be right.",
        _gold_in_form,
        severity=lambda s: s.test_gold_in_form,
    ),
)
