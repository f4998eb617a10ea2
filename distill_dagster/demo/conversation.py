"""Chats of two turns. The second reply depends on what the customer said in the first.

Hi, this is Ana. My kettle is broken.      Sorry about the kettle, Ana. What can we do?
A refund, please.                          Done, Ana. You get a refund for the broken kettle.
"""

from random import Random

from distill_dagster.demo import catalog
from distill_dagster.demo.catalog import Item, conversation

SYSTEM = "You help the customers of our shop."
COMPLAINTS = ("My {} is {}.", "The {} I got is {}.", "I got a {} and it is {}.")
DELIVERIES = ("Please send my {} to {}.", "Can you send my {} to {}?", "I want my {} to go to {}.")
DAYS = ("On {}, please.", "{} is good.", "Can it be {}?")


def make_conversation(draw: Random) -> Item:
    """One chat: a complaint, or an order to another address."""
    return draw.choice((_complaint, _delivery))(draw)


def _complaint(draw: Random) -> Item:
    name, product = draw.choice(catalog.NAMES), draw.choice(catalog.PRODUCTS)
    problem, remedy = draw.choice(catalog.PROBLEMS), draw.choice(catalog.REMEDIES)
    first = f"{draw.choice(catalog.GREETINGS).format(name)} {draw.choice(COMPLAINTS).format(product, problem)}"
    turns = [
        (first, f"Sorry about the {product}, {name}. What can we do?"),
        (draw.choice(catalog.WISHES).format(remedy), f"Done, {name}. You get a {remedy} for the {problem} {product}."),
    ]
    return conversation(("complaint", name, product, problem, remedy), SYSTEM, turns)


def _delivery(draw: Random) -> Item:
    name, product = draw.choice(catalog.NAMES), draw.choice(catalog.PRODUCTS)
    city, day = draw.choice(catalog.CITIES), draw.choice(catalog.DAYS)
    first = f"{draw.choice(catalog.GREETINGS).format(name)} {draw.choice(DELIVERIES).format(product, city)}"
    turns = [
        (first, f"{city} it is, {name}. Which day is good?"),
        (draw.choice(DAYS).format(day), f"Done, {name}. The {product} goes to {city} on {day}."),
    ]
    return conversation(("delivery", name, product, city, day), SYSTEM, turns)
