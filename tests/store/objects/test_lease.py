"""Locks of many machines: one owner at a time, and a dead one's is taken over."""

import json
import threading
import time

import pytest

from distill_dagster.store.objects.bucket import TakenError
from distill_dagster.store.objects.lease import HeldError, Lease, is_held, leased

NAME = "raw_dataset/s0"
PATH = f"locks/{NAME}.json"


def test_a_second_owner_waits_for_the_first(bucket):
    order = []

    def wait():
        with leased(bucket, NAME):
            order.append("second")

    with leased(bucket, NAME):
        other = threading.Thread(target=wait)
        other.start()
        with pytest.raises(HeldError), leased(bucket, NAME, wait=False):
            pass
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    with leased(bucket, NAME, wait=False):
        pass


def test_an_owner_that_renews_its_lease_keeps_it_whatever_the_local_clock_says(bucket, monkeypatch):
    with leased(bucket, NAME, seconds=4.0):
        while json.loads(bucket.get(PATH).data)["beat"] < 7:  # 1 s each: longer than the lease and the rounding
            time.sleep(0.1)
        monkeypatch.setattr(time, "time", lambda: 4e9)
        with pytest.raises(HeldError), leased(bucket, NAME, wait=False):
            pass


def test_the_lease_of_a_dead_owner_is_taken_over_when_it_has_expired(bucket):
    dead = {"owner": "host:1:x", "held": True, "beat": 7, "seconds": 0.1}
    bucket.create(PATH, json.dumps(dead | {"seconds": 600.0}).encode())
    with pytest.raises(HeldError), leased(bucket, NAME, wait=False):
        pass
    bucket.put(PATH, json.dumps(dead).encode())
    with leased(bucket, NAME):
        assert json.loads(bucket.get(PATH).data)["owner"] != "host:1:x"


def test_an_owner_that_lost_its_lease_leaves_the_new_owner_alone(bucket):
    lease = Lease(bucket, NAME, seconds=0.1)
    lease.acquire()
    while True:
        found = bucket.get(PATH)
        taken = json.dumps({"owner": "another", "held": True, "beat": 0, "seconds": 60.0}).encode()
        try:
            bucket.replace(PATH, taken, found.tag)
            break
        except TakenError:
            continue  # it renewed its lease in between
    while not lease.is_lost:
        time.sleep(0.01)
    lease.release()
    assert bucket.get(PATH).data == taken


def test_an_owner_whose_renewal_was_not_answered_keeps_its_lease(bucket):
    """The renewal took place, and its tag was lost: the lock still names the owner."""
    lease = Lease(bucket, NAME, seconds=2.0)
    lease.acquire()
    bucket.put(PATH, bucket.get(PATH).data)  # another tag, the same owner
    while json.loads(bucket.get(PATH).data)["beat"] < 2:
        time.sleep(0.05)
    assert not lease.is_lost
    assert is_held(bucket, NAME)
    lease.release()
    assert not is_held(bucket, NAME)


def test_the_lock_is_given_back_after_an_error(bucket):
    with pytest.raises(RuntimeError), leased(bucket, NAME):
        raise RuntimeError
    with leased(bucket, NAME, wait=False):
        pass
