"""What judges would be asked: exactly where the answers are stored, and at most where they are still to come.

    answer_judgement   20 canaries, exact, and two requests for each of 200 prompts at most
    train-part-03      a request for each row of several candidates; of a row that is new, one at most

An answer that is still to come counts with its longest length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.generation.probes import JUDGE_GENERATION
from distill_dagster.generation.rounds import Call
from distill_dagster.generation.table import candidates_of, judge_request, judge_requests, teacher_row
from distill_dagster.lineage.settings import answer_tokens
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.ref import ModelRef
from distill_dagster.planning.estimate import Estimate, ShardPlan
from distill_dagster.planning.source_rows import SourceRows
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.faculty import endpoint_ref
from distill_dagster.teachers.limits import CHARACTERS_PER_TOKEN
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.responses import Responses

Row = Mapping[str, Any]


def longest(tokens: int, answers: int) -> list[str]:
    """Texts as long as so many answers can be."""
    return ["x" * (tokens * CHARACTERS_PER_TOKEN)] * answers


def count_choices(
    estimate: Estimate,
    judge: ModelRef,
    rows: Sequence[Row],
    answered: Sequence[tuple[Call, Reply]],
    how: Asked,
    missing: list[str],
) -> None:
    """Count the requests of the judge that chooses among the answers to each row of a shard.

    `missing` are texts in place of the answers that are still to come.
    """
    asked = open_teacher(judge, JUDGE_GENERATION, "cpu")
    new = {call.row for call, reply in answered if not reply.attempts}
    table = [teacher_row(rows[call.row], call, reply, how) for call, reply in answered if call.row not in new]
    known = [row for position, row in enumerate(rows) if position not in new]
    estimate.ask(asked, list(judge_requests(known, candidates_of(table), asked).values()))
    if len(missing) > 1:
        for position in sorted(new):
            row, turns = rows[position], len(prompts_of(rows[position]))
            request = judge_request(row, [text * turns for text in missing], asked)
            estimate.count(asked, request, at_most=True)


def plan_judgement(look: Snapshot, source: SourceRows, responses: Responses, rules: list[str]) -> ShardPlan:
    """The requests of `evaluation.judge` over the answers of student and teacher, which are not known yet."""
    from distill_dagster.evaluation.judging.canaries import canary_duels
    from distill_dagster.evaluation.judging.duels import Duel
    from distill_dagster.evaluation.judging.worker import drawn_prompts

    evaluation, rows = look.config.evaluation, source.of("eval_dataset", None) or []
    assert evaluation.judge is not None, "the stage exists if there is a judge"
    ref = endpoint_ref(evaluation.judge.endpoint)
    judge = open_teacher(ref, JUDGE_GENERATION, "cpu")
    asked = drawn_prompts(rows, evaluation.judge.prompts, evaluation.seed)
    plan = ShardPlan("answer_judgement", rows=len(rows))
    estimate = Estimate(plan, [ref], responses, set(), JUDGE_GENERATION.max_new_tokens, rules)
    if not (canaries := canary_duels(asked)):
        return plan  # a judge that cannot be tested is asked nothing
    estimate.ask(judge, [request for duel in canaries for request in duel.requests(judge)])
    texts = longest(answer_tokens(look.config), 2)
    for row, prompt in asked:
        for request in Duel(row["row_id"], str(prompt.turn), prompt.messages, *texts).requests(judge):
            estimate.count(judge, request, at_most=True)
    rules.append("evaluation.judge: at most two requests a prompt, over two answers of the longest length")
    return plan
