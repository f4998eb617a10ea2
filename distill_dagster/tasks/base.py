"""What every task can do: ask for an answer, find it in a model's text, score it, name its class, teach it.

The same functions judge the teacher's answers, the student's predictions and the gold answers, so that "right" means
one thing in the whole lineage. A worked example, for `math`:

    ask         [system "Solve …\n\nReply with one JSON object …", user "Ana buys 12 …"]     with chain_of_thought
    read        '{"reason": "12 * 1.5 = 18", "answer": "18"}' -> answer "18", reasoning "12 * 1.5 = 18"
    teach       "18", or "12 * 1.5 = 18\n\n#### 18" where the student learns the reasoning too
    parse       "18" from either form           None where the text holds no answer in the task's form
    score       score("18", ["18.0"]) = 1.0
    label       None                            the class to balance by, for tasks with labels
    measures    {"accuracy": the mean of score}
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from distill_dagster.tasks import chain_of_thought
from distill_dagster.tasks.answer_mark import ANSWER
from distill_dagster.tasks.json_text import objects_in
from distill_dagster.tasks.measures import Measure, mean_of
from distill_dagster.tasks.options import SUMMARY_WORDS, Learn, Prompting
from distill_dagster.tasks.reading import Reading
from distill_dagster.tasks.thoughts import part_thoughts


class Task(ABC):
    """One kind of answer. Tasks hold no state; `tasks.get_task` finds one by its name."""

    name: ClassVar[str]  # as in the config and in rows
    single_turn: ClassVar[bool] = True  # a row has one user turn

    metric: ClassVar[str]  # the name of the headline metric, which is the mean of `score`
    more_metrics: ClassVar[Mapping[str, Measure]] = {}  # measured beside it
    text_metrics: ClassVar[Mapping[str, Measure]] = {}  # measured of the models' whole texts
    exact: ClassVar[bool] = True  # a score is 0 or 1, so 0 means wrong

    labelled: ClassVar[bool] = False  # answers are labels of a set
    labels: ClassVar[tuple[str, ...] | None] = None  # the set, where the task fixes it
    labels_from_gold: ClassVar[bool] = False  # else the set is the gold answers of the training rows

    promptings: ClassVar[tuple[Prompting, ...]] = ("plain",)  # the values of teacher.prompting that the task supports
    guide: ClassVar[str] = ""  # in a chain of thought, what to think about before answering
    answer_key: ClassVar[str] = "answer"  # in its JSON, the key of the answer
    answer_form: ClassVar[str] = "the answer alone, without the reasons for it"  # and the form of its value
    final_mark: ClassVar[str] = ANSWER  # marks the answer after a reasoning that the student learns

    azure_name: ClassVar[str | None] = None  # the task's name in Azure's distillation, where Azure has the task
    azure_least_records: ClassVar[int] = 65  # the fewest records that Azure takes in a file

    @abstractmethod
    def parse(self, text: str, labels: Sequence[str] | None) -> str | None:
        """The answer in `text`, in the task's one form, or None. Only tasks with labels look at `labels`."""

    @abstractmethod
    def agreement(self, answer: str, reference: str, labels: Sequence[str] | None = None) -> float:
        """How well a parsed answer agrees with one gold answer, 0 … 1. Only tasks with labels look at `labels`."""

    def prompting_for(self, prompting: Prompting) -> Prompting:
        """`prompting` if the task supports it, else `plain`.

        A config is refused (E008) if its task does not support its prompting. A row may still name another task: a
        conversation among math problems with chain_of_thought gets a plain prompt.
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
        """The messages that go to the teacher: the prompt's own, or those with another system message.

        The new system message quotes the row's own one. Azure's distillation drops the row's own message, and loses
        what only that message says: what the labels mean, the text that a question is about, what the answer must not
        say. Two rows with the same user text and different system messages would then be the same request.
        """
        own = [{"role": message["role"], "content": message["content"]} for message in messages]
        named = labels or self.labels if self.labelled else None
        instructions = self._instructions(self.prompting_for(prompting), named, summary_words)
        if instructions is None:
            return own
        system = own.pop(0)["content"] if own and own[0]["role"] == "system" else None
        return [{"role": "system", "content": chain_of_thought.around(system, instructions)}, *own]

    def response_format(self, prompting: Prompting) -> dict[str, Any] | None:
        """OpenAI's `response_format` with a strict schema, where the prompt asks for JSON; else None."""
        if self.prompting_for(prompting) == "plain":
            return None
        return {"type": "json_schema", "json_schema": {"name": self.name, "strict": True, "schema": self._schema()}}

    def read(self, text: str, prompting: Prompting, labels: Sequence[str] | None) -> Reading:
        """The parts of the reply to `ask` with the same prompting; no text of a model makes this raise.

        Thoughts in the text (thoughts.py) are reasoning with every prompting. Where the prompt asked for JSON, the last
        object that holds an answer counts. An object that is cut off is no answer, nor is a text without any object.
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
        """The text that the student learns: the parsed answer alone, or the reasoning, a blank line and the answer.

        A mark precedes the answer after a reasoning; `parse` finds the same answer in both forms. Without a reasoning,
        or where the task does not support chain_of_thought, the text is the answer alone.
        """
        reason = (reasoning or "").strip()
        if learn == "answer" or not reason or "chain_of_thought" not in self.promptings:
            return answer
        return f"{reason}\n\n{self.final_mark} {answer}"

    def score(self, answer: str | None, references: Sequence[str], labels: Sequence[str] | None = None) -> float:
        """The best agreement with any of the gold answers, 0 … 1; an answer that could not be parsed scores 0.

        Raises:
            ValueError: `references` is empty.
        """
        if not references:
            raise ValueError(f"a {self.name} answer needs at least one reference to be scored; the row has none")
        if answer is None:
            return 0.0
        return max(self.agreement(answer, reference, labels) for reference in references)

    def measures(self, labels: Sequence[str] | None = None) -> Mapping[str, Measure]:
        """What is measured of a set of answers, by name; the headline metric, the mean of `score`, comes first."""
        return {self.metric: mean_of(partial(self.score, labels=labels)), **self.more_metrics}

    def label(self, answer: str) -> str | None:
        """The class of a parsed answer, for balancing; None where the task has no classes."""
        return None

    def _instructions(self, prompting: Prompting, labels: Sequence[str] | None, summary_words: int) -> str | None:
        """What the prompt says beyond the row's own messages; None where it adds nothing."""
        if prompting != "chain_of_thought":
            return None
        return chain_of_thought.instructions(self.guide, self.answer_key, self.answer_form, labels)

    def _schema(self) -> dict[str, Any]:
        """The JSON schema of the reply."""
        return chain_of_thought.schema(self.answer_key)

    def _unpack(self, value: Any) -> tuple[str, str | None] | None:
        """The text of the answer and the reasoning in a JSON value; None where it has no key of an answer."""
        return chain_of_thought.unpack(value, self.answer_key)
