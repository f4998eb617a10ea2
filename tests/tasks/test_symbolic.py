"""symbolic_match: expressions that are the same, texts that are none, and comparisons that never end."""

import threading

import pytest

from distill_dagster.evaluation.metrics import compute
from distill_dagster.tasks.symbolic import symbolic_match
from distill_dagster.tasks.symbolic_process import Comparer

SAME = [
    (r"\boxed{2\sqrt{3}}", r"\sqrt{12}"),
    (r"The answer is $(x+1)^2$.", r"\boxed{x^2+2x+1}"),
    (r"\boxed{(1,2)}", "(1, 2)"),
    ("#### 2*sqrt(3)", r"2\sqrt3"),
    (r"\boxed{\frac{\pi}{2}}", r"\frac{1}{2}\pi"),
    (r"\boxed{\{1,2\}}", r"\{2,1\}"),
]
OTHER = [
    (r"\boxed{(1,2)}", "(2, 1)"),
    ("apple", "papel"),
    (r"\boxed{2\sqrt{3}}", "2"),
    ("__import__('os').getpid()", "5"),
    ("", r"\pi"),
    (r"\boxed{9^{9^{9^{9^9}}}}", r"\boxed{9^{9^{9^{9^8}}}}"),
]


@pytest.mark.processes
def test_the_same_expression_matches_and_no_other_in_any_thread():
    found: list[float] = []
    texts, gold = zip(*SAME, *OTHER, strict=True)

    def measure() -> None:
        found.extend(symbolic_match([text], [[own]]) for text, own in zip(texts, gold, strict=True))

    thread = threading.Thread(target=measure)  # where an alarm signal cannot work
    thread.start()
    thread.join()
    assert found == [1] * len(SAME) + [0] * len(OTHER)


def test_numbers_start_no_process(monkeypatch):
    monkeypatch.setattr(Comparer, "equal", None)
    rows = [
        {"prediction": text, "finish_reason": end, "parsed": parsed, "reference": [gold]}
        for text, end, parsed, gold in [
            ("so #### 18", "stop", "18", "18.0"),
            (r"\boxed{2\sqrt{3}}", "stop", None, r"2\sqrt{3}"),
            ("#### 19", "stop", "19", "18"),
            ("#### 18", "length", None, "18"),
        ]
    ]
    assert compute("math", rows) == {"accuracy": 0.25, "symbolic_match": 0.5}


@pytest.mark.processes
def test_a_comparison_that_takes_too_long_is_no_match_and_the_next_one_goes_on():
    with Comparer(1.0) as comparer:
        assert comparer.equal(r"\sqrt{12}", r"2\sqrt{3}")
        assert not comparer.equal("9^{9^{9^{9}}}", "9^{9^{9^{9}}}+1")
        assert comparer.equal("x+x", "2x")
