"""Options that a task cannot use: which ones, and what the message says."""

from itertools import product
from typing import get_args

import pytest

from distill_dagster.tasks import TASKS
from distill_dagster.tasks.misfits import misfits
from distill_dagster.tasks.options import SIZED, SUMMARY_WORDS, Prompting


@pytest.mark.parametrize(("task", "prompting"), product(TASKS, get_args(Prompting)))
def test_a_prompting_fits_the_tasks_that_declare_it_and_no_other(task, prompting):
    assert bool(misfits(task, prompting, SUMMARY_WORDS)) == (prompting not in TASKS[task].promptings)


@pytest.mark.parametrize(("task", "prompting"), product(TASKS, get_args(Prompting)))
def test_a_length_of_summaries_fits_only_where_a_prompt_states_it(task, prompting):
    stated = prompting in SIZED and prompting in TASKS[task].promptings
    found = misfits(task, prompting, SUMMARY_WORDS + 1)
    assert any("summary_words" in message for message in found) != stated
    user = [{"role": "user", "content": "x"}]
    short, long = (TASKS[task].ask(user, prompting, summary_words=words) for words in (50, 60))
    assert (short != long) == stated


def test_messages_name_both_values_and_the_way_out():
    assert misfits("conversation", "chain_of_thought", SUMMARY_WORDS) == [
        "`teacher.prompting: chain_of_thought` does not fit `task: conversation`: use `prompting: plain`, "
        "or a task of nli, qa, math and classification"
    ]
    assert misfits("nli", "chain_of_density", 50) == [
        "`teacher.prompting: chain_of_density` does not fit `task: nli`: use `prompting: plain`, "
        "or `task: summarization`",
        "`teacher.summary_words: 50` has no effect on `task: nli` with `prompting: chain_of_density`: "
        "leave it out (then it is 80), or use summarization with chain_of_density",
    ]
