"""What people read about a training run in the UI: the loss curve as a picture, and what it cost."""

from typing import Any

import dagster as dg


def training_metadata(facts: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a fit or a training; empty where the model was only pinned."""
    history = facts.get("history")  # there with everything else of `training_facts`, or not at all
    if not history:
        return {}
    from distill_dagster.report.sparkline import sparkline

    losses = [point["loss"] for point in history if "loss" in point]
    validation = [point["validation_loss"] for point in history if "validation_loss" in point]
    curves = {"loss_curve": losses, "validation_loss_curve": validation}
    return {
        **{name: dg.MetadataValue.md(sparkline(values)) for name, values in curves.items() if len(values) > 1},
        **({"final_loss": float(losses[-1])} if losses else {}),
        **({"best_validation_loss": float(min(validation))} if validation else {}),
        "training_config": dg.MetadataValue.json(facts.get("training", {})),
        "kept_weights": facts["kept"],
        "training_tokens_per_second": float(facts.get("tokens_per_second", 0)),
        "resumed_from_step": int(facts.get("resumed_from_step") or 0),
    }
