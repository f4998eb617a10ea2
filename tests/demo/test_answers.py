"""The rows are right: each gold answer is derived here a second time, from the words of its prompt alone."""

import re
from collections import Counter
from random import Random

import pytest

from distill_dagster.demo import catalog
from distill_dagster.demo.classification import make_classification
from distill_dagster.demo.conversation import make_conversation
from distill_dagster.demo.math import make_math
from distill_dagster.demo.nli import make_nli
from distill_dagster.demo.qa import make_qa
from distill_dagster.demo.summarization import make_summarization
from distill_dagster.demo.world import MAKERS
from distill_dagster.tasks import get_task

DRAWS = 600
SLOTS = {
    "name": ("Who ordered it?", "Who is it for?"),
    "colour": ("Which colour is it?", "What colour is it?"),
    "product": ("Which product is it?", "What was ordered?"),
    "city": ("Which city is it for?", "Where does it go?"),
    "sent": ("Which day was it sent?", "When was it sent?"),
    "due": ("Which day is it due?", "When is it due?"),
}
ORDER = re.compile(
    r"Order of (?P<name>\w+): (?P<colour>\w+) (?P<product>\w+) to (?P<city>\w+), "
    r"sent (?P<sent>\w+), due (?P<due>\w+)\."
)


def drawn(make):
    draw = Random(3)
    return [make(draw) for _ in range(DRAWS)]


def question(item) -> str:
    return item.messages[1]["content"]


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def nli_label(note: str, claim: str) -> str:
    """The label that a reader would give."""
    if "euros" in claim:
        told = re.search(r"(?:price is|cost) (\d+) euros", note)
        true = told and int(told[1]) > numbers(claim)[0]
    elif "kilos" in claim:
        told = re.search(r"(?:weighs|weight is) (\d+) kilos", note)
        true = told and int(told[1]) < numbers(claim)[0]
    else:
        told = re.search(r"is (packed|shipped|delivered)", note)
        true = told and told[1] in (("shipped", "delivered") if "left the shop" in claim else ("delivered",))
    return "neutral" if told is None else "entailment" if true else "contradiction"


def test_nli_labels_follow_from_note_and_claim():
    for item in drawn(make_nli):
        note, claim = question(item).split("\nClaim: ")
        assert item.reference == nli_label(note, claim), question(item)


def test_nli_labels_are_balanced_and_no_kind_of_claim_gives_one_away():
    items = drawn(make_nli)
    for unit in ("euros", "kilos", "has"):
        labels = Counter(item.reference for item in items if unit in words(question(item).split("\nClaim: ")[1]))
        assert max(labels.values()) < 0.45 * labels.total()
        assert len(labels) == 3


def test_qa_answers_are_the_slot_that_is_asked_for():
    slot_of = {text: slot for slot, phrasings in SLOTS.items() for text in phrasings}
    asked = Counter()
    for item in drawn(make_qa):
        if "\n" in question(item):
            order, ask = question(item).split("\n")
            found = ORDER.fullmatch(order)
            assert found is not None, order
            assert item.reference == found[slot_of[ask]]
            asked[slot_of[ask]] += 1
    assert set(asked) == set(SLOTS)


def test_qa_policies_are_applied():
    answers = Counter()
    for item in drawn(make_qa):
        if "\n" not in question(item):
            window, days = numbers(question(item))
            assert item.reference == ("yes" if days <= window else "no")
            answers[item.reference] += 1
    assert min(answers["yes"], answers["no"]) > 0.3 * answers.total()


def test_math_answers_are_right():
    for item in drawn(make_math):
        text = question(item)
        one, two = numbers(text)
        answer = one - two if "voucher" in text else one + two if "shipping" in text else one * two
        assert item.reference == str(answer), text


QUEUE_WORDS = {
    "billing": {"charged", "price"},
    "delivery": {"parcel"},
    "account": {"log", "password"},
    "returns": {*catalog.PROBLEMS},
}


def test_the_queue_is_that_of_the_matter_that_is_not_fine():
    items = drawn(make_classification)
    for item in items:
        fine, wrong = (words(part) for part in question(item).split(" but "))
        assert [queue for queue, found in QUEUE_WORDS.items() if found & wrong] == [item.reference], question(item)
        assert not {"charged", "price", "parcel", *catalog.PROBLEMS} & fine
    assert set(Counter(item.reference for item in items)) == set(QUEUE_WORDS)


def test_summaries_hold_the_request_and_leave_out_the_rest():
    for item in drawn(make_summarization):
        letter, summary = words(question(item)), words(item.reference)
        for slot in (catalog.NAMES, catalog.REMEDIES, catalog.PROBLEMS, catalog.COLOURS, catalog.PRODUCTS):
            assert letter & set(slot) == summary & set(slot) != set()
        assert letter & set(catalog.DAYS + catalog.CITIES)
        assert not summary & set(catalog.DAYS + catalog.CITIES)


def test_second_replies_need_both_turns():
    slots = (catalog.NAMES, catalog.PRODUCTS, catalog.PROBLEMS, catalog.REMEDIES, catalog.CITIES, catalog.DAYS)
    known = {word for slot in slots for word in slot}
    for item in drawn(make_conversation):
        roles = [message["role"] for message in item.messages]
        assert roles == ["system", "user", "assistant", "user", "assistant"]
        first, second, reply = (words(item.messages[i]["content"]) for i in (1, 3, 4))
        assert reply & known == (first | second) & known
        assert len(reply & known & first) == 3
        assert len(reply & known & second) == 1


@pytest.mark.parametrize("task", MAKERS)
def test_every_task_reads_its_own_gold_answers(task):
    for item in drawn(MAKERS[task]):
        gold = item.reference or item.messages[-1]["content"]
        assert get_task(task).score(get_task(task).parse(gold, None), [gold]) == 1


@pytest.mark.parametrize(
    ("task", "at_most"), [("nli", 0.4), ("classification", 0.35), ("qa", 0.2), ("math", 0.2), ("summarization", 0.02)]
)
def test_no_single_answer_scores_high(task, at_most):
    answers = Counter(item.reference for item in drawn(MAKERS[task]))
    assert answers.most_common(1)[0][1] < at_most * DRAWS


@pytest.mark.parametrize("task", MAKERS)
def test_a_question_is_asked_in_several_ways(task):
    """Without facts and numbers, at least four different wordings remain."""
    values = (catalog.NAMES, catalog.PRODUCTS, catalog.COLOURS, catalog.CITIES, catalog.DAYS, catalog.PROBLEMS)
    known = [word for slot in (*values, catalog.REMEDIES) for word in slot]
    slots = re.compile("|".join([*known, r"\d+"]))
    assert len({slots.sub("_", question(item)) for item in drawn(MAKERS[task])}) >= 4
