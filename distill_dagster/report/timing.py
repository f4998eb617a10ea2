"""What the report says of the models' speed: the cells of the comparison, each concurrency, how it was measured."""

from collections.abc import Callable
from dataclasses import dataclass

from distill_dagster.config import ROLES
from distill_dagster.evaluation.speed.ratios import MOST_SLOWDOWN, MOST_SPREAD
from distill_dagster.evaluation.speed.specs import Level, Measure, ModelSpeed, SpeedDocument, TimedRatio
from distill_dagster.report.document import ReportDocument
from distill_dagster.report.numbers import DASH, NOT_MEASURED, duration, rate, ratio_label, size, times
from distill_dagster.teachers.money import usd

FASTER, SMALLER, CHEAPER = ("faster", "slower"), ("smaller", "larger"), ("cheaper", "dearer")
METHOD = (
    "A ratio is the geometric mean over the rounds, paired by round, with Student's 95 % interval of the logarithms. "
    "It is withheld where too few rounds were undisturbed (wall time over CPU time, adjusted to the threads, at most "
    f"{MOST_SLOWDOWN}), or where the rounds differ by more than {MOST_SPREAD * 100:.0f} %."
)
NAMES: dict[Measure, str] = {
    "latency": "latency p50",
    "latency_p95": "latency p95",
    "first_token": "time to first token",
    "tokens_per_second": "tokens a second",
    "answers_per_second": "answers a second",
    "cost": "cost of an answer",
}


@dataclass(frozen=True, slots=True)
class SpeedMeasure:
    """One quantity of a model's speed or size: how its cell reads, and the ratio of student and teacher."""

    label: str
    cell: Callable[[ModelSpeed], str]
    timed: Measure | None = None  # the ratio comes from the rounds
    bytes_of: Callable[[ModelSpeed], int | None] | None = None  # the ratio is that of two counts
    words: tuple[str, str] = FASTER

    def cells(self, document: ReportDocument) -> list[str]:
        """The cells of teacher, baseline and student."""
        found = [document.speed.model(role) if document.speed else None for role in ROLES]
        return [self.cell(model) if model else NOT_MEASURED for model in found]

    def versus(self, speed: SpeedDocument | None, name: str = "student") -> str:
        """The student, or one of its exports, against the teacher."""
        if speed is None:
            return DASH
        if self.timed:
            ratio = speed.ratio(self.timed, 1, name) or speed.ratio(self.timed, speed.most_concurrency, name)
            return ratio_cell(ratio, *self.words)
        teacher, model = speed.model("teacher"), speed.model(name)
        if not (self.bytes_of and teacher and model):
            return ""
        theirs, ours = self.bytes_of(teacher), self.bytes_of(model)
        return ratio_label(theirs / ours if theirs and ours else None, *self.words)


def _alone(of: Callable[[Level], float | None], shown: Callable[[float | None], str]) -> Callable[[ModelSpeed], str]:
    """A cell of the figures with one request in flight."""

    def cell(model: ModelSpeed) -> str:
        level = model.level(1)
        return shown(of(level)) if level else NOT_MEASURED

    return cell


def cost_cell(model: ModelSpeed) -> str:
    """What 1,000 answers cost, in money or in time of the machine."""
    if model.cost.usd_per_1000 is not None:
        return usd(model.cost.usd_per_1000)
    seconds = model.cost.seconds_per_1000
    return NOT_MEASURED if seconds is None else f"{seconds:,.3g} s"


MEASURES = (
    SpeedMeasure("Latency p50", _alone(lambda level: level.latency_ms.p50, duration), "latency"),
    SpeedMeasure("Latency p95", _alone(lambda level: level.latency_ms.p95, duration), "latency_p95"),
    SpeedMeasure("Latency p99", _alone(lambda level: level.latency_ms.p99, duration)),
    SpeedMeasure("Time to first token, p50", _alone(lambda level: level.first_token_ms.p50, duration), "first_token"),
    SpeedMeasure("New tokens a second", _alone(lambda level: level.tokens_per_second, rate), "tokens_per_second"),
    SpeedMeasure("Cost of 1,000 answers (money, or time of the machine)", cost_cell, "cost", words=CHEAPER),
    SpeedMeasure(
        "Peak memory above the runtime",
        lambda m: size(m.memory.peak_bytes),
        bytes_of=lambda m: m.memory.peak_bytes,
        words=SMALLER,
    ),
    SpeedMeasure("The runtime's own memory", lambda m: size(m.memory.floor_bytes)),
    SpeedMeasure(
        "Weights in memory",
        lambda m: size(m.memory.weight_bytes),
        bytes_of=lambda m: m.memory.weight_bytes,
        words=SMALLER,
    ),
    SpeedMeasure(
        "KV cache of 1,000 tokens",
        lambda m: size(kv * 1000 if (kv := m.memory.kv_bytes_per_token) else None),
        bytes_of=lambda m: m.memory.kv_bytes_per_token,
        words=SMALLER,
    ),
    SpeedMeasure("Bytes on disk", lambda m: size(m.bytes_on_disk), bytes_of=lambda m: m.bytes_on_disk, words=SMALLER),
)


