"""The kinds of answer that can be distilled. Each task has one file, which holds everything known about the task.

The file says how to ask for an answer, parse it and score it, how to measure a set of answers, which promptings the
task supports, where its labels come from, and what Azure calls the task. To add a task, write its file and add its
class to `TASKS`: the config, its checks, the command line and the metrics then know it.

>>> get_task("nli").parse("Label: Entailment.", None)
'entailment'
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

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
    task.name: task
    for task in (
        NLI(),
        Conversation(),
        QA(),
        Math(),
        Summarization(),
        Classification(),
    )
}

if TYPE_CHECKING:
    TaskName: TypeAlias = str
else:
    TaskName = Literal[*TASKS]  # what pydantic and the command line accept


def get_task(name: str) -> Task:
    """The task with that name.

    Raises:
        ConfigError: no task has it; the message lists the names that exist.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise ConfigError(f"task {name!r} is not known; the tasks are {', '.join(sorted(TASKS))}") from None


__all__ = ["TASKS", "Reading", "Task", "TaskName", "get_task"]
