"""What the meter itself costs: processor time of its windows and its sampling, over a run's time.

    python benchmarks/metering.py [--seconds S] [--window S]

The hardware is made up at its boundary, so that both ways of reading are in the figure on any
machine: a GPU in the place of NVML's functions, which answers at once, and RAPL domains in a
temporary folder. What a driver takes to answer comes on top; `--real` leaves the hardware as it is.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

import numpy as np
from common import machine, options, report

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
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--window", type=float, nargs="+", default=[1, 5])
    parser.add_argument("--real", action="store_true", help="leave the hardware as it is")
    asked = parser.parse_args(arguments)
    about = machine("carbontracker") | {
        "hardware": "as it is" if asked.real else "a simulated GPU, two RAPL domains",
        "interval_s": INTERVAL_S,
    }
    columns = {
        "windows": "{windows} of {window_s:g} s", "start": "{start_s:.2f} s",
        "per window": "{per_window_ms:.1f} ms", "sampling": "{sampling_ms_per_s:.2f} ms/s",
        "share of the run": "{share_percent:.2f} %",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        if not asked.real:
            make_up_hardware(Path(folder))
        rows = [{"window_s": window} | cost(asked.seconds, window) for window in asked.window]
    report("meter" + (", real" if asked.real else ""), rows, columns, about, asked)


if __name__ == "__main__":
    main()
