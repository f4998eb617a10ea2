"""Messages to the shop and the queue that handles them: billing, delivery, account or returns.

Hi, this is Ana. The lamp came on Friday but I paid twice for it.        billing

A message names two matters. One of them is fine, and the queue follows from the other, which is not.
"""

from random import Random

from distill_dagster.demo import catalog
from distill_dagster.demo.catalog import Item, single_turn

SYSTEM = "Answer with one queue: billing, delivery, account or returns."
FINE = {
    "billing": ("The bill for the {product} is right", "I paid for the {product} on {day}"),
    "delivery": ("The {product} came on {day}", "The {product} is here in {city}"),
    "account": ("I can log in since {day}", "My password is new since {day}"),
    "returns": ("The {colour} {product} is good", "I like the {colour} {product}"),
}
WRONG = {
    "billing": ("I was charged twice.", "the price is too high."),
    "delivery": ("the parcel is late.", "the parcel went to {city}."),
    "account": ("I cannot log in.", "my password does not work."),
    "returns": ("it is {problem}.", "I got it {problem}."),
}


def make_classification(draw: Random) -> Item:
    """One message; the four queues are equally likely."""
    queue = draw.choice(tuple(WRONG))
    fine = draw.choice([other for other in FINE if other != queue])
    slots = {
        "product": draw.choice(catalog.PRODUCTS),
        "colour": draw.choice(catalog.COLOURS),
        "city": draw.choice(catalog.CITIES),
        "day": draw.choice(catalog.DAYS),
        "problem": draw.choice(catalog.PROBLEMS),
    }
    name = draw.choice(catalog.NAMES)
    matters = f"{draw.choice(FINE[fine])} but {draw.choice(WRONG[queue])}"
    user = f"{draw.choice(catalog.GREETINGS).format(name)} {matters.format(**slots)}"
    return single_turn("classification", (name, *slots.values(), fine, queue), SYSTEM, user, queue)
