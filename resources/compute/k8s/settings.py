"""`compute.k8s` with what the rest of the config says of it, and what can be wrong with both together."""

from pathlib import PurePath

from distill_dagster.config import K8sConfig, K8sPod
from distill_dagster.errors import ComputeError


class K8sSettings(K8sConfig):
    """The settings of the backend for one kind of work."""

    store: str
    kind: str  # fit, generate, train or benchmark
    secrets: list[str] = []  # names of variables with keys and headers of endpoints

    @property
    def secret_variables(self) -> list[str]:
        """The variables that workers get from the Secret."""
        return list(dict.fromkeys([*self.keys, *self.secrets]))

    def pod_of(self, needs_device: bool) -> K8sPod:
        """What a worker's pod requests; work without a device takes nothing of the nodes with GPUs."""
        return self.pod_for(self.kind) if needs_device else self.pod


def require_fit(own: K8sSettings) -> None:
    """Refuse what pods could not work with, before any is made.

    Raises:
        ComputeError: pods would not see the store, or a key would be in their specs.
    """
    if not any(PurePath(own.store).is_relative_to(path) for path in own.claims):
        mounted = ", ".join(own.claims) or "nothing"
        raise ComputeError(
            f"the store is {own.store}, and `compute.k8s.claims` mounts {mounted} in pods: name the claim of the "
            "volume that holds the store, under the path at which Dagster's process has it"
        )
    if own.secret_variables and not own.keys_from:
        raise ComputeError(
            f"workers need {', '.join(own.secret_variables)}, and `compute.k8s.keys_from` names no Secret: make one "
            "with these entries, such as by `kubectl create secret generic distill-keys --from-env-file=…`, and name it"
        )
