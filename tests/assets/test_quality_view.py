"""The pictures and tables of a set in the UI: there where there is something to show, and small."""

import base64
import json

import dagster as dg

from distill_dagster.assets.views.quality import quality_metadata
from distill_dagster.config import QualityConfig
from distill_dagster.quality.plots import LABELS, gold_shares, labels_plot
from distill_dagster.quality.synthetic_set import build_set
from tests.quality.test_synthetic_set import answer, raw


def facts_of(labels, task="nli", **quality):
    gold = ["neutral"] if task == "nli" else ()
    raws = [raw(f"{i:03}", f"p {i}", task=task, reference=gold) for i in range(len(labels))]
    answers = [answer(row["row_id"], label) for row, label in zip(raws, labels, strict=True)]
    return build_set(raws, answers, [], QualityConfig(**quality)).facts


def test_labels_filters_and_diversity_are_shown():
    facts = facts_of(["neutral"] * 30 + ["entailment"] * 10 + ["what"] * 5)
    json.dumps(facts)
    shown = quality_metadata(facts)
    for name in ("labels_before_and_after", "refused_by_filter"):
        text = shown[name].value
        picture = base64.b64decode(text.partition("base64,")[2].removesuffix(")"))
        assert picture.startswith(b"\x89PNG")
        assert len(text) < 15_000
    assert shown["label_shift"] == 0
    assert shown["rare_labels"].value == {"nli": {"contradiction": 0}}
    (row,) = [row.data for row in shown["filters_against_gold"].records if row.data["filter"] == "off_form"]
    assert row == {"filter": "off_form", "refused": 5, "of_right_answers": "0.00%", "of_wrong_answers": "33.33%"}


def test_what_there_is_nothing_to_say_about_is_left_out():
    shown = quality_metadata(facts_of(["Hello."], task="conversation", contamination="exact"))
    assert set(shown) == {"contaminated_questions", "prompt_diversity"}
    assert quality_metadata(facts_of([]))["prompt_diversity"].value["spread"] is None
    assert all(isinstance(value, dg.MetadataValue | float) for value in shown.values())


def test_a_plot_of_many_labels_shows_the_most_frequent_ones():
    counts = {f"a label with a name that does not end {i} $x$": 500 - i for i in range(200)}
    plot = labels_plot(counts, counts)
    assert plot is not None
    assert f"{200 - LABELS} labels left out" in plot
    assert len(plot) < 15_000


def test_filters_stand_in_the_order_of_the_wrong_answers_that_they_refuse():
    filters = {"a": {"right": 1, "wrong": 1}, "b": {"right": 0, "wrong": 2}, "c": {"right": 0, "wrong": 0}}
    shares = gold_shares({"right": 10, "wrong": 4, "filters": filters})
    assert shares == [("b", 0, 0.5), ("a", 0.1, 0.25), ("c", 0, 0)]
