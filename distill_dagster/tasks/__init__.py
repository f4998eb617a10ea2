"""What kinds of answer can be distilled: one file a task, found here by name.

>>> get_task("nli").parse("Label: Entailment.", None)
'entailment'
"""

from distill_dagster.errors import ConfigError
from distill_dagster.tasks.base import Task
from distill_dagster.tasks.classification import Classification
from distill_dagster.tasks.conversation import Conversation
from distill_dagster.tasks.math import Math
from distill_dagster.tasks.nli import NLI
from distill_dagster.tasks.qa import QA
from distill_dagster.tasks.reading import Reading
from distill_dagster.tasks.summarization import Summarization

TASKS: dict[str, Task] = {
    task.name: task for task in (NLI(), Conversation(), QA(), Math(), Summarization(), Classification())
}


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise ConfigError(f"task {name!r} is not known; the tasks are {', '.join(sorted(TASKS))}") from None


__all__ = ["TASKS", "Reading", "Task", "get_task"]
