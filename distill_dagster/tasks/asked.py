"""A project's prompting: the messages that its teachers get, and how their replies are read.

Asked("chain_of_thought", 80, None).ask("math", [user "Ana buys 12 …"])    [system "Solve …", user "Ana buys 12 …"]
Asked("chain_of_thought", 80, None).read("math", '{"reason": "…", "answer": "18"}')         answer "18"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distill_dagster.tasks import get_task
from distill_dagster.tasks.options import SIZED, Prompting
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.tasks.reading import Reading


@dataclass(frozen=True, slots=True)
class Asked:
    """The settings of the config that shape a prompt, applied by each row's task."""

    prompting: Prompting
    summary_words: int
    labels: Sequence[str] | None

    def ask(self, task: str, messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """The messages that the teacher gets for a prompt's messages."""
        return get_task(task).ask(messages, self.prompting, labels=self.labels, summary_words=self.summary_words)

    def prompt(self, task: str, prompt: Prompt) -> Prompt:
        """A row's prompt in the form that the teacher gets."""
        return replace(prompt, messages=self.ask(task, prompt.messages), response_format=self.response_format(task))

    def response_format(self, task: str) -> dict[str, Any] | None:
        """OpenAI's `response_format`, where the prompt asks for JSON."""
        return get_task(task).response_format(self.prompting)

    def read(self, task: str, text: str | None) -> Reading:
        """The parts of a reply; None counts as an empty reply."""
        return get_task(task).read(text or "", self.prompting, self.labels)

    @property
    def params(self) -> dict[str, Any]:
        """The settings that are stored with every reply, so that it is later read with the prompting it answers."""
        size = {"summary_words": self.summary_words} if self.prompting in SIZED else {}
        return {"prompting": self.prompting, **size}
