"""The checks of source rows: are they valid, and do they ask different things?"""

from distill_dagster import files, records
from distill_dagster.checks.base import Check, Finding, at_least, at_most
from distill_dagster.lineage import Project
from distill_dagster.quality.prompt_keys import digest, duplicate_key


def _enough_valid(project: Project, shard: str | None) -> Finding:
    counts = project.store.get("raw_dataset" if shard else "eval_dataset", shard).counts
    share = counts["rows"] / max(1, counts["lines"])
    numbers = {"valid_share": share, "rejected": counts["rejected"]}
    return at_least(counts["rows"], counts["lines"], project.config.checks.min_valid_share, "rows are valid", numbers)


def _few_duplicates(project: Project, shard: str | None) -> Finding:
    """Rows with the prompt of an earlier row of the shard, and those that were refused as the same row (E011)."""
    manifest = project.store.get("raw_dataset", shard)
    rows = records.rows_of(records.load_table(manifest.file(files.RAW_FILE), ["task", "messages"]))
    asked = {digest(duplicate_key(row)) for row in rows}
    rejects = records.read_table(manifest.file(files.REJECTS_FILE), ["code"])
    again = manifest.counts["rows"] - len(asked) + sum(row["code"] == "E011" for row in rejects)
    lines = manifest.counts["lines"]
    numbers = {"duplicate_share": again / max(1, lines), "duplicates": again}
    return at_most(
        again, lines, project.config.checks.max_duplicate_share, "rows ask what an earlier one asks", numbers
    )


CHECKS = (
    Check(
        "enough_valid_rows",
        "raw_dataset",
        "The share of rows that are valid is at least `checks.min_valid_share`.",
        _enough_valid,
        shows=None,
    ),
    Check(
        "few_duplicate_rows",
        "raw_dataset",
        "The share of rows that ask what an earlier row of the shard asks is at most `checks.max_duplicate_share`.",
        _few_duplicates,
        shows=("E011",),
    ),
    Check(
        "enough_valid_test_rows",
        "eval_dataset",
        "The share of held-out rows that are valid is at least `checks.min_valid_share`.",
        _enough_valid,
        shows=None,
    ),
)
