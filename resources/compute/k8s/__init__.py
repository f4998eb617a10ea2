"""Runs workers as pods of a Kubernetes cluster. The step's process talks to the API, and Kubernetes chooses the nodes.

backend.py     one run of a worker: attempts, and what is done when one is lost
settings.py    `compute.k8s` with what the rest of the config says of it
pod.py         the pod of an attempt, as a document
api.py         the API server: what of it is used, and its errors
following.py   one pod from its creation to its end
reading.py     what a pod's status means
log.py         the pod's log, in the step's
ties.py        what ties a pod to its step: a sign of life, an owner, a sweep
"""

from distill_dagster.resources.compute.k8s.backend import run_in_pod

__all__ = ["run_in_pod"]
