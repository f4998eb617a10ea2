"""What some requests would cost, without asking any: the replies that are there are found, the rest is counted.

plan = ShardPlan("train-part-03")
Estimate(plan, [ref], responses, set(), most_tokens=64, rules=[]).ask(teacher, requests)
plan        new 1, reused 1,249, prompt tokens 212, completion tokens 96, cost 0.0002 USD
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.models.ref import ModelRef
from distill_dagster.teachers.limits import CHARACTERS_PER_TOKEN, prompt_characters
from distill_dagster.teachers.protocol import Reply, Request, Teacher
from distill_dagster.teachers.responses import Responses

TOKENS_A_MESSAGE = 4  # role and separators


@dataclass(slots=True)
class ShardPlan:
    """What a shard, or the benchmark, would ask its teachers."""

    shard: str
    rows: int = 0
    new: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


class Estimate:
    """Stands where a run has its `Asker`: finds what is there, and counts what is not instead of asking it."""

    def __init__(
        self,
        plan: ShardPlan,
        refs: Sequence[ModelRef],
        responses: Responses,
        asked: set[str],
        most_tokens: int,
        rules: list[str],
    ) -> None:
        self._plan, self._responses, self._asked = plan, responses, asked
        self._most, self._rules = most_tokens, rules
        self._means: dict[tuple[str, str], float | None] = {}
        self._refs: dict[str, ModelRef] = {ref.name: ref for ref in refs}

    def advance(self, units: int) -> None:
        """Nothing is done, so nothing advances."""

    def ask(self, teacher: Teacher, requests: Sequence[Request], gate: Any = None) -> dict[str, Reply]:
        """The replies that are there."""
        distinct = {request.request_hash: request for request in requests}
        found = self._responses.find(distinct)
        new = distinct.keys() - found.keys() - self._asked
        self._plan.reused += len(distinct) - len(new)
        for key in sorted(new):
            self.count(teacher, distinct[key])
        self._asked |= new
        return found

    def count(self, teacher: Teacher, request: Request) -> None:
        """One request that would be sent."""
        plan, ref = self._plan, self._refs[teacher.name]
        prompt_tokens = self._prompt_tokens(teacher, request)
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
        elif ref.endpoint:
            self._rules.append(f"{ref.name} has no `price`: its requests count as 0 USD")

    def _mean_tokens(self, teacher: Teacher) -> float | None:
        """Looked up once for each teacher: it reads a column of every segment."""
        who = teacher.name, teacher.revision
        if who not in self._means:
            self._means[who] = self._responses.mean_completion_tokens(*who)
        return self._means[who]

    def _prompt_tokens(self, teacher: Teacher, request: Request) -> int:
        counted = teacher.count_tokens(request.messages)
        if counted is not None:
            self._rules.append(f"prompt tokens of {teacher.name}: counted with its tokenizer")
            return counted
        self._rules.append(f"prompt tokens of {teacher.name}: {CHARACTERS_PER_TOKEN} characters a token")
        return tokens_by_length(request.messages)


def tokens_by_length(messages: Sequence[dict[str, str]]) -> int:
    """About how many tokens the messages are, where there is no tokenizer to ask."""
    return prompt_characters(messages) // CHARACTERS_PER_TOKEN + TOKENS_A_MESSAGE * len(messages)
