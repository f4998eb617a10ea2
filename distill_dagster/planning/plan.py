"""What a run would make and what it would cost, before anything is spent.

    asset            shard           state     why
    raw_dataset      train-part-03   stale     source
    teacher_outputs  train-part-03   stale     raw_dataset will be made again
    …
    shard            rows   new  reused   prompt tokens  completion tokens   cost
    train-part-03   1,250     1   1,249             212                 96   0.0002 USD

The number of new requests is exact, because the same requests are hashed and looked up as in a run; a judge may get
fewer. Tokens, money and time are estimates, and the plan states their rules.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distill_dagster.config import GenerationConfig
from distill_dagster.errors import UserError
from distill_dagster.generation.probes import form_of, probes_of
from distill_dagster.generation.rounds import Rounds, open_panel
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage.settings import answer_tokens
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.ref import ModelRef
from distill_dagster.planning.estimate import Estimate, ShardPlan, tokens_by_length
from distill_dagster.planning.judges import count_choices, longest, plan_judgement
from distill_dagster.planning.source_rows import SourceRows
from distill_dagster.planning.speed import labels_so_far, plan_speed
from distill_dagster.planning.steps import Step, list_steps
from distill_dagster.planning.sweep import SweepPlan, plan_sweep
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.faculty import Faculty, current_faculty, pin_source
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.responses import Responses


@dataclass(slots=True)
class Plan:
    """Everything that a run would do. `seconds` is None if no speed was measured yet."""

    steps: list[Step]
    shards: list[ShardPlan]
    benchmark: ShardPlan | None  # measuring a teacher behind an endpoint
    speed: ShardPlan | None  # timing it: prompts that its benchmark has not asked
    judgement: ShardPlan | None  # comparing the answers of student and teacher
    total: ShardPlan
    seconds: float | None
    spent_usd: float
    budget_usd: float | None
    sweep: SweepPlan | None = None
    rules: list[str] = field(default_factory=list)
    problems: list[str] = field(
        default_factory=list
    )  # what would make the run fail, such as a file without a valid row

    def document(self) -> dict[str, Any]:
        """The plan as JSON-able values."""
        return asdict(self)


def make_plan(look: Snapshot) -> Plan:
    """Plan a run without sending a request.

    A source file that cannot be used is among the `problems`, and its rows are not counted.

    Raises:
        DataError: a pattern of the config matches no file.
        ModelError: a local teacher does not exist.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _make_plan(look, SourceRows(look, Path(folder)))


def _make_plan(look: Snapshot, rows: SourceRows) -> Plan:
    steps = list_steps(look)
    stale = {(step.asset, step.shard) for step in steps if not step.is_fresh}
    responses, rules = Responses(look.project.responses), []
    asked: set[str] = set()  # by earlier shards, so that a request of two shards counts once
    faculty = _faculty(look, ("teacher_model", None) in stale, rules)
    shards = [
        _plan_shard(look, key, found, faculty, responses, asked, rules)
        for key in look.shards
        if ("teacher_outputs", key) in stale and (found := rows.of("raw_dataset", key)) is not None
    ]
    is_measured = ("teacher_benchmark", None) in stale
    benchmark = _plan_benchmark(look, rows, faculty, responses, asked, rules) if is_measured else None
    is_timed = ("speed_benchmark", None) in stale
    speed = plan_speed(look, rows, faculty, responses, asked, rules) if is_timed else None
    is_judged = ("answer_judgement", None) in stale
    judgement = plan_judgement(look, rows, responses, rules) if is_judged else None
    parts = [*shards, *(part for part in (benchmark, speed, judgement) if part)]
    total = ShardPlan("all", *(sum(getattr(part, name) for part in parts) for name in _COUNTED))
    per_second = _requests_per_second(look)
    if total.new and per_second is None:
        rules.append("time: not known, no shard has asked this teacher yet")
    return Plan(
        steps=steps,
        shards=shards,
        benchmark=benchmark,
        speed=speed,
        judgement=judgement,
        total=total,
        seconds=round(total.new / per_second, 1) if per_second else None if total.new else 0.0,
        spent_usd=responses.spent(),
        budget_usd=look.config.teacher.budget_usd,
        sweep=plan_sweep(look, steps, lambda: _training_rows(look, rows), rules),
        rules=list(dict.fromkeys(rules)),
        problems=rows.all_problems(),
    )


