"""The benchmarks run, and what they time gives the result of the plain loop; no timing is held."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_scoring_benchmark_runs_at_a_small_size():
    options = ["--rows", "3000", "--groups", "3", "40", "--front", "500", "--repeats", "1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "scoring.py", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if "|" in line]
    assert rows == [
        "groups",
        "---:",
        *["3", "3", "40", "40"],
        "points",
        "---",
        *["500, random", "500, all on the front", "500, many ties"],
    ]
    assert "| 500 |" in done.stdout.splitlines()[-2]  # all of them are on the front


@pytest.mark.slow
def test_sweep_benchmark_runs_at_a_small_size():
    options = ["--runs", "2", "--seconds", "0.1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "sweep.py", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs, shards, *times = done.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert (runs, shards) == ("2", "1")
    assert all(float(time.split()[0]) > 0 for time in times)


def test_metering_benchmark_runs_at_a_small_size():
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "benchmarks" / "metering.py",
            "--seconds",
            "0.4",
            "--window",
            "0.2",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    windows, _, per_window, sampling, share = done.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert windows.endswith("of 0.2 s")
    for figure in (per_window, sampling, share):
        assert float(figure.split()[0]) > 0
