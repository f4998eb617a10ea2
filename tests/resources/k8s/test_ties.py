"""What ties a pod to its step: an owner, and a sweep of what killed steps have left."""

import math
import os
import time

from distill_dagster.config import K8sPod, Need
from distill_dagster.remote.attempt import JOBS, Attempt, new_attempt
from distill_dagster.resources.compute.k8s import ties
from distill_dagster.resources.compute.k8s.api import connect
from distill_dagster.resources.compute.k8s.pod import Wanted, build_pod
from distill_dagster.resources.compute.k8s.settings import K8sSettings
from distill_dagster.resources.compute.k8s.ties import owner_of, silent_s, sweep
from testing.k8s_api import IMAGE
from testing.waiting import wait_for

SLEEPER = {"containers": [{"name": "c", "image": IMAGE, "command": ["sleep", "600"], "resources": {}}]}


def sleeper(own, store, job):
    """A pod as the backend makes it, whose process only sleeps."""
    pod = build_pod(own, Wanted(Attempt(store / JOBS / job / "1", 1), "read_rows", Need(gpus=0), K8sPod()))
    pod["spec"]["containers"][0]["command"] = ["sleep", "600"]
    return pod


def test_pods_of_dead_steps_are_swept_and_those_of_others_are_left(k8s, tmp_path, monkeypatch):
    monkeypatch.setattr(ties, "FORGOTTEN", 0.4)  # 2 s in place of 15
    made = {"image": IMAGE, "kind": "train", "orphan_s": 5}
    stores = [tmp_path / "one", tmp_path / "two", tmp_path / "one"]
    claims = ["store", "store", "claim-of-another-project"]
    owns = [
        K8sSettings(**made, claims={str(tmp_path): claim}, store=str(store))
        for claim, store in zip(claims, stores, strict=True)
    ]
    api = connect(None, None)
    jobs = [stores[0] / JOBS / name for name in ("alive", "silent", "gone")]
    for job in jobs[:2]:
        new_attempt(job, 1).alive.touch()
    pods = [sleeper(owns[0], stores[0], job.name) for job in jobs]
    others = [sleeper(owns[1], stores[1], "other"), sleeper(owns[2], stores[2], "theirs")]
    for pod in [*pods, *others]:
        api.create(pod)
    dead = {pod["metadata"]["name"] for pod in pods[1:]}
    swept: set[str] = set()

    def has_swept() -> bool:
        (jobs[0] / "alive").touch()
        swept.update(sweep(api, owns[0]))
        return swept >= dead

    wait_for(has_swept, "the sweep")
    assert swept == dead
    wait_for(lambda: len(k8s.alive()) == 3, "the end of the pods")
    assert {pod["metadata"]["name"] for pod in (pods[0], *others)} == set(k8s.alive())


def test_a_step_is_dead_only_if_its_job_is_gone_or_its_file_is_old(tmp_path):
    job = tmp_path / JOBS / "3f2a"
    alive = job / "alive"
    assert silent_s(job) == 0, "no folder of jobs, as where a volume is not mounted"
    job.parent.mkdir()
    assert silent_s(job) == math.inf
    job.symlink_to(job)
    assert silent_s(job) == 0, "an OSError of another kind"
    job.unlink()
    job.mkdir()
    assert silent_s(job) == 0, "a job without the file"
    alive.symlink_to(alive)
    assert silent_s(job) == 0, "a file that cannot be read"
    alive.unlink()
    alive.touch()
    os.utime(alive, (time.time() - 100,) * 2)
    assert silent_s(job) > 90
    assert list(job.iterdir()) == [alive]


def test_the_owner_is_the_pod_of_the_step_if_it_runs_in_one(k8s, monkeypatch):
    for name in ("POD_UID", "POD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "run-1"}, "spec": SLEEPER}
    monkeypatch.setenv("POD_NAME", "run-1")
    api = connect(None, None)
    assert owner_of(api) is None, "not in a cluster"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert owner_of(api) is None, "there is no such pod"
    api.create(pod)
    uid = api.get("run-1")["metadata"]["uid"]
    assert owner_of(api) == {"apiVersion": "v1", "kind": "Pod", "name": "run-1", "uid": uid}
    monkeypatch.setenv("POD_UID", "u-2")
    assert owner_of(api)["uid"] == "u-2"
    monkeypatch.setenv("POD_NAMESPACE", "dagster")
    assert owner_of(api) is None, "an owner is in the namespace of what it owns"
    api.delete("run-1", 0)
