"""The words of the config that shape a task's prompts and what the student learns from the replies.

`config` offers them as fields of `distill.yaml`; docs/prompting.md shows what each one does.
"""

from typing import Literal

Prompting = Literal["plain", "chain_of_thought", "chain_of_density"]  # teacher.prompting
Learn = Literal["answer", "reasoning_and_answer"]  # student.learn
SUMMARY_WORDS = 80  # default of teacher.summary_words
SIZED: tuple[Prompting, ...] = ("chain_of_density",)  # the promptings that use summary_words
