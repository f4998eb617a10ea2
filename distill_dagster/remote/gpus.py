"""The GPUs of the machine that asks, as nvidia-smi lists them."""

import os
import subprocess
from functools import cache

from distill_dagster.errors import ComputeError

SOLD_AS = 0.93  # nvidia-smi lists as little of a card's nominal memory: 22.5 GiB of an L4 that is sold as 24 GB


@cache
def machine_devices() -> dict[str, float]:
    """CUDA device id -> memory in GB, as nvidia-smi lists them; empty without an NVIDIA driver.

    If CUDA_VISIBLE_DEVICES is set, only the devices that it names are listed, because the others are hidden from us.

    Raises:
        ComputeError: nvidia-smi fails, or does not list a device of CUDA_VISIBLE_DEVICES.
    """
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except FileNotFoundError:
        return {}
    except (OSError, subprocess.SubprocessError) as e:
        raise ComputeError(f"nvidia-smi fails ({e}): repair the driver, or set compute.devices: [] for the CPU") from e
    cells = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines()]
    memory = {name: float(mib) / 1024 for index, uuid, mib in cells for name in (index, uuid)}
    visible = visible_devices()
    if visible is None:
        return {index: memory[index] for index, _, _ in cells}
    if unknown := [device for device in visible if device not in memory]:
        raise ComputeError(
            f"CUDA_VISIBLE_DEVICES names {unknown[0]}, nvidia-smi lists {', '.join(memory) or 'nothing'}"
        )
    return {device: memory[device] for device in visible}


def visible_devices() -> list[str] | None:
    """The devices of CUDA_VISIBLE_DEVICES, in its order; None if it is not set."""
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if value is None else [device.strip() for device in value.split(",") if device.strip()]
