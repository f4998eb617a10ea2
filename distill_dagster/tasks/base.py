"""What every task can do: ask for an answer, find it in a model's text, score it, name its class, teach it.

The same functions judge the teacher's rows, the student's predictions and the gold answers themselves, so that
"right" means one thing in the whole lineage. A worked example, for `math`:

    ask         [system "Solve …\n\nReply with one JSON object …", user "Ana buys 12 …"]     with chain_of_thought
    read        '{"reason": "12 * 1.5 = 18", "answer": "18"}' -> answer "18", reasoning "12 * 1.5 = 18"
    teach       "18", or "12 * 1.5 = 18\n\n#### 18" where the student learns the reasoning too
    parse       "18" from either                None where the text holds no answer in the task's form
    score       score("18", ["18.0"]) = 1.0
    label       None                            a class to balance; only nli and classification have one
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from distill_dagster.config import SUMMARY_WORDS, Learn, Prompting
from distill_dagster.tasks import chain_of_thought
from distill_dagster.tasks.final_line import ANSWER
from distill_dagster.tasks.json_text import objects_in
from distill_dagster.tasks.reading import Reading, part_thoughts


class Task(ABC):
    """One kind of answer. Tasks hold no state; `tasks.get_task` gives the one of a name."""

    name: ClassVar[str]
    metric: ClassVar[str]  # the headline metric: the mean of `score` under the field's name for it
    single_turn: ClassVar[bool] = True  # one user turn a row
    exact: ClassVar[bool] = True  # a score is 0 or 1, so 0 means wrong
    labelled: ClassVar[bool] = False  # answers are labels of a set
    labels: ClassVar[tuple[str, ...] | None] = None  # the set, where the task itself fixes it

    promptings: ClassVar[tuple[Prompting, ...]] = ("plain",)  # what a teacher can be asked with
    guide: ClassVar[str] = ""  # what to think about before answering, in a chain of thought
    answer_key: ClassVar[str] = "answer"  # the answer's key in the JSON of a chain of thought
    answer_form: ClassVar[str] = "the answer alone, without the reasons for it"  # what stands there
    final_mark: ClassVar[str] = ANSWER  # opens the answer behind a reasoning that is taught

    @abstractmethod
    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The answer that `text` gives, in the task's one form, or None. `labels` matter to nli and classification."""

    @abstractmethod
    def agreement(self, answer: str, reference: str) -> float:
        """How well a parsed answer agrees with one gold answer, 0 … 1."""

    def prompting_for(self, prompting: Prompting) -> Prompting:
        """`prompting` if the task knows it, else `plain`.

        A config whose own task does not know its prompting is refused (E008). What is left are rows that name another
        task than the config's: beside problems that are asked with chain_of_thought, a conversation is asked plainly.
        """
        return prompting if prompting in self.promptings else "plain"

    def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        prompting: Prompting,
        *,
        labels: Sequence[str] | None = None,
        summary_words: int = SUMMARY_WORDS,
    ) -> list[dict[str, str]]:
        """What the teacher is sent for a prompt's messages: those themselves, or with the system message swapped.

        The message that takes its place quotes the row's own one. Azure's distillation drops it, and with it what only
        stands there: what the labels mean, the text that a question is about, what the answer must not say. Two rows
        with the same user text and different system messages would be one request then.
        """
        own = [{"role": message["role"], "content": message["content"]} for message in messages]
        named = labels or self.labels if self.labelled else None
        request = self._request(self.prompting_for(prompting), named, summary_words)
        if request is None:
            return own
        system = own.pop(0)["content"] if own and own[0]["role"] == "system" else None
        return [{"role": "system", "content": chain_of_thought.around(system, request)}, *own]

    def response_format(self, prompting: Prompting) -> dict[str, Any] | None:
        """OpenAI's field of that name, with a strict schema, where JSON is asked for; else None."""
        if self.prompting_for(prompting) == "plain":
            return None
        return {"type": "json_schema", "json_schema": {"name": self.name, "strict": True, "schema": self._schema()}}

    def read(self, text: str, prompting: Prompting, labels: Sequence[str] | None) -> Reading:
        """The parts of the reply to `ask` with the same prompting; nothing that a model can write raises.

        Thoughts before the answer, between <think> tags, are reasoning with every prompting. Where JSON was asked for,
        the last object that holds an answer counts; an object cut off is no answer, nor is a text without any.
        """
        thoughts, rest = part_thoughts(text)
        if self.prompting_for(prompting) == "plain":
            return Reading(self.parse(rest, labels), thoughts, rest)
        for value in reversed(objects_in(rest) or ()):
            parts = self._unpack(value)
            if parts is not None:
                said, reason = parts
                return Reading(self.parse(said, labels), reason or thoughts, said)
        return Reading(None, thoughts, rest)

    def teach(self, answer: str, reasoning: str | None, learn: Learn) -> str:
        """The student's target: a parsed answer alone, or the reasoning, a blank line and the answer behind a mark.

        `parse` finds the same answer in either. Where the task knows no chain of thought, or there is no reasoning,
        it is the answer alone.
        """
        reason = (reasoning or "").strip()
        if learn == "answer" or not reason or "chain_of_thought" not in self.promptings:
            return answer
        return f"{reason}\n\n{self.final_mark} {answer}"

    def score(self, answer: str | None, references: Sequence[str]) -> float:
        """The best agreement with any of the gold answers, 0 … 1; an answer that could not be parsed scores 0.

        Raises:
            ValueError: there is no gold answer, so there is nothing to score against.
        """
        if not references:
            raise ValueError(
                f"a {self.name} answer can be scored only against at least one reference; the row has none"
            )
        if answer is None:
            return 0.0
        return max(self.agreement(answer, reference) for reference in references)

    def label(self, answer: str) -> str | None:
        """The class of a parsed answer, for balancing; None where the task has no classes."""
        return None

    def _request(self, prompting: Prompting, labels: Sequence[str] | None, summary_words: int) -> str | None:
        """What is asked for beyond the row's own messages; None for nothing."""
        if prompting != "chain_of_thought":
            return None
        return chain_of_thought.request(self.guide, self.answer_key, self.answer_form, labels)

    def _schema(self) -> dict[str, Any]:
        """The JSON schema of the reply."""
        return chain_of_thought.schema(self.answer_key)

    def _unpack(self, value: Any) -> tuple[str, str | None] | None:
        """The text of the answer and the reasoning in a JSON value; None where it holds no answer's key."""
        return chain_of_thought.unpack(value, self.answer_key)
