"""JSON as models write it: slips are mended, and an object that is cut off is never read."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distill_dagster.tasks.json_text import objects_in

AB = [{"a": "x", "b": "y"}]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "x", "b": "y"}',
        '```json\n{"a": "x", "b": "y"}\n```',
        'Sure, here it is:\n{"a": "x", "b": "y"}\nAnything else?',
        '{"a": "x", "b": "y",}',
        "{'a': 'x', 'b': 'y'}",
        '{"a": "x" "b": "y"}',
        '{"a": "x", // first\n "b": "y"}',
        '{\n  "a" : "x",\n\n  "b":"y"\n}',
        "{“a”: “x”, “b”: “y”}",
    ],
)
def test_slips_that_are_forgiven(text):
    assert objects_in(text) == AB


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 'it's so', 'b': None}", {"a": "it's so", "b": None}),
        ('{"a": "it\\\'s so"}', {"a": "it's so"}),
        ('{"a": "He said "no", and left", "b": "y"}', {"a": 'He said "no", and left', "b": "y"}),
        ('{"a": "a brace } and {"}', {"a": "a brace } and {"}),
        ('{"a": "two\nlines\there"}', {"a": "two\nlines\there"}),
        (
            r'{"a": "\( \frac{1}{2} \times \boxed{3} \neq \theta"}',
            {"a": r"\( \frac{1}{2} \times \boxed{3} \neq \theta"},
        ),
        (r'{"a": "one\ntwo\tthree \u00e9 \\frac"}', {"a": "one\ntwo\tthree é \\frac"}),
        ('{"a": 0.10, "b": 12345678901234567890}', {"a": "0.10", "b": "12345678901234567890"}),
        ('{"a": NaN, "b": true}', {"a": None, "b": True}),
    ],
)
def test_values_are_kept(text, value):
    assert objects_in(text) == [value]


def test_objects_come_in_order_and_braces_of_formulas_are_no_objects():
    assert objects_in('Let S = {1, 2} and \\frac{1}{2}. {"a": 1} {"a": 2}') == [{"a": "1"}, {"a": "2"}]
    assert objects_in('[{"a": "x"}, {"a": "y"}]') == [[{"a": "x"}, {"a": "y"}]]
    assert objects_in("no object {at all}") == []


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "x", "b": "y"',
        '{"a": "x", "b": "y',
        '{"a": "x", "b":',
        "{'a': 'it's",
        '{"a": "He said "no" and',
        '[{"a": "x"}, {"a": "y"}',
        '{"a": "x", "b": "quotes {\\"b\\": \\"inner\\"} and',
        '{"a": "draft"} {"a": "fin',
        '{"a": {"b": "y"}, "c',
    ],
)
def test_an_object_cut_off_is_none(text):
    assert objects_in(text) is None


PIECES = ['"', "'", "{", "}", "\\", '", "b": "', "```", '{"b": "z"}', "]", "\\frac"]
# an escape of JSON before the letters of a LaTeX command is read as that command ("\to"), so controls are left out here
TEXT = st.text(st.characters(exclude_characters="\b\f\t\n\r"), max_size=20) | st.sampled_from(PIECES)
VALUES = st.dictionaries(TEXT, TEXT | st.none() | st.booleans() | st.lists(TEXT, max_size=2), min_size=1, max_size=4)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_valid_json_is_read_as_it_is(value, ascii_only, indent):
    assert objects_in("So: " + json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == [value]


@given(VALUES, st.data())
@example({"a": '{"b": "y"}'}, None)
def test_no_prefix_of_json_is_read(value, data):
    text = json.dumps(value)
    ends = [data.draw(st.integers(0, len(text) - 1))] if data else range(len(text))
    assert not any(objects_in(text[:end]) for end in ends)


@given(st.text(alphabet="{}[]\"'\\:,ab \n“”/#*0.-", max_size=60))
@example('{"a":' * 3000 + "1" + "}" * 3000)
@example('{"a":' + "[" * 50_000 + "]" * 50_000 + "}")
@example('{"a" b c }' * 20)
def test_no_text_raises(text):
    found = objects_in(text)
    assert found is None or isinstance(found, list)
