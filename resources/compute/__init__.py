"""Where a worker runs: the resource that assets get, and one module for each backend.

inline       in the asset's process; models stay loaded between shards. CPU, tests, `distill-dagster run`.
subprocess   a Dagster Pipes child that sees only the leased devices and gives their memory back at its end.
ray          such a child on a node of a Ray cluster, started again elsewhere if the node dies.
k8s          such a child in a pod of a Kubernetes cluster, started again in another if the pod is lost.
"""

from distill_dagster.resources.compute.resource import Compute

__all__ = ["Compute"]
