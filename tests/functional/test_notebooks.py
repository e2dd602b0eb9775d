"""A notebook through papermill, as the book's pages tell a reader to run it."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]


def _execute(notebook, out, **parameters):
    """Run the command that the chapter "Run it yourself" shows."""
    text = subprocess.run(
        [sys.executable, "-m", "jupytext", "--to", "ipynb", "-o", "-", f"notebooks/{notebook}.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = [part for name, value in parameters.items() for part in ("-p", name, str(value))]
    return subprocess.run(
        [sys.executable, "-m", "papermill", "-", str(out), *options],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def _glued(path):
    """Return the numbers that a notebook has bound for its prose."""
    notebook = nbformat.read(path, 4)
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    named = [o for o in outputs if "scrapbook" in o.get("metadata", {})]
    return {
        o.metadata.scrapbook.name.removeprefix("application/papermill.record/"): next(
            iter(o.data.values())
        ).strip("'")
        for o in named
    }


@pytest.mark.slow
def test_a_table_of_ones_own_feeds_the_results_chapter(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text(
        "architecture,dataset,test_accuracy,energy_kwh,n_parameters\n"
        "resnet18d,clinic,0.871,0.0170,11709512\n"
        "my_small_net,clinic,0.862,0.0081,2400000\n"
        "my_large_net,clinic,0.879,0.0920,88000000\n"
    )
    out = tmp_path / "mine.ipynb"
    done = _execute("results", out, result_set=table, alpha=4.0)
    assert done.returncode == 0, done.stderr
    numbers = _glued(out)
    assert numbers["alpha"] == "4"
    assert numbers["best-pepr-model"] == "my_small_net"
    assert numbers["best-pepr"] == "0.862"


@pytest.mark.slow
def test_an_unknown_result_set_says_so(tmp_path):
    done = _execute("results", tmp_path / "out.ipynb", result_set="publishd")
    assert done.returncode != 0
    assert "unknown result set 'publishd'; allowed: published" in done.stderr


WITH_ALPHA = [
    "model_space", "results", "statistics", "table_1", "curve", "pareto", "imagenet", "stability",
    "audit", "audit_tables", "statistics_tables",
]  # fmt: skip
WITHOUT_ALPHA = ["published_data", "access", "claims_tables"]


@pytest.mark.parametrize("chapter", [*WITH_ALPHA, *WITHOUT_ALPHA])
def test_chapters_have_the_parameters_that_the_book_promises(chapter):
    text = (ROOT / "notebooks" / f"{chapter}.md").read_text("utf-8")
    cell = re.search(r":tags: \[parameters\b[^\n]*\n(.*?)```", text, re.DOTALL)
    assert "result_set = " in cell[1]
    assert ("alpha = " in cell[1]) == (chapter in WITH_ALPHA)


@pytest.mark.slow
def test_the_fine_tuning_notebook_trains_and_the_results_chapter_is_drawn_from_it(tmp_path):
    folder = tmp_path / "measured"
    done = _execute(
        "fine_tune", tmp_path / "fine_tune.ipynb", result_set=folder, dataset="phantom",
        architectures="test_resnet,test_vit,test_efficientnet", protocol="demo", seed=3,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    numbers = _glued(tmp_path / "fine_tune.ipynb")
    assert (numbers["n-runs"], numbers["n-done"], numbers["seed"]) == ("3", "3", "3")
    assert numbers["majority-accuracy"] == "0.479"
    assert len(list((folder / "runs").glob("*.json"))) == 3

    done = _execute("results", tmp_path / "results.ipynb", result_set=folder)
    assert done.returncode == 0, done.stderr
    drawn = _glued(tmp_path / "results.ipynb")
    assert (drawn["n-runs"], drawn["n-models"]) == ("3", "3")
    assert drawn["best-pepr-model"] == numbers["best-pepr-model"]


@pytest.mark.slow
def test_the_fine_tuning_notebook_says_what_is_wrong(tmp_path):
    done = _execute("fine_tune", tmp_path / "out.ipynb", result_set=tmp_path / "x", dataset="nope")
    assert done.returncode != 0
    assert "unknown data set 'nope'" in done.stderr
    assert "nothing was trained" in done.stderr
