"""Each filter against gold: what share of right and of wrong answers to word problems it refuses.

    python -m benchmarks._filters_against_gold FOLDER      FOLDER/train/*.jsonl: chat rows with a number as `reference`

Every problem is answered in the ways of `RIGHT`, which all end on the gold number, and in those of `WRONG`: another
number in the same forms, and the ways in which a teacher fails. Where GSM8K's solutions say step by step what follows
from what, these restate the problem's own sentences, since the rows hold the final number alone; the filters look at
form, and the form is that of GSM8K: sentences, then "#### 18". The table in docs/quality.md is this one.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill_dagster.config import QualityConfig
from distill_dagster.quality.plots import gold_shares
from distill_dagster.tasks.math import final_number
from testing.sets import select_examples

Way = Callable[[str, str], str]  # problem, number -> answer


def steps(problem: str, number: str) -> str:
    """A solution in GSM8K's form."""
    facts = re.split(r"(?<=[.!?])\s+", problem)[:-1]
    return "\n".join([*facts, f"So the result is {number}.", f"#### {number}"])


RIGHT: dict[str, Way] = {
    "steps": steps,
    "bare": lambda problem, number: number,
    "marked": lambda problem, number: f"#### {number}",
    "spoken": lambda problem, number: f"Let us see. {problem} The answer is {number}.",
    "boxed": lambda problem, number: f"We add up what is given.\n\n\\boxed{{{number}}}",
    "sorry": lambda problem, number: f"Sorry, that was wrong before. I can help with this: it is {number}.",
    "days": lambda problem, number: "Day 1: 2.\nDay 2: 2.\nDay 3: 2.\nDay 4: 2.\n" + f"#### {number}",
}
FAILURES: dict[str, Way] = {
    "cut": lambda problem, number: steps(problem, number)[: len(problem) // 2],
    "refusal": lambda problem, number: "I'm sorry, but I can't help with that.",
    "empty": lambda problem, number: "",
    "placeholder": lambda problem, number: "N/A",
    "wordless": lambda problem, number: "There is not enough given to tell.",
    "loop": lambda problem, number: "We add the two. " * 12 + "That makes 1.",
    "echo": lambda problem, number: problem,
    "self": lambda problem, number: "Well, as an AI language model, I count 1.",
}


def other(number: str) -> str:
    """A number that is not this one."""
    value = final_number(number)
    assert value is not None, f"the gold answer {number!r} is no number"
    return str(int(value) + 7)


WRONG: dict[str, Way] = {
    **{name: lambda problem, number, way=way: way(problem, other(number)) for name, way in RIGHT.items()},
    **FAILURES,
}


def main(folder: Path) -> None:
    """Print the table."""
    raw, teacher = [], []
    for path in sorted(folder.glob("train/*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line:
                row = _raw(json.loads(line), len(raw) + 1)
                raw.append(row)
                teacher += _answers(row)
    built = select_examples(raw, teacher, [], QualityConfig(near_duplicate_similarity=None))
    found = built.facts.against_gold
    print(f"{len(raw):,} problems, {found.right:,} right and {found.wrong:,} wrong answers\n")
    print("| filter | right refused | wrong refused |\n| --- | --- | --- |")
    for name, right, wrong in gold_shares(found):
        counts = found.filters[name]
        print(f"| `{name}` | {counts.right:,} ({right:.2%}) | {counts.wrong:,} ({wrong:.2%}) |")
    print(f"\nflags: {found.flags}")


def _raw(row: dict[str, Any], line: int) -> dict[str, Any]:
    return {
        "row_id": row["id"],
        "shard": "train",
        "split": "train",
        "task": "math",
        "messages": row["messages"],
        "reference": [row["reference"]],
        "source_line": line,
    }


def _answers(row: dict[str, Any]) -> list[dict[str, Any]]:
    ways = [(name, way) for group in (RIGHT, WRONG) for name, way in group.items()]
    problem, number = row["messages"][-1]["content"], row["reference"][0]
    return [
        {
            "row_id": row["row_id"],
            "sample": sample,
            "turn": 0,
            "params": "{}",
            "raw_text": way(problem, number),
            "finish_reason": "length" if name == "cut" else "stop",
            "completion_tokens": 99,
            "status": "ok",
        }
        for sample, (name, way) in enumerate(ways)
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
