"""What is read from an endpoint can be walked and written again, however odd it was."""

import json

import pytest

from distill_dagster.teachers.bounded_json import DEEPEST, read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        (b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": -1e999}', {"a": None, "b": None, "c": None, "d": None}),
        (b'{"a": 1, "a": 1, "b": {}, "b": {}}', {"a": 1, "b": {}}),
        ("\N{BYTE ORDER MARK}[4]".encode(), [4]),
        ("[" * DEEPEST + "]" * DEEPEST, json.loads("[" * DEEPEST + "]" * DEEPEST)),
        ("[{}" + ",[]" * 500 + "]", [{}] + [[]] * 500),
    ],
)
def test_what_json_means(text, value):
    assert read_json(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"9" * 5000, "not JSON"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "JSON of more than 64 levels"),
        ('{"a":' * 100 + "1" + "}" * 100, "JSON of more than 64 levels"),
        (b"[" * 100_000, "JSON of more than 64 levels"),
        (b'{"x": {"content": "4", "content": "5"}}', "an object has the key 'content' twice, with different values"),
    ],
)
def test_what_cannot_be_used_says_why(text, said):
    with pytest.raises(ValueError, match="^" + said + "$"):
        read_json(text)
