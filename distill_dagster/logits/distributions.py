"""The teacher's next-token distributions for one answer, and their encoding as bytes.

Shapes: T tokens of the answer, its end token included; k tokens kept for each. For the third token of an answer,
with k = 4:

    ids          [  640,    95,    14,  7001]     likeliest first
    logprobs     [-0.11, -2.31, -6.02, -9.87]     natural logarithm, temperature 1, over the whole vocabulary
    tail_logmass  -8.70                           logarithm of what all other tokens have together
    ranks             0                           the next token of the answer is ids[0]

The next token is always among the k: if it is not one of the k likeliest, it replaces the last of them. So the k stay
in descending order, a rank is enough to store the next token, and

    exp(logprobs).sum() + exp(tail_logmass) == 1.

What a student needs of the other tokens, the tail, is kept in one of two ways:

    bucket     tail_logsums   [5.1, 8.9]        log of the sum of p**(1/T) over the tail, for T = 2 and T = 4, because
                                                neither follows from the k and the tail's mass at T = 1
    sampled    draws          [9041, 217]       tokens drawn from the tail in proportion to p, with replacement;
                                                max(1, ceil(50 * mass)) of them. Each has mass / number of draws, which
                                                is the tail's distribution on average over draws (arXiv 2503.16870)

Because of that order the differences between neighbours are never negative, and the encodings store differences:

    lossless   the fp16 values. The bit pattern of a positive fp16 number grows with the number, so the patterns of
               -logprob are stored as differences from rank to rank, two bytes each, the high one mostly 0.
    compact    first and last as fp16, and for each rank an 8-bit code c between them:
               -logprob = first + (last - first) * (c / 255)**2, stored as differences of codes.
               Steps are finest where the mass is. No value is off by more than (last - first) / 255.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from distill_dagster.logits.packing import bits_for, pack, packed_size, unpack

Precision = Literal["lossless", "compact"]
Tail = Literal["bucket", "sampled"]
TEMPERATURES = (2, 4)  # of `tail_logsums`
MOST_DRAWS = 50  # from the tail of one token, if it holds all of the mass
DRAW_BITS = 6  # for the number of draws of one token, less 1
NO_DRAW = -1
LOWEST = -65504.0  # fp16's lowest number, stored for every log-probability below it and for an empty tail
MAGNITUDE_BITS = 16  # two whole bytes of an fp16 number, although its sign is left out
LEVELS = 255  # highest code of `compact`


@dataclass(frozen=True, slots=True)
class Distributions:
    """One answer's distributions. Log-probabilities are float16 as captured, float32 as read back."""

    ids: np.ndarray  # (T, k) integers
    logprobs: np.ndarray  # (T, k), each row descending, LOWEST … 0
    tail_logmass: np.ndarray  # (T,), LOWEST … 0
    ranks: np.ndarray  # (T,) integers below k
    tail_logsums: np.ndarray | None = None  # (T, 2) at TEMPERATURES; None if sampled, or captured before they were kept
    draws: np.ndarray | None = None  # (T, M) token ids, NO_DRAW behind the last draw of a token; None unless sampled

    @property
    def token_ids(self) -> np.ndarray:
        """(T,) the tokens of the answer."""
        return np.take_along_axis(self.ids, self.ranks[:, None].astype(np.int64), axis=1)[:, 0]


def encode(given: Distributions, vocab_size: int, precision: Precision) -> dict[str, bytes]:
    """The packed columns of `schemas.LOGITS`; of tail_logsums and tail_draws, those that `given` has."""
    magnitudes = _magnitudes(given.logprobs)
    return {
        "token_ranks": pack(given.ranks, bits_for(given.ids.shape[1])),
        "topk_ids": pack(given.ids, bits_for(vocab_size)),
        "topk_logprobs": _encode_lossless(magnitudes) if precision == "lossless" else _encode_compact(magnitudes),
        "tail_logmass": pack(_magnitudes(given.tail_logmass), MAGNITUDE_BITS),
        **({} if given.tail_logsums is None else {"tail_logsums": given.tail_logsums.astype("<f2").tobytes()}),
        **({} if given.draws is None else {"tail_draws": _encode_draws(given.draws, vocab_size)}),
    }