def _training_rows(look: Snapshot, rows: SourceRows) -> int:
    """The prompts of the training rows, times the answers to each."""
    found = [row for key in look.shards for row in rows.of("raw_dataset", key) or [] if row["split"] == "train"]
    return sum(len(prompts_of(row)) for row in found) * look.config.teacher.generation.samples


def asks_anything(look: Snapshot, steps: Sequence[Step]) -> bool:
    """Whether a run would send any request that is not answered yet; stops at the first one.

    True if that cannot be told, because a file or a model cannot be read.
    """
    stale = {(step.asset, step.shard) for step in steps if not step.is_fresh}
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _asks_anything(look, SourceRows(look, Path(folder)), stale)
        except UserError:
            return True


def _asks_anything(look: Snapshot, source: SourceRows, stale: set[tuple[str, str | None]]) -> bool:
    responses, asked, rules = Responses(look.project.responses), set[str](), list[str]()
    faculty = _faculty(look, ("teacher_model", None) in stale, rules)
    for key in look.shards:
        if ("teacher_outputs", key) in stale:
            rows = source.of("raw_dataset", key)
            if rows is None or _plan_shard(look, key, rows, faculty, responses, asked, rules).new:
                return True
    plans = {"teacher_benchmark": _plan_benchmark, "speed_benchmark": plan_speed}
    wanted = [plan for name, plan in plans.items() if (name, None) in stale]
    if (wanted or ("answer_judgement", None) in stale) and source.of("eval_dataset", None) is None:
        return True
    found = [plan(look, source, faculty, responses, asked, rules) for plan in wanted]
    if ("answer_judgement", None) in stale:
        found.append(plan_judgement(look, source, responses, rules))
    return any(plan is not None and plan.new > 0 for plan in found)


_COUNTED = (
    *("rows", "new", "reused", "prompt_tokens", "completion_tokens"),
    *("cost_usd", "single_usd", "batch_usd", "priced", "unpriced", "by_limit"),
)


def _faculty(look: Snapshot, is_stale: bool, rules: list[str]) -> Faculty:
    """The teachers that would answer; none if the project's own one is made first, since every row is then new."""
    teacher, day = look.config.teacher, look.config.prompt_date
    if not is_stale:
        return current_faculty(look.get("teacher_model").described, teacher)
    own: list[tuple[float, ModelRef]] = []
    if teacher.model:
        rules.append("teacher_model is made first: every row counts as new, its tokens by the 4-character rule")
    else:
        own = [(source.weight, pin_source(source, day)) for source in teacher.mix]
        own = own or [(1.0, pin_source(teacher.sources[0], day))]
    best_of = teacher.best_of
    panel = [pin_source(source, day) for source in best_of.teachers] if best_of else []
    judge = pin_source(best_of.judge, day) if best_of and best_of.judge else None
    return Faculty(teachers=own, panel=panel, judge=judge)


def _plan_shard(
    look: Snapshot,
    shard: str,
    rows: Sequence[dict[str, Any]],
    faculty: Faculty,
    responses: Responses,
    asked: set[str],
    rules: list[str],
) -> ShardPlan:
    plan = ShardPlan(shard, rows=len(rows))
    if not faculty.teachers:
        _count_by_length(plan, rows, look.config.teacher.generation, rules)
        if not faculty.panel:
            return plan
        first, *others = faculty.panel  # its requests do not depend on the own teacher
        faculty = Faculty(teachers=[(1.0, first)], panel=others)
    _count_rounds(look, plan, rows, faculty, responses, asked, rules)
    return plan


