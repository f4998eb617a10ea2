"""Rows as trainers, providers and data sets write them: what changes the question is sent, or the row is refused."""

import json
import re

import pytest

from testing.source_rows import judge
from tests.sources.formats.keyed_rows import KEYED
from tests.sources.formats.known_rows import KNOWN
from tests.sources.formats.refused_rows import REFUSED

READ = KNOWN | KEYED


@pytest.mark.parametrize("name", READ)
def test_what_can_be_sent_is_read(tmp_path, name):
    row, messages, gold, meta = READ[name]
    (found,), rejects = judge(tmp_path, row)
    assert not rejects
    assert (found["messages"], found["reference"], json.loads(found["meta"])) == (messages, gold, meta)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_sent_is_refused_with_a_way_out(tmp_path, name):
    row, code, says = REFUSED[name]
    rows, (reject,) = judge(tmp_path, row)
    assert not rows
    assert reject["code"] == code, reject["message"]
    assert re.search(says, reject["message"], re.DOTALL), reject["message"]
