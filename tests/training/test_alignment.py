"""Spans begin and end at the same bytes on both sides, and cover nothing in which the answers differ."""

import itertools
import random

import pytest

from distill_dagster.training.alignment import LONGEST, Answer, align

END = b""


def pairs(teacher, student, opening=b""):
    """The spans as the tokens of both sides; the opening is the teacher's."""
    spans = align(Answer(teacher, opening), Answer(student))
    return [(teacher[span.teacher], student[span.student]) for span in spans]


def test_equal_tokens_are_spans_of_one_token():
    tokens = [b"The", b" door", b".", END]
    assert pairs(tokens, tokens) == [([token], [token]) for token in tokens]


def test_spans_end_where_both_sides_end_a_token():
    teacher, student = [b"un", b"bel", b"iev", b"able", b" cat", END], [b"unb", b"eliev", b"able", b" ", b"cat", END]
    assert pairs(teacher, student) == [
        ([b"un", b"bel", b"iev"], [b"unb", b"eliev"]),
        ([b"able"], [b"able"]),
        ([b" cat"], [b" ", b"cat"]),
        ([END], [END]),
    ]


def test_a_character_that_both_split_at_other_bytes_is_one_span():
    face = "🙂".encode()  # four bytes
    teacher, student = [b"a", face[:1], face[1:], b"b"], [b"a", face[:2], face[2:3], face[3:], b"b"]
    assert pairs(teacher, student) == [([b"a"], [b"a"]), (teacher[1:3], student[1:4]), ([b"b"], [b"b"])]
    split_alike = [b"a", face[:2], face[2:], b"b"]
    assert pairs(split_alike, student)[1:3] == [([face[:2]], [face[:2]]), ([face[2:]], student[2:4])]


@pytest.mark.parametrize("bos_of", ["teacher", "student"])
def test_a_bos_on_one_side_is_in_no_span(bos_of):
    plain, with_bos = [b"red", END], [b"", b"red", END]
    sides = (with_bos, plain) if bos_of == "teacher" else (plain, with_bos)
    spans = align(*map(Answer, sides))
    skipped = [span.teacher if bos_of == "teacher" else span.student for span in spans]
    assert skipped == [slice(1, 2), slice(2, 3)]


def test_the_space_that_a_tokenizer_puts_in_front_does_not_count():
    assert pairs([b" red", b" cup", END], [b"red", b" cup", END]) == [
        ([b" red"], [b"red"]),
        ([b" cup"], [b" cup"]),
        ([END], [END]),
    ]
    assert pairs([b" ", b"red"], [b"red"]) == [([b"red"], [b"red"])]


def test_an_opening_is_in_no_span():
    """gpt-oss writes <|channel|>final<|message|> in front of an answer."""
    teacher, student = [b"", b"final", b"", b"red", END], [b"red", END]
    assert pairs(teacher, student, b"final") == [([b"red"], [b"red"]), ([END], [END])]
    assert pairs(teacher, student) == []


def test_behind_the_first_difference_there_is_no_span():
    teacher, student = [b"re", b"d", b" cup", END], [b"red", b" car", END]
    assert pairs(teacher, student) == [([b"re", b"d"], [b"red"])]
    assert pairs([b"red", END], [b"red", b" and", b" blue", END]) == [([b"red"], [b"red"])]
    assert pairs([b"blue", END], [b"red", END]) == []


def test_end_tokens_are_matched_with_what_the_templates_write_before_them():
    assert pairs([b"red", b"\n", END], [b"red", END])[1:] == [([b"\n", END], [END])]
    assert pairs([b"red", END], [b"red", b" ", END])[1:] == [([END], [b" ", END])]
    assert pairs([b"red"], [b"red", END]) == [([b"red"], [b"red"])]  # the teacher was cut off


def test_a_span_that_is_too_long_is_left_out():
    word = b"x" * (LONGEST + 1)
    letters = [word[i : i + 1] for i in range(len(word))]
    assert pairs([word, b"!"], [*letters, b"!"]) == [([b"!"], [b"!"])]
    assert len(pairs([word[:-1], b"!"], [*letters[:-1], b"!"])) == 2


def test_spans_are_as_short_as_they_can_be_and_cover_the_text():
    drawn = random.Random(0)
    text = "Ein schöner Tag 🙂 門が赤い, isn't it?".encode() * 3

    def cut():
        bounds = sorted({0, len(text), *drawn.sample(range(1, len(text)), 40)})
        return [text[a:b] for a, b in itertools.pairwise(bounds)]

    for _ in range(50):
        teacher, student = cut(), cut()
        spans = pairs(teacher, student)
        assert b"".join(b"".join(one) for one, _ in spans) == text
        assert all(b"".join(one) == b"".join(other) for one, other in spans)
        ends = [{len(b"".join(side[:i])) for i in range(1, len(side) + 1)} for side in (teacher, student)]
        assert len(spans) == len(ends[0] & ends[1])
