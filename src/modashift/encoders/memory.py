"""How many processes with encoders fit into a machine: each holds its own copy of the weights."""

from collections.abc import Mapping
from pathlib import Path

from modashift.encoders.base import device_of
from modashift.encoders.names import Modality
from modashift.encoders.sources import find

__all__ = ["processes_that_fit"]

GIGABYTE = 1 << 30
OWN = GIGABYTE  # bytes of a process beside its weights: libraries, a recording, what a window passes through
LOADING = 1.3  # a model being loaded takes a little more than its weights


def processes_that_fit(encoders: Mapping[Modality, str], device: str, most: int) -> int:
    """Processes whose encoders fit together into the memory that is free, of the GPU where one is used; at least one.

    Args:
        encoders: by modality.
        device: auto, cpu, cuda or cuda:N.
        most: how many there may be at most.

    Raises:
        ModashiftError: an encoder cannot be found, or the device is not there.
    """
    import torch

    weights = sum(find(name, modality).parameters_bytes for modality, name in encoders.items())
    where = device_of(device)
    needed = OWN + LOADING * weights
    free = float(torch.cuda.mem_get_info(where)[0]) if where.type == "cuda" else _free()
    return max(1, int(min(most, free // needed)))


def _free() -> float:
    """Bytes of memory that can be had; without bound where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return float("inf")
