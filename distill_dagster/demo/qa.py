"""Questions about one order, and about the shop's return policy.

    Order of Ana: red kettle to Lyon, sent Monday, due Friday.
    When is it due?                                          Friday

    A lamp can be returned for 20 days. Ben got one 8 days ago. Can Ben return it?     yes

Every order names two days, so the answer depends on the words of the question and not only on its kind.
"""

from random import Random

from distill_dagster.demo import catalog
from distill_dagster.demo.catalog import Item, single_turn

SYSTEM = "Answer from the order."
POLICY_SYSTEM = "Apply the return policy: yes or no."
POLICY_SHARE = 0.2
WINDOWS = (10, 20, 30)
WAITS = (4, 8, 12, 16, 18, 22, 26, 28, 33, 37)  # days since the purchase
QUESTIONS = {
    "name": ("Who ordered it?", "Who is it for?"),
    "colour": ("Which colour is it?", "What colour is it?"),
    "product": ("Which product is it?", "What was ordered?"),
    "city": ("Which city is it for?", "Where does it go?"),
    "sent": ("Which day was it sent?", "When was it sent?"),
    "due": ("Which day is it due?", "When is it due?"),
}
RULES = ("A {} can be returned for {} days.", "Return policy: {1} days for a {0}.")
CASES = ("{} got one {} days ago.", "{} bought it {} days ago.")
REQUESTS = ("Can {} return it?", "Can it go back?")


def make_qa(draw: Random) -> Item:
    """One question: mostly a lookup in an order, sometimes the return policy."""
    return _policy(draw) if draw.random() < POLICY_SHARE else _lookup(draw)


def _lookup(draw: Random) -> Item:
    sent, due = sorted(draw.sample(catalog.DAYS, 2), key=catalog.DAYS.index)
    order = {
        "name": draw.choice(catalog.NAMES),
        "colour": draw.choice(catalog.COLOURS),
        "product": draw.choice(catalog.PRODUCTS),
        "city": draw.choice(catalog.CITIES),
        "sent": sent,
        "due": due,
    }
    slot = draw.choice(tuple(QUESTIONS))
    text = "Order of {name}: {colour} {product} to {city}, sent {sent}, due {due}.".format(**order)
    user = f"{text}\n{draw.choice(QUESTIONS[slot])}"
    return single_turn("qa", (*order.values(), slot), SYSTEM, user, order[slot])


def _policy(draw: Random) -> Item:
    name, product = draw.choice(catalog.NAMES), draw.choice(catalog.PRODUCTS)
    window, days = draw.choice(WINDOWS), draw.choice(WAITS)
    rule = draw.choice(RULES).format(product, window)
    user = f"{rule} {draw.choice(CASES).format(name, days)} {draw.choice(REQUESTS).format(name)}"
    return single_turn("qa", (name, product, window, days), POLICY_SYSTEM, user, "yes" if days <= window else "no")
