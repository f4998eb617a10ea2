"""What a run would make and what it would cost, before anything is spent.

    asset            shard           state     why
    raw_dataset      train-part-03   stale     source
    teacher_outputs  train-part-03   stale     raw_dataset will be made again
    …
    shard            rows   new  reused   prompt tokens  completion tokens   cost
    train-part-03   1,250     1   1,249             212                 96   0.0002 USD

Which rows are new is not a guess: the same requests are hashed and looked up as in a run. Tokens, money and time are
estimates, by rules that the plan states.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distill_dagster import files, records
from distill_dagster.errors import NotPublishedError
from distill_dagster.generation.asking import Entry
from distill_dagster.generation.responses import Responses
from distill_dagster.generation.rounds import Rounds, open_panel
from distill_dagster.lineage import STAGES, Project, fingerprint, inputs_of, is_fresh, stages_of
from distill_dagster.requests import Faculty, ModelRef
from distill_dagster.steps import make_raw_dataset
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers.base import Question, Teacher
from distill_dagster.teachers.faculty import current_faculty, pin_source
from distill_dagster.teachers.limits import CHARACTERS_PER_TOKEN, prompt_characters

TOKENS_A_MESSAGE = 4  # role and separators


@dataclass(slots=True)
class Step:
    """An artefact and what a run would do to it."""

    asset: str
    shard: str | None
    state: str  # fresh | stale | missing
    why: list[str]
    waits: bool = False  # something that it reads is to be made first


@dataclass(slots=True)
class ShardPlan:
    """What a shard would ask its teachers."""

    shard: str
    rows: int = 0
    new: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(slots=True)
class Plan:
    """Everything that a run would do. `seconds` is None where no speed was measured yet."""

    steps: list[Step]
    shards: list[ShardPlan]
    total: ShardPlan
    seconds: float | None
    spent_usd: float
    budget_usd: float | None
    rules: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The plan as JSON-able values."""
        return asdict(self)


def make_plan(project: Project) -> Plan:
    """Look at everything, ask nothing.

    Raises:
        DataError: the source files cannot be read.
        ModelError: a local teacher is not there.
    """
    steps = list_steps(project)
    stale = {(step.asset, step.shard) for step in steps if step.state != "fresh"}
    responses, rules = Responses(project.responses), []
    asked: set[str] = set()  # by the shards before, so that what two of them ask counts once
    faculty = _faculty(project, ("teacher_model", None) in stale, rules)
    shards = [
        _plan_shard(project, key, faculty, responses, asked, rules)
        for key in sorted(project.sources())
        if ("teacher_outputs", key) in stale
    ]
    total = ShardPlan("all", *(sum(getattr(s, name) for s in shards) for name in _COUNTED))
    speed = _requests_per_second(project)
    if total.new and speed is None:
        rules.append("time: not known, no shard has asked this teacher yet")
    return Plan(
        steps=steps,
        shards=shards,
        total=total,
        seconds=round(total.new / speed, 1) if speed else None if total.new else 0.0,
        spent_usd=responses.spent(),
        budget_usd=project.config.teacher.budget_usd,
        rules=list(dict.fromkeys(rules)),
    )


_COUNTED = ("rows", "new", "reused", "prompt_tokens", "completion_tokens", "cost_usd")


def list_steps(project: Project) -> list[Step]:
    """Every artefact in the order of the lineage: whether it is made again, and because of what."""
    steps: list[Step] = []
    behind: set[str] = set()
    for stage in stages_of(project.config):
        for shard in sorted(project.sources()) if stage.sharded else [None]:
            step = _step(project, stage.name, shard, behind)
            steps.append(step)
        if any(step.asset == stage.name and step.state != "fresh" for step in steps):
            behind.add(stage.name)
    return steps


def _step(project: Project, name: str, shard: str | None, behind: set[str]) -> Step:
    """Compare what an artefact was made from with what is there now; what is made again before it counts as moved."""
    manifest = project.store.find(name, shard)
    try:
        inputs = inputs_of(project, name, shard)
    except NotPublishedError as e:
        state = "missing" if manifest is None else "stale"
        return Step(name, shard, state, [str(e).split(" is not in ")[0]], waits=True)
    upstream = sorted(behind & inputs.keys())
    waits = _reads(project, upstream, shard)
    if manifest is None:
        return Step(name, shard, "missing", ["never made"], waits)
    changed = [key for key in {**inputs, **manifest.inputs} if inputs.get(key) != manifest.inputs.get(key)]
    if not manifest.complete:
        changed.append("requests that failed are asked again")
    if manifest.is_made_from(fingerprint(inputs)) and not waits:
        return Step(name, shard, "fresh", [])
    return Step(name, shard, "stale", changed or [f"{asset} is made again" for asset in upstream], waits)


def _reads(project: Project, upstream: Sequence[str], shard: str | None) -> bool:
    """Whether an artefact that is made again is among the inputs; of a shard, only its own shard counts."""
    for asset in upstream:
        if shard is None or not STAGES[asset].sharded:
            return True
        if not is_fresh(project, asset, shard):
            return True
    return False


def _faculty(project: Project, is_stale: bool, rules: list[str]) -> Faculty | None:
    """Who would answer; None where the teacher is yet to be fitted, so that every row is new to it."""
    teacher = project.config.teacher
    if not is_stale:
        return current_faculty(project.store.get("teacher_model").folder, teacher)
    if teacher.model:
        rules.append("teacher_model is made again first: every row counts as new, its tokens by the 4-character rule")
        return None
    own = [(source.weight, pin_source(source)) for source in teacher.mix] or [(1.0, pin_source(teacher.sources[0]))]
    best_of = teacher.best_of
    panel = [pin_source(source) for source in best_of.teachers] if best_of else []
    judge = pin_source(best_of.judge) if best_of and best_of.judge else None
    return Faculty(teachers=own, panel=panel, judge=judge)


