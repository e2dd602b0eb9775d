"""How a sweep handles the ends of kernels and workers: with simulated kernels in a real folder."""

import errno
import json
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pytest

from pepr_utils.errors import FolderError
from pepr_utils.measurement import (
    Run,
    record_killed,
    run_id,
    select_architectures,
    store,
    sweep_environment,
)
from pepr_utils.measurement.store import claim, next_attempt, note_path, run_lock
from pepr_utils.measurement.sweep import SweepError, engine, folder, worker
from pepr_utils.measurement.sweep.cluster import Slot, Workers
from pepr_utils.measurement.sweep.notebook import Ended
from pepr_utils.results import Epoch, Record, write_record

NOTEBOOK = Path(__file__).parents[1] / "functional" / "tiny_sweep.md"
NAMES = select_architectures([], "n_parameters > 0")[:40]
RUNS = [Run(name, "phantom", "demo", False) for name in NAMES]
IDS = {run.architecture: run_id(run) for run in RUNS}
KILLED = Ended("died", "DeadKernelError", "its kernel was killed by SIGKILL")
BROKEN = Ended("error", "ValueError", "ValueError: broken")


class WorkerDied(BaseException):
    """Ends a worker together with its kernel."""


@dataclass
class Future:
    """The result of a job, after so many looks."""

    report: object
    looks: int = 0

    def done(self):
        self.looks -= 1
        return self.looks < 0

    def cancel(self):
        pass


