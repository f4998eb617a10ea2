"""Estimates what requests would cost without sending any: finds the stored replies, and counts the rest.

plan = ShardPlan("train-part-03")
Estimate(plan, [ref], responses, set(), most_tokens=64, rules=[]).ask(teacher, requests)
plan        new 1, reused 1,249, prompt tokens 212, completion tokens 96, cost 0.0002 USD
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.config import EndpointConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.teachers.asker import Probe
from distill_dagster.teachers.limits import CHARACTERS_PER_TOKEN, prompt_characters
from distill_dagster.teachers.money import expected_cost
from distill_dagster.teachers.protocol import Reply, Request, Teacher
from distill_dagster.teachers.responses import Responses

TOKENS_A_MESSAGE = 4  # role and separators


@dataclass(slots=True)
class ShardPlan:
    """The requests of a shard, or of a benchmark, to its teachers and judges."""

    shard: str
    rows: int = 0
    new: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0  # as the config says: one by one, or in batches
    single_usd: float = 0.0  # the same requests one by one
    batch_usd: float = 0.0  # in batches, at the price's batch_discount; as single_usd without one
    priced: int = 0  # new requests to endpoints that have a price
    unpriced: int = 0  # new requests to endpoints that have none
    by_limit: int = 0  # priced requests whose answers count with the longest length

    @property
    def cost(self) -> str:
        """The cost in words."""
        return self.in_words(self.cost_usd)

    def in_words(self, amount: float) -> str:
        """An amount for these requests, with what is known of it."""
        return expected_cost(amount, self.priced, self.unpriced, is_bound=self.by_limit > 0)


class Estimate:
    """Takes the place of a run's `Asker`: finds stored replies, and counts the requests that remain."""

    def __init__(
        self,
        plan: ShardPlan,
        refs: Sequence[ModelRef],
        responses: Responses,
        asked: set[str],
        most_tokens: int,
        rules: list[str],
        probes: Sequence[Probe] = (),
    ) -> None:
        self._plan, self._responses, self._asked = plan, responses, asked
        self._most, self._rules, self._probes = most_tokens, rules, probes
        self._means: dict[tuple[str, str], float | None] = {}
        self._refs: dict[str, ModelRef] = {ref.name: ref for ref in refs}

    def advance(self, units: int) -> None:
        """Do nothing, because an estimate makes no progress."""

    def ask(self, teacher: Teacher, requests: Sequence[Request], gate: Any = None) -> dict[str, Reply]:
        """The stored replies. The other requests are counted."""
        distinct = {request.request_hash: request for request in requests}
        found = self._responses.find(distinct)
        new = distinct.keys() - found.keys() - self._asked
        self._plan.reused += len(distinct) - len(new)
        if new:
            self._count_probes()
        for key in sorted(new):
            self.count(teacher, distinct[key])
        self._asked |= new
        return found

    def _count_probes(self) -> None:
        """Count those that a run would send before its first new request."""
        probes, self._probes = self._probes, ()
        for teacher, request in probes:
            if request.request_hash not in self._asked and not self._responses.find([request.request_hash]):
                self.count(teacher, request)
                self._asked.add(request.request_hash)

    def count(self, teacher: Teacher, request: Request, *, at_most: bool = False) -> None:
        """Count one request that would be sent; `at_most`: it may be shorter, or not be needed."""
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
        if ref.endpoint:
            self._count_cost(ref.name, ref.endpoint, prompt_tokens, completion_tokens, by_limit=at_most or mean is None)

    def _count_cost(
        self, name: str, endpoint: EndpointConfig, prompt_tokens: int, completion_tokens: int, by_limit: bool
    ) -> None:
        """Add the price of a request, one by one and in a batch."""
        plan, price = self._plan, endpoint.price
        if price is None:
            plan.unpriced += 1
            self._rules.append(f"{name} has no `price`: give one to see what its requests cost")
            return
        plan.priced += 1
        plan.by_limit += by_limit
        plan.cost_usd += endpoint.cost(prompt_tokens, completion_tokens)
        plan.single_usd += price.cost(prompt_tokens, completion_tokens)
        plan.batch_usd += price.cost(prompt_tokens, completion_tokens, batch=True)
        if price.cached_prompt is not None:
            self._rules.append(f"prompt tokens of {name}: none counts as cached, since only the provider knows")
        if price.batch_discount is not None:
            self._rules.append(f"{name}: in a batch a request costs {price.batch_discount:.0%} less")

    def _mean_tokens(self, teacher: Teacher) -> float | None:
        """The mean length of the teacher's replies. Looked up once, because that reads a column of every segment."""
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
    """About how many tokens the messages have, for a teacher without a local tokenizer."""
    return prompt_characters(messages) // CHARACTERS_PER_TOKEN + TOKENS_A_MESSAGE * len(messages)
