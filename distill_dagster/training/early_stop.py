"""Why a training ended before its last step: the validation loss had no new minimum, and what the training loss did.

step                  80     160    240    320    400         patience 2
validation loss      1.42   1.21   1.15   1.19   1.30         no new minimum at 320 and 400: stopped
training loss        1.50   1.02   0.81   0.60   0.41         mean since the evaluation before; it fell: overfitting
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from distill_dagster.training.record import EarlyStop, LossPoint, StepLoss, ValidationLoss


def early_stop(history: Sequence[LossPoint], planned: int, patience: int | None, keeps_best: bool) -> EarlyStop | None:
    """What stopped a training early; None if it took all `planned` steps, or if something else stopped it."""
    measured = [point for point in history if isinstance(point, ValidationLoss)]
    if patience is None or not measured or measured[-1].step >= planned:
        return None
    best = min(measured, key=lambda point: point.validation_loss)  # the first one, if several are equal
    if len(measured) - 1 - measured.index(best) < patience:
        return None
    last, losses = measured[-1], _training_losses(history, [0, *(point.step for point in measured)])
    fell = losses.get(last.step, 0.0) < losses.get(best.step, 0.0)
    return EarlyStop(
        reason="overfitting" if fell else "no improvement",
        step=last.step,
        planned=planned,
        validation_loss=last.validation_loss,
        best_step=best.step,
        best_validation_loss=best.validation_loss,
        kept_step=best.step if keeps_best else last.step,
    )


def _training_losses(history: Sequence[LossPoint], evaluations: Sequence[int]) -> dict[int, float]:
    """Step of an evaluation -> the mean training loss since the evaluation before."""
    losses = [point for point in history if isinstance(point, StepLoss)]
    between = {
        until: [point.loss for point in losses if since < point.step <= until] for since, until in pairwise(evaluations)
    }
    return {step: fmean(found) for step, found in between.items() if found}
