"""What a sweep costs beside the training itself: seconds per run, and where they go.

    python benchmarks/sweep.py [--runs N] [--seconds S] [--slots N]
    python benchmarks/sweep.py --real [--runs N]

The first measures runs that sleep for S seconds, in the notebook of the tests: what is left is the
sweep's own. `--real` trains small models by `fine_tune` with the protocol demo; there torch's
start, a look at the data, and making each model come on top.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from common import machine, options, report

from pepr_utils.measurement import Run, select_architectures
from pepr_utils.measurement.sweep import sweep

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["dla46_c", "mobilevitv2_050", "pvt_v2_b0", "resnet14t", "resnet18d", "seresnext26ts"]


def asleep(n: int, seconds: float, slots: int, folder: Path) -> dict[str, float]:
    """Sweep runs that sleep; return where the time went."""
    path = ROOT / "tests" / "functional" / "sweep_driver.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    wanted = driver.runs(n)
    driver.names(wanted)  # looks every architecture up, once per process
    began = time.monotonic()
    driver.measure(
        wanted, folder, slots=slots, seconds=lambda _run: seconds, options={"seconds": seconds}
    )
    wall = time.monotonic() - began
    windows = sorted(driver.windows(folder), key=lambda window: window[1])
    gaps = [after[1] - before[2] for before, after in pairwise(windows)]
    return {
        "runs": n,
        "kernels": len(list(folder.glob("notebooks/*.ipynb"))),
        "wall_s": wall,
        "begin_s": windows[0][1] - began,
        "between_s": median(gaps) if slots == 1 else None,
        "end_s": began + wall - windows[-1][2],
        "per_run_s": (wall * slots - sum(end - begin for _, begin, end, _ in windows)) / n,
    }


def trained(n: int, folder: Path) -> dict[str, float]:
    """Sweep small trainings; return where the time went."""
    wanted = [Run(name, "phantom", "demo", False) for name in select_architectures(SMALL[:n], None)]
    began, told = time.monotonic(), []

    def watch(progress):
        told.append((time.monotonic(), bool(progress.state.running or progress.state.done)))

    found = sweep(wanted, ROOT / "notebooks" / "fine_tune.md", folder, gpus=0, watch=watch)
    wall = time.monotonic() - began
    training = sum(record.train_time_s + record.eval_time_s for record in found.done)
    return {
        "runs": len(found.done),
        "kernels": len(list(folder.glob("notebooks/*.ipynb"))),
        "wall_s": wall,
        "begin_s": next(at for at, running in told if running) - began,
        "between_s": None,
        "end_s": None,
        "per_run_s": (wall - training) / max(1, len(found.done)),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table in Markdown."""
    parser = options(__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[20, 60])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="train, instead of sleeping")
    asked = parser.parse_args(arguments)
    rows = []
    for n in asked.runs:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TMPDIR"] = folder  # locks of devices that no other sweep waits for
            rows.append(
                trained(n, Path(folder))
                if asked.real
                else asleep(n, asked.seconds, asked.slots, Path(folder))
            )
    about = machine("distributed", "papermill") | {
        "runs": "demo trainings" if asked.real else f"asleep for {asked.seconds:g} s",
        "slots": 1 if asked.real else asked.slots,
    }
    columns = {
        "runs": "{runs}", "kernels": "{kernels}", "all": "{wall_s:.1f} s",
        "before the first": "{begin_s:.1f} s", "beyond training, per run": "{per_run_s:.2f} s",
    }  # fmt: skip
    report("sweep" + (", real" if asked.real else ""), rows, columns, about, asked)


if __name__ == "__main__":
    main()
