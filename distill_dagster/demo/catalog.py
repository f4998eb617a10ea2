"""The facts of the invented shop: who buys what, where it goes, and how a row is drawn from them.

The vocabulary is closed. Each slot has a few one-word values, so that a tokenizer with a few hundred tokens has one
token for each, and a model with a million weights learns to look them up within a minute or two of CPU time. An item is
hard because its answer depends on several slots of its prompt, not because of its words.

A drawn item, as an example:

    task       "qa"
    facts      ("Ana", "red", "kettle", "Lyon", "Monday", "Friday", "due")   the question, independent of its phrasing
    messages   [system, user], or more turns with the gold replies in between
    reference  "Friday"
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

NAMES = ("Ana", "Ben", "Carla", "Dev", "Emma", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Lena", "Noah")
PRODUCTS = ("kettle", "lamp", "tent", "camera", "chair", "clock", "drill", "helmet", "jacket", "speaker")
COLOURS = ("red", "blue", "green", "black", "white")
CITIES = ("Lyon", "Oslo", "Porto", "Ghent", "Milan", "Dublin")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
PROBLEMS = ("broken", "scratched", "dirty", "incomplete")
REMEDIES = ("refund", "replacement", "repair")
GREETINGS = ("Hello, {} here.", "Hi, this is {}.", "My name is {}.")
WISHES = ("I would like a {}.", "Can I get a {}?", "A {}, please.")


@dataclass(frozen=True, slots=True)
class Item:
    """One question to the support desk, with its gold answer."""

    task: str
    facts: tuple[str, ...]  # equal facts mean the same question in other words
    messages: tuple[dict[str, str], ...]
    reference: str | None  # None: the gold answers are the assistant turns


Maker = Callable[[Random], Item]


def single_turn(task: str, facts: Sequence[object], system: str, user: str, answer: str) -> Item:
    """An item with one question and one answer."""
    messages = ({"role": "system", "content": system}, {"role": "user", "content": user})
    return Item(task, tuple(str(fact) for fact in facts), messages, answer)


def conversation(facts: Sequence[object], system: str, turns: Sequence[tuple[str, str]]) -> Item:
    """An item with several turns, each a pair of the customer's message and the gold reply."""
    messages = [{"role": "system", "content": system}]
    for user, assistant in turns:
        messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    return Item("conversation", tuple(str(fact) for fact in facts), tuple(messages), None)
