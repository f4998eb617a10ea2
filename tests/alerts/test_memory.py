"""The record of alerts survives the process, retries end, and the file stays small."""

import pytest

from distill_dagster.alerts.memory import ALERTS_FILE, ATTEMPTS, FIRST_WAIT, KEPT_MESSAGES, Memory
from distill_dagster.alerts.message import Failure, Message
from distill_dagster.errors import DataError
from distill_dagster.store.documents import LocalDocuments

FAILURE = Failure("raw_dataset", "part-0", "enough_valid_rows", "error", "", "r1")
NOW = 1_800_000_000.0


def memory(tmp_path):
    return Memory.load(LocalDocuments(tmp_path), NOW)


def test_what_was_saved_is_loaded(tmp_path):
    first = memory(tmp_path)
    first.sent[FAILURE.key], first.runs["r1"] = NOW, NOW - 5
    first.write(Message("t", "bödy\n", "warn"), ["1 json", "2 mailto"], NOW)
    first.record(first.outbox[0], "2 mailto", "no route", NOW)
    first.save()
    assert memory(tmp_path) == first


def test_a_record_of_the_version_before_is_read(tmp_path):
    first = memory(tmp_path)
    first.sent[FAILURE.key] = NOW
    first.save()
    path = tmp_path / ALERTS_FILE
    path.write_text(path.read_text().replace('"sent"', '"told"'))
    assert memory(tmp_path) == first


def test_a_damaged_file_is_named_with_the_way_out(tmp_path):
    (tmp_path / ALERTS_FILE).write_text('{"since": 1, "outbox": [{}]}')
    with pytest.raises(DataError, match=r"alerts\.json is damaged .* delete it"):
        memory(tmp_path)


def test_a_failure_is_news_again_after_the_quiet_hours_or_a_repair(tmp_path):
    value = memory(tmp_path)
    assert value.is_news(FAILURE, NOW, 24)
    value.sent[FAILURE.key] = NOW
    assert not value.is_news(FAILURE, NOW + 23.9 * 3600, 24)
    assert value.is_news(FAILURE, NOW + 24 * 3600, 24)
    value.repaired("another_check", FAILURE.place)
    value.repaired(FAILURE.check, "raw_dataset[part-1]")
    assert not value.is_news(FAILURE, NOW, 24)
    value.repaired(FAILURE.check, FAILURE.place)
    assert value.is_news(FAILURE, NOW, 24)


def test_an_address_is_tried_with_doubled_waits_and_then_given_up(tmp_path):
    value, now, waits = memory(tmp_path), NOW, []
    value.write(Message("t", "b", "error"), ["1 json"], NOW)
    while list(value.due(now)):
        ((outgoing, name),) = value.due(now)
        attempts = value.record(outgoing, name, "no route", now)
        waits.append(attempts.next_at - now)
        assert list(value.due(attempts.next_at - 0.1)) == []
        now = attempts.next_at
    assert waits == [FIRST_WAIT * 2**i for i in range(ATTEMPTS)]
    assert 4 * 3600 < sum(waits[:-1]) < 5 * 3600
    assert value.outbox[0].addresses["1 json"].error == "no route"


def test_only_the_last_messages_are_kept_but_all_that_wait(tmp_path):
    value = memory(tmp_path)
    for number in range(KEPT_MESSAGES + 30):
        value.write(Message(str(number), "b", "error"), ["1 json"], NOW)
        if number:
            value.record(value.outbox[-1], "1 json", None, NOW)
    value.runs = {"old": NOW - 10, "new": NOW}
    value.forget(NOW - 5, NOW)
    titles = [outgoing.title for outgoing in value.outbox]
    assert titles == ["0", *(str(number) for number in range(30, KEPT_MESSAGES + 30))]
    assert value.runs == {"new": NOW}
