"""Peak memory of this process, and what its torch reports; torch is never imported here."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_SELF = Path("/proc/self")


def torch_in_use() -> Any | None:
    """Torch, if this process has imported it and started CUDA."""
    torch = sys.modules.get("torch")
    with suppress(Exception):
        if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
            return torch
    return None


def torch_current() -> int:
    """The number of the GPU that torch calls ``cuda``; 0 where torch is not in use."""
    with suppress(Exception):
        return int(torch_in_use().cuda.current_device())
    return 0


def torch_uuid(index: int) -> str | None:
    """UUID of a GPU by torch's number, without its ``GPU-``; None where torch is not in use."""
    with suppress(Exception):
        return str(torch_in_use().cuda.get_device_properties(index).uuid)
    return None


def synchronize() -> None:
    """Wait until the GPUs have done what this process gave them; an error is left to the block."""
    with suppress(Exception):
        for index in _used():
            torch_in_use().cuda.synchronize(index)


def _used() -> list[int]:
    """The GPUs that torch uses: to wait for another would take memory on it."""
    torch = torch_in_use()
    if torch is None:
        return []
    held = [i for i in range(torch.cuda.device_count()) if torch.cuda.memory_reserved(i)]
    return sorted({torch.cuda.current_device(), *held})


def reset_peaks() -> bool:
    """Forget earlier peaks; False where that of the resident set cannot be (not on Linux).

    What earlier work has freed goes back to the system first: else a small model that is trained
    after a large one in the same process would seem to need the large one's memory.
    """
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with suppress(Exception):
        for index in _used():
            torch_in_use().cuda.reset_peak_memory_stats(index)
    try:
        (_SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def torch_peaks() -> tuple[int | None, int | None]:
    """Largest allocated and reserved memory (bytes), summed over the GPUs that torch uses."""
    with suppress(Exception):  # torch is not in use, or a GPU failed: the run reports that itself
        cuda = torch_in_use().cuda
        indices = range(cuda.device_count())
        allocated = sum(cuda.max_memory_allocated(index) for index in indices)
        return allocated, sum(cuda.max_memory_reserved(index) for index in indices)
    return None, None


def resident_peak() -> int | None:
    """Largest resident set (bytes) since the reset; None where the system does not say."""
    try:
        lines = (_SELF / "status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return None
