"""An answer that gets into a loop is cut at once, by either engine, and says why."""

import pytest

from distill_dagster.models.decoding import Repetition, Row, Sampling, answers
from distill_dagster.models.engines.batched import answer_batched
from distill_dagster.models.engines.continuous import answer_continuously
from distill_dagster.models.loading import load
from testing.models_tiny import write_model

LOOP = Repetition(ngram=4, times=3)


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ([7, 7, 7], True),
        ([5, 7, 7, 7], True),
        ([7, 7], False),
        ([1, 2, 1, 2, 1, 2], True),
        ([9, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4], True),
        ([1, 2, 1, 2, 1, 3], False),
        ([1, 2, 3, 4, 5] * 3, False),  # longer than the n-grams that are looked for
        ([1, 2, 1, 2, 1, 2, 9], False),  # a loop that has been left is none
    ],
)
def test_a_loop_is_an_n_gram_several_times_in_a_row(answer, ends):
    assert LOOP.ends(answer) is ends


def test_why_an_answer_ends():
    sampling = Sampling(6, repetition=LOOP)
    assert sampling.finish_of([5, 1], {1}) == "stop"
    assert sampling.finish_of([7, 7, 7], {7}) == "stop"
    assert sampling.finish_of([7, 7, 7], {1}) == "repetition"
    assert sampling.finish_of([2, 3, 4, 5, 6, 7], {1}) == "length"
    assert sampling.finish_of([2, 3, 4, 5, 6], {1}) is None
    assert Sampling(6).finish_of([7, 7, 7], {1}) is None


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A model with random weights, whose likeliest token is soon the same each time."""
    return load(write_model(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


def answered(engine, loaded, sampling):
    made = [Row(i, [20 + i, 30, 40]) for i in range(12)]
    list(engine(loaded, made, sampling, 2_000))
    return [(row.answer, row.finish) for row in made]


def test_both_engines_cut_the_same_loops_and_nothing_else(loaded):
    whole = answered(answer_continuously, loaded, Sampling(60))
    cut = answered(answer_continuously, loaded, Sampling(60, repetition=LOOP))
    assert answered(answer_batched, loaded, Sampling(60, repetition=LOOP)) == cut
    assert "repetition" in {finish for _, finish in cut}
    for (answer, finish), (longer, _) in zip(cut, whole, strict=True):
        assert answer == longer[: len(answer)]
        assert (len(answer) < len(longer)) is (finish == "repetition")
        assert LOOP.ends(answer) is (finish == "repetition")


def test_a_teachers_answer_is_not_cut(loaded):
    prompt = [[{"role": "user", "content": "The door is red. Which colour?"}]]
    ((_, completion),) = answers(loaded, prompt, max_new_tokens=60, batch_tokens=2_000)
    assert completion.finish_reason in ("stop", "length")
