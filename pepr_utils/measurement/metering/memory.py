"""Peak memory of this process: of torch on the cards, and the resident set."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_SELF = Path("/proc/self")


def torch_in_use() -> Any | None:
    """Torch, if this process has imported it and started CUDA; never imports it."""
    torch = sys.modules.get("torch")
    with suppress(Exception):
        if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
            return torch
    return None


def torch_current() -> int:
    """The number of the card that torch calls ``cuda``; 0 where torch is not in use."""
    torch = torch_in_use()
    with suppress(Exception):
        if torch is not None:
            return int(torch.cuda.current_device())
    return 0


def torch_uuid(index: int) -> str | None:
    """UUID of a card by torch's number, without its ``GPU-``; None where torch is not in use."""
    torch = torch_in_use()
    with suppress(Exception):
        if torch is not None:
            return str(torch.cuda.get_device_properties(index).uuid)
    return None


def synchronize() -> None:
    """Wait until the cards have done what this process gave them; an error is left to the block."""
    torch = torch_in_use()
    if torch is not None:
        with suppress(Exception):
            for index in _used(torch):
                torch.cuda.synchronize(index)


def _used(torch: Any) -> list[int]:
    """The cards that torch uses: to wait for another would take memory on it."""
    current = torch.cuda.current_device()
    held = [i for i in range(torch.cuda.device_count()) if torch.cuda.memory_reserved(i)]
    return sorted({current, *held})


def reset_peaks() -> bool:
    """Forget earlier peaks; False where that of the resident set cannot be (other than Linux)."""
    torch = torch_in_use()
    if torch is not None:
        with suppress(Exception):
            for index in _used(torch):
                torch.cuda.reset_peak_memory_stats(index)
    try:
        (_SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def torch_peaks() -> tuple[int | None, int | None]:
    """Largest allocated and reserved memory (bytes), summed over the cards that torch uses."""
    torch = torch_in_use()
    if torch is None:
        return None, None
    try:
        indices = range(torch.cuda.device_count())
        return (
            sum(torch.cuda.max_memory_allocated(index) for index in indices),
            sum(torch.cuda.max_memory_reserved(index) for index in indices),
        )
    except Exception:  # noqa: BLE001 - a card that has failed; the run's own error says so
        return None, None


def resident_peak() -> int | None:
    """Largest resident set (bytes) since the reset; None where the system does not tell."""
    try:
        lines = (_SELF / "status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return None
