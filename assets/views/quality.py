"""What people read about the validated set in the UI: labels, what each filter does to right answers, diversity."""

from typing import Any

import dagster as dg


def quality_metadata(facts: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a set's facts; what there is nothing to say about is left out."""
    from distill_dagster.quality.plots import gold_plot, labels_plot

    shift, contamination = facts["label_shift"], facts["contamination"]
    unseen = contamination["not_seen_by_ngrams"]
    plots = {
        "labels_before_and_after": labels_plot(facts["labels_before"], facts["labels_after"]),
        "refused_by_filter": gold_plot(facts["against_gold"]),
    }
    return {
        **{name: dg.MetadataValue.md(plot) for name, plot in plots.items() if plot},
        **({"label_shift": float(shift["total_variation"])} if shift else {}),
        **({"filters_against_gold": table} if (table := _against_gold(facts["against_gold"])) else {}),
        **({"rare_labels": dg.MetadataValue.json(facts["rare_labels"])} if facts["rare_labels"] else {}),
        **({"flags": dg.MetadataValue.json(facts["flags"])} if facts["flags"] else {}),
        **({"held_out_not_seen_by_ngrams": float(unseen)} if unseen is not None else {}),
        "contaminated_questions": dg.MetadataValue.json(contamination["contaminated_questions"]),
        "prompt_diversity": dg.MetadataValue.json(facts["prompts"]),
    }


def _against_gold(against_gold: dict[str, Any]) -> dg.MetadataValue | None:
    """One row a filter: how many answers it refuses, and what share of the right and of the wrong ones."""
    from distill_dagster.quality.plots import gold_shares

    if not against_gold["right"] + against_gold["wrong"]:
        return None
    records = [
        dg.TableRecord(
            {
                "filter": name,
                "refused": sum(against_gold["filters"][name].values()),
                "of_right_answers": f"{right:.2%}",
                "of_wrong_answers": f"{wrong:.2%}",
            }
        )
        for name, right, wrong in gold_shares(against_gold)
    ]
    return dg.MetadataValue.table(records)
