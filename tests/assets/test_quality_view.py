"""The plots and tables of a set in the UI: they add up, stay small, and are left out if they have nothing to show."""

import base64

import dagster as dg

from distill_dagster.assets.views.quality import LABEL_ROWS, funnel, labels_table, quality_metadata
from distill_dagster.config import QualityConfig
from distill_dagster.quality.plots import LABELS, gold_shares, labels_plot
from distill_dagster.quality.specs import AgainstGold, RightWrong, SetCounts, SetFacts
from testing.set_rows import answer, raw
from testing.sets import select_examples


def set_of(labels, task="nli", **quality):
    gold = ["neutral"] if task == "nli" else ()
    raws = [raw(f"{i:03}", f"p {i}", task=task, reference=gold) for i in range(len(labels))]
    answers = [answer(row["row_id"], label) for row, label in zip(raws, labels, strict=True)]
    return select_examples(raws, answers, [], QualityConfig(**quality))


def facts_of(labels, task="nli", **quality):
    return set_of(labels, task, **quality).facts


def rows_of(table):
    return [record.data for record in table.records]


def test_labels_filters_and_diversity_are_shown():
    facts = facts_of(["neutral"] * 30 + ["entailment"] * 10 + ["what"] * 5)
    assert SetFacts.model_validate_json(facts.model_dump_json()) == facts
    shown = quality_metadata(facts)
    for name in ("labels_before_and_after", "refused_by_filter"):
        text = shown[name].value
        picture = base64.b64decode(text.partition("base64,")[2].removesuffix(")"))
        assert picture.startswith(b"\x89PNG")
        assert len(text) < 15_000
    assert shown["label_shift"] == 0
    assert shown["rare_labels"].value == {"nli": {"contradiction": 0}}
    (row,) = [row for row in rows_of(shown["filters_against_gold"]) if row["filter"] == "off_form"]
    assert row == {"filter": "off_form", "refused": 5, "of_right_answers": "0.00%", "of_wrong_answers": "33.33%"}
    assert rows_of(shown["labels"]) == [
        {"label": "neutral", "answers": 30, "kept": 30, "kept_share": "100.00%", "rare": ""},
        {"label": "entailment", "answers": 10, "kept": 10, "kept_share": "100.00%", "rare": ""},
        {"label": "contradiction", "answers": 0, "kept": 0, "kept_share": "0.00%", "rare": "rare"},
    ]


def test_empty_facts_are_left_out():
    shown = quality_metadata(facts_of(["Hello."], task="conversation", contamination="exact"))
    assert set(shown) == {"contaminated_questions", "prompt_diversity"}
    assert quality_metadata(facts_of([]))["prompt_diversity"].value["spread"] is None
    assert all(isinstance(value, dg.MetadataValue | float) for value in shown.values())


def test_the_funnel_goes_from_the_teacher_rows_to_the_examples_in_the_order_of_the_reasons():
    built = set_of(["neutral"] * 6 + ["what"] * 2 + ["", "I'm sorry, but I can't help with that."], max_label_share=1)
    table = rows_of(funnel(built.counts))
    assert [(row["step"], row["removed"], row["left"]) for row in table] == [
        ("teacher rows", 0, 10),
        ("refusal", 1, 9),
        ("empty", 1, 8),
        ("off_form", 2, 6),
    ]
    assert table[-1] == {"step": "off_form", "removed": 2, "left": built.counts.examples, "left_share": "60.00%"}
    assert rows_of(funnel(set_of([]).counts)) == [
        {"step": "teacher rows", "removed": 0, "left": 0, "left_share": "0.00%"}
    ]


def test_the_funnel_of_another_version_counts_its_reasons_too():
    counts = SetCounts(teacher_rows=9, examples=4, train=4, validation=0, rejected=5, off_form=2, of_old=3)
    assert [row["left"] for row in rows_of(funnel(counts))] == [9, 7, 4]


def test_a_table_of_many_labels_sums_up_the_rare_ones():
    before = {f"label {i}": 500 - i for i in range(200)}
    facts = facts_of([]).model_copy(update={"labels_before": before, "labels_after": before})
    table = rows_of(labels_table(facts))
    assert len(table) == LABEL_ROWS
    assert table[-1]["label"] == "151 other labels"
    assert sum(row["answers"] for row in table) == sum(before.values())


def test_a_plot_of_many_labels_shows_the_most_frequent_ones():
    counts = {f"a label with a name that does not end {i} $x$": 500 - i for i in range(200)}
    plot = labels_plot(counts, counts)
    assert plot is not None
    assert f"{200 - LABELS} labels left out" in plot
    assert len(plot) < 15_000


def test_filters_are_ordered_by_the_wrong_answers_that_they_refuse():
    filters = {"a": RightWrong(right=1, wrong=1), "b": RightWrong(wrong=2), "c": RightWrong()}
    shares = gold_shares(AgainstGold(right=10, wrong=4, filters=filters))
    assert shares == [("b", 0, 0.5), ("a", 0.1, 0.25), ("c", 0, 0)]
