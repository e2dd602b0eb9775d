"""Other meters on the same machine: one processor is not charged to two runs."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from pepr_utils.measurement.metering import meter, neighbours, sharing
from pepr_utils.measurement.metering.neighbours import Presence

pytestmark = pytest.mark.usefixtures("bare_machine")

QUICK = {"interval_s": 0.01, "idle_s": 0.0}
CODE = """
import os, sys
from pepr_utils.measurement.metering import neighbours
if ALONE:
    neighbours._family = lambda: [os.getpid()]
presence = neighbours.Presence.enter()
assert presence.lacking is None, presence.lacking
print("in", flush=True)
if sys.stdin.readline() == "end\\n":
    presence.leave()
    print("out", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def _another(family="stranger"):
    """A process that meters; a stranger to this one, whose child it is."""
    code = CODE.replace("ALONE", str(family == "stranger"))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "in\n"
        yield process
        process.kill()


def _end(process):
    process.stdin.write("end\n")
    process.stdin.flush()
    assert process.stdout.readline() == "out\n"


def _write(folder, *, end_s, **said):
    """Leave what a meter that has ended would leave."""
    said = {"boot": neighbours._boot(), "place": neighbours._place()} | said
    (folder / "meters" / "gone.meter").write_text(f"{json.dumps(said)}\n{end_s}\n")


def _notes(m):
    return "; ".join(m.notes)


def test_an_estimate_is_not_made_twice_of_one_processor():
    with _another() as process:
        with meter("cpu", **QUICK) as m:
            time.sleep(0.1)
        assert m.it_energy_kwh() is None
        assert m.method() == "cpu not measured"
        assert "another meter ran beside it for 100% of the time" in _notes(m)
        _end(process)
        with meter("cpu", **QUICK) as m:
            time.sleep(0.02)
        assert m.it_energy_kwh() > 0


@pytest.mark.parametrize(
    ("pid", "seconds", "estimated"),
    [(2**31 - 1, 0.01, True), (2**31 - 1, None, False), (os.getppid(), None, True)],
)
def test_a_neighbour_counts_by_how_long_it_was_there_unless_it_meters_this_one(
    tmp_path, pid, seconds, estimated
):
    with meter("cpu", **QUICK) as m:
        began = time.monotonic()
        time.sleep(0.2)
        ended = time.monotonic() if seconds is None else began + seconds
        _write(tmp_path, pids=[pid], start_s=began, end_s=ended)
    assert (m.it_energy_kwh() is not None) == estimated


@pytest.mark.parametrize(
    ("place", "estimated"),
    [
        ({"place": "pid:[1]"}, False),  # a container's process 1 is not this one's parent
        ({"boot": "another machine"}, True),
        ({}, True),
    ],
)
def test_numbers_of_processes_mean_something_in_one_place_only(tmp_path, place, estimated):
    with meter("cpu", **QUICK) as m:
        began = time.monotonic()
        time.sleep(0.05)
        _write(tmp_path, pids=[os.getppid()], start_s=began, end_s=time.monotonic(), **place)
    assert (m.it_energy_kwh() is not None) == estimated


def test_one_that_is_killed_early_counts_until_then():
    with meter("cpu", **QUICK) as m:
        with _another() as process, m.window("train", 1):
            process.kill()
            process.wait()
        with m.window("train", 2):
            time.sleep(2.0)
    assert m.it_energy_kwh("train") > 0


def test_a_neighbour_during_evaluation_leaves_the_training_its_energy(tmp_path):
    with meter("cpu", **QUICK) as m:
        with m.window("train", 1):
            time.sleep(1.05)
        with m.window("eval", 1):
            began = time.monotonic()
            time.sleep(1.05)
        _write(tmp_path, pids=[2**31 - 1], start_s=began, end_s=time.monotonic())
    assert m.it_energy_kwh("train") > 0
    assert m.method("train") == "carbontracker: cpu tdp-estimate"
    assert m.it_energy_kwh("eval") is None
    assert m.it_energy_kwh() is None
    assert m.method() == m.method("eval") == "cpu not measured"


def test_a_metered_command_that_meters_is_no_neighbour():
    with meter("cpu", **QUICK) as m, _another(family="child"):
        time.sleep(0.05)
        with meter("cpu", **QUICK) as within:
            time.sleep(0.02)
    assert m.it_energy_kwh() > 0
    assert within.it_energy_kwh() > 0


def test_one_that_was_killed_is_over_and_is_tidied_away(tmp_path):
    with _another() as process:
        process.kill()
        process.wait()
        with meter("cpu", **QUICK) as m:
            time.sleep(0.02)
    assert m.it_energy_kwh() > 0
    Presence.enter().leave()
    left = list((tmp_path / "meters").glob("*.meter"))
    assert [json.loads(p.read_text().splitlines()[0])["pids"][0] for p in left] == [os.getpid()]


def test_a_folder_that_cannot_be_had_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv(neighbours.FOLDER, str(tmp_path / "no" / "such"))
    with meter("cpu", **QUICK) as m:
        time.sleep(0.02)
    assert m.it_energy_kwh() > 0
    assert "whether others meter on this machine is not known" in _notes(m)


def test_an_estimate_stays_on_a_busy_machine_and_says_so(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    monkeypatch.setattr(sharing, "PROC_STAT", stat)
    stat.write_text("cpu 0 0 0 0 0 0 0 0\n")
    with meter("cpu", **QUICK) as m:
        time.sleep(0.05)
        stat.write_text("cpu 5000 0 0 0 0 0 0 0\n")
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(60 * m.duration_s())
    assert m.method() == "carbontracker: cpu tdp-estimate"
    assert "estimate: whole processor charged; others kept" in _notes(m)