class SimulatedWorkers(Workers):
    """Workers in this process whose kernel calls `measure` for each of its architectures."""

    def __init__(self, measure, there=("w1",)):
        super().__init__(client=None, where="nowhere", wanted=1)
        self.measure, self.there = measure, list(there)
        self.kernels, self.of, self.ended = [], {}, []
        self.job = self.slot = None

    def slots(self):
        return [Slot(name, name, 1) for name in self.there]

    def submit(self, job, slot):
        self.job, self.slot = job, slot.name
        before = dict(os.environ)
        try:
            return Future(worker.work(job), self.slow.get(slot.name, 0))
        except WorkerDied:
            return Future(None, self.slow.get(slot.name, 0))
        finally:
            os.environ.clear()
            os.environ.update(before)

    slow = {}  # noqa: RUF012 - looks that the jobs of a worker take

    def execute(self, _notebook, parameters, _target, *, environment, **_others):
        os.environ[sweep_environment.BEGUN] = environment[sweep_environment.BEGUN]
        os.environ[sweep_environment.LOG] = environment[sweep_environment.LOG]
        names = parameters["architectures"].split(",")
        self.kernels.append(names)
        self.of.setdefault(self.slot, []).append(names)
        for name in names:
            if (ended := self.measure(name, Path(parameters["result_set"]))) is not None:
                return ended
        return Ended("whole")

    def result(self, future):
        return future.report

    def end_kernels(self, sweep):
        self.ended.append(sweep)

    def dashboard(self):
        return None


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Sweep with simulated workers; returns the state and the workers."""
    monkeypatch.setattr(engine, "TICK_S", 0.001)
    monkeypatch.setattr(engine, "LOOK_S", 0.01)
    monkeypatch.setattr(worker, "RETRY_S", 0.01)

    def call(runs, measure, there=("w1",), slow=(), **asked):
        workers = call.workers = SimulatedWorkers(measure, there)
        workers.slow = dict(slow)
        monkeypatch.setattr(worker, "execute", workers.execute)

        @contextmanager
        def simulated(*_arguments):
            yield workers

        monkeypatch.setattr(engine, "_workers", simulated)
        return engine.sweep(runs, NOTEBOOK, tmp_path, **asked), workers

    return call


def _second(_run):
    return 1.0


@contextmanager
def _measuring(name, folder):
    known = {"run_id": IDS[name], "architecture": name, "dataset": "phantom", "train_time_s": 1.0}

    def note():
        known["attempt"] = next_attempt(folder, IDS[name])
        return known

    with run_lock(folder, IDS[name], note):
        yield known


def _write(name, folder, **more):
    with _measuring(name, folder) as known:
        write_record(Record(**known | (more or {"status": "done", "test_accuracy": 0.5})), folder)


def _raise(name, folder, ended=BROKEN):
    """Begin a run, and end without its record."""
    with _measuring(name, folder):
        return ended


def _leave_note(name, folder, **more):
    """Leave the note of a killed process."""
    sweep_environment.note_begun(IDS[name])
    path = note_path(folder, IDS[name])
    path.parent.mkdir(exist_ok=True)
    record = {"run_id": IDS[name], "architecture": name, "dataset": "phantom",
              "attempt": next_attempt(folder, IDS[name])}  # fmt: skip
    note = {"pid": 1, "host": "there", "started": "2026-01-01T00:00:00+00:00", "record": record,
            "log": sweep_environment.log_path()}  # fmt: skip
    path.write_text(json.dumps(note | more))


def test_each_run_is_measured_once_and_short_ones_share_a_kernel(sweep):
    found, workers = sweep(RUNS + RUNS[:3], _write, seconds=lambda _run: 30.0)
    assert [record.architecture for record in found.done] == NAMES
    assert list(chain(*workers.kernels)) == NAMES
    assert [len(names) for names in workers.kernels] == [16, 16, 8]  # of 480 s
    found, workers = sweep(
        [replace(RUNS[0], seed=7), replace(RUNS[1], seed=8)], lambda _n, _f: None
    )
    assert [len(names) for names in workers.kernels][:2] == [1, 1]  # they differ in their seed


def _pause(name, folder, epochs=2):
    done = tuple(Epoch(epoch=i, val_accuracy=0.5) for i in range(1, epochs + 1))
    _write(name, folder, status="paused", epochs=done)


def test_runs_pause_after_an_epoch_and_the_next_sweep_finishes_them(sweep, tmp_path):
    _write(NAMES[0], tmp_path)  # is done: nothing is left of it to do
    _pause(NAMES[1], tmp_path, epochs=3)  # is further than asked
    _pause(NAMES[2], tmp_path, epochs=1)
    until = dict.fromkeys([IDS[name] for name in NAMES[:4]], 2)
    found, workers = sweep(RUNS[:4], _pause, seconds=_second, until=lambda _failed: until)
    assert [record.epochs_done for record in found.done] == [0, 3, 2, 2]
    assert list(chain(*workers.kernels)) == [NAMES[2], NAMES[3]]
    assert sweep(RUNS[:4], _pause, until=lambda _failed: until)[1].kernels == []
    found, workers = sweep(RUNS[:4], _write, seconds=_second)
    assert {record.status for record in found.done} == {"done"}
    assert list(chain(*workers.kernels)) == NAMES[1:4]
    assert {record.attempt for record in found.done} == {1}  # no attempt has failed


def test_what_is_wanted_is_asked_again_when_a_run_has_ended(sweep, tmp_path):
    """One epoch of three runs, one of which fails; then the second epoch of the last."""
    asked, epochs = [], dict.fromkeys(NAMES, 0)

    def until(failed):
        asked.append(failed)
        if failed and epochs[NAMES[2]]:
            return {IDS[NAMES[2]]: 2}
        return dict.fromkeys([IDS[name] for name in NAMES[:3]], 1)

    def measure(name, folder):
        if name == NAMES[1]:
            return _raise(name, folder)
        epochs[name] += 1
        return _pause(name, folder, epochs[name])

    found, workers = sweep(RUNS[:4], measure, until=until, attempts=2)
    assert asked[-1] == {IDS[NAMES[1]]}
    assert epochs == dict.fromkeys(NAMES, 0) | {NAMES[0]: 1, NAMES[2]: 2}
    assert [record.epochs_done for record in found.done] == [2]
    assert list(chain(*workers.kernels)).count(NAMES[1]) == 2


def test_a_run_that_fails_after_its_pause_has_its_attempts(sweep, tmp_path):
    _pause(NAMES[0], tmp_path)
    found, workers = sweep(RUNS[:1], _raise, attempts=2)
    assert (len(found.failed), found.failed[0].attempt, len(workers.kernels)) == (1, 2, 2)


def test_run_lengths_are_taken_from_records_without_a_forecast(sweep):
    _, workers = sweep(RUNS, _write)
    assert [len(names) for names in workers.kernels] == [1, 39]


def test_a_run_that_keeps_others_from_beginning_is_found_in_few_kernels(sweep):
    """The notebook refuses all of its runs for one of them, before it begins any."""

    def measure(name, folder):
        if NAMES[5] in sweep.workers.kernels[-1]:
            return Ended("error", "RunError", f"RunError: {NAMES[5]} does not take 32 px")
        return _write(name, folder)

    found, workers = sweep(RUNS, measure, seconds=_second, attempts=3)
    assert len(found.done) == 39
    (record,) = found.failed
    assert (record.architecture, record.attempt) == (NAMES[5], 3)
    assert record.failure_reason == f"left no record: RunError: {NAMES[5]} does not take 32 px"
    assert len(workers.kernels) <= 20  # and not 40


def test_a_kernel_that_dies_fails_its_run_and_no_other(sweep):
    def measure(name, folder):
        if name == NAMES[3]:
            _leave_note(name, folder)
            return KILLED
        return _write(name, folder)

    found, workers = sweep(RUNS[:8], measure, seconds=_second)
    (record,) = found.failed
    assert (record.architecture, record.attempt) == (NAMES[3], 2)
    assert "its kernel was killed by SIGKILL" in record.failure_reason
    assert workers.kernels == [NAMES[:8], NAMES[4:8], [NAMES[3]]]


def test_a_worker_that_dies_costs_its_run_an_attempt(sweep):
    tried = []

    def measure(name, folder):
        tried.append(name)
        if tried.count(name) == 1 and name == NAMES[1]:
            _leave_note(name, folder)
            raise WorkerDied
        return _write(name, folder)

    found, _ = sweep(RUNS[:3], measure, seconds=_second)
    assert [record.attempt for record in found.done] == [1, 2, 1]
    assert tried == [NAMES[0], NAMES[1], NAMES[2], NAMES[1]]


def test_a_worker_that_always_dies_gets_no_more_runs_and_no_run_fails(sweep, tmp_path):
    def measure(_name, _folder):
        raise WorkerDied

    with pytest.raises(SweepError, match="worker w1 gets no more runs, since it died before"):
        sweep(RUNS, measure)
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("ended", [BROKEN, None])
def test_a_run_that_ends_without_a_record_fails(sweep, ended):
    """With an exception, which is the reason, or with none: then the log says more."""

    def measure(name, folder):
        if name != NAMES[2]:
            return _write(name, folder)
        log = Path(sweep_environment.log_path())
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("zmq.error.ZMQError\n")  # as a kernel writes that is closed
        return _raise(name, folder, ended)

    found, workers = sweep(RUNS[:6], measure, attempts=2, seconds=_second)
    (record,) = found.failed
    why = "ValueError: broken" if ended else "the notebook ended; its log ends: zmq.error.ZMQError"
    assert (record.architecture, record.attempt) == (NAMES[2], 2)
    assert record.failure_reason == f"left no record: {why}"
    assert (record.protocol, record.image_size) == ("demo-2", 32)
    assert list(chain(*workers.kernels)).count(NAMES[2]) == 2
    assert len(found.done) == 5


def test_runs_that_cannot_begin_do_not_block_others(sweep):
    """Such as those of a data set that is gone: a worker that begins others is not to blame."""
    others = [replace(run, seed=2) for run in RUNS[:20]]
    IDS.update({f"{run.architecture} 2": run_id(run) for run in others})

    def measure(name, folder):
        seed = sweep.workers.job.offers[0].run.seed
        if seed == 1:
            return Ended("error", "RunError", "RunError: the data set is gone")
        return _write(f"{name} 2", folder)

    found, _ = sweep(RUNS[:20] + others, measure, attempts=1, seconds=_second)
    assert {record.run_id for record in found.done} == {run_id(run) for run in others}
    assert {record.failure_reason for record in found.failed} == {
        "left no record: RunError: the data set is gone"
    }


def test_a_failed_run_is_tried_up_to_the_number_of_attempts(sweep):
    def measure(name, folder):
        if name == NAMES[0]:
            _write(name, folder, status="failed", failure_reason="the loss is nan")
        else:
            _write(name, folder)

    found, workers = sweep(RUNS[:2], measure, attempts=3, seconds=_second)
    assert found.failed[0].attempt == 3
    assert workers.kernels == [NAMES[:2], [NAMES[0]], [NAMES[0]]]
    again, workers = sweep(RUNS[:2], measure, attempts=3)
    assert (again, workers.kernels) == (found, [])
    again, workers = sweep(RUNS[:2], measure, attempts=4)
    assert (again.failed[0].attempt, workers.kernels) == (4, [[NAMES[0]]])


def test_temporary_errors_count_as_no_attempt(sweep):
    tried = []

    def measure(name, folder):
        tried.append(name)
        if len(tried) < 6:
            error = ("RunningElsewhereError", "FolderError", "StoppedError")[len(tried) % 3]
            return Ended("error", error, "not now")
        return _write(name, folder)

    found, _ = sweep(RUNS[:1], measure, attempts=1)
    assert [record.attempt for record in found.done] == [1]


def test_a_run_that_had_not_begun_when_the_sweep_stopped_is_waiting(sweep):
    def measure(_name, _folder):
        signal.raise_signal(signal.SIGINT)
        folder.touch(sweep.workers.job.stop)  # before the kernel has come to its first run

    found, workers = sweep(RUNS[:1], measure)
    assert (found.failed, len(found.waiting), len(workers.kernels)) == ((), 1, 1)


# -- workers that begin nothing --------------------------------------------------------------------


@pytest.mark.parametrize(
    "ended",
    [
        Ended("error", "RunError", "RunError: the weights are not in /nowhere"),
        Ended("died", "NoSuchKernel", "its kernel did not start (No such kernel named nokern)"),
        KILLED,
    ],
)
def test_a_sweep_in_which_nothing_begins_ends_without_counting_attempts(sweep, tmp_path, ended):
    there = ["w1", "w2"]
    with pytest.raises(SweepError, match="no worker of nowhere is left that can start") as raised:
        sweep(RUNS, lambda _n, _f: ended, there=there, seconds=_second)
    assert ended.why in str(raised.value)
    assert len(sweep.workers.kernels) == 4 * len(there)  # it takes few kernels to find that out
    assert not list(tmp_path.glob("runs/*"))
    # When it has been put right, the same command goes on.
    found, _ = sweep(RUNS[:6], _write, there=there, attempts=1)
    assert [record.attempt for record in found.done] == [1] * 6


def _refuses(*bad):
    """Measure, except on some workers, which refuse every run."""

    def measure(sweep, name, folder):
        if sweep.workers.slot in bad:
            return Ended("error", "RunError", "RunError: measured on X,\nand this is Y")
        return _write(name, folder)

    return measure


def test_a_worker_that_begins_no_run_gets_no_more(sweep):
    seen = []
    found, workers = sweep(
        RUNS, lambda n, f: _refuses("w1")(sweep, n, f), there=["w1", "w2"], attempts=1,
        watch=seen.append, seconds=lambda _run: 1e6, slow={"w2": 5},
    )  # fmt: skip
    assert [record.attempt for record in found.done] == [1] * 40
    assert len(workers.of["w1"]) <= 4
    assert seen[-1].excluded == (
        "worker w1 gets no more runs, since it began none of the last ones: RunError: measured on "
        "X, and this is Y",
    )
    assert "running without worker w1" in [progress.doing for progress in seen]


def test_a_worker_that_breaks_later_uses_up_no_attempts(sweep):
    def measure(name, folder):
        broken = len(sweep.workers.of.get("w1", ())) > 2
        return _refuses(*["w1"] * broken)(sweep, name, folder)

    seen = []
    found, workers = sweep(
        RUNS, measure, there=["w1", "w2"], attempts=1, watch=seen.append, seconds=lambda _run: 1e6,
        slow={"w2": 5},
    )  # fmt: skip
    assert [record.attempt for record in found.done] == [1] * 40
    assert len(workers.of["w1"]) <= 6
    assert len(seen[-1].excluded) == 1


def test_runs_that_no_worker_begins_fail_and_no_worker_is_excluded(sweep):
    seen, bad = [], {NAMES[2], NAMES[3], NAMES[17], NAMES[30]}

    def measure(name, folder):
        if bad.intersection(sweep.workers.kernels[-1]):
            return Ended("error", "RunError", "RunError: one does not take 32 px")
        return _write(name, folder)

    found, _ = sweep(RUNS, measure, there=["w1", "w2"], watch=seen.append, seconds=_second)
    assert {record.architecture for record in found.failed} == bad
    assert [record.attempt for record in found.failed] == [2] * 4
    assert len(found.done) == 36
    assert seen[-1].excluded == ()


# -- killed sweeps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [False, True])
def test_runs_of_a_killed_sweep_are_tried_once_more(sweep, tmp_path, recorded):
    """Also if another process has recorded the kill."""
    _leave_note(NAMES[0], tmp_path)
    if recorded:
        assert len(record_killed(tmp_path)) == 1
    found, _ = sweep(RUNS[:2], _write, attempts=1)
    assert [record.attempt for record in found.done] == [2, 1]


def test_a_run_that_kills_its_process_unseen_is_not_tried_forever(sweep):
    tried = []

    def measure(name, folder):
        tried.append(name)
        _leave_note(name, folder)
        record_killed(folder)  # another process is quicker, and does not know why it ended
        return KILLED

    found, _ = sweep(RUNS[:1], measure, attempts=2)
    assert (len(tried), found.failed[0].attempt) == (3, 3)
    sweep(RUNS[:1], measure, attempts=2)  # once more for each time that it is asked for
    assert len(tried) == 4


def test_a_damaged_note_does_not_keep_its_run_from_being_measured(sweep, tmp_path):
    path = note_path(tmp_path, IDS[RUNS[0].architecture])
    path.parent.mkdir()
    path.write_text("garbage")
    found, _ = sweep(RUNS[:2], _write)
    assert len(found.done) == 2


def test_damaged_records_are_superseded_and_measured_again(sweep, tmp_path):
    found, _ = sweep(RUNS[:3], _write)
    path = tmp_path / "runs" / f"{IDS[NAMES[0]]}.json"
    path.write_text("{}")
    spoiled = []

    def measure(name, folder):
        _write(name, folder)
        if not spoiled:  # while the sweep goes on, another one
            spoiled.append(tmp_path / "runs" / f"{IDS[NAMES[1]]}.json")
            spoiled[0].write_text(spoiled[0].read_text()[:30])

    again, workers = sweep(RUNS[:3], measure)
    assert again == found
    assert workers.kernels == [[NAMES[0]], [NAMES[1]]]
    aside = {p.name for p in (tmp_path / "superseded").iterdir()}
    assert aside == {path.name, spoiled[0].name}


# -- other sweeps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("holding", [lambda f, name: run_lock(f, name, {}), claim])
def test_a_run_of_another_process_is_waited_for_and_reported(sweep, tmp_path, holding):
    """Whether it measures it, or a worker has claimed it."""
    seen, held = [], holding(tmp_path, IDS[NAMES[0]])
    held.__enter__()

    def watch(progress):
        seen.append(progress.doing)
        if seen.count("waiting: 1 run is measured by another process") == 1 and len(seen) < 50:
            seen.append("")
            held.__exit__(None, None, None)  # it ends without a record

    found, workers = sweep(RUNS[:2], _write, watch=watch)
    assert len(found.done) == 2
    assert workers.kernels == [[NAMES[1]], [NAMES[0]]]


def test_a_device_of_another_sweep_is_waited_for_and_reported(sweep):
    seen = []

    def measure(name, folder):
        raise WorkerDied  # nothing is measured: its future takes some looks, and the file is there

    def watch(progress):
        seen.append(progress.doing)
        if len(seen) == 1:
            folder.touch(sweep.workers.job.waiting)
        elif len(seen) == 2:
            sweep.workers.job.waiting.unlink()
            sweep.workers.measure = _write

    found, _ = sweep(RUNS[:1], measure, watch=watch, slow={"w1": 100})
    assert len(found.done) == 1
    assert seen[:3] == ["running", "waiting: another sweep has the device", "running"]


def test_a_kernel_that_is_killed_while_it_waits_leaves_no_file(sweep, tmp_path):
    waiting = []

    def measure(name, folder):
        waiting.append(sweep.workers.job.waiting)
        folder.touch(waiting[-1])
        if len(waiting) == 1:
            raise WorkerDied
        return _write(name, folder)

    found, _ = sweep(RUNS[:1], measure)
    assert [record.attempt for record in found.done] == [1]
    assert list(tmp_path.glob("running/*.waiting")) == []


# -- disks -----------------------------------------------------------------------------------------


def test_a_full_disk_is_a_reported_pause(sweep, monkeypatch):
    seen, looks = [], []

    def full(_folder):
        looks.append(1)
        if 1 < len(looks) < 4:  # the first is before anything is begun
            raise FolderError("the output folder cannot be written (No space left on device)")

    def measure(name, folder):
        assert len(looks) >= 4
        _write(name, folder)

    monkeypatch.setattr(folder, "check_writable", full)
    found, _ = sweep(RUNS[:2], measure, watch=seen.append, seconds=_second)
    assert len(found.done) == 2
    assert seen[0].doing == (
        "paused: the output folder cannot be written (No space left on device)"
    )
    assert "paused" not in seen[-2].doing


@pytest.fixture
def disk(monkeypatch):
    """A disk that takes no record of a failure while it is `full`: three times, or for good."""

    class Disk:
        full, for_good, refused = False, False, 0

    def write(record, folder):
        if Disk.full:
            Disk.refused += 1
            Disk.full = Disk.for_good or Disk.refused < 3
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_record(record, folder)

    for module in (store, worker):
        monkeypatch.setattr(module, "write_record", write)
    return Disk


@pytest.mark.parametrize("end", ["kernel", "worker", "no record"])
def test_runs_that_end_on_a_full_disk_are_recorded_when_there_is_room(sweep, disk, end):
    tried = []

    def measure(name, folder):
        tried.append(name)
        if name == NAMES[1] and tried.count(name) == 1:
            disk.full = True
            if end == "no record":
                return _raise(name, folder)
            _leave_note(name, folder)
            if end == "worker":
                raise WorkerDied
            return KILLED
        return _write(name, folder)

    found, _ = sweep(RUNS[:2], measure, seconds=lambda _run: 1e6)
    assert disk.refused == 3
    assert [record.attempt for record in found.done] == [1, 2]
    assert tried == [NAMES[0], NAMES[1], NAMES[1]]


def test_a_full_disk_at_the_start_is_an_error(sweep, disk, tmp_path):
    _leave_note(NAMES[0], tmp_path)
    disk.full = disk.for_good = True
    with pytest.raises(FolderError, match=r"nothing can be written .*No space left on device"):
        sweep(RUNS[:1], _write)
    assert note_path(tmp_path, IDS[NAMES[0]]).exists()


def test_a_folder_in_place_of_a_record_is_an_error_before_the_first_run(sweep, tmp_path):
    (tmp_path / "runs" / f"{IDS[NAMES[1]]}.json").mkdir(parents=True)
    with pytest.raises(FolderError, match=r"\.json is a folder in place of a record"):
        sweep(RUNS[:2], _write)
    assert not list(tmp_path.glob(f"runs/{IDS[NAMES[0]]}*"))


# -- before the first run --------------------------------------------------------------------------


def test_invalid_settings_are_errors_before_the_first_run(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot be written"):
        engine.sweep(RUNS, NOTEBOOK, tmp_path / "file" / "out")
    with pytest.raises(SweepError, match="attempts is 0"):
        sweep(RUNS, _write, attempts=0)
    for limit_s in (0, float("nan"), float("inf")):
        with pytest.raises(SweepError, match=f"time_limit_s is {limit_s}"):
            sweep(RUNS, _write, time_limit_s=limit_s)
    wrong = [Run("resnet18d", "phanton"), Run("resnet18d", "phantm"), RUNS[0]]
    with pytest.raises(SweepError) as raised:
        sweep(wrong, _write)
    assert "phanton" in str(raised.value)
    assert "phantm" in str(raised.value)
    assert not list(tmp_path.glob("runs/*"))


def test_a_disk_with_little_room_is_an_error_before_the_first_run(sweep, monkeypatch):
    monkeypatch.setattr(folder, "ROOM_BYTES", 10**18)
    with pytest.raises(FolderError, match=r"MB left, and a sweep needs .* MB; make room"):
        sweep(RUNS[:1], _write)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"slots": 0}, "slots is 0; allowed"),
        ({"gpus": 99}, "99 GPUs are asked for and .* found.*for 0 to measure on the processor"),
        ({"gpus": ["GPU-a"], "slots": 2}, "leave slots out"),
        ({"scheduler": "tcp://127.0.0.1:1", "slots": 2}, "a scheduler has its own workers"),
        ({"scheduler": "none.json"}, "the scheduler file none.json does not exist"),
        ({"scheduler": "nonsense"}, "'nonsense' is neither a file nor an address; allowed: an"),
    ],
)
def test_missing_workers_are_errors_before_the_first_run(asked, message, tmp_path):
    with pytest.raises(SweepError, match=message):
        engine.sweep(RUNS[:1], NOTEBOOK, tmp_path, **asked)
    assert not list(tmp_path.glob("runs/*"))
