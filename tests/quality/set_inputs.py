"""Made-up and adversarial inputs of a set, the same ones for a seed: shards of raw rows and answers, test rows, config.

They have ids of two rows, copies in two shards, prompts of the test rows and of one another, with typos, in templates
and in bands that overflow, dialogues with lost turns, answers that each filter refuses, and odd characters.
"""

import json
import random
from typing import Any

from testing.set_rows import answer, raw, turn

WORDS = (  # noqa: SIM905
    "the lamp on my desk does not light up any more since day when we moved house card pin top-up a blue green "
    "transfer money bank account please help lost stolen order cancel number three 4 12 why how what isn't café ﬁne "
    "ＡＢＣ naïve हिंदी 你好 привет don’t "
).split()
INSTRUCTION = "Classify the following message of a customer by what it is that the customer wants to be done. "
TASKS = ("nli", "qa", "math", "classification", "conversation", "summarization")
LABELS = {"nli": ("entailment", "neutral", "contradiction"), "classification": ("card", "pin", "money", "lost")}
BAD = (
    *("", "None", "I'm sorry, but I can't help with that.", "what?", "No. No. No. No. No.", None, "N/A"),
    *("As an AI language model, I think so.", "Write to jo@example.com, or call +1 202 555 0100.", "…", "\0"),
)
ODD = ("", "???", "\0", "a\0b", "\u200b", "😀 😀", "x" * 40, "ha " * 60, "e\u0301", "\ufeff?", "Hi", "hi!")
QUALITIES: tuple[dict[str, Any], ...] = (
    {},
    {"near_duplicate_similarity": None},
    {"contamination": "exact"},
    {"near_duplicate_similarity": None, "contamination": "exact", "personal_data": "redact"},
    {"max_label_share": 0.5, "min_label_rows": 30, "personal_data": "reject"},
    {"require_gold_agreement": True, "near_duplicate_similarity": 0.7, "personal_data": "keep"},
    {"max_label_share": 0.6, "near_duplicate_similarity": 0.8},
)


class Inputs:
    """What a seed gives."""

    def __init__(self, seed: int, rows: int = 700) -> None:
        self._random = random.Random(seed)
        self.quality = QUALITIES[seed % len(QUALITIES)]
        self.learn = ("answer", "reasoning_and_answer")[seed // len(QUALITIES) % 2]
        self._tasks = TASKS if seed % 3 == 0 else TASKS[seed % len(TASKS) : seed % len(TASKS) + 1]
        self._texts = [self._text() for _ in range(rows // 2)]
        self._copies: dict[str, dict[str, Any]] = {}  # the first row of an id
        self.test = [self._row(f"t{i % (rows // 8)}", "test", "test", i) for i in range(rows // 6)]
        self.shards = [self._shard(f"s{n}", rows // 3) for n in range(3)]

    def _shard(self, name: str, rows: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        chance = self._random
        ids = [self._id(name, i) for i in range(rows)]
        raws = [self._row(row_id, name, "train", line) for line, row_id in enumerate(ids)]
        raws = [self._copied(row) for row in raws]
        for row in raws:
            row["split"] = "validation" if chance.random() < 0.08 else "train"
        chance.shuffle(raws)
        answers = [one for row in raws if chance.random() < 0.95 for one in self._answers(row)]
        answers += [self._answer(raws[0], f"nobody-{i}", 0, 0) for i in range(3)]
        chance.shuffle(answers)
        return raws, answers

    def _id(self, shard: str, number: int) -> str:
        """Some ids are of all shards: copies, or different rows with one id."""
        return f"shared-{number}" if self._random.random() < 0.1 else f"{shard}{self._random.choice('aBé~')}{number}"

    def _copied(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, or most times the content of an earlier row with its id."""
        first = self._copies.setdefault(row["row_id"], row)
        same = {name: first[name] for name in ("task", "messages", "reference", "not_gold")}
        return row | (same if self._random.random() < 0.8 else {})

    def _text(self) -> str:
        chance = self._random
        if chance.random() < 0.04:
            return chance.choice(ODD)
        words = chance.choices(WORDS, k=chance.randint(1, 24) if chance.random() < 0.7 else 40)
        ends = chance.choices(["", ".", "?", "!", ",", "\n"], weights=[12, 1, 1, 1, 1, 0.3], k=len(words))
        return " ".join(word + end for word, end in zip(words, ends, strict=True))

    def _asked(self) -> str:
        """A text, often an earlier one, perhaps changed a little."""
        chance, text = self._random, self._random.choice(self._texts)
        text = text if chance.random() < 0.6 else self._text()
        kind = chance.random()
        if kind < 0.1:
            return INSTRUCTION + text
        if kind < 0.2:
            return f"{INSTRUCTION * 2}{chance.choice('xyz')}"  # one template's rows, more than a band has room for
        if kind < 0.5 and len(text) > 40:
            place = chance.randrange(len(text))
            return text[:place] + text[place + 1 :]
        return text.upper() if kind < 0.55 else text

    def _row(self, row_id: str, shard: str, split: str, line: int) -> dict[str, Any]:
        chance, task = self._random, self._random.choice(self._tasks)
        texts = [self._asked() for _ in range(chance.choice((1, 3, 4, 5)) if task == "conversation" else 1)]
        row = raw(row_id, *texts, task=task, split=split, shard=shard, line=line + 1, reference=self._gold(task))
        if chance.random() < 0.1:
            row["messages"][0] = turn("system", chance.choice(("Be brief.", "S ", "s")))
        row["not_gold"] = [2] if task == "conversation" and chance.random() < 0.2 else None
        return row

    def _gold(self, task: str) -> list[str]:
        chance = self._random
        if task == "conversation" or chance.random() < 0.2:
            return []
        return [self._right(task) for _ in range(chance.choice((1, 1, 2)))]

    def _right(self, task: str) -> str:
        chance = self._random
        if task in LABELS:
            return chance.choices(LABELS[task], weights=[6, *range(len(LABELS[task]) - 1, 0, -1)])[0]
        return str(chance.randint(0, 9)) if task == "math" else " ".join(chance.choices(WORDS, k=chance.randint(1, 9)))

    def _answers(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        turns = sum(m["role"] == "user" for m in row["messages"]) if row["task"] == "conversation" else 1
        samples = self._random.choice((1, 1, 1, 2))
        found = [self._answer(row, row["row_id"], sample, n) for sample in range(samples) for n in range(turns)]
        return found + [self._answer(row, row["row_id"], 0, turns)] * (self._random.random() < 0.03)

    def _answer(self, row: dict[str, Any], row_id: str, sample: int, number: int) -> dict[str, Any]:
        chance, task = self._random, row["task"]
        gold = row["reference"][0] if row["reference"] and chance.random() < 0.8 else self._right(task)
        text = chance.choice(BAD) if chance.random() < 0.12 else f"So it is.\n#### {gold}" if task == "math" else gold
        if task not in ("math", *LABELS) and chance.random() < 0.05:
            text = row["messages"][-1]["content"]  # an echo
        more: dict[str, Any] = {"reasoning": "Since it is." if chance.random() < 0.3 else None}
        if chance.random() < 0.25 and text is not None:
            text = json.dumps({"reason": chance.choice(("It is so.", "")), "answer_choice": text})
            more["params"] = '{"prompting":"chain_of_thought"}'
        if chance.random() < 0.06:
            more |= chance.choice(
                [{"finish_reason": "length"}, {"finish_reason": "refusal"}, {"status": "failed", "error_code": "E010"}]
            )
        return {**answer(row_id, text, sample, number, **more), "chosen": chance.random() < 0.97}
