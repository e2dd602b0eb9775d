"""Which device a run uses, what it is called, and how it is made to give the same result twice."""

from __future__ import annotations

import os
import platform
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from pepr_utils.errors import PeprError, unknown_name

KINDS = ("cuda", "mps", "cpu")


class DeviceError(PeprError, RuntimeError):
    """The device that was asked for is not there."""


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
        If the name stands for none.
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
    name = ""
    if platform.system() == "Linux":
        with suppress(OSError):
            lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            name = next((x.split(":", 1)[1] for x in lines if x.startswith("model name")), "")
    elif platform.system() == "Darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    name = " ".join(name.split()) or platform.processor() or platform.machine() or "unknown CPU"
    return f"{name} (MPS)" if device.type == "mps" else name


@contextmanager
def deterministic(
    seed: int, *, tf32_convolutions: bool = True, cpu_threads: int | None = None
) -> Iterator[None]:
    """Make torch repeat itself: seeds, deterministic algorithms where there are any, arithmetic.

    The order in which sums are taken follows from the number of threads, and so do last digits.
    Memory that is not written yet stays as it is: to fill it, as torch does by default here, is a
    help to find faults and would be metered as part of the training.

    An operation without a deterministic form runs as it is; torch's warning about it is dropped,
    since the record's promise is the same seed on the same device, up to such operations.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
    )
    threads_before = torch.get_num_threads()
    fill_before = torch.utils.deterministic.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    torch.backends.cudnn.allow_tf32 = tf32_convolutions
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_num_threads(cpu_threads or threads_before)
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deterministic.*", category=UserWarning)
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = before[2:4]
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before[4:]
        torch.utils.deterministic.fill_uninitialized_memory = fill_before
        torch.set_num_threads(threads_before)


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
