"""A model behind an endpoint beside those that are timed. What is measured includes the network.

Its latencies are those of the replies that the project has paid for: `evaluation.speed.endpoint_requests` of the drawn
prompts are sent one after another, before the others, when they are first asked (`ask_endpoint`). So a student that is
distilled again costs no request. What is not stored is asked here. Each round gets replies of its own.
"""

from collections.abc import Sequence

from distill_dagster.config import GenerationConfig, SpeedConfig
from distill_dagster.evaluation.asking import benchmark_requests, one_by_one
from distill_dagster.evaluation.speed.specs import TimedModel, Turn
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Asker


class OverHttp:
    """A model behind an endpoint as the rounds see it: one request in flight, in as many rounds as are wanted."""

    is_sliced = False

    def __init__(
        self, timed: TimedModel, prompts: Sequence[Prompt], config: SpeedConfig, max_new_tokens: int, asker: Asker
    ) -> None:
        self.name, self._asker = timed.name, asker
        self._waiting = list(prompts[: config.endpoint_requests])
        self._a_round = len(self._waiting) // config.rounds
        self._teacher = open_teacher(one_by_one(timed.model), GenerationConfig(max_new_tokens=max_new_tokens), "cpu")

    def use(self, prompts: Sequence[int]) -> None:
        """Nothing to do: its prompts are its own."""

    def is_timed(self, concurrency: int) -> bool:
        """Only alone, and while replies are left: how many may be in flight is a matter of the account."""
        return concurrency == 1 and 0 < self._a_round <= len(self._waiting)

    def warm_up(self, concurrency: int) -> None:
        """It needs none."""

    def turn(self, prompts: Sequence[int], concurrency: int) -> Turn:
        """The replies to the next of its prompts, in place of those that the other models get.

        Raises:
            TeacherError: the endpoint cannot be asked, or fails too often.
            BudgetError: the budget is spent.
        """
        asked, self._waiting = self._waiting[: self._a_round], self._waiting[self._a_round :]
        requests = benchmark_requests(asked, self._teacher)
        found = self._asker.ask(self._teacher, requests, role="timed")
        replies = [found[request.request_hash] for request in requests]
        answered = [reply for reply in replies if reply.ok]
        return Turn(
            model=self.name,
            concurrency=concurrency,
            wall_s=sum(reply.latency_ms for reply in answered) / 1000,
            cpu_s=None,
            waited_s=None,
            latencies_ms=[round(reply.latency_ms, 3) for reply in answered],
            first_token_ms=[],
            prompt_tokens=sum(reply.prompt_tokens for reply in answered),
            tokens=sum(reply.completion_tokens for reply in answered),
            cost_usd=sum(reply.cost_usd for reply in replies),
        )
