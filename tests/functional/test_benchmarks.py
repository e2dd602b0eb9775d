"""The benchmarks run at a small size and leave their figures; no timing is held."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAINING = ["--architectures", "mobilenetv2_050", "--protocols", "fast", "demo", "--sizes", "32",
            "--channels", "1", "--rounds", "1", "--steps", "1"]  # fmt: skip


def figures(script, options, folder):
    file = folder / "figures.json"
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, *options, "--json", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text())


@pytest.mark.parametrize(
    ("script", "options", "rows"),
    [
        (
            "scoring.py",
            ["--rows", "3000", "--groups", "3", "40", "--front", "500", "--repeats", "1"],
            {"scoring": 2, "scoring by group": 4, "Pareto front": 3},
        ),
        ("tables.py", ["--rows", "2000"], {"tables": 2}),
        ("metering.py", ["--seconds", "0.4", "--window", "0.2"], {"meter": 1}),
        pytest.param("training.py", TRAINING, {"training": 2}, marks=pytest.mark.slow),
        pytest.param(
            "sweep.py", ["--runs", "2", "--seconds", "0.1"], {"sweep": 1}, marks=pytest.mark.slow
        ),
    ],
)
def test_a_benchmark_leaves_its_figures(script, options, rows, tmp_path):
    found = figures(script, options, tmp_path)
    assert {name: len(table["rows"]) for name, table in found.items()} == rows
    for table in found.values():
        assert table["processor"]
        assert table["cores"]
        assert table["versions"]["python"]
        numbers = [v for row in table["rows"] for v in row.values() if isinstance(v, float)]
        assert numbers
        assert all(number >= 0 for number in numbers)


def test_figures_of_another_benchmark_stay_in_the_file(tmp_path):
    figures("tables.py", ["--rows", "1000"], tmp_path)
    small = ["--rows", "1000", "--groups", "2", "--front", "50", "--repeats", "1"]
    assert set(figures("scoring.py", small, tmp_path)) >= {"tables", "scoring"}


@pytest.mark.slow
def test_the_gpu_check_judges_a_processor(tmp_path):
    """Every step but the GPU itself: records, loads, speed and the verdict."""
    out = tmp_path / "check"
    options = ["--output", out, "--device", "cpu", "--architectures", "mobilenetv2_050",
               "--protocols", "demo", "--train-fraction", "0.1", "--size", "32", "--steps", "1",
               "--seconds", "0.5"]  # fmt: skip
    found = figures("gpu_check.py", options, tmp_path)
    assert [row["load"] for row in found["loads"]["rows"]] == ["idle", "light", "full"]
    assert [row["device"] for row in found["speed"]["rows"]] == ["cpu"]
    assert len(list((out / "runs").glob("*.json"))) == 1
    text = (out / "verdict.md").read_text()
    assert "- Training: all runs are done." in text
    assert "- Meter: not tried, no energy counter of a GPU can be read." in text


def test_powers_that_nvidia_smi_says_are_kept_by_gpu(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from gpu_check import nvidia_smi

    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, 70.5'\necho '1, [N/A]'\necho '0, 71.5'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    watts = {}
    with nvidia_smi(watts):
        time.sleep(0.5)
    assert watts["0"] == [70.5, 71.5]
    assert not watts.get("1")


def test_the_verdict_names_what_fell_short(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from gpu_check import verdict

    load = {"load": "full", "counter": 300.0, "polled": 250.0, "nvidia_smi": 298.0, "spread": 1 / 6}
    speed = {"device": "cuda", "plain_over_ours": 1.9, "bare_over_ours": 0.97}
    training, audited, meter, fast = verdict(["fast on phantom"], ["x (error)"], [load], [speed])
    assert training == "- Training: failed: fast on phantom"
    assert audited == "- Audit of the records: x (error)."
    assert "DISAGREE; they are at most 16.7 % apart (full load), allowed 5 %" in meter
    assert "SLOWER THAN PROMISED" in fast
    assert "1.90 times as fast as the plain loop (promised 2.4)" in fast
    assert "as promised" in verdict([], [], [load | {"spread": 0.01}],
                                    [speed | {"plain_over_ours": 2.5}])[3]  # fmt: skip
