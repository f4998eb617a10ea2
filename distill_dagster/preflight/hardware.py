"""Where steps would run: this machine (devices.py), nodes of Ray (cluster.py), or pods (kubernetes.py)."""

from dataclasses import dataclass
from typing import Protocol

from distill_dagster.config import Need
from distill_dagster.preflight.requirement import Requirement, State


@dataclass(frozen=True, slots=True)
class Leasable:
    """The devices from which a need is leased, [] for the CPU, and the memory there; of several nodes, of each."""

    devices: list[str]
    gpu_gb: list[float]  # of the devices whose memory is known, the smallest first
    main_gb: float
    nodes: int = 1  # that share the work


class Hardware(Protocol):
    """What the preflight asks."""

    def found_for(self, need: Need, kind: str, spreads: bool) -> Leasable:
        """The devices from which the need of a kind of work is leased; what `spreads` may run on several nodes.

        Raises:
            ComputeError: there are too few.
        """
        ...

    def device(self, stage: str, found: Leasable, load_torch: bool) -> Requirement:
        """Whether a stage can use the devices; `load_torch` asks torch too."""
        ...

    def vllm(self) -> tuple[State, str]:
        """Whether vLLM can be used, in words too."""
        ...
