"""A notebook through papermill, as the book's pages tell a reader to run it."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from pepr_utils.results.groups import by_architecture

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
def test_other_alpha_and_other_average(published, tmp_path):
    out = tmp_path / "results.ipynb"
    done = _execute("results", out, alpha=4.0, average="released")
    assert done.returncode == 0, done.stderr
    numbers = _glued(out)
    assert numbers["alpha"] == "4"
    assert numbers["average"] == "all experiments"
    assert numbers["n-experiments"] == "8"

    frame = by_architecture(published, alpha=4.0, average="released")
    small = frame[frame["size"] == "small"]["pepr"].median()
    assert numbers["pepr-small"] == f"{small:.3f}"


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
    done = _execute("results", out, result_set=table)
    assert done.returncode == 0, done.stderr
    numbers = _glued(out)
    assert numbers["best-pepr-model"] == "my_small_net"
    assert numbers["best-pepr"] == "0.862"
    assert numbers["pretraining-n"] == "n/a"


@pytest.mark.slow
def test_the_repaired_set_feeds_the_results_chapter(published, tmp_path):
    out = tmp_path / "repaired.ipynb"
    done = _execute("results", out, result_set="published-repaired")
    assert done.returncode == 0, done.stderr
    numbers = _glued(out)
    assert (numbers["n-models"], numbers["pepr-large"]) == ("125", "0.635")


@pytest.mark.slow
def test_the_repaired_set_feeds_the_audit_chapter(published, tmp_path):
    """A set in which nothing is a copy leaves the tables of copies empty and says so."""
    out = tmp_path / "audit.ipynb"
    done = _execute("audit", out, result_set="published-repaired")
    assert done.returncode == 0, done.stderr
    numbers = _glued(out)
    assert (numbers["n-copies"], numbers["n-gaps"], numbers["n-cells-changed"]) == ("0", "0", "0")


@pytest.mark.slow
def test_an_unknown_result_set_says_so(tmp_path):
    done = _execute("results", tmp_path / "out.ipynb", result_set="publishd")
    assert done.returncode != 0
    assert "unknown result set 'publishd'; allowed: published" in done.stderr


@pytest.mark.slow
def test_a_table_of_ones_own_feeds_the_stability_chapter(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text(
        "architecture,dataset,test_accuracy,energy_kwh\n"
        "small,clinic,0.862,1\nmiddle,clinic,0.871,2\nlarge,clinic,0.879,9\n"
    )
    out = tmp_path / "mine.ipynb"
    done = _execute("stability", out, result_set=table)
    assert done.returncode == 0, done.stderr
    numbers = _glued(out)
    assert numbers["dearest"] == "large"
    assert numbers["alpha-lowest"] == "0.12"  # (2 - 1) / (9 - 1)
    assert numbers["first"] == "n/a"  # no n_test, hence no intervals


@pytest.mark.slow
def test_a_table_of_ones_own_feeds_the_statistics_and_imagenet_chapters(tmp_path):
    """One small model against three large ones is no comparison, and no memory is no figure."""
    table = tmp_path / "mine.csv"
    table.write_text(
        "architecture,dataset,test_accuracy,energy_kwh,n_parameters,n_test\n"
        "resnet18d,pneumonia,0.871,0.0170,11709512,624\n"
        "my_large_net,pneumonia,0.879,0.0920,88000000,624\n"
        "my_larger_net,pneumonia,0.881,0.1320,98000000,624\n"
    )
    done = _execute("statistics", tmp_path / "statistics.ipynb", result_set=table)
    assert done.returncode == 0, done.stderr
    numbers = _glued(tmp_path / "statistics.ipynb")
    assert (numbers["n-available"], numbers["n-primary-tested"]) == ("0", "0")
    assert numbers["efficient-told"] == "0 of 0"
    done = _execute("imagenet", tmp_path / "imagenet.ipynb", result_set=table)
    assert done.returncode == 0, done.stderr
    assert _glued(tmp_path / "imagenet.ipynb")["imagenet-n"] == "n/a"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chapter", "name", "value"),
    [("curve", "optimum-score", "0.7619"), ("pareto", "best", "a after epoch 2")],
)
def test_records_of_ones_own_feed_the_chapters_on_epochs(tmp_path, chapter, name, value):
    from pepr_utils.results import Epoch, Record, write_record

    for model, accuracies in (("a", (0.5, 0.8)), ("b", (0.6, 0.7))):
        epochs = tuple(
            Epoch(epoch=i + 1, test_accuracy=p, energy_kwh=1.0 if model == "a" else 11.0)
            for i, p in enumerate(accuracies)
        )
        fields = {"run_id": model, "architecture": model, "epochs": epochs, "dataset": "clinic"}
        energy = 2.0 if model == "a" else 22.0
        write_record(
            Record(status="done", test_accuracy=accuracies[-1], energy_kwh=energy, **fields),
            tmp_path / "mine",
        )
    out = tmp_path / "mine.ipynb"
    done = _execute(chapter, out, result_set=tmp_path / "mine")
    assert done.returncode == 0, done.stderr
    # a: costs 1 and 2 of 1 to 22, so R = 0 and 1/21
    assert _glued(out)[name] == value.replace("0.7619", f"{0.8 / (1 + 1 / 21):.4f}")


@pytest.mark.slow
def test_a_chapter_on_epochs_says_that_totals_do_not_do(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("architecture,dataset,test_accuracy,energy_kwh\na,w,0.8,1\nb,w,0.7,2\n")
    done = _execute("curve", tmp_path / "out.ipynb", result_set=table)
    assert done.returncode != 0
    assert "no finished run has epochs with a test accuracy" in done.stderr


WITH_ALPHA = [
    "model_space", "results", "statistics", "table_1", "curve", "pareto", "imagenet", "stability",
    "audit",
]  # fmt: skip
WITHOUT_ALPHA = ["published_data", "access"]


@pytest.mark.parametrize("chapter", [*WITH_ALPHA, *WITHOUT_ALPHA])
def test_chapters_have_the_parameters_that_the_book_promises(chapter):
    text = (ROOT / "notebooks" / f"{chapter}.md").read_text("utf-8")
    cell = re.search(r":tags: \[parameters\]\n\n(.*?)```", text, re.DOTALL)
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
