"""Try on a GPU what cannot be tried without one, in at most eight minutes, and judge it.

    make gpu-check
    python benchmarks/gpu_check.py --output DIR [--data NAME|FILE.npz ...] [--device cpu]

1. Trains a few architectures from scratch by `paper` and by `fast`, and leaves their records.
2. Meters an idle, a light and a full load: NVML's counter beside carbontracker and nvidia-smi.
3. Compares training by `fast` with a plain loop and with the bare step.

DIR/verdict.md is the page that says how each came out, DIR/gpu-check.json its figures. Without a
GPU every step runs on the processor, by the protocol `demo` and at a small size that takes a few
minutes; what only a GPU can show is then reported as not tried.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from common import machine, options, report
from training import measured

from pepr_utils import audit, load_result_set
from pepr_utils.errors import PeprError
from pepr_utils.measurement import protocol
from pepr_utils.measurement.metering import meter
from pepr_utils.results.atomic import write_whole

#: Architectures, and the least that `fast` has to reach on a GPU against the plain loop.
ARCHITECTURES = ("resnet18d", "mobilenetv2_050", "convnext_atto")
LEAST_SPEED_UP, WITHIN_BARE, WITHIN_COUNTER = 2.4, 0.95, 0.05
LOADS = {"idle": 0.0, "light": 0.2, "full": 1.0}


#: Options of the check where none are given, by the device.
DEFAULTS = {
    "cuda": {"protocols": ["paper", "fast"], "size": 224, "steps": 20, "seconds": 15.0},
    "cpu": {"protocols": ["demo"], "size": 32, "steps": 2, "seconds": 3.0},
}


def train_all(asked: Any) -> list[str]:
    """Train by `pepr run`, as a user would; return what failed."""
    failed = []
    for images in asked.data:
        for recipe in asked.protocols:
            command = [
                str(Path(sys.executable).with_name("pepr")), "run", "--data", images,
                "--architectures", ",".join(asked.architectures), "--protocol", recipe, "--scratch",
                "--output", str(asked.output), "--train-fraction", str(asked.train_fraction),
                "--device", asked.device,
            ]  # fmt: skip
            if subprocess.run(command, check=False).returncode:
                failed.append(f"{recipe} on {images}")
    return failed


@contextmanager
def nvidia_smi(watts: dict[str, list[float]]) -> Iterator[None]:
    """Collect each visible GPU's power, five times a second; nothing without nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        yield
        return
    query = [program, "--query-gpu=index,power.draw", "--format=csv,noheader,nounits"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    query += ["-lms", "200", *(["-i", visible] if visible else [])]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as running:

        def collect() -> None:
            for line in running.stdout or ():
                gpu, _, power = line.partition(",")
                try:
                    read = float(power)
                except ValueError:  # "[N/A]"
                    continue
                watts.setdefault(gpu, []).append(read)

        reader = threading.Thread(target=collect, daemon=True)
        reader.start()
        try:
            yield
        finally:
            running.terminate()
            reader.join(5)


def load(share: float, seconds: float, device: torch.device) -> None:
    """Keep the device busy for a share of the time."""
    size = 4096 if device.type == "cuda" else 256
    matrix = torch.rand(size, size, device=device)
    until = time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        if not share:
            time.sleep(seconds)
            continue
        while time.monotonic() < began + 0.1 * share:
            matrix = matrix @ matrix
            matrix /= matrix.max()
            if device.type == "cuda":
                torch.cuda.synchronize()
        time.sleep(0.1 * (1 - share))


def powers(seconds: float, device: torch.device) -> list[dict[str, Any]]:
    """Mean power (W) of each load by each way of reading it; None where it cannot be read."""
    found = []
    for name, share in LOADS.items():
        watts: dict[str, list[float]] = {}
        with nvidia_smi(watts), meter(idle_s=0) as metered, metered.window("train"):
            load(share, seconds, device)
        took = metered.duration_s()
        read = {by: metered.gpu_kwh(by) for by in ("counter", "polled")}
        means = {by: None if kwh is None else kwh * 3.6e6 / took for by, kwh in read.items()}
        means["nvidia_smi"] = sum(map(mean, watts.values())) if watts else None
        known = [value for value in means.values() if value]
        spread = (max(known) - min(known)) / max(known) if len(known) > 1 else None
        found.append({"load": name, "s": took} | means | {"spread": spread})
    return found


def verdict(failed: list[str], findings: list[str], loads: list, speeds: list) -> list[str]:
    """Judge each part in one line."""
    lines = [f"- Training: {'failed: ' + ', '.join(failed) if failed else 'all runs are done.'}"]
    lines.append(f"- Audit of the records: {'; '.join(findings) or 'no error, no warning'}.")
    counted = [row for row in loads if row["counter"] and row["polled"]]
    if counted:
        worst = max(counted, key=lambda row: row["spread"])
        well = "agree" if worst["spread"] <= WITHIN_COUNTER else "DISAGREE"
        lines.append(
            f"- Meter: counter, carbontracker and nvidia-smi {well}; they are at most "
            f"{100 * worst['spread']:.1f} % apart ({worst['load']} load), "
            f"allowed {100 * WITHIN_COUNTER:g} %."
        )
    else:
        lines.append("- Meter: not tried, no energy counter of a GPU can be read.")
    plain, bare = (median(row[f"{way}_over_ours"] for row in speeds) for way in ("plain", "bare"))
    least = LEAST_SPEED_UP if any(row["device"] == "cuda" for row in speeds) else 1.0
    well = "as promised" if plain >= least and bare >= WITHIN_BARE else "SLOWER THAN PROMISED"
    lines.append(
        f"- Speed: {well}: `fast` is {plain:.2f} times as fast as the plain loop (promised "
        f"{least:g}) and {bare:.2f} times as fast as the bare step (promised {WITHIN_BARE:g})."
    )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Try everything; write records, figures and the verdict."""
    parser = options(__doc__)
    parser.add_argument("--output", type=Path, default=Path("results/gpu-check"))
    parser.add_argument("--data", nargs="+", default=["phantom"])
    parser.add_argument("--device", choices=["cuda", "cpu"])
    parser.add_argument("--architectures", nargs="+", default=list(ARCHITECTURES))
    parser.add_argument("--protocols", nargs="+", help="paper fast; on a processor demo")
    parser.add_argument("--train-fraction", type=float, default=1.0)
    parser.add_argument("--size", type=int, help="of the compared steps, px")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float, help="of each load")
    asked = parser.parse_args(arguments)
    asked.output.mkdir(parents=True, exist_ok=True)
    asked.json = asked.json or asked.output / "gpu-check.json"
    asked.device = asked.device or ("cuda" if torch.cuda.is_available() else "cpu")
    for name, value in DEFAULTS[asked.device].items():
        if getattr(asked, name) is None:
            setattr(asked, name, value)
    device = torch.device(asked.device)
    if device.type == "cpu":
        print("No GPU is used: the check runs small, on the processor.\n", flush=True)
    about = machine("torch", "timm", "carbontracker") | {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "the processor"
    }

    failed = train_all(asked)
    try:
        found = audit(load_result_set(asked.output))
        findings = [f"{f.check} ({f.severity})" for f in found if f.severity != "note"]
    except PeprError as error:  # no run has left a record
        findings = [f"not possible, {error}"]
    loads = powers(asked.seconds, device)
    watts = {by: f"{{{by}!s:.6}} W" for by in ("counter", "polled", "nvidia_smi")}
    report("loads", loads, {"load": "{load}", "time": "{s:.1f} s", **watts}, about, asked)
    speeds = [
        measured(name, protocol("fast"), 1, asked.size, 3, asked.steps, device)
        for name in asked.architectures
    ]
    columns = {
        "architecture": "{architecture}", "plain / ours": "{plain_over_ours:.2f}",
        "timm / ours": "{timm_over_ours:.2f}", "bare / ours": "{bare_over_ours:.2f}",
    }  # fmt: skip
    report("speed", speeds, columns, about, asked)

    lines = verdict(failed, findings, loads, speeds)
    text = f"# GPU check on {about['device']}\n\n" + "\n".join(lines) + "\n\n"
    write_whole(asked.output / "verdict.md", (text + f"{json.dumps(about)}\n").encode())
    print("\n" + text)


if __name__ == "__main__":
    main()
