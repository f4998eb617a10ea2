"""Does an order note support a claim? Answers: entailment, neutral, contradiction.

A note states two of three aspects of an order: its price, its weight, its stage. The claim is about one of the three.
It follows from the note (entailment), contradicts it (contradiction), or is about the aspect that the note does not
mention (neutral).

    Note: Ana ordered a kettle. It cost 12 euros. It weighs 3 kilos.
    Claim: Ana pays more than 15 euros.                      contradiction

A claim compares and does not repeat. Whether two words are equal shows in neither word alone, and a small model needs
very many examples to learn it; that 18 euros are a high price it learns at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from distill_dagster.demo import catalog
from distill_dagster.demo.catalog import Item, single_turn

SYSTEM = "Label the claim: entailment, neutral or contradiction."
LABELS = ("entailment", "neutral", "contradiction")
OPENINGS = ("{name} ordered a {product}.", "{name} bought a {product}.")
STAGES, REACHED = ("packed", "shipped", "delivered"), ("left the shop", "reached {name}")


@dataclass(frozen=True, slots=True)
class Aspect:
    """What a note can state about an order, and the claims about it."""

    values: tuple[Any, ...]
    bounds: tuple[Any, ...]
    holds: Callable[[Any, Any], bool]  # whether a note with this value entails the claim with this bound
    sentences: tuple[str, ...]
    claims: tuple[str, ...]


ASPECTS = {
    "price": Aspect(
        values=(4, 8, 12, 18),
        bounds=(5, 10, 15),
        holds=lambda value, bound: value > bound,
        sentences=("The price is {} euros.", "It cost {} euros."),
        claims=("The price is over {} euros.", "{name} pays more than {} euros."),
    ),
    "weight": Aspect(
        values=(1, 3, 6, 9),
        bounds=(2, 5, 8),
        holds=lambda value, bound: value < bound,
        sentences=("It weighs {} kilos.", "The weight is {} kilos."),
        claims=("It weighs less than {} kilos.", "The weight is under {} kilos."),
    ),
    "stage": Aspect(
        values=STAGES,
        bounds=REACHED,
        holds=lambda value, bound: STAGES.index(value) > REACHED.index(bound),
        sentences=("It is {}.", "The {product} is {}."),
        claims=("It has {}.", "The {product} has {}."),
    ),
}


def make_nli(draw: Random) -> Item:
    """One note and one claim; the three labels are equally likely."""
    label, claimed = draw.choice(LABELS), draw.choice(tuple(ASPECTS))
    value, bound = draw.choice([pair for pair in _pairs(claimed) if label in ("neutral", _label(claimed, *pair))])
    others = [aspect for aspect in ASPECTS if aspect != claimed]
    told = set(others if label == "neutral" else [claimed, draw.choice(others)])
    values = {a: value if a == claimed else draw.choice(ASPECTS[a].values) for a in ASPECTS if a in told}
    slots = {"name": draw.choice(catalog.NAMES), "product": draw.choice(catalog.PRODUCTS)}
    note = [
        draw.choice(OPENINGS),
        *(draw.choice(ASPECTS[a].sentences).replace("{}", str(v)) for a, v in values.items()),
    ]
    claim = draw.choice(ASPECTS[claimed].claims).replace("{}", str(bound))
    user = f"Note: {' '.join(note)}\nClaim: {claim}".format(**slots)
    facts = (*slots.values(), *(f"{a} {v}" for a, v in values.items()), claimed, bound)
    return single_turn("nli", facts, SYSTEM, user, label)


def _pairs(aspect: str) -> list[tuple[Any, Any]]:
    return [(value, bound) for value in ASPECTS[aspect].values for bound in ASPECTS[aspect].bounds]


def _label(aspect: str, value: Any, bound: Any) -> str:
    return "entailment" if ASPECTS[aspect].holds(value, bound) else "contradiction"
