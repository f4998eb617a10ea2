"""The table of keys that change the question: none is dropped, and the config may call one meta data."""

import json
from pathlib import Path

import pytest

from distill_dagster.sources.formats.key_table import TABLE
from testing.source_rows import CALL, TOOL, a, judge, u


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ({"messages": [u("q")], "tools": [TOOL]}, "tools"),
        ({"messages": [u("q")], "system": "an operating system"}, "system"),
        ({"prompt": "q", "document": "report.pdf"}, "document"),
        ({"prompt": "q", "Document": "report.pdf"}, "Document"),
        ({"messages": [u("q"), a("a", tool_calls=[CALL])]}, "tool_calls"),
    ],
)
def test_a_key_that_the_config_names_is_kept_in_meta(tmp_path, row, kept):
    (found,), rejects = judge(tmp_path, row, meta_keys=[kept])
    assert not rejects
    assert [m["role"] for m in found["messages"]] == ["user"]
    assert kept in found["meta"]


@pytest.mark.parametrize("key", sorted(TABLE))
def test_no_key_of_the_table_is_dropped(tmp_path, key):
    """A text of its own under any such key is sent, is the gold answer, or is refused."""
    rows, rejects = judge(tmp_path, {"messages": [u("q")], key: "something else"})
    if rejects:
        assert rejects[0]["code"] in ("E002", "E017", "E018")
    else:
        used = [*(m["content"] for m in rows[0]["messages"]), *rows[0]["reference"]]
        assert "something else" in used


def test_the_documentation_lists_every_key_of_the_table():
    text = (Path(__file__).parents[3] / "docs/formats.md").read_text()
    assert [key for key in TABLE if f"`{key}`" not in text] == []


@pytest.mark.parametrize("key", ["lang", "source", "title", "score", "category", "$schema"])
def test_a_key_that_says_something_about_the_row_is_kept(tmp_path, key):
    (row,), _ = judge(tmp_path, {"messages": [u("q")], key: "x"})
    assert json.loads(row["meta"]) == {key: "x"}
