"""Runs workers on a Ray cluster. The step's process is the driver, and Ray leases the GPUs.

backend.py   one run of a worker: attempts, and what is done when one is lost
cluster.py   the connection, the nodes, and which of them can run a need
tasks.py     a task for one attempt
kept.py      kept workers: actors that stay between shards
look.py      what the preflight asks a cluster, in a process of its own
"""

from distill_dagster.resources.compute.ray.backend import run_on_ray

__all__ = ["run_on_ray"]
