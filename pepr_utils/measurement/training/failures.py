"""Why a training can fail, in words that a record can keep."""

from __future__ import annotations

import torch

from pepr_utils.errors import PeprError


class TrainingFailedError(PeprError, RuntimeError):
    """A training came to no result; the message is the reason that its record keeps."""


def reason(error: BaseException, device: torch.device) -> str | None:
    """Say why a training failed; None for what is no failure, such as Ctrl-C.

    Parameters
    ----------
    error : BaseException
        What was raised.
    device : torch.device
        Where it was trained.
    """
    if isinstance(error, TrainingFailedError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError) or "out of memory" in text.lower():
        return f"out of memory on {device.type}: {text[:300]}"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in text:
        return f"out of memory on {device.type}: {text[:300]}"
    return f"{type(error).__name__}: {text[:300]}" if isinstance(error, Exception) else None
