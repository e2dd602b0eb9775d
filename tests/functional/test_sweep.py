"""The sweep with real processes: workers, kernels and coordinators that are killed on the way."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pepr_utils.measurement import run_id
from pepr_utils.measurement.sweep import SweepError
from pepr_utils.measurement.sweep.state import state

pytestmark = pytest.mark.slow


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


driver = _load("sweep_driver")


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory, monkeypatch):
    """Locks of devices that no other sweep of this machine waits for."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))


def test_runs_that_crash_fail_alone_among_runs_that_do_not(tmp_path):
    """A kernel that exits, an exception: the others are measured, each once."""
    runs = driver.runs(4)
    exits, raises = runs[1].architecture, runs[3].architecture
    told = []
    found = driver.measure(
        runs, tmp_path, slots=2, options={"behaviour": {exits: "exit", raises: "raise"}},
        seconds=lambda _run: 1.0, watch=told.append,
    )  # fmt: skip
    reasons = {record.architecture: record.failure_reason for record in found.failed}
    assert reasons.keys() == {exits, raises}
    assert {record.attempt for record in found.failed} == {2}
    assert "its kernel ended with exit code 3" in reasons[exits]
    assert reasons[raises] == f"left no record: ValueError: {raises} is broken"
    measured = [name for _, _, _, name in driver.windows(tmp_path)]
    good = [run_id(runs[0]), run_id(runs[2])]
    assert [record.run_id for record in found.done] == good
    assert [measured.count(name) for name in good] == [1, 1]
    assert (len(told[0].state.waiting), told[0].slots) == (4, 2)
    assert told[0].dashboard.startswith("http://127.0.0.1:")  # and reached from nowhere else
    assert told[-1].doing == "ended"
    assert told[-1].state == found == state(tmp_path, runs)
    assert list(tmp_path.glob("notebooks/*.ipynb"))


def test_a_run_that_hangs_is_ended_and_the_others_are_measured(tmp_path):
    runs = driver.runs(2)
    hangs = runs[0].architecture
    found = driver.measure(
        runs, tmp_path, options={"behaviour": {hangs: "hang"}}, attempts=1, time_limit_s=0.5
    )
    (failed,) = found.failed
    assert failed.architecture == hangs
    assert re.search(
        r"ended after 0\.5 s, its limit; \S+\.log says where it was$", failed.failure_reason
    )
    assert [record.architecture for record in found.done] == [runs[1].architecture]
    logs = "".join(path.read_text() for path in tmp_path.glob("notebooks/*.log"))
    assert "in act" in logs  # where it hung


@pytest.mark.parametrize("seconds", [0, 0.5, 1.5])
def test_a_worker_that_is_killed_while_it_starts_ends_no_sweep(tmp_path, seconds):
    """At once, while it imports, and about when it is up."""
    killed = []

    def kill_the_first():
        def workers():
            with suppress(psutil.Error):
                found = psutil.Process().children(recursive=True)
                return [process for process in found if "spawn_main" in str(process.cmdline())]

        (worker, *_) = driver.until(workers)
        time.sleep(seconds)
        worker.kill()
        killed.append(worker.pid)

    runs, thread = driver.runs(3), threading.Thread(target=kill_the_first)
    thread.start()
    driver.measure(runs, tmp_path, slots=2)
    thread.join()
    assert len(killed) == 1
    driver.check_whole(tmp_path, runs, killed=1)


def test_a_worker_that_is_killed_takes_its_kernel_along_and_the_run_is_done_again(tmp_path):
    runs, killed = driver.runs(3), []

    def kill_worker(progress):
        if not killed and progress.state.running:
            (running,) = progress.state.running
            worker = psutil.Process(running.pid).ppid()
            assert worker != os.getpid()
            killed.extend([running, worker])
            os.kill(worker, signal.SIGKILL)
            driver.until(lambda: not driver.alive(running.pid))
            (tmp_path / "go").touch()

    found = driver.measure(runs, tmp_path, watch=kill_worker, options=driver.waits(runs))
    running, worker = killed
    assert not driver.alive(worker)
    records = driver.check_whole(tmp_path, runs, killed=1)
    assert len(found.done) == 3
    again = [name for name, record in records.items() if record.attempt == 2]
    assert again == [running.run_id]
    left = sorted(path.name for path in tmp_path.glob("notebooks/*"))
    assert len(left) > 1  # that of the killed worker too
    assert all(name[0].isdigit() and name.endswith(".ipynb") for name in left)


def test_a_coordinator_that_is_killed_leaves_nothing_running_and_a_resume_repeats_nothing(tmp_path):
    runs = driver.runs(6)
    process = driver.start(tmp_path, n=6, options=driver.waits(runs[3:]))
    try:
        driver.until(lambda: len(driver.records(tmp_path)) == 3)
        (note,) = driver.until(lambda: driver.being_measured(tmp_path))
        family = psutil.Process(process.pid).children(recursive=True)
        assert note["pid"] in [child.pid for child in family]
    finally:
        process.kill()
        said, _ = process.communicate()
    assert "Warning" not in said
    driver.until(lambda: not any(driver.alive(child.pid) for child in family))
    before = driver.records(tmp_path)
    assert len(before) == 3
    devices = Path(os.environ["TMPDIR"])
    assert {p.suffix for p in devices.glob("*/sweep-*")} == {"", ".lock"}
    (hidden,) = tmp_path.glob("notebooks/.*.ipynb.tmp")
    damaged, *finished = before
    path = tmp_path / "runs" / f"{damaged}.json"
    path.write_text(path.read_text()[:60])
    assert state(tmp_path, runs).broken == (path,)

    process = driver.start(tmp_path, n=6, attempts=1)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert list(devices.glob("*/sweep-*")) == []  # those of the killed one too
    after = driver.check_whole(tmp_path, runs, killed=1)
    assert [after[name] for name in finished] == [before[name] for name in finished]
    measured = [name for _, _, _, name in driver.windows(tmp_path)]
    assert {measured.count(name) for name in finished} == {1}
    assert measured.count(damaged) == 2
    assert [p.name for p in (tmp_path / "superseded").iterdir()] == [path.name]
    assert hidden.with_name(hidden.name[1:].removesuffix(".tmp")).is_file()


