"""The device of a run, its name, and how it is made to give the same result twice."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pepr_utils.errors import PeprError, unknown_name
from pepr_utils.measurement.metering.cpu import processor_name

KINDS = ("cuda", "mps", "cpu")


class DeviceError(PeprError, RuntimeError):
    """The requested device is not available."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device to train on.

    Parameters
    ----------
    name : {"auto", "cuda", "mps", "cpu"} or "cuda:N"
        ``auto`` takes the first of CUDA, MPS and CPU that is there.

    Raises
    ------
    DeviceError
        If there is no such device.
    UnknownNameError
        If it is no name of a device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind in KINDS if there[kind]))
    kind, _, number = name.partition(":")
    if kind not in KINDS or (number and (kind != "cuda" or not number.isdigit())):
        raise unknown_name("device", name, ("auto", *KINDS), also="cuda:N")
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        usable = [k for k in KINDS if there[k]]
        raise DeviceError(
            f"device {name!r} is not there; this machine and this torch ({torch.__version__}) "
            f"have {', '.join(usable)}; choose one of these or 'auto'"
        )
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Model name of a device, such as ``NVIDIA H100 80GB HBM3`` or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = processor_name() or platform.processor() or platform.machine() or "unknown CPU"
    return f"{name} (MPS)" if device.type == "mps" else name


@contextmanager
def deterministic(
    seed: int, *, tf32_convolutions: bool = True, cpu_threads: int | None = None
) -> Iterator[None]:
    """Make torch repeat itself: seeds, deterministic algorithms where there are any, arithmetic.

    The number of threads decides the order of sums, and so their last digits. Memory is not filled
    before it is written, as torch would do here to help find faults: that would be metered.

    An operation without a deterministic form still runs; torch's warning about it is dropped, since
    a record promises the same result for the same seed and device up to such operations.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.get_num_threads(),
    )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.set_num_threads(cpu_threads or before[-1])
    torch.manual_seed(seed)
    cudnn = torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled,
        benchmark=False,
        deterministic=True,
        allow_tf32=tf32_convolutions,
    )
    try:
        with cudnn, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deterministic.*", category=UserWarning)
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cuda.matmul.allow_tf32 = before[2]
        torch.utils.deterministic.fill_uninitialized_memory = before[3]
        torch.set_num_threads(before[4])


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def release_memory(device: torch.device) -> None:
    """Give back what earlier runs of this process hold in reserve: the peak begins there."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
