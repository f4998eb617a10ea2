"""Word problems at the till: a total, a price with shipping, a price after a voucher.

Order of Ana: 3 x lamp, 4 euros each. What is the total?     12
"""

from random import Random

from distill_dagster.demo import catalog
from distill_dagster.demo.catalog import Item, single_turn

SYSTEM = "Reply with a number."
TOTAL = (
    "Order of {name}: {0} x {product}, {1} euros each. What is the total?",
    "{name} orders {0} {product}s at {1} euros each. What does {name} pay?",
)
SHIPPING = (
    "Order of {name}: {product}, {0} euros plus {1} euros for shipping. What is the total?",
    "A {product} is {0} euros and shipping is {1} euros. What does {name} pay?",
)
VOUCHER = (
    "Order of {name}: {product}, {0} euros minus a voucher of {1} euros. What is the total?",
    "A {product} is {0} euros and {name} has a voucher of {1} euros. What does {name} pay?",
)


def make_math(draw: Random) -> Item:
    """One word problem with two numbers."""
    return draw.choice((_total, _shipping, _voucher))(draw)


def _total(draw: Random) -> Item:
    count, price = draw.randint(2, 6), draw.randint(2, 6)
    return _problem(draw, "total", TOTAL, (count, price), count * price)


def _shipping(draw: Random) -> Item:
    price, shipping = draw.randint(5, 10), draw.randint(2, 4)
    return _problem(draw, "shipping", SHIPPING, (price, shipping), price + shipping)


def _voucher(draw: Random) -> Item:
    price, voucher = draw.randint(8, 13), draw.randint(2, 4)
    return _problem(draw, "voucher", VOUCHER, (price, voucher), price - voucher)


def _problem(draw: Random, kind: str, phrasings: tuple[str, ...], numbers: tuple[int, int], answer: int) -> Item:
    name, product = draw.choice(catalog.NAMES), draw.choice(catalog.PRODUCTS)
    user = draw.choice(phrasings).format(*numbers, name=name, product=product)
    return single_turn("math", (kind, *numbers, name, product), SYSTEM, user, str(answer))
