"""QA's scores against SQuAD's own, written here again from its paper: they differ only where docs/scores.md says so.

`squad_answers.json` holds the answers of different people to the same questions of SQuAD's development set.
"""

import json
import re
import string
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest

from distill_dagster.tasks import get_task
from distill_dagster.tasks.qa import token_f1

ANSWERS = json.loads((Path(__file__).parent / "squad_answers.json").read_text(encoding="utf-8"))["answers"]
PAIRS = sorted({pair for answers in ANSWERS for pair in permutations(answers, 2)})
LISTED = re.compile(
    r"^\| `(?P<answer>[^`]+)` \| `(?P<gold>[^`]+)` \| (?P<squad>[01]) \| (?P<here>[01]) \|", re.MULTILINE
)
PAGE = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")
FRACTION = "1,435 mm (4 ft 8 1⁄2 in) standard gauge"


def squad_words(text: str) -> list[str]:
    """The words in lower case, without ASCII punctuation and articles, split at blanks."""
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    parts = re.split(r"(\w+)", bare)  # other signs, such as a long dash, end an article too
    return "".join(" " if part in ("a", "an", "the") else part for part in parts).split()


def squad_exact(answer: str, gold: str) -> float:
    return float(squad_words(answer) == squad_words(gold))


def squad_f1(answer: str, gold: str) -> float:
    mine, theirs = Counter(squad_words(answer)), Counter(squad_words(gold))
    if not mine or not theirs:
        return float(mine == theirs)
    shared = (mine & theirs).total()
    if not shared:
        return 0.0
    precision, recall = shared / mine.total(), shared / theirs.total()
    return 2 * precision * recall / (precision + recall)


def exact(answer: str, gold: str) -> float:
    return get_task("qa").score(answer, [gold])


def test_exact_match_is_squads_on_the_answers_of_people():
    assert len(PAIRS) > 500
    scores = {pair: (exact(*pair), squad_exact(*pair)) for pair in PAIRS}
    assert {pair for pair, (here, squad) in scores.items() if here != squad} == set()
    assert {here for here, _ in scores.values()} == {0, 1}


def test_token_f1_is_squads_except_for_a_fraction_of_one_character():
    differ = {pair for pair in PAIRS if token_f1(pair[0], [pair[1]]) != pytest.approx(squad_f1(*pair))}
    assert differ == {pair for pair in PAIRS if FRACTION in pair}


@pytest.mark.parametrize("row", LISTED.finditer(PAGE), ids=lambda row: f"{row['answer']} as {row['gold']}")
def test_each_listed_difference_is_one(row):
    assert squad_exact(row["answer"], row["gold"]) == float(row["squad"])
    assert exact(row["answer"], row["gold"]) == float(row["here"])
    assert row["squad"] != row["here"]


def test_the_page_lists_the_kinds_of_difference():
    assert len(list(LISTED.finditer(PAGE))) >= 20


@pytest.mark.parametrize("said", ["A", "A.", "A)", "(A)", "a", "**A**", "Answer: A"])
def test_an_answer_of_one_article_keeps_its_letter(said):
    parsed = get_task("qa").parse(said, None)
    assert exact(parsed, "A") == 1
    assert exact(parsed, "B") == 0
    assert exact("the", "a") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "15"),
        ("-5", "5"),
        ("$5.00", "500"),
        ("-5kg", "5kg"),
        ("-1.5 kg", "1.5 kg"),
        ("1.5kg", "15kg"),
        ("1.5e-3", "1.5e3"),
        ("१.५", "१५"),
        ("١٫٥", "١٥"),
        ("-٥", "٥"),
    ],
)
def test_numbers_keep_their_point_and_sign_in_any_unit_and_script(one, other):
    assert exact(one, other) == exact(other, one) == 0
    assert exact(one, one) == token_f1(one, [one]) == 1
    assert token_f1(one, [other]) < 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.50kg", "1.5kg"),
        ("1,000kg", "1000kg"),
        ("१.५", "1.5"),
        ("١٬٠٠٠", "1,000"),
        ("1.5E+3", "1.5e3"),
        ("5th", "5TH"),
    ],
)
def test_one_number_in_two_forms_is_one_answer(one, other):
    assert exact(one, other) == exact(other, one) == 1
