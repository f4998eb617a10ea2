"""Counts the bytes of tensors that exist at a time, and their peak.

It stands between torch and the kernels, and sees every tensor that an operation makes, in the backward pass too. Views
share a storage and count once. What a kernel allocates for itself while it runs is not seen.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from distill_dagster.training.memory.torch_internals import TorchDispatchMode, tree_leaves


class PeakTracker(TorchDispatchMode):
    """Bytes of the tensors that were made inside the block; views of `existing` ones count as nothing.

    Example:
        >>> with PeakTracker() as tracker:
        ...     a = torch.empty(10) + torch.empty(10)
        >>> tracker.live, tracker.peak
        (40, 120)
    """

    def __init__(self, existing: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._existing = [tensor.untyped_storage() for tensor in existing]  # kept, so that no other one takes its key
        self._sizes = {storage._cdata: 0 for storage in self._existing}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run the operation, and count what it made."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: Any) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key)