def ratio_cell(ratio: TimedRatio | None, better: str, worse: str) -> str:
    """A ratio with its interval, the word that it is withheld, or a dash."""
    if ratio is None:
        return DASH
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return "withheld"
    low, high = (ratio.low, ratio.high) if ratio.value >= 1 else (1 / ratio.high, 1 / ratio.low)
    network = ", with the network" if ratio.includes_network else ""
    return f"{ratio_label(ratio.value, better, worse)} ({times(low)}–{times(high)}{network})"


def level_rows(speed: SpeedDocument | None) -> list[tuple[str, ...]]:
    """Lines of (in flight, model, p50, p95, p99, first token, tokens and answers a second, against the teacher)."""
    if speed is None:
        return []
    levels = sorted({level.concurrency for model in speed.models for level in model.levels})
    return [
        _level_row(speed, model, found)
        for concurrency in levels
        for model in speed.models
        if (found := model.level(concurrency)) is not None
    ]


def _level_row(speed: SpeedDocument, model: ModelSpeed, level: Level) -> tuple[str, ...]:
    ratio = speed.ratio("answers_per_second", level.concurrency, model.name)
    latencies = (level.latency_ms.p50, level.latency_ms.p95, level.latency_ms.p99, level.first_token_ms.p50)
    return (
        str(level.concurrency),
        model.name + (" (with the network)" if model.includes_network else ""),
        *map(duration, latencies),
        rate(level.tokens_per_second),
        rate(level.answers_per_second),
        "" if model.name == "teacher" else ratio_cell(ratio, "more", "fewer"),
    )


def export_columns(speed: SpeedDocument | None) -> list[tuple[str, str]]:
    """(name, engine) of the student and of each export; none without exports."""
    return [(model.name, "PyTorch" if model.engine == "torch" else model.engine) for model in _with_exports(speed)]


def export_rows(speed: SpeedDocument | None) -> list[tuple[str, ...]]:
    """Lines of (measure, the student's figure, that of each export), with the ratio to the teacher behind each."""
    if speed is None:
        return []
    shown = _with_exports(speed)
    return [(measure.label, *(_beside(measure, speed, model) for model in shown)) for measure in MEASURES]


def _with_exports(speed: SpeedDocument | None) -> list[ModelSpeed]:
    if speed is None or not speed.exports:
        return []
    return [model for model in (speed.model("student"), *speed.exports) if model]


def _beside(measure: SpeedMeasure, speed: SpeedDocument, model: ModelSpeed) -> str:
    cell, versus = measure.cell(model), measure.versus(speed, model.name)
    return cell if versus in ("", DASH) or cell == NOT_MEASURED else f"{cell} ({versus})"


def how_timed(speed: SpeedDocument | None) -> str:
    """How speed was measured, in words."""
    if speed is None:
        return "The models' speed was not measured."
    threads = sorted({model.threads for model in speed.models if model.threads})
    loads = [one.load_average[0] for one in speed.rounds if one.load_average]
    where = [speed.machine.processor, f"{speed.machine.cores} cores", *speed.machine.gpus]
    where += [f"{' or '.join(map(str, threads))} threads"] if threads else []
    load = f", at a load average of {min(loads):.1f} to {max(loads):.1f}, their own work included" if loads else ""
    place = f"on {', '.join(where)}{load}"
    return (
        f"All models were timed in turns, at one time, in {len(speed.rounds)} rounds of {speed.prompts} prompts, "
        f"each in a process of its own with up to {speed.max_new_tokens} new tokens, {place}. {METHOD}"
    )


def withheld_notes(speed: SpeedDocument) -> list[str]:
    """A sentence for each reason why ratios of the teacher and the student, or an export, are withheld."""
    shown = {"student", *(model.name for model in speed.exports)}
    named: dict[tuple[str, str], list[str]] = {}
    for ratio in speed.ratios:
        if ratio.model in shown and ratio.withheld:
            said = f"{NAMES[ratio.measure]} with {ratio.concurrency} in flight"
            named.setdefault((ratio.model, ratio.withheld), []).append(said)
    return [
        f"Withheld, {model} against teacher: {', '.join(what)}, because {why}." for (model, why), what in named.items()
    ]


def speed_notes(speed: SpeedDocument | None, few: int) -> list[str]:
    """What limits the comparison of speed."""
    if speed is None:
        return []
    notes = withheld_notes(speed)
    if any(model.includes_network for model in speed.models):
        notes.append(
            "The teacher's times include the network and the provider's queue. "
            "They were measured when its replies were paid for."
        )
    if speed.exports and speed.device != "cpu":
        notes.append(f"The exports were timed on the CPU, and the other models on {speed.device}.")
    if speed.skipped:
        notes.append(
            f"{speed.skipped:,} of the drawn prompts are not timed: they do not fit the context of every model."
        )
    requests = min((level.requests for model in speed.models for level in model.levels), default=0)
    if requests < few:
        notes.append(
            f"With {requests} timed requests the 99th percentile is close to the slowest one; "
            "`evaluation.latency_requests` and `evaluation.speed.rounds` set how many are timed."
        )
    return notes


def memory_how(speed: SpeedDocument | None) -> str:
    """How the student's peak memory was measured."""
    student = speed.model("student") if speed else None
    return student.memory.how if student else NOT_MEASURED
