"""What the coordinator makes of how shards end. The workers are made up, the folder is real."""

import errno
import json
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
from filelock import FileLock

from pepr_utils.errors import FolderError
from pepr_utils.measurement import (
    Run,
    orders,
    record_killed,
    run_id,
    select_architectures,
    store,
)
from pepr_utils.measurement.store import next_attempt, note_path, run_lock
from pepr_utils.measurement.sweep import SweepError, backlog, engine, failures, upkeep
from pepr_utils.measurement.sweep.cluster import Slot, Workers
from pepr_utils.measurement.sweep.task import Outcome
from pepr_utils.results import Record, read_record, write_record

NOTEBOOK = Path(__file__).parents[1] / "functional" / "tiny_sweep.md"
NAMES = select_architectures([], "n_parameters > 0")[:40]
RUNS = [Run(name, "phantom", "demo", False) for name in NAMES]
IDS = {run.architecture: run_id(run) for run in RUNS}


@dataclass
class Ended:
    """A future of work that was done at once."""

    outcome: object

    def done(self):
        return self.outcome is not engine

    def cancel(self):
        pass


@dataclass
class Slow(Ended):
    """That of work which takes a while."""

    looks: int = 0

    def done(self):
        self.looks += 1
        return self.looks > 30


class MadeUp(Workers):
    """Workers that do a shard at once, by calling `deed` for each of its architectures."""

    def __init__(self, deed, there=("w1",)):
        super().__init__(client=None, where="nowhere", wanted=1)
        self.deed, self.shards, self.ended = deed, [], []
        self.there, self.of = list(there), {}

    def slots(self):
        return [Slot(name, name, 1) for name in self.there]

    def submit(self, task, slot):
        MadeUp.now, MadeUp.task, MadeUp.slot = self, task, slot.name
        names = task.parameters["architectures"].split(",")
        self.shards.append(names)
        self.of.setdefault(slot.name, []).append(names)
        if slot.name not in self.there:  # gone, and the coordinator has not looked since
            return Ended("worker died")
        for name in names:
            outcome = self.deed(name, Path(task.parameters["result_set"]))
            if outcome is not None:
                return outcome if isinstance(outcome, Ended) else Ended(outcome)
        return Ended(Outcome("whole"))

    def result(self, future):
        return None if future.outcome == "worker died" else future.outcome

    def end_kernels(self, sweep):
        self.ended.append(sweep)

    def dashboard(self):
        return None


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Sweep with made-up workers; returns how it ended and who did it."""
    monkeypatch.setattr(engine, "TICK_S", 0.001)
    monkeypatch.setattr(engine, "LOOK_S", 0.01)
    monkeypatch.setattr(backlog, "HOLD_S", 0.05)

    def call(runs, deed, there=("w1",), **asked):
        workers = MadeUp(deed, there)

        @contextmanager
        def made_up(*_arguments):
            yield workers

        monkeypatch.setattr(engine, "_workers", made_up)
        return engine.sweep(runs, NOTEBOOK, tmp_path, **asked), workers

    return call


def _write(name, folder, **more):
    known = {"run_id": IDS[name], "architecture": name, "dataset": "phantom", "train_time_s": 1.0}
    more = more or {"status": "done", "test_accuracy": 0.5}

    def note():
        known["attempt"] = next_attempt(folder, IDS[name])
        return known

    with run_lock(folder, IDS[name], note):
        write_record(Record(**known | more), folder)


def _leave_note(name, folder, **more):
    path = note_path(folder, IDS[name])
    path.parent.mkdir(exist_ok=True)
    record = {"run_id": IDS[name], "architecture": name, "dataset": "phantom",
              "attempt": next_attempt(folder, IDS[name])}  # fmt: skip
    note = {
        "pid": 1,
        "host": "there",
        "started": "2026-01-01T00:00:00+00:00",
        "record": record,
    } | more
    path.write_text(json.dumps(note))


def test_every_run_once_in_few_shards(sweep):
    found, workers = sweep(RUNS + RUNS[:3], _write, seconds=lambda _run: 30.0)
    assert [record.architecture for record in found.done] == NAMES
    assert list(chain(*workers.shards)) == NAMES
    assert len(workers.shards) == 3  # of 15 s x 32 / 30 s


def test_workers_are_shown_by_a_file_that_they_have_the_folder(sweep, tmp_path):
    shown = []

    def deed(name, folder):
        shown.append(MadeUp.task.here)
        assert shown[-1].is_file()
        assert shown[-1].is_relative_to(folder)
        return _write(name, folder)

    sweep(RUNS[:1], deed)
    assert not shown[0].exists()
    # Tasks of two sweeps that begin within a second differ by all that the sweeps differ by.
    assert MadeUp.task.name.endswith(f"-0001-{MadeUp.task.sweep}")


def test_one_that_stands_in_the_way_of_a_shard_is_found_by_halves(sweep):
    """The notebook refuses all of its runs for one of them, before it begins any."""
    refused = set()

    def deed(name, folder):
        shard = MadeUp.now.shards[-1]
        if NAMES[5] in shard:
            refused.add(tuple(shard))
            return Outcome("error", "RunError", f"RunError: {NAMES[5]} does not take 32 px")
        return _write(name, folder)

    found, workers = sweep(RUNS, deed, seconds=lambda _run: 1.0, attempts=3)
    assert len(found.done) == 39
    (record,) = found.failed
    assert (record.architecture, record.attempt) == (NAMES[5], 3)
    assert record.failure_reason == f"left no record: RunError: {NAMES[5]} does not take 32 px"
    assert len(workers.shards) <= 16  # and not 40
    assert [len(s) for s in workers.shards if NAMES[5] in s][-3:] == [1, 1, 1]


def test_a_kernel_that_dies_fails_its_run_and_the_others_stay_together(sweep):
    def deed(name, folder):
        if name == NAMES[3]:
            _leave_note(name, folder)
            return Outcome("died", "DeadKernelError", "its kernel was killed by SIGKILL")
        return _write(name, folder)

    found, workers = sweep(RUNS[:8], deed)
    (record,) = found.failed
    assert (record.architecture, record.attempt) == (NAMES[3], 2)
    assert "its kernel was killed by SIGKILL" in record.failure_reason
    assert workers.shards == [NAMES[:8], NAMES[4:8], [NAMES[3]]]


def test_a_worker_that_dies_counts_against_the_run_that_it_had(sweep, tmp_path):
    tried = []

    def deed(name, folder):
        tried.append(name)
        if tried.count(name) == 1 and name == NAMES[1]:
            _leave_note(name, folder)
            return "worker died"
        return _write(name, folder)

    found, _ = sweep(RUNS[:3], deed)
    assert [record.attempt for record in found.done] == [1, 2, 1]
    assert tried == [NAMES[0], NAMES[1], NAMES[2], NAMES[1]]


def test_a_run_without_a_word_is_recorded_by_the_coordinator_and_tried_alone(sweep):
    def deed(name, folder):
        return None if name == NAMES[2] else _write(name, folder)

    found, workers = sweep(RUNS[:4], deed, attempts=2)
    (record,) = found.failed
    assert record.failure_reason == "left no record: the notebook ended"
    assert (record.attempt, record.protocol, record.image_size) == (2, "demo", 32)
    assert workers.shards == [NAMES[:4], [NAMES[2]]]  # two tries


def test_an_exception_in_a_shard_is_a_try_of_the_run_that_was_at_it(sweep):
    def deed(name, folder):
        broken = Outcome("error", "ValueError", "ValueError: broken")
        return broken if name == NAMES[2] else _write(name, folder)

    found, workers = sweep(RUNS[:6], deed, attempts=2)
    (record,) = found.failed
    assert (record.architecture, record.attempt) == (NAMES[2], 2)
    assert workers.shards == [NAMES[:6], NAMES[3:6], [NAMES[2]]]


def test_so_it_is_where_it_was_the_first_of_its_shard(sweep):
    """Which is told from one that refuses its runs by the note of the run that it was at."""

    class Raised(Ended):
        def done(self):
            self.note.unlink(missing_ok=True)
            return True

    def deed(name, folder):
        if name != NAMES[0]:
            return _write(name, folder)
        future = Raised(Outcome("error", "ValueError", "ValueError: broken"))
        _leave_note(name, folder, log=str(MadeUp.task.log))
        future.note = note_path(folder, IDS[name])
        return future

    found, workers = sweep(RUNS[:4], deed, attempts=2)
    assert [(r.architecture, r.attempt) for r in found.failed] == [(NAMES[0], 2)]
    assert workers.shards == [NAMES[:4], NAMES[1:4], [NAMES[0]]]


def test_what_another_coordinator_records_does_not_hide_a_try(sweep, tmp_path):
    """Both have given a run to a kernel, one after the other; each has failed without a record."""
    others = failures.Failure(failures.NO_RECORD + "ValueError: broken", 1)
    tried = []

    def deed(name, folder):
        if not tried:
            known = {"run_id": IDS[name], "architecture": name, "dataset": "phantom"}
            assert failures.record_failure(folder, IDS[name], known, others)
        tried.append(name)
        return Outcome("error", "ValueError", "ValueError: broken")

    found, _ = sweep(RUNS[:1], deed, attempts=2)
    assert (len(tried), found.failed[0].attempt) == (1, 2)


def test_a_data_set_that_goes_away_fails_its_runs_and_no_others(sweep, tmp_path, monkeypatch):
    from pepr_utils.measurement import datasets

    def deed(name, folder):
        if name != RUNS[0].architecture:
            return _write(name, folder)

        def gone(_name):
            raise SweepError("unknown data set")

        monkeypatch.setattr(datasets, "describe_dataset", gone)
        return Outcome("error", "RunError", "unknown data set")

    found, _ = sweep(RUNS[:3], deed, attempts=1)
    assert len(found.done) == 2
    (failed,) = found.failed
    assert (failed.dataset_hash, failed.failure_reason) == (
        "phantom-3", failures.NO_RECORD + "unknown data set"
    )  # fmt: skip


def test_what_another_sweep_measures_does_not_speak_for_a_worker(sweep, tmp_path):
    """A worker refuses all its runs, one of which another sweep has measured meanwhile."""
    tried = []

    def deed(name, folder):
        if not tried:
            _write(name, folder)
            _leave_note(name, folder, log="/elsewhere.log")
        tried.append(name)
        return Outcome("error", "RunError", "the weights lack")

    with pytest.raises(SweepError, match="no attempt was counted"):
        sweep(RUNS[:8], deed, attempts=2)
    assert [read_record(path).status for path in tmp_path.glob("runs/*")] == ["done"]


def test_a_damaged_note_does_not_keep_its_run_from_being_measured(sweep, tmp_path):
    path = note_path(tmp_path, IDS[RUNS[0].architecture])
    path.parent.mkdir()
    path.write_text("garbage")
    found, _ = sweep(RUNS[:2], _write)
    assert len(found.done) == 2


def test_a_run_that_was_to_be_begun_as_the_sweep_stopped_has_not_failed(sweep, tmp_path):
    def deed(name, folder):
        signal.raise_signal(signal.SIGINT)
        engine._touch(MadeUp.task.stop)  # before the kernel has come to its first run

    found, workers = sweep(RUNS[:1], deed)
    assert (found.failed, len(found.waiting), len(workers.shards)) == ((), 1, 1)


def test_a_failed_record_is_tried_again_as_often_as_it_is_said(sweep):
    def deed(name, folder):
        if name == NAMES[0]:
            _write(name, folder, status="failed", failure_reason="the loss is nan")
        else:
            _write(name, folder)

    found, workers = sweep(RUNS[:2], deed, attempts=3)
    assert found.failed[0].attempt == 3
    assert workers.shards == [NAMES[:2], [NAMES[0]], [NAMES[0]]]
    again, workers = sweep(RUNS[:2], deed, attempts=3)
    assert (again, workers.shards) == (found, [])
    again, workers = sweep(RUNS[:2], deed, attempts=4)
    assert (again.failed[0].attempt, workers.shards) == (4, [[NAMES[0]]])


def test_what_says_nothing_against_a_run_is_no_attempt(sweep):
    tried = []

    def deed(name, folder):
        tried.append(name)
        if len(tried) < 6:
            error = ("RunningElsewhereError", "FolderError", "StoppedError")[len(tried) % 3]
            return Outcome("error", error, "not now")
        return _write(name, folder)

    found, _ = sweep(RUNS[:1], deed, attempts=1)
    assert [record.attempt for record in found.done] == [1]


WEIGHTS = "RunError: the weights {}.in1k could not be had; try {}/notebooks/{}.log"
NO_KERNEL = "its kernel did not start (NoSuchKernel: No such kernel named nokern)"


@pytest.mark.parametrize("there", [["w1"], ["w1", "w2"]])
@pytest.mark.parametrize(
    ("ended", "error", "why"),
    [
        ("error", "RunError", WEIGHTS),
        ("died", "NoSuchKernel", NO_KERNEL),
        ("died", "DeadKernelError", "its kernel was killed by SIGKILL"),
    ],
)
def test_runs_that_fail_alike_before_they_begin_end_the_sweep(
    sweep, tmp_path, ended, error, why, there
):
    def deed(name, folder):
        return Outcome(ended, error, why.format(name, folder, MadeUp.task.name))

    with pytest.raises(SweepError, match="3 runs failed before they began, all alike") as raised:
        sweep(RUNS, deed, there=there, seconds=lambda _run: 1.0)
    assert why[:20] in str(raised.value)
    assert not list(tmp_path.glob("runs/*"))
    # No attempt was counted: when it has been put right, the same command goes on.
    found, _ = sweep(RUNS[:6], _write, there=there, attempts=1)
    assert [record.attempt for record in found.done] == [1] * 6


def test_it_takes_few_kernels_to_find_that_out(sweep):
    begun = []

    def deed(name, folder):
        begun.append(MadeUp.task.name)
        return Outcome("error", "RunError", "RunError: no weights in /nowhere")

    with pytest.raises(SweepError):
        sweep(RUNS, deed, seconds=lambda _run: 1.0)
    assert len(begun) == 4  # one of forty runs, and three of one


def test_two_runs_that_fail_alike_are_no_sweep_that_is_wrong(sweep):
    found, workers = sweep(
        RUNS[:2], lambda _n, _f: Outcome("died", "NoSuchKernel", NO_KERNEL), attempts=2
    )
    assert [record.attempt for record in found.failed] == [2, 2]
    assert NO_KERNEL in found.failed[0].failure_reason
    assert len(workers.shards) == 5  # both at once, and each alone as often as it may be tried


def _refuses(bad):
    """What workers do of which some refuse every run."""

    def deed(name, folder):
        if MadeUp.slot in bad:
            return Outcome("error", "RunError", "RunError: measured on X,\nand this is Y")
        return _write(name, folder)

    return deed


@pytest.mark.parametrize("length_s", [1.0, 1e6])
def test_a_worker_that_begins_no_run_gets_no_more_of_them(sweep, length_s):
    told = []
    found, workers = sweep(
        RUNS, _refuses(["w1"]), there=["w1", "w2"], attempts=1, watch=told.append,
        seconds=lambda _run: length_s,
    )  # fmt: skip
    assert [record.attempt for record in found.done] == [1] * 40
    assert len(workers.of["w1"]) <= 3
    assert "running without worker w1" in [progress.doing for progress in told]
    assert told[-1].aside == (
        "worker w1 gets no more runs, since it began none of the last ones: RunError: measured on "
        "X, and this is Y",
    )


def test_a_worker_that_is_slow_to_begin_is_waited_for(sweep):
    """Before it is said that nothing begins: a kernel that does not start is quicker."""

    def deed(name, folder):
        if MadeUp.slot == "w1":
            return Outcome("died", "NoSuchKernel", NO_KERNEL)
        _write(name, folder)
        return Slow(Outcome("whole"))

    found, workers = sweep(RUNS[:8], deed, there=["w1", "w2"], attempts=1, seconds=lambda _run: 1e6)
    assert [record.attempt for record in found.done] == [1] * 8
    assert len(workers.of["w1"]) <= 4


def test_so_is_one_whose_first_shard_has_a_run_that_nobody_begins(sweep):
    """It has refused something too, and is about to begin another."""

    def deed(name, folder):
        if MadeUp.slot != "w1":
            return Outcome("died", "NoSuchKernel", NO_KERNEL)
        if NAMES[0] in MadeUp.now.shards[-1]:
            return Outcome("error", "RunError", "RunError: one does not take 32 px")
        _write(name, folder)
        return Slow(Outcome("whole"))

    found, _ = sweep(RUNS[:8], deed, there=["w1", "w2", "w3"], attempts=1, seconds=lambda _run: 1e6)
    assert len(found.done) == 7
    assert [record.architecture for record in found.failed] == NAMES[:1]


def test_so_it_is_with_one_that_had_begun_some(sweep):
    def deed(name, folder):
        turned = MadeUp.slot == "w1" and len(MadeUp.now.of["w1"]) > 2
        return _refuses(["w1"] if turned else [])(name, folder)

    told = []
    found, workers = sweep(
        RUNS, deed, there=["w1", "w2"], attempts=1, watch=told.append, seconds=lambda _run: 1e6
    )
    assert len(found.done) == 40
    assert len(workers.of["w1"]) <= 5
    assert len(told[-1].aside) == 1


def test_a_run_that_nobody_begins_is_to_blame_and_no_worker_is(sweep):
    told, bad = [], {NAMES[2], NAMES[3], NAMES[17], NAMES[30]}

    def deed(name, folder):
        shard = set(MadeUp.task.parameters["architectures"].split(","))
        if shard & bad:
            return Outcome("error", "RunError", "RunError: one does not take 32 px")
        return _write(name, folder)

    found, _ = sweep(RUNS, deed, there=["w1", "w2"], watch=told.append, seconds=lambda _run: 1.0)
    assert {record.architecture for record in found.failed} == bad
    assert [record.attempt for record in found.failed] == [2] * 4
    assert len(found.done) == 36
    assert told[-1].aside == ()


def test_where_no_worker_is_left_that_begins_a_run_the_sweep_ends(sweep):
    def deed(name, folder):
        if MadeUp.slot == "w2":
            MadeUp.now.there.remove("w2")  # after this one
        return _refuses(["w1"])(name, folder)

    with pytest.raises(SweepError, match="no worker of nowhere is left that begins") as raised:
        sweep(RUNS, deed, there=["w1", "w2"], attempts=1, seconds=lambda _run: 1e6)
    assert "worker w1 gets no more runs, since it began none" in str(raised.value)
    assert "RunError: measured on X" in str(raised.value)
    found, _ = sweep(RUNS, _write, attempts=1)
    assert [record.attempt for record in found.done] == [1] * 40


def test_runs_of_an_earlier_sweep_that_was_killed_are_tried_once_more(sweep, tmp_path):
    _leave_note(NAMES[0], tmp_path)
    found, _ = sweep(RUNS[:2], _write, attempts=1)
    assert [record.attempt for record in found.done] == [2, 1]


def test_and_so_they_are_if_someone_else_has_recorded_the_kill(sweep, tmp_path):
    _leave_note(NAMES[0], tmp_path)
    assert len(record_killed(tmp_path)) == 1
    found, _ = sweep(RUNS[:2], _write, attempts=1)
    assert [record.attempt for record in found.done] == [2, 1]


def test_a_run_that_kills_its_process_unseen_is_not_tried_for_ever(sweep, tmp_path):
    tried = []

    def deed(name, folder):
        tried.append(name)
        _leave_note(name, folder)
        record_killed(folder)  # a sibling is quicker, and does not know why it ended
        return Outcome("died", "DeadKernelError", "its kernel was killed by SIGKILL")

    found, _ = sweep(RUNS[:1], deed, attempts=2)
    assert (len(tried), found.failed[0].attempt) == (3, 3)
    sweep(RUNS[:1], deed, attempts=2)  # once more for each time that it is asked for
    assert len(tried) == 4


def test_damaged_records_are_set_aside_whenever_they_turn_up(sweep, tmp_path):
    found, _ = sweep(RUNS[:3], _write)
    path = tmp_path / "runs" / f"{IDS[NAMES[0]]}.json"
    path.write_text("{}")
    spoiled = []

    def deed(name, folder):
        _write(name, folder)
        if not spoiled:  # while the sweep goes on, another one
            spoiled.append(tmp_path / "runs" / f"{IDS[NAMES[1]]}.json")
            spoiled[0].write_text(spoiled[0].read_text()[:30])

    again, workers = sweep(RUNS[:3], deed)
    assert again == found
    assert workers.shards == [[NAMES[0]], [NAMES[1]]]
    aside = {p.name for p in (tmp_path / "superseded").iterdir()}
    assert aside == {path.name, spoiled[0].name}


def test_what_killed_processes_left_is_tidied_when_it_is_old(sweep, tmp_path):
    old = [tmp_path / "runs" / ".aa.tmp", tmp_path / "running" / "aa.stop"]
    new = [tmp_path / "runs" / ".bb.tmp", tmp_path / "running" / "bb.stop"]
    for path in old + new:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for path in old:
        os.utime(path, (0, 0))
    sweep(RUNS[:1], _write)
    assert [path.exists() for path in old + new] == [False, False, True, True]


def test_a_run_that_another_process_measures_is_waited_for(sweep, tmp_path):
    told, held = [], run_lock(tmp_path, IDS[NAMES[0]], {})
    held.__enter__()

    def watch(progress):
        told.append(progress.doing)
        if told.count("waiting: 1 run is measured by another process") == 1 and len(told) < 50:
            told.append("")
            held.__exit__(None, None, None)  # it ends without a record

    found, workers = sweep(RUNS[:2], _write, watch=watch)
    assert len(found.done) == 2
    assert workers.shards == [[NAMES[1]], [NAMES[0]]]


def test_a_device_that_another_sweep_has_is_waited_for_and_said(sweep):
    told, waiting = [], []

    class Waits(Ended):
        def done(self):
            if "waiting: another sweep has the device" not in told:
                return False
            if waiting[0].exists():
                waiting[0].unlink()
                _write(NAMES[0], waiting[0].parents[1])
            return told[-1] == "running"

    def deed(name, folder):
        waiting.append(orders.waiting_path(MadeUp.task.stop, MadeUp.task.log))
        engine._touch(waiting[0])
        return Waits(Outcome("whole"))

    found, workers = sweep(RUNS[:1], deed, watch=lambda now: told.append(now.doing))
    assert (len(found.done), len(workers.shards)) == (1, 1)
    assert told == ["running", "waiting: another sweep has the device", "running", "running",
                    "ended"]  # fmt: skip


def test_a_kernel_that_is_killed_as_it_waits_leaves_no_word(sweep):
    waiting = []

    def deed(name, folder):
        waiting.append(orders.waiting_path(MadeUp.task.stop, MadeUp.task.log))
        engine._touch(waiting[-1])
        return "worker died" if len(waiting) == 1 else _write(name, folder)

    found, _ = sweep(RUNS[:1], deed)
    assert [record.attempt for record in found.done] == [1]
    assert [path.exists() for path in waiting] == [False, False]


def test_a_disk_that_is_full_is_a_pause(sweep, monkeypatch):
    told, looks = [], []

    def full(_folder):
        looks.append(1)
        if 1 < len(looks) < 4:  # the first is before anything is begun
            raise FolderError("the output folder cannot be written (No space left on device)")

    def deed(name, folder):
        assert len(looks) >= 4
        _write(name, folder)

    monkeypatch.setattr(upkeep, "check_writable", full)
    found, _ = sweep(RUNS[:2], deed, watch=told.append)
    assert len(found.done) == 2
    assert [progress.doing for progress in told] == [
        "paused: the output folder cannot be written (No space left on device)",
        "running",
        "running",
        "ended",
    ]


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

    for module in (store, failures):
        monkeypatch.setattr(module, "write_record", write)
    return Disk


@pytest.mark.parametrize("end", ["kernel", "worker", "silent"])
def test_what_ends_while_the_disk_is_full_is_recorded_when_there_is_room(sweep, disk, end):
    tried, told = [], []

    def deed(name, folder):
        tried.append(name)
        if name == NAMES[1] and tried.count(name) == 1:
            disk.full = True
            if end == "silent":
                return Outcome("error", "ValueError", "ValueError: broken")
            _leave_note(name, folder)
            died = Outcome("died", "DeadKernelError", "its kernel was killed by SIGKILL")
            return died if end == "kernel" else "worker died"
        return _write(name, folder)

    # Alone in its shard, for the silent one: nothing else is to blame.
    found, _ = sweep(
        RUNS[:2], deed, watch=lambda now: told.append(now.doing), seconds=lambda _run: 1e6
    )
    assert disk.refused == 3
    assert [record.attempt for record in found.done] == [1, 2]
    assert tried == [NAMES[0], NAMES[1], NAMES[1]]
    assert any("paused: a record could not be written to" in doing for doing in told)


def test_a_pause_after_a_failed_write_is_not_for_want_of_a_worker(sweep):
    told = []

    def deed(name, folder):
        if len(MadeUp.now.shards) == 1:
            return Outcome("error", "FolderError", "nothing can be written")
        return _write(name, folder)

    found, _ = sweep(RUNS[:2], deed, watch=lambda now: told.append(now.doing))
    assert len(found.done) == 2
    assert not [doing for doing in told if doing.startswith("waiting")]
    assert "paused: a record could not be written to" in told[0] + told[1]


def test_a_folder_in_place_of_a_record_is_said_before_anything_is_begun(sweep, tmp_path):
    (tmp_path / "runs" / f"{IDS[NAMES[1]]}.json").mkdir(parents=True)
    with pytest.raises(FolderError, match=r"\.json is a folder, where a run's record belongs"):
        sweep(RUNS[:2], _write)
    assert not list(tmp_path.glob(f"runs/{IDS[NAMES[0]]}*"))


def test_why_a_kernel_died_is_not_forgotten_while_the_disk_is_full(sweep, disk):
    def deed(name, folder):
        disk.full = True
        _leave_note(name, folder)
        return Outcome("died", "DeadKernelError", "its kernel was killed by SIGKILL")

    found, workers = sweep(RUNS[:1], deed, attempts=1)
    assert found.failed[0].failure_reason.endswith("its kernel was killed by SIGKILL")
    assert len(workers.shards) == 1


def test_why_a_worker_died_is_not_forgotten_while_its_kernel_has_yet_to_end(sweep, tmp_path):
    lock = FileLock(store._lock_path(tmp_path, IDS[NAMES[0]]))
    (tmp_path / "running").mkdir()

    def deed(name, folder):
        lock.acquire()
        _leave_note(name, folder)
        return "worker died"

    def watch(progress):
        if progress.doing.startswith("waiting: 1 run"):
            lock.release()

    found, workers = sweep(RUNS[:1], deed, watch=watch, attempts=1)
    assert found.failed[0].failure_reason.endswith(", its worker died")
    assert len(workers.shards) == 1


def test_a_disk_that_is_full_at_the_first_look_is_said(sweep, disk, tmp_path):
    _leave_note(NAMES[0], tmp_path)
    disk.full = disk.for_good = True
    with pytest.raises(FolderError, match=r"nothing can be written .*No space left on device"):
        sweep(RUNS[:1], _write)
    assert note_path(tmp_path, IDS[NAMES[0]]).exists()


def test_before_the_first_run(sweep, tmp_path, monkeypatch):
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


def test_a_disk_with_little_room_is_said_before_the_first_run(sweep, monkeypatch):
    monkeypatch.setattr(upkeep, "ROOM_BYTES", 10**18)
    with pytest.raises(FolderError, match=r"MB left, and a sweep wants .* MB; make room"):
        sweep(RUNS[:1], _write)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"slots": 0}, "slots is 0; allowed"),
        ({"gpus": 99}, "99 GPUs are asked for and .* found.*for 0 to measure on the processor"),
        ({"gpus": ["GPU-a"], "slots": 2}, "leave slots out"),
        ({"scheduler": "tcp://127.0.0.1:1", "slots": 2}, "a scheduler has its own workers"),
        ({"scheduler": "none.json"}, "the scheduler file none.json is not there"),
        ({"scheduler": "nonsense"}, "'nonsense' is neither a file nor an address; allowed: an"),
    ],
)
def test_places_that_are_not_there(asked, message, tmp_path):
    with pytest.raises(SweepError, match=message):
        engine.sweep(RUNS[:1], NOTEBOOK, tmp_path, **asked)
    assert not list(tmp_path.glob("runs/*"))


def test_records_that_the_coordinator_writes_are_whole(sweep, tmp_path):
    sweep(RUNS[:1], lambda _n, _f: None, attempts=1)
    (path,) = tmp_path.glob("runs/*")
    assert read_record(path).run_id == path.stem
    assert not list(tmp_path.glob("running/*.json"))
