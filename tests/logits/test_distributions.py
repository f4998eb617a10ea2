"""Distributions are read back as they were packed: exactly if lossless, within the stated error if compact."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.logits.distributions import LOWEST, Distributions, decode, encode

PACKED = {"token_ranks", "topk_ids", "topk_logprobs", "tail_logmass"}


@st.composite
def distributions(draw):
    """Any ids, any descending fp16 log-probabilities; vocabularies of 300 to 262,144, k of 1 to 128."""
    vocab, k, tokens = draw(st.integers(300, 262_144)), draw(st.integers(1, 128)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    patterns = draw(st.sampled_from(["any", "narrow", "equal", "edges"]))
    magnitudes = {  # fp16 bit patterns of -logprob, 0x7bff the largest finite one
        "any": rng.integers(0, 0x7C00, (tokens, k)),
        "narrow": rng.integers(0x4900, 0x4A00, (tokens, k)),
        "equal": np.repeat(rng.integers(0, 0x7C00, (tokens, 1)), k, axis=1),
        "edges": rng.choice([0, 1, 0x3FF, 0x400, 0x7BFF], (tokens, k)),
    }[patterns]
    logprobs = -np.sort(magnitudes, axis=1).astype(np.uint16).view(np.float16)
    ids = np.stack([rng.choice(vocab, k, replace=False) for _ in range(tokens)])
    tail = -rng.integers(0, 0x7C00, tokens).astype(np.uint16).view(np.float16)
    return vocab, Distributions(ids, logprobs, tail, rng.integers(0, k, tokens))


def round_trip(vocab, made, precision):
    tokens, k = made.ids.shape
    columns = encode(made, vocab, precision)
    assert columns.keys() == PACKED
    return columns, decode(columns, tokens, k, vocab, precision)


def assert_exact_but_for_logprobs(made, back):
    np.testing.assert_array_equal(back.ids, made.ids)
    np.testing.assert_array_equal(back.ranks, made.ranks)
    np.testing.assert_array_equal(back.token_ids, made.token_ids)
    np.testing.assert_array_equal(back.tail_logmass, made.tail_logmass.astype(np.float32))


@given(distributions())
@settings(deadline=None)
def test_lossless_is_exact(drawn):
    vocab, made = drawn
    _, back = round_trip(vocab, made, "lossless")
    assert_exact_but_for_logprobs(made, back)
    np.testing.assert_array_equal(back.logprobs, made.logprobs.astype(np.float32))


@given(distributions())
@settings(deadline=None)
def test_compact_keeps_all_but_log_probabilities_exactly_and_those_within_the_stated_error(drawn):
    vocab, made = drawn
    _, back = round_trip(vocab, made, "compact")
    assert_exact_but_for_logprobs(made, back)
    exact = made.logprobs.astype(np.float32)
    np.testing.assert_array_equal(back.logprobs[:, 0], exact[:, 0])
    np.testing.assert_allclose(back.logprobs[:, -1], exact[:, -1], rtol=1e-6)
    assert (np.diff(back.logprobs, axis=1) <= 0).all()
    bound = (exact[:, :1] - exact[:, -1:]) / 255 + 1e-6 * np.abs(exact)
    assert (np.abs(back.logprobs - exact) <= bound).all()


def test_compact_is_finest_where_the_mass_is():
    exact = np.linspace(0, -12, 64, dtype=np.float16)[None]
    made = Distributions(np.arange(64)[None], exact, np.float16([-9]), np.array([0]))
    error = np.abs(round_trip(300, made, "compact")[1].logprobs - exact.astype(np.float32))[0]
    assert error[:11].max() < 0.02  # within two nats of the likeliest
    assert error.max() <= 12 / 255


def test_the_packed_sizes_are_the_ones_that_are_promised():
    made = Distributions(np.zeros((5, 64), int), np.zeros((5, 64)), np.zeros(5), np.zeros(5, int))
    lossless, compact = (encode(made, 151_936, precision) for precision in ("lossless", "compact"))
    assert len(lossless["topk_ids"]) == 5 * 144
    assert len(lossless["topk_logprobs"]) == 5 * 128
    assert len(compact["topk_logprobs"]) == 5 * (4 + 63)
    assert sum(map(len, lossless.values())) <= 5 * 275
    assert len(lossless["tail_logmass"]) == 10
    assert len(lossless["token_ranks"]) == 4  # 5 times 6 bits


def test_the_lowest_number_is_kept():
    made = Distributions(np.array([[1, 2]]), np.array([[0.0, LOWEST]]), np.array([LOWEST]), np.array([1]))
    for precision in ("lossless", "compact"):
        back = round_trip(300, made, precision)[1]
        assert (back.logprobs.tolist(), back.tail_logmass.tolist()) == ([[0.0, LOWEST]], [LOWEST])
