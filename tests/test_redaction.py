"""Secrets and personal data are found by shape, with their place, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.redaction import find, luhn, redact

PLANTED = [
    ("email", "ana.b+c@mail.example.org"),
    ("phone", "+49 170 1234567"),
    ("phone", "+14155552671"),
    ("phone", "(555) 223-4567"),
    ("phone", "555-223-4567"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5555-5555-5555-4444"),
    ("card", "378282246310005"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB29NWBK60161331926819"),
    ("api_key", "AKIAIOSFODNN7EXAMPLE"),
    ("api_key", "ghp_" + "aB3" * 12),
    ("api_key", "github_pat_" + "aB3_" * 8),
    ("api_key", "glpat-" + "aB3-" * 5),
    ("api_key", "xoxb-" + "123456789012-" + "abcDEF"),
    ("api_key", "AIza" + "aB3_-" * 7),
    ("api_key", "sk_live_" + "aB3d" * 6),
    ("api_key", "sk-proj-" + "aB3d" * 8),
    ("api_key", "sk-ant-api03-" + "aB3d" * 8),
    ("api_key", "hf_" + "aB3d" * 9),
    ("api_key", "SG." + "aB3d" * 5 + "." + "aB3d" * 9),
    ("api_key", "npm_" + "aB3d" * 9),
    ("token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF"),
    ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----"),
    ("private_key", "-----BEGIN PRIVATE KEY-----\nMIIE, cut off"),
]

LEFT_ALONE = [
    "12 + 30 = 42, and 1,250 * 3 = 3,750",
    "pi is 3.14159265358979",
    "an order of 1234567890123456 items",  # no card: the first digit
    "4111 1111 1111 1112",  # the check digit is wrong
    "2222222222222222 4444444444444",  # one digit only
    "on 2026-11-21 10:20:30, rows 20000-30000 of 2026-2027",
    "the basic understanding of bearer bonds",
    "the token is a word; the password is forgotten",
    "GB28NWBK60161331926819",  # remainder modulo 97
    "version 1.2.3-4567, ISBN 978-3-16-148410-0",
    "@ana said a@b and me@home",
    "https://example.org:8080/path@5",
    "sk-learn, hf_hub, a task-oriented risk-averse desk-bound person",
]


@pytest.mark.parametrize(("kind", "secret"), PLANTED)
def test_a_planted_one_is_found_where_it_stands(kind, secret):
    text = f"Write to: {secret}"
    assert find(text) == [(kind, 10, len(text))]
    assert redact(text) == f"Write to: [{kind}]"


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_has_not_the_shape_is_left_alone(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc123.def456/ghi789==", "Authorization: Bearer [token]"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic [token]"),
        ("postgres://bob:hunter22@db.example.org/x", "postgres://[password]@db.example.org/x"),
        ('{"password": "hunter22", "a": 1}', '{"password": "[password]", "a": 1}'),
        ("API_KEY=abcdef123456; rest", "API_KEY=[password]; rest"),
    ],
)
def test_only_the_secret_part_is_taken(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize("number", ["79927398713", "4242424242424242", "6011111111111117", "30569309025904"])
def test_the_luhn_digit_is_the_last_one_and_no_other(number):
    assert luhn(number)
    assert [digit for digit in "0123456789" if luhn(number[:-1] + digit)] == [number[-1]]


words = st.lists(st.text("abcdefghij", min_size=1, max_size=8), max_size=6).map(" ".join)


@given(words, st.lists(st.tuples(st.sampled_from(PLANTED[:-1]), words), max_size=4))
def test_all_that_is_planted_is_found_and_nothing_of_it_is_left(start, planted):
    text = start + "".join(f"\n{secret}\n{between}" for (_, secret), between in planted)
    found = find(text)
    assert [kind for kind, _, _ in found] == [kind for (kind, _), _ in planted]
    assert not any(secret in redact(text) for (_, secret), _ in planted)


@given(st.text(st.sampled_from("aB1+ -@.:/=_[]4529\n"), max_size=120))
def test_finds_are_in_order_within_the_text_and_do_not_overlap(text):
    end = 0
    for _, start, stop in find(text):
        assert end <= start < stop <= len(text)
        end = stop
