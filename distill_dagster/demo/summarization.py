"""A customer's letter and its summary in one sentence: who wants which remedy for which product.

letter   Hello, Ana here. The red kettle that came on Monday is broken. I would like a refund.
summary  Ana wants a refund for the broken red kettle.
"""

from random import Random

from distill_dagster.demo import catalog
from distill_dagster.demo.catalog import Item, single_turn

SYSTEM = "Summarize the letter in one sentence."
ARRIVALS = (
    "The {colour} {product} that came on {day} is {problem}.",
    "On {day} I got a {colour} {product} and it is {problem}.",
    "My {colour} {product} came to {city} and is {problem}.",
)


def make_summarization(draw: Random) -> Item:
    """One letter; its summary leaves out the day and the city."""
    name, remedy, problem = draw.choice(catalog.NAMES), draw.choice(catalog.REMEDIES), draw.choice(catalog.PROBLEMS)
    colour, product = draw.choice(catalog.COLOURS), draw.choice(catalog.PRODUCTS)
    day, city = draw.choice(catalog.DAYS), draw.choice(catalog.CITIES)
    arrival = draw.choice(ARRIVALS).format(colour=colour, product=product, problem=problem, day=day, city=city)
    greeting, wish = draw.choice(catalog.GREETINGS).format(name), draw.choice(catalog.WISHES).format(remedy)
    summary = f"{name} wants a {remedy} for the {problem} {colour} {product}."
    facts = (name, remedy, problem, colour, product)
    return single_turn("summarization", facts, SYSTEM, f"{greeting} {arrival} {wish}", summary)
