"""Parts of the test set, agreement and confusions: hand-counted, over few items without a number."""

import pytest

from distill_dagster.config import EvaluationConfig
from distill_dagster.evaluation.agreement import Share, agreements
from distill_dagster.evaluation.confusions import Confusion, confusion_tables
from distill_dagster.evaluation.slices import slices_of
from distill_dagster.evaluation.statistics import mean_interval
from distill_dagster.tasks import get_task

CONFIG = EvaluationConfig(resamples=1000)


def prediction(row_id: str, task: str, parsed: str | None, gold: str, turn: int = 0) -> dict:
    score = get_task(task).score(parsed, [gold])
    return {"row_id": row_id, "turn": turn, "task": task, "parsed": parsed, "reference": [gold], "score": score}


def answered(task: str, given: dict[str, list[str | None]], golds: list[str]) -> dict[str, list[dict]]:
    return {
        role: [
            prediction(f"{task}{i}", task, answer, gold)
            for i, (answer, gold) in enumerate(zip(own, golds, strict=True))
        ]
        for role, own in given.items()
    }


def joined(*tables: dict[str, list[dict]]) -> dict[str, list[dict]]:
    return {role: [row for table in tables for row in table[role]] for role in tables[0]}


def qa(count: int, right: dict[str, int]) -> dict[str, list[dict]]:
    given = {role: ["x"] * own + ["y"] * (count - own) for role, own in right.items()}
    return answered("qa", given, ["x"] * count)


def raw(row_id: str, length: int) -> dict:
    return {"row_id": row_id, "task": "qa", "messages": [{"role": "user", "content": "w" * length}], "reference": ["x"]}


def test_each_task_has_a_retention_of_its_own():
    maths = answered(
        "math", {"teacher": ["1"] * 30, "baseline": ["2"] * 30, "student": ["1"] * 15 + ["2"] * 15}, ["1"] * 30
    )
    found = slices_of(joined(qa(40, {"teacher": 40, "baseline": 10, "student": 40}), maths), [], None, CONFIG)
    assert [(part.kind, part.name, part.items, part.student) for part in found] == [
        ("task", "qa", 40, 1.0),
        ("task", "math", 30, 0.5),
    ]
    assert [part.retention.value for part in found] == [1.0, 0.5]
    assert found[1].retention.low < 0.5 < found[1].retention.high < 1


@pytest.mark.parametrize(("items", "shown"), [(19, False), (20, True)])
def test_a_part_of_few_items_has_no_numbers(items, shown):
    (part,) = slices_of(qa(items, {"teacher": items, "baseline": 0, "student": items}), [], None, CONFIG)
    numbers = (part.teacher, part.baseline, part.student, part.retention)
    assert part.items == items
    assert (None not in numbers) if shown else (numbers == (None,) * 4)


def test_lengths_part_the_items_into_thirds_and_no_item_is_in_two():
    rows = [raw(f"qa{i}", 10 * (i + 1)) for i in range(60)]
    table = qa(60, {"teacher": 60, "baseline": 0, "student": 40})  # the student fails on the longest third
    found = [part for part in slices_of(table, rows, None, CONFIG) if part.kind == "length"]
    assert [(part.name, part.items, part.student) for part in found] == [
        ("prompt up to 200 characters", 20, 1.0),
        ("prompt of 201 to 400 characters", 20, 1.0),
        ("prompt of more than 400 characters", 20, 0.0),
    ]


def test_prompts_of_one_length_are_no_parts():
    rows = [raw(f"qa{i}", 10) for i in range(60)]
    found = slices_of(qa(60, {"teacher": 60, "baseline": 0, "student": 40}), rows, None, CONFIG)
    assert [part.kind for part in found] == ["task"]


def test_what_a_training_row_copies_is_left_out_of_the_clean_part():
    table = qa(50, {"teacher": 50, "baseline": 0, "student": 20})
    copied = {f"qa{i}" for i in range(20)}  # the student knows what it has seen
    clean = slices_of(table, [], copied, CONFIG)[-1]
    assert (clean.kind, clean.items, clean.teacher, clean.student) == ("clean", 30, 1.0, 0.0)
    assert slices_of(table, [], None, CONFIG)[-1].kind == "task"


def test_agreement_and_where_the_teacher_is_right():
    golds = ["x"] * 60
    given = {"teacher": ["x"] * 30 + ["y"] * 30, "student": ["x"] * 24 + ["z"] * 6 + ["y"] * 20 + ["x"] * 10}
    (found,) = agreements(answered("qa", given, golds), None, 1000, 0)
    assert found.same == pytest.approx((24 + 20) / 60)
    right, wrong = (
        mean_interval([1] * 24 + [0] * 6, resamples=1000, seed=0),
        mean_interval([0] * 20 + [1] * 10, resamples=9, seed=0),
    )
    assert found.where_teacher_is_right == Share(count=24, of=30, low=right.low, high=right.high)
    assert found.where_teacher_is_wrong == Share(count=10, of=30, low=wrong.low, high=wrong.high)
    assert found.where_teacher_is_right.value == 0.8


def test_agreement_over_few_answers_is_a_count():
    (found,) = agreements(answered("qa", {"teacher": ["x"] * 19, "student": ["x"] * 19}, ["x"] * 19), None, 9, 0)
    assert (found.same, found.where_teacher_is_right) == (None, Share(count=19, of=19))
    assert found.where_teacher_is_right.value is None


def test_two_answers_that_could_not_be_parsed_do_not_agree():
    (found,) = agreements(answered("qa", {"teacher": [None] * 20, "student": [None] * 20}, ["x"] * 20), None, 9, 0)
    assert found.same == 0


def test_scores_that_are_fractions_have_an_agreement_and_no_shares():
    given = {"teacher": ["the cat sat"] * 20, "student": ["the cat ran"] * 20}
    (found,) = agreements(answered("summarization", given, ["a cat sat"] * 20), None, 9, 0)
    assert found.same == pytest.approx(2 / 3)
    assert found.where_teacher_is_right is found.where_teacher_is_wrong is None


def test_the_pairs_of_labels_that_the_student_confuses_come_in_order():
    golds = ["entailment"] * 6 + ["neutral"] * 4
    given = {
        "teacher": [*golds[:5], "neutral", *golds[6:]],
        "baseline": ["neutral"] * 10,
        "student": ["entailment", *["neutral"] * 3, "contradiction", None, "neutral", *["contradiction"] * 3],
    }
    (table,) = confusion_tables(answered("nli", given, golds))
    assert table.more == 0
    assert table.pairs == [
        Confusion(gold="entailment", given="neutral", of=6, teacher=1, baseline=6, student=3),
        Confusion(gold="neutral", given="contradiction", of=4, teacher=0, baseline=0, student=3),
        Confusion(gold="entailment", given=None, of=6, teacher=0, baseline=0, student=1),
        Confusion(gold="entailment", given="contradiction", of=6, teacher=0, baseline=0, student=1),
    ]


def test_rare_pairs_are_counted():
    golds = [f"label {i}" for i in range(25)]
    wrong = ["other"] * 25
    (table,) = confusion_tables(
        answered("classification", {"teacher": golds, "baseline": wrong, "student": wrong}, golds), [*golds, "other"]
    )
    assert (len(table.pairs), table.more) == (20, 5)
