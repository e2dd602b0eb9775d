"""What the meter itself costs: processor time of its windows and its sampling, over a run's time.

    python benchmarks/metering.py [--seconds S] [--window S]

The hardware is made up at its boundary, so that both ways of reading are in the figure on any
machine: a GPU in the place of NVML's functions, which answers at once, and RAPL domains in a
temporary folder. What a driver takes to answer comes on top; `--real` leaves the hardware as it is.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np

from pepr_utils.measurement.metering import INTERVAL_S, meter, rapl

ROOT = Path(__file__).resolve().parents[1]


class _Setter:
    """Sets attributes for good: the process ends with the benchmark."""

    setattr = staticmethod(setattr)


def make_up_hardware(folder: Path) -> None:
    """Put a GPU and two RAPL domains in the place of this machine's."""
    path = ROOT / "tests" / "unit" / "metering_doubles.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    doubles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(doubles)
    doubles.install(_Setter, [doubles.Gpu("GPU-a", 250.0)])
    domains = {"intel-rapl:0": ("package-0", 5, 10**9), "intel-rapl:0:0": ("dram", 5, 10**9)}
    rapl.POWERCAP = doubles.powercap(folder, domains)


def work(seconds: float) -> None:
    """Keep the processor and no other thread busy, as a training would."""
    end = time.monotonic() + seconds
    matrix = np.random.default_rng(0).random((200, 200))
    while time.monotonic() < end:
        matrix = matrix @ matrix
        matrix /= matrix.max()


def cost(seconds: float, window: float) -> dict[str, float]:
    """Meter some work; return what starting, windows and sampling took."""
    began = time.monotonic()
    with meter(idle_s=0) as measured:
        start = time.monotonic() - began
        in_windows = n = 0
        until = time.monotonic() + seconds
        thread = measured._hardware._sampler
        clock = None if thread is None else time.pthread_getcpuclockid(thread.ident)
        before = 0.0 if clock is None else time.clock_gettime(clock)
        while time.monotonic() < until:
            outside = time.thread_time()
            context = measured.window("train", n + 1)
            context.__enter__()
            in_windows += time.thread_time() - outside
            work(window)
            outside = time.thread_time()
            context.__exit__(None, None, None)
            in_windows += time.thread_time() - outside
            n += 1
        sampling = 0.0 if clock is None else time.clock_gettime(clock) - before
    return {
        "start_s": start,
        "windows": n,
        "per_window_ms": 1e3 * in_windows / n,
        "sampling_ms_per_s": 1e3 * sampling / measured.duration_s(),
        "share_percent": 100 * (in_windows + sampling) / measured.duration_s(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--window", type=float, nargs="+", default=[1, 5])
    parser.add_argument("--real", action="store_true", help="leave the hardware as it is")
    asked = parser.parse_args(arguments)
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"a sample every {INTERVAL_S:g} s\n"
    )
    print("| windows | start | per window | sampling | share of the run |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        if not asked.real:
            make_up_hardware(Path(folder))
        for window in asked.window:
            found = cost(asked.seconds, window)
            print(
                f"| {found['windows']} of {window:g} s | {found['start_s']:.1f} s "
                f"| {found['per_window_ms']:.1f} ms | {found['sampling_ms_per_s']:.2f} ms/s "
                f"| {found['share_percent']:.2f} % |"
            )


if __name__ == "__main__":
    main()
