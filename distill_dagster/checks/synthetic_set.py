"""The checks of the validated set: its size, the absence of held-out rows, its labels, its agreement with gold."""

from collections import Counter

from distill_dagster.checks.base import Check, Finding, Inspection, at_least, at_most
from distill_dagster.quality.columns import pc
from distill_dagster.quality.duplicates.prompt_keys import contamination_key, digest
from distill_dagster.quality.specs import SetResult
from distill_dagster.store import files, parquet

SET = "validated_synthetic_set"


def _enough(have: int, wanted: float, what: str, are: str, field: str) -> Finding:
    says = f"{have:,} {what} {are}; {int(wanted):,} are wanted (`checks.{field}`)"
    return Finding(have >= wanted, says, {what: have})


def _enough_teacher_rows(of: Inspection) -> Finding:
    answers = of.manifest.read(SetResult).answers
    return _enough(answers, of.limit, "answers", "are there to be filtered", "min_teacher_rows")


def _enough_training_rows(of: Inspection) -> Finding:
    train = of.manifest.read(SetResult).counts.train
    return _enough(train, of.limit, "training rows", "are left", "min_train_rows")


def _enough_accepted(of: Inspection) -> Finding:
    counts, wanted = of.manifest.read(SetResult).counts, of.limit
    share = counts.examples / max(1, counts.teacher_rows)
    numbers = {"acceptance": share, "rejected": counts.rejected}
    return at_least(counts.examples, counts.teacher_rows, wanted, "teacher rows are accepted", numbers)


def _no_leakage(of: Inspection) -> Finding:
    """Look at the rows in the set, not at the filter's own counts, and compare them exactly.

    A dialogue is compared by all its user turns together, because its first turn may also open a test row's dialogue.
    """
    suspects = _asked_by_test_rows(of)
    leaked, trained, last = 0, 0, None
    for table in parquet.stream_tables(of.manifest.file(files.EXAMPLES_FILE), ["row_id", "split"]):
        for row_id in table.column("row_id").filter(pc.equal(table.column("split"), "train")).to_pylist():
            if row_id != last:  # the set is in the order of row ids
                trained, leaked, last = trained + 1, leaked + suspects[row_id], row_id
    says = f"{leaked:,} of {trained:,} training rows ask what a test row asks; none may"
    return Finding(leaked == 0, says, {"leaked": leaked})


def _asked_by_test_rows(of: Inspection) -> Counter[str]:
    """The ids of the raw rows that ask what a test row asks."""
    test = parquet.stream_tables(of.look.get("eval_dataset").file(files.RAW_FILE), ["task", "messages"])
    held_out = {digest(contamination_key(row)) for table in test for row in table.to_pylist()}
    found = Counter[str]()
    for shard in of.look.shards:
        raw = of.look.get("raw_dataset", shard).file(files.RAW_FILE)
        for table in parquet.stream_tables(raw, ["row_id", "task", "messages"]):
            rows = table.to_pylist()
            found.update(row["row_id"] for row in rows if digest(contamination_key(row)) in held_out)
    return found


def _little_contamination(of: Inspection) -> Finding:
    counts, allowed = of.manifest.read(SetResult).counts, of.limit
    found = counts.by_reason.get("contaminated", 0)
    numbers = {"contaminated_share": found / max(1, counts.teacher_rows), "contaminated": found}
    return at_most(found, counts.teacher_rows, allowed, "teacher rows ask what a held-out row asks", numbers)


def _balanced_labels(of: Inspection) -> Finding:
    """Find the worst ratio within one task; a label without training rows counts as half a row."""
    by_task, allowed = of.manifest.read(SetResult).label_rows, of.limit
    ratios = {task: max(rows.values()) / (min(rows.values()) or 0.5) for task, rows in by_task.items()}
    if not ratios:
        return Finding(True, "the answers have no labels to compare")
    worst = max(ratios, key=lambda task: ratios[task])
    rows = by_task[worst]
    most, least = max(rows, key=lambda label: rows[label]), min(rows, key=lambda label: rows[label])
    return Finding(
        rows[least] > 0 and ratios[worst] <= allowed,
        f"{worst}: {most!r} has {rows[most]:,} training rows and {least!r} has {rows[least]:,}; "
        f"at most {allowed:g} times as many are wanted",
        {"most_frequent": rows[most], "rarest": rows[least]},
    )


