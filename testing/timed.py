"""Rounds of timing with made figures, and models that answer in made times."""

from collections.abc import Sequence

from distill_dagster.config import SpeedConfig
from distill_dagster.evaluation.speed.child import Ready
from distill_dagster.evaluation.speed.specs import (
    Machine,
    MemoryUse,
    Round,
    SpeedDocument,
    TimedModel,
    Turn,
)
from distill_dagster.evaluation.speed.summary import figures, ratios
from distill_dagster.models.ref import ModelRef

ROLES = ("teacher", "baseline", "student")
MACHINE = Machine(processor="a processor", cores=2, gpus=[])
LATENCIES = {"teacher": 42.0, "student": 10.0, "baseline": 12.0}  # milliseconds
SMALL = ("student", "baseline", "gold_student")
SIZES = {"teacher": 11_000_000, **dict.fromkeys(SMALL, 1_000_000)}  # parameters


def made_turn(model: str, latency_ms: float, concurrency: int = 1, slowdown: float = 1.0, requests: int = 4) -> Turn:
    """A turn whose answers take about `latency_ms` each, on a machine that was this much slower than an idle one."""
    wall = requests * latency_ms / 1000
    return Turn(
        model=model,
        concurrency=concurrency,
        wall_s=wall,
        cpu_s=wall / slowdown,
        waited_s=wall - wall / slowdown,
        latencies_ms=[latency_ms * (1 + i / (10 * requests)) for i in range(requests)],
        first_token_ms=[latency_ms / 4] * requests,
        prompt_tokens=20 * requests,
        tokens=8 * requests,
    )


def made_rounds(
    latencies: Sequence[dict[str, float]], levels: Sequence[int] = (1,), slowdowns: Sequence[float] | None = None
) -> list[Round]:
    """A round for each set of latencies by model; `slowdowns` by round."""
    return [
        Round(
            order=list(of),
            prompts=4,
            load_average=[0.5, 0.5, 0.5],
            turns=[
                made_turn(model, latency / level, level, slowdowns[i] if slowdowns else 1.0)
                for level in levels
                for model, latency in of.items()
            ],
        )
        for i, of in enumerate(latencies)
    ]


def timed_model(name: str, **changes) -> TimedModel:
    """A model that is timed on this machine."""
    return TimedModel(name=name, model=ModelRef(name=name, revision="0"), **changes)


def made_speed(
    rounds: Sequence[Round] | None = None, config: SpeedConfig | None = None, exports: Sequence[TimedModel] = ()
) -> SpeedDocument:
    """The document of these rounds, by default of five calm ones in which the student is 4.2 times as fast."""
    config = config or SpeedConfig()
    shift = (1.0, 1.02, 0.98, 1.01, 0.99)
    found = rounds or made_rounds([{m: t * s for m, t in LATENCIES.items()} for s in shift], config.concurrency)
    models = [*(timed_model(role) for role in ROLES), *exports]
    return SpeedDocument(
        machine=MACHINE,
        device="cpu",
        versions={"torch": "2.13.0"},
        prompts=4,
        skipped=0,
        max_new_tokens=8,
        models=[figures(model, found, config, ready_of(model.name), memory_of(model.name)) for model in models],
        ratios=ratios(models, found, config),
        rounds=[one.model_copy(update={"turns": []}) for one in found],
    )


def ready_of(role: str) -> Ready:
    """The first message of the process of a role's model."""
    size = SIZES.get(role, SIZES["student"])
    counts = {"parameters": size, "weight_bytes": 4 * size, "kv_bytes_per_token": size // 1000}
    return Ready(usable=[0], dtype="float32", threads=2, load_s=0.1, versions={"torch": "2.13.0"}, **counts)


def memory_of(role: str) -> MemoryUse:
    """The memory of a role's model, or of an export."""
    if role not in SIZES:
        known = {"weight_bytes": 1_000_000, "kv_bytes_per_token": 500}
        return MemoryUse(**known, peak_bytes=2_000_000, floor_bytes=80_000_000, how="counted")
    size = SIZES[role]
    return MemoryUse(
        weight_bytes=4 * size,
        kv_bytes_per_token=size // 1000,
        peak_bytes=5 * size,
        floor_bytes=500_000_000,
        how="counted",
    )


class Metronome:
    """A model that takes the same made time for every answer, and records when it had its turn."""

    def __init__(
        self,
        name: str,
        seconds: float,
        log: list[tuple[str, int]],
        slowdowns: Sequence[float] = (),
        is_sliced: bool = False,
    ) -> None:
        self.name, self._seconds, self._log = name, seconds, log
        self._slowdowns, self.is_sliced = list(slowdowns), is_sliced

    def is_timed(self, concurrency: int) -> bool:
        return True

    def warm_up(self, concurrency: int) -> float:
        return self._seconds

    def turn(self, prompts: Sequence[int], concurrency: int) -> Turn:
        self._log.append((self.name, concurrency))
        slowdown = self._slowdowns.pop(0) if self._slowdowns else 1.0
        return made_turn(self.name, self._seconds * 1000, concurrency, slowdown, len(prompts))
