"""The worker that times the models, all in one process tree at one time, whenever their scores were measured."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import ModelError
from distill_dagster.evaluation.asking import draw
from distill_dagster.evaluation.speed.contestants import Child
from distill_dagster.evaluation.speed.engines import Order
from distill_dagster.evaluation.speed.hardware import this_machine
from distill_dagster.evaluation.speed.over_http import OverHttp
from distill_dagster.evaluation.speed.rounds import time_rounds
from distill_dagster.evaluation.speed.specs import (
    SpeedCounts,
    SpeedDocument,
    SpeedResult,
    SpeedSpec,
    TimedModel,
)
from distill_dagster.evaluation.speed.summary import NOT_KNOWN, figures, ratios
from distill_dagster.models.loading import devices_with, forget
from distill_dagster.progress import track
from distill_dagster.store import files, hashing, parquet
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import Prompt, prompts_of
from distill_dagster.teachers.asker import open_asker


def time_models(spec: SpeedSpec, device: str) -> SpeedResult:
    """Write speed.json into `spec.out`.

    Raises:
        ModelError: no prompt fits the context of every model.
        ComputeError: the process of a model failed, for instance because the models do not fit together.
        TeacherError, BudgetError: an endpoint cannot be asked, or the budget is spent.
    """
    forget()  # this process must hold no model that competes for the device
    document = _measure(spec, device)
    body = document.model_dump(mode="json")
    text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (Path(spec.out) / files.SPEED_FILE).write_text(text, encoding="utf-8")
    turns = [turn for one in document.rounds for turn in one.turns]
    return SpeedResult(
        data_version=hashing.sha256(hashing.canonical_json(body)),
        counts=SpeedCounts(
            models=len(document.models),
            rounds=len(document.rounds),
            requests=sum(len(turn.latencies_ms) for turn in turns),
        ),
        machine=document.machine,
        device=document.device,
        models=document.models,
        ratios=document.ratios,
    )


def draw_prompts(rows: Sequence[dict], evaluation: EvaluationConfig) -> list[tuple[str, Prompt]]:
    """(task, prompt) of the prompts to time."""
    return draw([(row["task"], prompt) for row in rows for prompt in prompts_of(row)], evaluation)


def _measure(spec: SpeedSpec, device: str) -> SpeedDocument:
    drawn, config = draw_prompts(parquet.read_table(Path(spec.rows)), spec.evaluation), spec.evaluation.speed
    wanted = [timed for timed in spec.models if timed.engine != "endpoint" or config.endpoint_requests]
    with ExitStack() as stack, track("timing the models, calm rounds", total=config.rounds) as advance:
        contestants = [_open(stack, timed, spec, device, drawn) for timed in wanted]
        children = [contestant for contestant in contestants if isinstance(contestant, Child)]
        usable = _usable(spec, children, len(drawn))
        for contestant in contestants:
            contestant.use(usable)
        rounds = time_rounds(contestants, len(usable), config, advance)
        facts = {child.name: (child.ready, child.close()) for child in children}
    return SpeedDocument(
        machine=spec.machine or this_machine(leases=device != "cpu"),
        device=device,
        versions={name: found for child in children for name, found in child.ready.versions.items()},
        prompts=rounds[0].prompts,
        skipped=len(drawn) - len(usable),
        max_new_tokens=spec.max_new_tokens,
        models=[figures(timed, rounds, config, *facts.get(timed.name, (None, NOT_KNOWN))) for timed in wanted],
        ratios=ratios(wanted, rounds, config),
        rounds=rounds,
    )


def _open(
    stack: ExitStack, timed: TimedModel, spec: SpeedSpec, device: str, drawn: Sequence[tuple[str, Prompt]]
) -> Child | OverHttp:
    """Start the model's process, or prepare to ask its endpoint."""
    how = Asked(timed.prompting, spec.summary_words, spec.labels)
    prompts = [how.prompt(task, prompt) for task, prompt in drawn]
    if timed.engine == "endpoint":
        asker = stack.enter_context(open_asker(spec, "speed_benchmark"))
        return OverHttp(timed, prompts, spec.evaluation.speed, spec.max_new_tokens, asker)
    order = Order(
        timed=timed,
        device="cpu" if timed.is_export else device,
        more=[] if timed.is_export else list(devices_with(device)[1:]),
        prompts=[prompt.messages for prompt in prompts],
        max_new_tokens=spec.max_new_tokens,
        most_in_flight=max(spec.evaluation.speed.concurrency),
    )
    return stack.enter_context(Child(order))


def _usable(spec: SpeedSpec, children: Sequence[Child], drawn: int) -> list[int]:
    """The positions of the prompts that every model can answer."""
    usable = set(range(drawn)).intersection(*(child.ready.usable for child in children))
    if not usable:
        names = ", ".join(timed.model.name for timed in spec.models)
        raise ModelError(
            f"none of {drawn} drawn prompts and {spec.max_new_tokens} new tokens fit the context of each of {names}; "
            "lower evaluation.max_new_tokens, or take models with a longer context"
        )
    return sorted(usable)
