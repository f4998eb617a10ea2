"""Which devices a run may use: whole GPUs of one machine, leased by file locks.

A Dagster pool limits how many runs are admitted. It neither chooses devices nor counts how many a run takes; the lease
does both. The operating system holds the locks, so a process that dies frees its devices at once. A lease takes all of
its devices or none, so two leases never deadlock.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from distill_dagster.config import Need
from distill_dagster.errors import ComputeError
from distill_dagster.remote.gpus import SOLD_AS, machine_devices, visible_devices

POLL_SECONDS = 0.5


def ordinal(device: str) -> int:
    """The number by which this process's CUDA knows a leased device: its place among the visible ones.

    Raises:
        ComputeError: it is named by its UUID, and CUDA_VISIBLE_DEVICES does not list it.
    """
    visible = visible_devices()
    if visible and device in visible:
        return visible.index(device)
    if not device.isdecimal():
        raise ComputeError(
            f"compute.devices names {device}, which is not a number, and CUDA_VISIBLE_DEVICES does not list it: give "
            "its index as nvidia-smi does, or set compute.backend: subprocess"
        )
    return int(device)


class GpuPool(dg.ConfigurableResource):
    """The GPUs of this machine, for lease.

    Example:
        >>> pool = GpuPool(devices=["0", "1"])
        >>> with pool.lease(Need(gpus=2)) as devices:
        ...     devices
        ['0', '1']
    """

    devices: list[str] | None = None  # None: as nvidia-smi lists them; []: a CPU-only machine
    lock_folder: str = f"/tmp/distill-dagster-gpus-{os.getuid()}"  # not in TMPDIR, which differs between batch jobs

    def usable(self, need: Need) -> list[str]:
        """Devices of a need's nominal memory; devices listed by hand have no known memory and all count."""
        if self.devices is not None:
            return list(self.devices)
        return [device for device, gb in machine_devices().items() if gb >= SOLD_AS * need.memory_gb]

    @contextlib.contextmanager
    def lease(self, need: Need) -> Iterator[list[str]]:
        """Hold `need.gpus` devices while the block runs, waiting while others hold them; [] means CPU.

        Raises:
            ComputeError: the machine has too few such devices, unless it has none and the need accepts a CPU.
        """
        usable = self.usable_for(need)
        if not usable:
            yield []
            return
        self._require_own_folder()
        while (locks := self._acquire(usable, need.gpus)) is None:
            time.sleep(POLL_SECONDS)
        try:
            yield list(locks)
        finally:
            for lock in locks.values():
                lock.release()

    def _require_own_folder(self) -> None:
        """Make the folder of locks; in /tmp, somebody else may have been faster.

        Raises:
            ComputeError: it is a link, another user's, or everybody may write it.
        """
        folder = Path(self.lock_folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & stat.S_IWOTH:
            raise ComputeError(
                f"{folder}, which holds the leases of devices, is not a folder that user {os.getuid()} alone writes "
                f"(owner {found.st_uid}, mode {stat.filemode(found.st_mode)}): look who made it, and remove it"
            )

    def usable_for(self, need: Need) -> list[str]:
        """The devices from which a need is leased; [] means CPU.

        Raises:
            ComputeError: as `lease` does.
        """
        usable = self.usable(need)
        if need.gpus == 0 or (not usable and need.cpu):
            return []
        if need.gpus > len(usable):
            memory = f" with {need.memory_gb:g} GB" if need.memory_gb else ""
            raise ComputeError(
                f"{need.gpus} GPU(s){memory} asked for, this machine has {len(usable)}; lower `compute.….gpus`"
                f"{'' if need.cpu else ' or set `cpu: true`'}, or run on a machine that has them"
            )
        return usable

    def _acquire(self, usable: list[str], count: int) -> dict[str, FileLock] | None:
        """Lock `count` free devices, or none at all."""
        held: dict[str, FileLock] = {}
        for device in usable:
            lock = FileLock(Path(self.lock_folder) / f"gpu-{device}.lock")
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                held[device] = lock
            if len(held) == count:
                return held
        for lock in held.values():
            lock.release()
        return None
