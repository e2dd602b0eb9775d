"""The files of a job in the folder: its notebook, its log, and no leftovers."""

import json
import os

import nbformat
import pytest

from pepr_utils.measurement.store import claim, exclusive
from pepr_utils.measurement.sweep import SweepError, notebook, worker
from pepr_utils.measurement.sweep.folder import tidy, tidy_after
from pepr_utils.measurement.sweep.notebook import Ended, execute
from pepr_utils.measurement.sweep.worker import Job, Report, work

WHOLE = json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": "x"}]})


def _job(folder):
    return Job("5eed5eed", "", {}, folder, ".", name="t-0001-5eed5eed", slot="cpu-0")


def _names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# -- executed notebooks ----------------------------------------------------------------------------


def _execute(folder, code="", **more):
    cells = [nbformat.v4.new_code_cell(code, id="one")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    job = _job(folder)
    (folder / "scratch").mkdir()
    return execute(
        nbformat.writes(notebook), {}, job.executed, sweep=job.sweep, environment=os.environ,
        cwd=".", scratch=folder / "scratch", **more,
    )  # fmt: skip


def test_an_executed_notebook_is_kept_however_it_ended(tmp_path):
    assert _execute(tmp_path, "raise ValueError('x')") == Ended(
        "error", "ValueError", "ValueError: x"
    )
    assert [p.name for p in (tmp_path / "notebooks").iterdir()] == ["t-0001-5eed5eed.ipynb"]
    written = _job(tmp_path).executed.read_text()
    assert "ValueError" in written
    assert f'"output_path": "{_job(tmp_path).executed}"' in written


def test_a_notebook_that_cannot_be_written_does_not_end_its_run(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(notebook, "write_whole", full)
    assert _execute(tmp_path) == Ended("whole")
    assert list((tmp_path / "notebooks").iterdir()) == []


def test_whole_notebooks_of_killed_workers_are_named(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    texts = {"a-1": WHOLE, "b-1": WHOLE[:-9], "c-1": "", "d-1": "[]", "e-2": WHOLE}
    for name, text in texts.items():
        (folder / f".{name}.ipynb.tmp").write_text(text)
    (folder / "a-1.log").touch()
    (folder / "b-1.log").write_text("Killed")
    (folder / "e-2.log").touch()
    tidy_after(tmp_path, "1")
    assert (folder / "a-1.ipynb").read_text() == WHOLE
    assert sorted(p.name for p in folder.iterdir() if p.name[0] != ".") == [
        "a-1.ipynb", "b-1.log", "e-2.log",
    ]  # fmt: skip
    tidy(tmp_path)  # the next sweep's
    assert sorted(p.name for p in folder.glob("[!.]*.ipynb")) == ["a-1.ipynb", "e-2.ipynb"]


def test_old_leftovers_of_killed_processes_are_removed(tmp_path):
    left = ("running", "notebooks", "runs")
    for name in left:
        (tmp_path / name).mkdir()
    old = [".a.tmp", "runs/.b.tmp", "running/s.stop", "running/s.here", "running/s.waiting",
           "running/s.claim", "running/s.lock", "notebooks/s.log",
           "notebooks/.s.ipynb.tmp"]  # fmt: skip
    for name in old:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    kept = [".c.tmp", "runs/.d.tmp", "running/r.here", "running/r.waiting", "running/r.claim",
            "running/r.lock", "notebooks/r.log", "notebooks/full.log"]  # fmt: skip
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / kept[-1]).write_text("why it ended")
    with claim(tmp_path, "r"), exclusive(tmp_path / "running/r.lock"):  # a run may take days
        for name in ("running/r.claim", "running/r.lock", kept[-1]):
            os.utime(tmp_path / name, (0, 0))
        tidy(tmp_path)
        assert _names(tmp_path) == sorted(kept)
    assert not (tmp_path / "running" / "r.claim").exists()


# -- the folder that a worker sees -----------------------------------------------------------------


def test_a_worker_with_another_folder_is_an_error_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "LOOK_S", 0.0)
    with pytest.raises(SweepError, match=f"worker cpu-0 on .* does not see in {tmp_path} what the"):
        work(_job(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_network_shows_late_is_waited_for(tmp_path, monkeypatch):
    asked = _job(tmp_path)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            asked.here.parent.mkdir(parents=True)
            asked.here.touch()

    monkeypatch.setattr(worker.time, "sleep", sleep)
    assert work(asked) == Report()
    assert len(slept) == 3


def test_a_worker_does_nothing_for_a_stopped_sweep(tmp_path):
    asked = _job(tmp_path)
    asked.stop.parent.mkdir()
    asked.stop.touch()
    assert work(asked) == Report()
