"""What a task leaves in the folder, however it ends: its notebook, its log, and nothing else."""

import json
import os

import pytest
from papermill.iorw import papermill_io

from pepr_utils.measurement.sweep import SweepError, executed, task, upkeep
from pepr_utils.measurement.sweep.task import Outcome, Task, execute

WHOLE = json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": "x"}]})


def _task(folder, **more):
    known = {"sweep": "5eed5eed", "name": "t-0001-5eed5eed", "notebook": "", "parameters": {},
             "folder": folder, "stop": folder / "running" / "5eed5eed.stop", "slot": "cpu-0",
             "at_once": 1, "environment": {}, "cwd": "."}  # fmt: skip
    return Task(**known | more)


def _names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# -- executed notebooks ----------------------------------------------------------------------------


def test_a_notebook_is_in_the_folder_from_its_first_cell_on(tmp_path):
    target = _task(tmp_path).executed
    with executed.kept(target) as path:
        papermill_io.write("{}", path)
        assert _names(tmp_path) == ["notebooks/.t-0001-5eed5eed.ipynb.tmp"]
        papermill_io.write(json.dumps({"cells": [1], "output_path": path}), path)
    assert _names(tmp_path) == ["notebooks/t-0001-5eed5eed.ipynb"]
    assert json.loads(target.read_text())["output_path"] == str(target)


def test_a_folder_that_takes_no_notebook_loses_no_run(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError("No space left on device")

    target = _task(tmp_path).executed
    with monkeypatch.context() as patched:
        patched.setattr(executed, "write_whole", full)
        with executed.kept(target) as path:
            papermill_io.write(WHOLE, path)
    assert _names(tmp_path) == []
    with executed.kept(target) as path, monkeypatch.context() as patched:
        patched.setattr(executed, "write_whole", full)
        papermill_io.write(WHOLE, path)
        patched.undo()  # there is room again at the end
    assert target.read_text() == WHOLE


def test_a_task_that_was_taken_for_dead_replaces_what_was_named_for_it(tmp_path):
    target = _task(tmp_path).executed
    with executed.kept(target) as path:
        papermill_io.write(json.dumps({"cells": [1]}), path)
        upkeep.tidy(tmp_path)
        assert _names(tmp_path) == ["notebooks/t-0001-5eed5eed.ipynb"]
        papermill_io.write(WHOLE, path)
    assert _names(tmp_path) == ["notebooks/t-0001-5eed5eed.ipynb"]
    assert target.read_text() == WHOLE


def test_notebooks_of_killed_workers_are_named_if_they_are_whole(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    texts = {"a-1": WHOLE, "b-1": WHOLE[:-9], "c-1": "", "d-1": "[]", "e-2": WHOLE}
    for name, text in texts.items():
        (folder / f".{name}.ipynb.tmp").write_text(text)
    (folder / "a-1.log").touch()
    (folder / "b-1.log").write_text("Killed")
    (folder / "e-2.log").touch()
    upkeep.tidy_after(tmp_path, "1")
    assert (folder / "a-1.ipynb").read_text() == WHOLE
    assert sorted(p.name for p in folder.iterdir() if p.name[0] != ".") == [
        "a-1.ipynb", "b-1.log", "e-2.log",
    ]  # fmt: skip
    upkeep.tidy(tmp_path)  # the next sweep's
    assert sorted(p.name for p in folder.glob("[!.]*.ipynb")) == ["a-1.ipynb", "e-2.ipynb"]


def test_what_killed_processes_left_long_ago_is_removed(tmp_path):
    left = ("running", "notebooks", "runs")
    for name in left:
        (tmp_path / name).mkdir()
    old = [".a.tmp", "runs/.b.tmp", "running/s.stop", "running/s.here", "notebooks/s.log",
           "notebooks/.s.ipynb.tmp"]  # fmt: skip
    for name in old:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    kept = [".c.tmp", "runs/.d.tmp", "running/r.here", "notebooks/r.log", "notebooks/words.log"]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / kept[-1]).write_text("why it ended")
    os.utime(tmp_path / kept[-1], (0, 0))
    upkeep.tidy(tmp_path)
    assert _names(tmp_path) == sorted(kept)


# -- the folder that a worker sees -----------------------------------------------------------------


@pytest.fixture
def done(monkeypatch):
    """A worker that measures nothing."""
    monkeypatch.setattr(task, "_execute", lambda *_arguments: Outcome("whole"))


def test_a_worker_that_has_another_folder_says_so_and_leaves_nothing(tmp_path, done, monkeypatch):
    monkeypatch.setattr(task, "LOOK_S", 0.0)
    with pytest.raises(SweepError, match=f"worker cpu-0 on .* does not see in {tmp_path} what the"):
        execute(_task(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_shows_the_folder_late_is_waited_for(tmp_path, done, monkeypatch):
    asked = _task(tmp_path)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            asked.here.parent.mkdir(parents=True)
            asked.here.touch()

    monkeypatch.setattr(task.time, "sleep", sleep)
    assert execute(asked).ended == "whole"
    assert len(slept) == 3


def test_a_sweep_that_has_ended_is_not_looked_for(tmp_path):
    asked = _task(tmp_path)
    asked.stop.parent.mkdir()
    asked.stop.touch()
    assert execute(asked).ended == "stopped"