def _count_by_length(
    plan: ShardPlan, rows: Sequence[dict[str, Any]], generation: GenerationConfig, rules: list[str]
) -> None:
    """Count the requests of a local teacher that is not made yet: they cost nothing, and none is stored."""
    calls = [prompt.messages for row in rows for prompt in prompts_of(row)] * generation.samples
    plan.new += len(calls)
    plan.prompt_tokens += sum(tokens_by_length(messages) for messages in calls)
    plan.completion_tokens += len(calls) * generation.max_new_tokens
    rules.append("completion tokens: the limit, max_new_tokens")


def _count_rounds(
    look: Snapshot,
    plan: ShardPlan,
    rows: Sequence[dict[str, Any]],
    faculty: Faculty,
    responses: Responses,
    asked: set[str],
    rules: list[str],
) -> None:
    """Count the requests of known teachers; earlier ones are found among the stored replies."""
    teacher = look.config.teacher
    refs = [*(ref for _, ref in faculty.teachers), *faculty.panel, *([faculty.judge] if faculty.judge else [])]
    how = Asked(teacher.prompting, teacher.summary_words, look.config.quality.labels)
    probes = probes_of(faculty, teacher.generation, teacher.smoke, form_of(rows, how))
    estimate = Estimate(plan, refs, responses, asked, teacher.generation.max_new_tokens, rules, probes)
    panel = open_panel(faculty, teacher.generation, "cpu")
    answered = Rounds(rows, panel, teacher.generation, how, estimate).run(None)
    if faculty.judge is not None:
        rules.append("the judge: at most one request a row whose answers are still to come, with the longest answers")
        missing = longest(teacher.generation.max_new_tokens, panel.answers)
        count_choices(estimate, faculty.judge, rows, answered, how, missing)
    for call, _ in answered:
        if not call.request.messages:  # a later turn of a conversation whose first one is new
            prompt = prompts_of(rows[call.row])[call.turn]
            estimate.count(call.teacher, Request("", prompt.messages))


def _plan_benchmark(
    look: Snapshot, source: SourceRows, faculty: Faculty, responses: Responses, asked: set[str], rules: list[str]
) -> ShardPlan | None:
    """The requests that measure the teacher on the held-out rows; None for one that runs here and costs nothing."""
    from distill_dagster.evaluation.asking import benchmark_requests, draw, one_by_one

    ref = faculty.teachers[0][1] if faculty.teachers else None
    if ref is None or ref.endpoint is None:
        return None
    config, most = look.config, answer_tokens(look.config)
    teacher = open_teacher(ref, GenerationConfig(max_new_tokens=most), "cpu")
    how = Asked(config.teacher.prompting, config.teacher.summary_words, labels_so_far(look))
    rows = source.of("eval_dataset", None) or []
    prompts = [how.prompt(row["task"], prompt) for row in rows for prompt in prompts_of(row)]
    plan = ShardPlan("teacher_benchmark", rows=len(rows))
    timed = draw(prompts, config.evaluation)[: config.evaluation.speed.endpoint_requests]
    Estimate(plan, [one_by_one(ref)], responses, asked, most, rules).ask(teacher, benchmark_requests(timed, teacher))
    first = {request.request_hash for request in benchmark_requests(timed, teacher)}
    others = [r for r in benchmark_requests(prompts, teacher) if r.request_hash not in first]
    Estimate(plan, [ref], responses, asked, most, rules).ask(teacher, others)
    return plan


def _requests_per_second(look: Snapshot) -> float | None:
    """The speed over the published shards that sent any requests; None if none did."""
    asked = seconds = 0.0
    for key in look.shards:
        manifest = look.find("teacher_outputs", key)
        if manifest and (result := manifest.read(GenerateResult)).asked:
            asked, seconds = asked + result.asked, seconds + result.seconds
    return asked / seconds if seconds else None