def _rows_of(project: Project, shard: str) -> list[dict[str, Any]]:
    """The shard's rows as a run would have them: published, or judged anew into a folder that is thrown away."""
    if is_fresh(project, "raw_dataset", shard):
        return records.read_table(project.store.get("raw_dataset", shard).file(files.RAW_FILE))
    with tempfile.TemporaryDirectory() as folder:
        make_raw_dataset(project, shard, Path(folder))
        return records.read_table(Path(folder) / files.RAW_FILE)


def _plan_shard(
    project: Project, shard: str, faculty: Faculty | None, responses: Responses, asked: set[str], rules: list[str]
) -> ShardPlan:
    teacher, rows = project.config.teacher, _rows_of(project, shard)
    plan = ShardPlan(shard, rows=len(rows))
    if faculty is None:
        calls = [prompt.messages for row in rows for prompt in prompts_of(row)] * teacher.generation.samples
        plan.new = len(calls)
        plan.prompt_tokens = sum(tokens_by_length(messages) for messages in calls)
        plan.completion_tokens = plan.new * teacher.generation.max_new_tokens
        rules.append("completion tokens: the limit, max_new_tokens")
        return plan
    estimate = _Estimate(plan, faculty, responses, asked, teacher.generation.max_new_tokens, rules)
    if faculty.judge is not None:
        rules.append("the judge is not counted: at most one short request a row, over what the teachers will say")
    generation = teacher.generation
    panel = open_panel(faculty, generation, "cpu")
    how = Asked(teacher.prompting, teacher.summary_words, project.config.quality.labels)
    answered = Rounds(rows, panel, generation, how, estimate).run(None)
    for call, _ in answered:
        if not call.question.messages:  # a later turn of a conversation whose first one is new
            prompt = prompts_of(rows[call.row])[call.turn]
            estimate.count(call.teacher, Question("", prompt.messages))
    return plan


class _Estimate:
    """Stands where a run has its `Asker`: finds what is there, and counts what is not instead of asking it."""

    def __init__(
        self,
        plan: ShardPlan,
        faculty: Faculty,
        responses: Responses,
        asked: set[str],
        most_tokens: int,
        rules: list[str],
    ) -> None:
        self._plan, self._responses, self._asked = plan, responses, asked
        self._most, self._rules = most_tokens, rules
        refs = [*(ref for _, ref in faculty.teachers), *faculty.panel]
        self._means: dict[tuple[str, str], float | None] = {}
        self._refs: dict[str, ModelRef] = {ref.name: ref for ref in refs}

    def advance(self, units: int) -> None:
        """Nothing is done, so nothing advances."""

    def ask(self, teacher: Teacher, questions: Sequence[Question], gate: Any = None) -> dict[str, Entry]:
        """The replies that are there."""
        distinct = {question.request_hash: question for question in questions}
        found = self._responses.find(distinct)
        new = distinct.keys() - found.keys() - self._asked
        self._plan.reused += len(distinct) - len(new)
        for key in sorted(new):
            self.count(teacher, distinct[key])
        self._asked |= new
        return found

    def count(self, teacher: Teacher, question: Question) -> None:
        """One request that would be sent."""
        plan, ref = self._plan, self._refs[teacher.name]
        prompt_tokens = self._prompt_tokens(teacher, question)
        mean = self._mean_tokens(teacher)
        completion_tokens = round(mean) if mean is not None else self._most
        self._rules.append(
            f"completion tokens of {teacher.name}: "
            + ("the mean of its replies so far" if mean is not None else "the limit, max_new_tokens")
        )
        plan.new += 1
        plan.prompt_tokens += prompt_tokens
        plan.completion_tokens += completion_tokens
        price = ref.endpoint.price if ref.endpoint else None
        if price:
            plan.cost_usd += price.cost(prompt_tokens, completion_tokens)

    def _mean_tokens(self, teacher: Teacher) -> float | None:
        """Looked up once for each teacher: it reads a column of every segment."""
        who = teacher.name, teacher.revision
        if who not in self._means:
            self._means[who] = self._responses.mean_completion_tokens(*who)
        return self._means[who]

    def _prompt_tokens(self, teacher: Teacher, question: Question) -> int:
        counted = teacher.count_tokens(question.messages)
        if counted is not None:
            self._rules.append(f"prompt tokens of {teacher.name}: counted with its tokenizer")
            return counted
        self._rules.append(f"prompt tokens of {teacher.name}: {CHARACTERS_PER_TOKEN} characters a token")
        return tokens_by_length(question.messages)


def tokens_by_length(messages: Sequence[dict[str, str]]) -> int:
    """About how many tokens the messages are, where there is no tokenizer to ask."""
    return prompt_characters(messages) // CHARACTERS_PER_TOKEN + TOKENS_A_MESSAGE * len(messages)


def _requests_per_second(project: Project) -> float | None:
    """Measured over the published shards that asked anything."""
    asked = seconds = 0.0
    for key in project.sources():
        manifest = project.store.find("teacher_outputs", key)
        if manifest and manifest.facts.get("asked"):
            asked, seconds = asked + manifest.facts["asked"], seconds + manifest.facts["seconds"]
    return asked / seconds if seconds else None