def test_two_coordinators_share_a_folder_and_one_takes_over_from_the_other(tmp_path):
    runs = driver.runs(8)
    asked = {"n": 8, "options": {"seconds": 0.6}}
    first = driver.start(tmp_path, **asked)
    driver.until(lambda: driver.being_measured(tmp_path))
    second = driver.start(tmp_path, **asked)
    try:
        driver.until(lambda: len(driver.records(tmp_path)) >= 3)
        first.kill()
        said, _ = second.communicate(timeout=300)
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert second.returncode == 0, said
    records = driver.check_whole(tmp_path, runs, killed=1)
    measured = [name for _, _, _, name in driver.windows(tmp_path)]
    for name, record in records.items():
        assert measured.count(name) == record.attempt
    assert sum(record.attempt - 1 for record in records.values()) <= 1  # the first one's last


def test_the_first_ctrl_c_ends_after_the_run_and_the_second_at_once(tmp_path):
    waiting = {"n": 3, "options": driver.waits(driver.runs(3))}
    process = driver.start(tmp_path, **waiting)
    (note,) = driver.until(lambda: driver.being_measured(tmp_path))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    driver.until(lambda: "finishing" in process.stdout.readline())
    (tmp_path / "go").touch()
    said, _ = process.communicate(timeout=150)
    assert process.returncode == 1
    assert said.endswith("done 1 failed 0\n")
    assert "Traceback" not in said
    (record,) = driver.records(tmp_path).values()
    assert record.run_id == note["record"]["run_id"]

    (tmp_path / "go").unlink()
    process = driver.start(tmp_path, **waiting)
    (note,) = driver.until(lambda: driver.being_measured(tmp_path))
    os.killpg(process.pid, signal.SIGINT)
    driver.until(lambda: "finishing" in process.stdout.readline())
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=150)
    assert said.endswith("done 1 failed 0\n")
    assert not driver.alive(note["pid"])
    assert not list(tmp_path.glob("running/*.json"))
    assert len(driver.records(tmp_path)) == 1  # it was no failure of the run's
    # The notebook of each sweep is there, though the second's worker was killed; nothing else is.
    assert len(list(tmp_path.glob("notebooks/[!.]*.ipynb"))) == 2
    assert len(list(tmp_path.glob("notebooks/*"))) == 2
    assert [p.name[:12] for p in Path(os.environ["TMPDIR"]).iterdir()] == ["pepr-devices"]


@pytest.fixture
def dask(tmp_path):
    """A Dask cluster of its own: scheduler and worker."""
    file = tmp_path / "scheduler.json"
    module = [sys.executable, "-m"]
    commands = [
        [*module, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--scheduler-file", file],
        [*module, "distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", "2",
         "--no-dashboard", "--death-timeout", "10", "--local-directory", tmp_path],
    ]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler, worker = (subprocess.Popen(command, **quiet) for command in commands)
    try:
        driver.until(file.is_file)
        yield file, scheduler
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()


def test_sigterm_ends_at_once_and_a_scheduler_that_goes_away_is_an_error_in_words(tmp_path, dask):
    (file, scheduler), out = dask, tmp_path / "out"
    runs, seen, pids, links = driver.runs(4), [], [], set()

    def terminate(progress):
        links.add(progress.dashboard)
        pids.extend(running.pid for running in progress.state.running)
        if pids and len(seen) == 0:
            seen.append(progress)
            signal.raise_signal(signal.SIGTERM)

    def kill_scheduler(progress):
        if progress.state.running and scheduler.poll() is None:
            scheduler.kill()
            scheduler.wait()

    waiting = {"scheduler": str(file), "options": driver.waits(runs)}
    found = driver.measure(runs, out, watch=terminate, **waiting)
    assert found.waiting == tuple(runs)
    assert not any(map(driver.alive, pids))  # though the workers are not ours
    assert driver.being_measured(out) == []
    assert links == {None}
    with pytest.raises(SweepError, match=r"the scheduler at .*scheduler.json is gone"):
        driver.measure(runs, out, watch=kill_scheduler, **waiting)
    (out / "go").touch()
    driver.until(lambda: not driver.being_measured(out))
    records = driver.records(out).values()
    assert {record.status for record in records} <= {"done"}
    assert len(records) <= 1  # the run that was being measured, if its worker has outlived it


def test_a_scheduler_that_is_stuck_keeps_no_sweep_from_its_end(tmp_path, dask):
    (file, scheduler), out = dask, tmp_path / "out"
    process = driver.start(out, n=2, scheduler=str(file), options=driver.waits(driver.runs(2)))
    try:
        driver.until(lambda: driver.being_measured(out))
        scheduler.send_signal(signal.SIGSTOP)
        process.terminate()
        said, _ = process.communicate(timeout=150)
    finally:
        process.kill()
    assert said.endswith("done 0 failed 0\n")
    assert not [line for line in said.splitlines() if "distributed" in line]
    # Its kernel could not be ended: it ends after its run.
    (out / "go").touch()
    driver.until(lambda: not driver.being_measured(out))
    assert len(driver.records(out)) == 1
