"""The options of a config that its task cannot use; each message names both values and the way out.

    misfits("conversation", "chain_of_thought", 80)
        ["`teacher.prompting: chain_of_thought` does not fit `task: conversation`: use `prompting: plain`, or …"]

`config` runs this check when it reads a file, and refuses the file with E008.
"""

from distill_dagster.tasks import TASKS
from distill_dagster.tasks.options import SIZED, SUMMARY_WORDS, Prompting


def misfits(task: str, prompting: Prompting, summary_words: int) -> list[str]:
    """What is wrong with the options, one message each; empty where the task can use all of them."""
    known, found = TASKS[task].promptings, []
    if prompting not in known:
        found.append(
            f"`teacher.prompting: {prompting}` does not fit `task: {task}`: use `prompting: plain`, "
            f"or {_one_of(tasks_with(prompting))}"
        )
    if summary_words != SUMMARY_WORDS and (prompting not in known or prompting not in SIZED):
        sized = " or ".join(f"{name} with {one}" for one in SIZED for name in tasks_with(one))
        found.append(
            f"`teacher.summary_words: {summary_words}` has no effect on `task: {task}` with "
            f"`prompting: {prompting}`: leave it out (then it is {SUMMARY_WORDS}), or use {sized}"
        )
    return found


def tasks_with(prompting: Prompting) -> list[str]:
    """The names of the tasks that support a prompting."""
    return [name for name, task in TASKS.items() if prompting in task.promptings]


def _one_of(names: list[str]) -> str:
    """`task: a` for one name, "a task of a, b and c" for several."""
    *most, last = names
    return f"a task of {', '.join(most)} and {last}" if most else f"`task: {last}`"