def decode(columns: Mapping[str, Any], tokens: int, k: int, vocab_size: int, precision: Precision) -> Distributions:
    """The distributions that `encode` packed, with log-probabilities as float32.

    Raises:
        ValueError: a column does not have the size of `tokens` tokens.
    """
    decoder = _decode_lossless if precision == "lossless" else _decode_compact
    logsums, draws = columns.get("tail_logsums"), columns.get("tail_draws")
    return Distributions(
        ids=unpack(columns["topk_ids"], tokens * k, bits_for(vocab_size)).astype(np.int32).reshape(tokens, k),
        logprobs=-decoder(columns["topk_logprobs"], tokens, k),
        tail_logmass=-_numbers(unpack(columns["tail_logmass"], tokens, MAGNITUDE_BITS)),
        ranks=unpack(columns["token_ranks"], tokens, bits_for(k)).astype(np.int32),
        tail_logsums=None if logsums is None else np.frombuffer(logsums, "<f2").astype(np.float32).reshape(tokens, -1),
        draws=None if draws is None else _decode_draws(draws, tokens, vocab_size),
    )


def _encode_draws(draws: np.ndarray, vocab_size: int) -> bytes:
    """The number of draws of each token, then the drawn ids of all tokens in a row."""
    drawn = draws != NO_DRAW  # (T, M)
    return pack(drawn.sum(axis=1) - 1, DRAW_BITS) + pack(draws[drawn], bits_for(vocab_size))


def _decode_draws(blob: bytes, tokens: int, vocab_size: int) -> np.ndarray:
    counts_size = packed_size(tokens, DRAW_BITS)
    counts = unpack(blob[:counts_size], tokens, DRAW_BITS).astype(np.int64) + 1
    ids = unpack(blob[counts_size:], int(counts.sum()), bits_for(vocab_size))
    draws = np.full((tokens, int(counts.max(initial=1))), NO_DRAW, dtype=np.int32)
    draws[np.arange(draws.shape[1]) < counts[:, None]] = ids
    return draws


def _magnitudes(logprobs: np.ndarray) -> np.ndarray:
    """Bit patterns of -logprob as fp16, without the sign: 0 … 0x7bff, growing with the number."""
    patterns = logprobs.astype(np.float16).view(np.uint16) & np.uint16(0x7FFF)
    assert patterns.size == 0 or patterns.max() <= 0x7BFF, "log-probabilities are finite"
    return patterns.astype(np.int32)


def _numbers(patterns: np.ndarray) -> np.ndarray:
    """The float32 values of fp16 bit patterns."""
    return patterns.astype(np.uint16).view(np.float16).astype(np.float32)


def _encode_lossless(magnitudes: np.ndarray) -> bytes:
    return pack(np.diff(magnitudes, axis=1, prepend=np.int32(0)), 16)


def _decode_lossless(blob: bytes, tokens: int, k: int) -> np.ndarray:
    steps = unpack(blob, tokens * k, 16).reshape(tokens, k)
    return _numbers(np.cumsum(steps, axis=1))


def _encode_compact(magnitudes: np.ndarray) -> bytes:
    ends, numbers = magnitudes[:, [0, -1]], _numbers(magnitudes)  # (T, 2), (T, k)
    span = numbers[:, -1:] - numbers[:, :1]  # (T, 1)
    share = (numbers - numbers[:, :1]) / np.where(span > 0, span, 1)
    codes = np.rint(LEVELS * np.sqrt(share)).astype(np.int32)  # (T, k), ascending
    return pack(ends, 16) + pack(np.diff(codes, axis=1), 8)


def _decode_compact(blob: bytes, tokens: int, k: int) -> np.ndarray:
    ends = _numbers(unpack(blob[: 4 * tokens], 2 * tokens, 16)).reshape(tokens, 2)
    steps = unpack(blob[4 * tokens :], tokens * (k - 1), 8).reshape(tokens, k - 1)
    codes = np.cumsum(steps, axis=1, dtype=np.float32)
    first, last = ends[:, :1], ends[:, 1:]
    return np.concatenate([first, first + (last - first) * (codes / np.float32(LEVELS)) ** 2], axis=1)
