"""What people read about the validated set in the UI: the funnel of the filters, filters against gold, and labels.

funnel      step             removed   left   left_share
            teacher rows           0    120      100.00%
            truncated             12    108       90.00%
            near_duplicate         3    105       87.50%
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from distill_dagster.assets.views.tables import table_of
from distill_dagster.quality.specs import AgainstGold, SetCounts, SetFacts

if TYPE_CHECKING:
    import pandas as pd

LABEL_ROWS = 50  # of the labels table, which every event stores
FUNNEL = {
    "step": "The reason for which rows were refused, in the order in which reasons are tried.",
    "removed": "How many rows it removed.",
    "left": "How many rows were left after it.",
    "left_share": "Their share of the teacher's rows.",
}
AGAINST_GOLD = {
    "filter": "The filter.",
    "refused": "How many answers to rows with gold answers it refuses.",
    "of_right_answers": "Its share of the answers that agree with gold; it should be small.",
    "of_wrong_answers": "Its share of the answers that do not; it should be large.",
}
LABELS = {
    "label": "The label.",
    "answers": "How many of the teacher's answers are this label.",
    "kept": "How many of them the set keeps.",
    "kept_share": "Their share.",
    "rare": "Whether the label has fewer training rows than quality.min_label_rows.",
}


def quality_metadata(facts: SetFacts) -> dict[str, Any]:
    """Metadata of a set's facts; empty facts are left out."""
    from distill_dagster.quality.plots import gold_plot, labels_plot

    shift, unseen = facts.label_shift, facts.contamination.not_seen_by_ngrams
    plots = {
        "labels_before_and_after": labels_plot(facts.labels_before, facts.labels_after),
        "refused_by_filter": gold_plot(facts.against_gold),
    }
    tables = {"filters_against_gold": filters_against_gold(facts.against_gold), "labels": labels_table(facts)}
    return {
        **{name: dg.MetadataValue.md(plot) for name, plot in plots.items() if plot},
        **({"label_shift": float(shift.total_variation)} if shift else {}),
        **{name: table for name, table in tables.items() if table},
        **({"rare_labels": dg.MetadataValue.json(facts.rare_labels)} if facts.rare_labels else {}),
        **({"flags": dg.MetadataValue.json(facts.flags)} if facts.flags else {}),
        **({"held_out_not_seen_by_ngrams": float(unseen)} if unseen is not None else {}),
        "contaminated_questions": dg.MetadataValue.json(facts.contamination.contaminated_questions),
        "prompt_diversity": dg.MetadataValue.json(facts.prompts.model_dump()),
    }


def funnel(counts: SetCounts) -> dg.TableMetadataValue:
    """How many teacher rows entered, what each reason removed in its turn, and how many were left after it."""
    import pandas as pd

    from distill_dagster.quality.filters.in_words import in_order

    steps = {"teacher rows": 0, **in_order(counts.by_reason)}
    table = pd.DataFrame({"step": list(steps), "removed": list(steps.values())})
    table["left"] = counts.teacher_rows - table["removed"].cumsum()
    table["left_share"] = _percent(table["left"] / max(1, counts.teacher_rows))
    return _table(table, FUNNEL)


def filters_against_gold(against_gold: AgainstGold) -> dg.TableMetadataValue | None:
    """One row for each filter: how many answers it refuses, and the share of the right and of the wrong ones."""
    import pandas as pd

    from distill_dagster.quality.plots import gold_shares

    if not against_gold.right + against_gold.wrong:
        return None
    table = pd.DataFrame(gold_shares(against_gold), columns=["filter", "of_right_answers", "of_wrong_answers"])
    refused = [against_gold.filters[name].right + against_gold.filters[name].wrong for name in table["filter"]]
    table.insert(1, "refused", refused)
    for column in ("of_right_answers", "of_wrong_answers"):
        table[column] = _percent(table[column])
    return _table(table, AGAINST_GOLD)


def labels_table(facts: SetFacts) -> dg.TableMetadataValue | None:
    """One row for each label of the answers or of the set, the most frequent first; the last row sums up the rest."""
    import pandas as pd

    known = dict.fromkeys(label for rows in facts.label_rows.values() for label in rows)
    labels = list(dict.fromkeys([*facts.labels_before, *facts.labels_after, *known]))
    if not labels:
        return None
    table = pd.DataFrame({"answers": facts.labels_before, "kept": facts.labels_after}, index=labels)
    table = table.fillna(0).astype(int).rename_axis("label").reset_index()
    rare = {label for rows in facts.rare_labels.values() for label in rows}
    table["rare"] = ["rare" if label in rare else "" for label in labels]
    if len(table) > LABEL_ROWS:
        rest = table.iloc[LABEL_ROWS - 1 :]
        row = [f"{len(rest):,} other labels", rest["answers"].sum(), rest["kept"].sum(), ""]
        table = pd.concat([table.iloc[: LABEL_ROWS - 1], pd.DataFrame([row], columns=table.columns)])
    table.insert(3, "kept_share", _percent(table["kept"] / table["answers"].clip(lower=1)))
    return _table(table, LABELS)


def _percent(shares: "pd.Series") -> "pd.Series":
    return shares.map("{:.2%}".format)


def _table(table: "pd.DataFrame", says: dict[str, str]) -> dg.TableMetadataValue:
    """A table for the UI, with Python's own numbers in it; `says` describes its columns."""
    records = table.astype(object).to_dict("records")
    return table_of([{str(k): _plain(v) for k, v in row.items()} for row in records], says)


def _plain(value: Any) -> str | int | float:
    return value if isinstance(value, str) else int(value)
