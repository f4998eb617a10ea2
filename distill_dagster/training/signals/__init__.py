"""What the student learns from. Each signal is a module here; `SIGNALS` names them all.

text    the tokens of the teacher's answers
"""

from collections.abc import Callable

from distill_dagster.config import TrainingConfig
from distill_dagster.training.signals.protocol import Signal
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import SignalName

SIGNALS: dict[SignalName, Callable[[TrainingConfig, int], Signal]] = {"text": TextSignal.of}
