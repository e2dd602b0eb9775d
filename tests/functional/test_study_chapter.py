"""The chapter on running the study, with another study than the paper's and little to go by."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_study_without_a_basis_has_dashes_and_no_numbers(tmp_path):
    table = tmp_path / "untimed.csv"
    table.write_text("architecture,dataset,test_accuracy,energy_kwh\ndla34,clinic,0.9,0.01\n")
    text = subprocess.run(
        [sys.executable, "-m", "jupytext", "--to", "ipynb", "-o", "-", "notebooks/study.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    out = tmp_path / "study.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "-", out, "-p", "study", "demo", "-p", "parts", "3",
         "-p", "result_set", table],
        cwd=ROOT, input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = [
        re.sub(r"<[^>]+>", "|", o["data"]["text/html"])
        for cell in nbformat.read(out, 4).cells
        for o in cell.get("outputs", [])
        if "text/html" in o.get("data", {})
    ]
    numbers = shown[0]
    for name, value in (("study-runs", "9"), ("study-hours", "n/a"), ("study-no-basis", "9"),
                        ("parts", "3"), ("part-longest", "n/a"), ("told-time", "n/a"),
                        ("basis-device", "n/a")):  # fmt: skip
        assert re.search(rf"\|{name}\|+{re.escape(value)}\|", numbers), name
    assert re.search(r"pepr sweep demo\|+9\|+–\|+–\|+–", shown[1])