def _teacher_agrees_with_gold(of: Inspection) -> Finding:
    judged = of.manifest.read(SetResult).against_gold
    rows = judged.right + judged.wrong
    if not rows:
        return Finding(True, "no training row of a task with right and wrong answers has a gold answer")
    return _against_gold("gold_agreement", judged.right / rows, rows, of.limit, "has right")


def _teacher_overlaps_gold(of: Inspection) -> Finding:
    result = of.manifest.read(SetResult)
    judged, agreement = result.against_gold, result.gold_agreement
    rows = result.rows_with_gold - judged.right - judged.wrong
    if agreement is None or not rows:
        return Finding(True, "no training row of a task that is scored by overlap has a gold answer")
    overlap = (agreement * result.rows_with_gold - judged.right) / rows
    return _against_gold("gold_overlap", overlap, rows, of.limit, "scores")


def _against_gold(name: str, share: float, rows: int, wanted: float, verb: str) -> Finding:
    text = (
        f"the teacher {verb} {share:.1%} of {rows:,} training rows with gold answers; at least {wanted:.1%} are wanted"
    )
    return Finding(share >= wanted, text, {name: share, "rows_with_gold": rows})


CHECKS = (
    Check(
        "enough_teacher_rows",
        SET,
        "At least `checks.min_teacher_rows` answers came from the teacher (E009).",
        _enough_teacher_rows,
        severity=lambda s: s.enough_teacher_rows,
        limit=lambda c: c.min_teacher_rows,
    ),
    Check(
        "enough_accepted",
        SET,
        "The filters accept at least `checks.min_acceptance` of the teacher's rows.",
        _enough_accepted,
        severity=lambda s: s.enough_accepted,
        limit=lambda c: c.min_acceptance,
        shows=None,
    ),
    Check(
        "enough_training_rows",
        SET,
        "At least `checks.min_train_rows` rows are left to train on (E009).",
        _enough_training_rows,
        severity=lambda s: s.enough_training_rows,
        limit=lambda c: c.min_train_rows,
        shows=None,
    ),
    Check(
        "no_leakage",
        SET,
        "No training row asks what a test row asks (E012).",
        _no_leakage,
        severity=lambda s: s.no_leakage,
    ),
    Check(
        "little_contamination",
        SET,
        "At most `checks.max_contaminated_share` of the teacher's rows were refused for E012.",
        _little_contamination,
        severity=lambda s: s.little_contamination,
        limit=lambda c: c.max_contaminated_share,
        shows=("contaminated",),
    ),
    Check(
        "balanced_labels",
        SET,
        "The most frequent label has at most `checks.max_label_ratio` times the rows of the rarest.",
        _balanced_labels,
        severity=lambda s: s.balanced_labels,
        limit=lambda c: c.max_label_ratio,
    ),
    Check(
        "teacher_agrees_with_gold",
        SET,
        "In tasks with right and wrong answers, the teacher has at least `checks.min_gold_agreement` of them right.",
        _teacher_agrees_with_gold,
        severity=lambda s: s.teacher_agrees_with_gold,
        limit=lambda c: c.min_gold_agreement,
        shows=("gold_disagreement",),
    ),
    Check(
        "teacher_overlaps_gold",
        SET,
        "In tasks scored by overlap, the teacher's mean score against gold is at least `checks.min_gold_overlap`.",
        _teacher_overlaps_gold,
        severity=lambda s: s.teacher_overlaps_gold,
        limit=lambda c: c.min_gold_overlap,
        shows=None,
    ),
)
