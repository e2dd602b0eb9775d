"""The parts of the sweep: GPUs, notebook, state, locks, environment of kernels, scheduler."""

import errno
import json
import os
import shutil
import signal
import socket
import ssl
import tempfile
import threading
from pathlib import Path

import pytest

from pepr_utils.errors import FolderError, RunError
from pepr_utils.measurement import Run, measuring, record_killed, run_id, store, sweep_environment
from pepr_utils.measurement.metering import meter
from pepr_utils.measurement.metering.nvml import GpuInfo, Nvml
from pepr_utils.measurement.run import resolve
from pepr_utils.measurement.store import (
    ended_unseen,
    is_held,
    next_attempt,
    note_path,
    noted_runs,
    remove_notes,
    run_lock,
)
from pepr_utils.measurement.sweep import SweepError, cluster, gpus
from pepr_utils.measurement.sweep.cluster import connect
from pepr_utils.measurement.sweep.engine import AT_ONCE, FINISH, GO_ON, interruptions
from pepr_utils.measurement.sweep.notebook import Kernel, kill, read_notebook
from pepr_utils.measurement.sweep.state import state
from pepr_utils.measurement.sweep.worker import Job, _environment, _sweep_environment
from pepr_utils.results import Record, write_record

ROOT = Path(__file__).parents[2]
A, B, C = (Run(n, "phantom", "demo", False) for n in ("resnet18d", "dla46_c", "vgg11"))


def _note(folder, run, **more):
    """The note of a process that was killed."""
    known = {"run_id": run_id(run), "architecture": run.architecture, "dataset": run.dataset}
    path = note_path(folder, run_id(run))
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"pid": 1, "host": "there", "started": "2026-01-01T00:00:00+00:00",
               "record": known} | more  # fmt: skip
    path.write_text(json.dumps(content))


def _record(run, **more):
    known = {"run_id": run_id(run), "architecture": run.architecture, "dataset": run.dataset}
    return Record(**known | {"status": "done", "test_accuracy": 0.5} | more)


# -- GPUs ------------------------------------------------------------------------------------------


@pytest.fixture
def visible(monkeypatch):
    def install(*found, reason=None):
        monkeypatch.setattr(gpus.Nvml, "open", lambda: Nvml(tuple(found), reason))

    return install


TWO = (GpuInfo(0, "GPU-aa", "H100"), GpuInfo(1, "GPU-bb", "H100"))


def test_every_visible_gpu_is_a_slot(visible):
    visible(*TWO)
    assert gpus.find_gpus("auto", {}) == ["GPU-aa", "GPU-bb"]
    assert gpus.find_gpus(1, {}) == ["GPU-aa"]
    assert gpus.find_gpus(0, {}) == []
    assert gpus.find_gpus("auto", {"CUDA_VISIBLE_DEVICES": "1"}) == ["GPU-bb"]
    assert gpus.find_gpus("auto", {"CUDA_VISIBLE_DEVICES": "GPU-b"}) == ["GPU-bb"]
    assert gpus.find_gpus("auto", {"CUDA_VISIBLE_DEVICES": ""}) == []
    assert gpus.find_gpus(["GPU-zz"], {}) == ["GPU-zz"]


def test_a_divided_gpu_is_one_slot_by_its_visible_slice(visible):
    visible(GpuInfo(0, "GPU-aa", "H100", ("MIG-1", "MIG-2")))
    assert gpus.find_gpus("auto", {}) == ["MIG-1"]
    assert gpus.find_gpus("auto", {"CUDA_VISIBLE_DEVICES": "MIG-2"}) == ["MIG-2"]


def test_fewer_gpus_than_requested_is_an_error_with_what_was_found(visible):
    visible(*TWO)
    with pytest.raises(SweepError, match="3 GPUs are asked for and 2 found; ask for as many"):
        gpus.find_gpus(3, {})
    with pytest.raises(SweepError, match=r"1 found \(CUDA_VISIBLE_DEVICES is '1'\)"):
        gpus.find_gpus(2, {"CUDA_VISIBLE_DEVICES": "1"})
    visible(reason="NVML: Driver Not Loaded")
    with pytest.raises(SweepError, match=r"none found \(NVML: Driver Not Loaded\).*for 0"):
        gpus.find_gpus(1, {})
    with pytest.raises(SweepError, match="gpus is 'all'; allowed"):
        gpus.find_gpus("all", {})


def test_an_ambiguous_gpu_is_an_error(visible):
    visible(GpuInfo(0, "GPU-aa", "H100"), GpuInfo(1, "GPU-bb", "A100"))
    with pytest.raises(SweepError, match="set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        gpus.find_gpus("auto", {"CUDA_VISIBLE_DEVICES": "1"})


# -- the notebook ----------------------------------------------------------------------------------


def test_fine_tune_is_executed_up_to_its_measuring_cell():
    cells = json.loads(read_notebook(ROOT / "notebooks" / "fine_tune.md"))["cells"]
    assert "fine_tune(" in "".join(cells[-1]["source"])
    assert not any("paper." in "".join(cell["source"]) for cell in cells)


def test_a_notebook_without_parameters_is_refused(tmp_path):
    with pytest.raises(SweepError, match="cannot be read"):
        read_notebook(tmp_path / "none.md")
    (tmp_path / "plain.md").write_text("# Nothing\n")
    with pytest.raises(SweepError, match="no cell tagged 'parameters'"):
        read_notebook(tmp_path / "plain.md")
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(SweepError, match="cannot be read"):
        read_notebook(tmp_path / "broken.ipynb")


# -- state and locks -------------------------------------------------------------------------------


def test_each_run_is_in_one_part_of_the_state(tmp_path):
    from dataclasses import replace

    runs = [A, B, C, replace(A, seed=2), replace(A, seed=3)]
    write_record(_record(A), tmp_path)
    write_record(_record(B, status="failed", test_accuracy=None, failure_reason="x"), tmp_path)
    damaged = tmp_path / "runs" / f"{run_id(runs[3])}.json"
    damaged.write_text('{"run_id": "')
    _note(tmp_path, runs[4])  # of a process that is gone
    with run_lock(tmp_path, run_id(C), {"architecture": "vgg11", "attempt": 2}):
        found = state(tmp_path, runs)
        assert [record.architecture for record in found.done] == ["resnet18d"]
        assert [record.architecture for record in found.failed] == ["dla46_c"]
        (running,) = found.running
        assert (running.run_id, running.attempt, running.pid) == (run_id(C), 2, os.getpid())
        assert found.waiting == (runs[3], runs[4])
        assert found.broken == (damaged,)
        everything = state(tmp_path)
        assert (everything.done, everything.running) == (found.done, found.running)
        assert everything.waiting == ()
    assert state(tmp_path, [C]).waiting == (C,)
    assert state(tmp_path / "none", [A]).waiting == (A,)


def test_a_failed_run_that_is_tried_again_is_running(tmp_path):
    write_record(_record(A, status="failed", test_accuracy=None), tmp_path)
    with run_lock(tmp_path, run_id(A), {}):
        found = state(tmp_path, [A])
    assert (len(found.running), found.failed, found.waiting) == (1, (), ())


def test_looking_at_a_lock_does_not_take_or_create_it(tmp_path):
    assert not is_held(tmp_path, "r1")
    assert list(tmp_path.iterdir()) == []
    with run_lock(tmp_path, "r1", {}):
        assert is_held(tmp_path, "r1")
        assert is_held(tmp_path, "r1")
    assert not is_held(tmp_path, "r1")


def test_a_killed_run_is_recorded_with_its_reason_and_the_end_of_its_log(tmp_path):
    log = tmp_path / "kernel.log"
    log.write_text("a\n" * 2000 + "terminate called\n")
    _note(tmp_path, A, log=str(log))
    _note(tmp_path, B)
    (record,) = record_killed(tmp_path, only=[run_id(A)], because="its kernel ended")
    assert record.failure_reason.startswith("killed: process 1 on there, which began at 2026-01-01")
    assert ", its kernel ended; its log ends: a a" in record.failure_reason
    assert record.failure_reason.endswith("terminate called")
    assert len(record.failure_reason) < 800
    assert noted_runs(tmp_path) == [run_id(B)]
    remove_notes(tmp_path, [run_id(B)])
    assert noted_runs(tmp_path) == []
    assert record_killed(tmp_path) == []


def test_a_damaged_record_is_superseded_before_another_is_written(tmp_path):
    path = tmp_path / "runs" / f"{run_id(A)}.json"
    path.parent.mkdir()
    path.write_text("{}")
    with run_lock(tmp_path, run_id(A), {}):
        assert not path.exists()
        write_record(_record(A, run_id=run_id(B)), tmp_path).replace(path)  # another's name
    _note(tmp_path, A)
    assert len(record_killed(tmp_path)) == 1
    assert record_killed(tmp_path) == []
    assert path.is_file()
    aside = sorted(p.name for p in (tmp_path / "superseded").iterdir())
    assert aside == [f"{run_id(A)}.2.json", path.name]
    assert (tmp_path / "superseded" / path.name).read_text() == "{}"


def test_a_killed_attempt_counts_before_it_is_recorded(tmp_path):
    assert next_attempt(tmp_path, run_id(A)) == 1
    _note(tmp_path, A, record={"attempt": 3})
    assert next_attempt(tmp_path, run_id(A)) == 4
    write_record(_record(A, status="failed", test_accuracy=None, attempt=5), tmp_path)
    assert next_attempt(tmp_path, run_id(A)) == 6


def test_a_note_that_cannot_be_written_is_an_error_and_frees_the_lock(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store, "write_whole", full)
        with (
            pytest.raises(FolderError, match=r"No space left on device\); make room"),
            run_lock(tmp_path, "r1", {}),
        ):
            pytest.fail("measured without a note")
    with run_lock(tmp_path, "r1", {}):
        pass


# -- environment of kernels ------------------------------------------------------------------------


@pytest.fixture
def in_sweep(tmp_path, monkeypatch):
    environment = sweep_environment.environment(
        stop=tmp_path / "stop",
        device_lock=tmp_path / "device.lock",
        log=tmp_path / "log",
        at_once=2,
    )
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_two_runs_are_never_on_one_device(in_sweep):
    from pepr_utils.errors import StoppedError

    ended, waiting = [], in_sweep / "log.waiting"

    def other():
        try:
            with run_lock(in_sweep, "r2", {}):
                ended.append("measured")
        except StoppedError:
            ended.append("stopped")

    with run_lock(in_sweep, "r1", {}):
        thread = threading.Thread(target=other)
        thread.start()
        for _ in range(1000):  # until it says that it waits
            if waiting.exists():
                break
            thread.join(0.02)
        assert waiting.exists()
        assert ended == []
        (in_sweep / "stop").touch()
        thread.join(10)
    assert ended == ["stopped"]
    assert not waiting.exists()
    (in_sweep / "stop").unlink()
    other()
    assert ended == ["stopped", "measured"]


def test_a_record_that_cannot_be_written_is_retried_in_a_sweep(in_sweep, monkeypatch):
    tries = []

    def refused_twice(record, folder):
        tries.append(record)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_record(record, folder)

    monkeypatch.setattr(store, "write_record", refused_twice)
    monkeypatch.setattr(sweep_environment.time, "sleep", lambda _s: None)
    (in_sweep / "stop").touch()  # a first Ctrl-C lets what was measured be recorded
    store.write_result(in_sweep, _record(A), None)
    assert len(tries) == 3
    assert state(in_sweep).done == (_record(A),)


def test_a_record_that_cannot_be_written_is_rescued_outside_a_sweep(tmp_path, monkeypatch):
    folder, temporary = tmp_path / "out", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def full(record, place):
        if place == folder or not temporary.is_dir():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_record(record, place)

    monkeypatch.setattr(store, "write_record", full)
    with pytest.raises(FolderError, match=r"make room, and copy there what .*pepr-rescued-\S+ has"):
        store.write_result(folder, _record(A), None)
    (rescued,) = temporary.iterdir()
    assert state(rescued).done == (_record(A),)
    shutil.rmtree(temporary)
    with pytest.raises(FolderError, match="make room, and run it again"):
        store.write_result(folder, _record(A), None)


@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1}'])
def test_a_damaged_note_does_not_count_as_a_killed_run(tmp_path, content):
    note_path(tmp_path, "r1").parent.mkdir()
    note_path(tmp_path, "r1").write_text(content)
    with run_lock(tmp_path, "r2", {}):  # and what lives is left alone
        assert record_killed(tmp_path) == []
        assert noted_runs(tmp_path) == ["r2"]


def test_a_run_that_reached_its_time_limit_is_recorded_as_such(tmp_path):
    log = tmp_path / "kernel.log"
    log.write_text("Timeout (0:00:05)!\nThread 0x1 (most recent call first):\n  File ...\n")
    _note(tmp_path, A, log=str(log))
    (record,) = record_killed(tmp_path)
    assert record.failure_reason.endswith("ended at its time limit; kernel.log says where it was")
    assert not ended_unseen(record)


def test_a_run_that_the_sweep_does_not_expect_is_refused(in_sweep, monkeypatch):
    run = Run("resnet18d", "phantom", "demo", False)
    sweep_environment.check_expected(resolve(run))  # of no sweep that has named any
    monkeypatch.setenv(sweep_environment.RUNS, f"other-1,{run_id(run)}")
    sweep_environment.check_expected(resolve(run))
    monkeypatch.setenv(sweep_environment.RUNS, "other-1")
    with pytest.raises(RunError, match=r"phantom .* changed since the sweep began"):
        measuring.measure(run, in_sweep)


def test_a_gpu_that_cannot_be_read_is_no_slot(doubles, monkeypatch):
    cards = [doubles.Gpu("GPU-a"), doubles.Gpu("GPU-b")]
    cards[0].lost = True
    doubles.install(monkeypatch, cards)
    assert gpus.find_gpus("auto", {}) == ["GPU-b"]
    with pytest.raises(SweepError, match=r"2 GPUs are asked for and 1 found .*GPU is lost"):
        gpus.find_gpus(2, {})


def test_the_energy_of_a_shared_processor_is_not_estimated(in_sweep, monkeypatch):
    from pepr_utils.measurement.metering import carbontracker, rapl

    guess = carbontracker.Estimate("X", 50.0, "rated power")
    monkeypatch.setattr(carbontracker, "estimate", lambda *_: guess)
    monkeypatch.setattr(rapl.Rapl, "find", lambda: rapl.Rapl(reason="none"))
    with meter("cpu", idle_s=0) as measured:
        pass
    assert measured.energy_kwh() is None
    assert "not estimated: 2 runs at once shared the CPU" in "; ".join(measured.notes)
    monkeypatch.setenv(sweep_environment.AT_ONCE, "1")
    with meter("cpu", idle_s=0) as measured:
        pass
    assert measured.energy_kwh() is not None


@pytest.fixture
def kernels_environment(tmp_path):
    def environment(slot="gpu-0", **own):
        job = Job("s", "", {}, tmp_path, ".", environment=own, slot=slot)
        found = _environment(job)
        return found | _sweep_environment(job, (), tmp_path / "begun", found)

    return environment


def test_a_kernel_has_the_environment_without_what_dask_sets(
    kernels_environment, monkeypatch, doubles
):
    doubles.install(monkeypatch, [], broken=OSError("no driver"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Dask sets it where nobody has
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa")
    found = kernels_environment()
    assert "OMP_NUM_THREADS" not in found
    assert found["MKL_NUM_THREADS"] == "7"
    assert Path(found[sweep_environment.DEVICE_LOCK]).name == "GPU-aa.lock"
    assert kernels_environment(OMP_NUM_THREADS="1")["OMP_NUM_THREADS"] == "1"  # the user's own
    for no_gpu in ("", "-1", "0"):  # slots of a processor do not wait for one another
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", no_gpu)
        found = kernels_environment("cpu-1")
        assert Path(found[sweep_environment.DEVICE_LOCK]).name == "cpu-1.lock"
        assert found["CUDA_VISIBLE_DEVICES"] == no_gpu


@pytest.fixture
def device_of_worker(kernels_environment, monkeypatch, doubles):
    """The device's lock and the kernel's GPU, for a worker that NVML shows some GPUs."""

    def device(gpus, listed, slot="tcp://node:1"):
        doubles.install(monkeypatch, [doubles.Gpu(uuid, **more) for uuid, more in gpus])
        if listed is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        found = kernels_environment(slot)
        return Path(found[sweep_environment.DEVICE_LOCK]).stem, found.get("CUDA_VISIBLE_DEVICES")

    return device


def test_a_gpu_has_one_lock_by_whatever_number_its_workers_know_it(device_of_worker):
    one, two = ("GPU-aa", {}), ("GPU-bb", {})
    # Slurm's cgroups: each worker sees one GPU as number 0
    assert device_of_worker([one], "0") == ("GPU-aa", "GPU-aa")
    assert device_of_worker([two], "0") == ("GPU-bb", "GPU-bb")
    # a sweep of this machine names the GPU by UUID, a Dask worker by number, or not at all
    for listed, shown in (("GPU-bb", [one, two]), ("1", [one, two]), ("GPU-b", [one, two])):
        assert device_of_worker(shown, listed) == ("GPU-bb", "GPU-bb")
    assert device_of_worker([two], None, slot="one") == ("GPU-bb", "GPU-bb")
    assert device_of_worker([two], None, slot="another") == ("GPU-bb", "GPU-bb")
    assert device_of_worker([one, two], "", slot="tcp://node:1") == ("tcp___node_1", "")


def test_slices_of_a_gpu_are_devices_of_their_own(device_of_worker):
    gpu = ("GPU-aa", {"mig": ["MIG-1", "MIG-2"]})
    assert device_of_worker([gpu], "MIG-2") == ("MIG-2", "MIG-2")
    assert device_of_worker([gpu], "0") == ("MIG-1", "MIG-1")


def test_a_worker_with_several_gpus_is_refused(device_of_worker):
    two = [("GPU-aa", {}), ("GPU-bb", {})]
    for listed in (None, "0,1"):
        with pytest.raises(SweepError, match=r"sees 2 GPUs \(GPU-aa, GPU-bb\).*one worker per GPU"):
            device_of_worker(two, listed)
    mixed = [("GPU-aa", {"name": "H100"}), ("GPU-bb", {"name": "A100"})]
    with pytest.raises(SweepError, match="set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        device_of_worker(mixed, "1")


def test_an_error_of_a_worker_ends_the_sweep(tmp_path):
    class Refused:
        def result(self, timeout):
            raise SweepError("it sees 2 GPUs")

    with pytest.raises(SweepError) as caught:
        cluster.Workers(None, "tcp://node:1").result(Refused())
    assert str(caught.value) == "a worker of tcp://node:1 cannot measure: it sees 2 GPUs"


# -- a scheduler -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["quatsch", "tcp://node7", "foo://node7:8786", "tcp://:8786", "",
             "tcp://a:b:1", "tcp://[::1", "out/scheduler", "node7:x", "tcp://a b:1"]
)  # fmt: skip
def test_text_that_is_no_address_is_refused_without_connecting(word, monkeypatch):
    monkeypatch.setattr("distributed.Client.__init__", lambda *_a, **_o: pytest.fail("connected"))
    with pytest.raises(SweepError, match="is neither a file nor an address; allowed"):
        connect(word, 1)


def test_a_client_that_does_not_connect_is_closed_at_once(tmp_path, monkeypatch):
    from distributed import Client

    closed, close = [], Client.close

    def noted(self, *arguments, **options):
        found = close(self, *arguments, **options)
        closed.append(self.status)
        return found

    monkeypatch.setattr(Client, "close", noted)
    damaged = tmp_path / "scheduler.json"
    damaged.write_text('{"address": "quatsch"}')
    for place in (str(damaged), "tls://127.0.0.1:1", "127.0.0.1:1"):
        closed.clear()
        with pytest.raises(SweepError, match=f"no scheduler answers at {place} "):
            connect(place, 0.2)
        assert closed[0] == "closed"


@pytest.mark.parametrize("content", [b"", b'{"address": "tcp://127.0.', b"[1]", b"\xff\xfe", b"{}"])
def test_a_scheduler_file_without_an_address_is_an_error(tmp_path, content):
    file = tmp_path / "scheduler.json"
    file.write_bytes(content)
    with pytest.raises(SweepError, match=f"file {file} has no address of a scheduler; end the"):
        connect(str(file), 0.2)


def test_a_scheduler_file_that_is_being_written_is_waited_for(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text('{"address": "tcp://127')
    writer = threading.Timer(0.2, file.write_text, ['{"address": "tcp://127.0.0.1:8786"}'])
    writer.start()
    cluster._check_file(file, 60)
    writer.join()


def test_the_reason_why_a_kernel_ended(tmp_path):
    import subprocess
    import sys

    def ended(code):
        kernel = Kernel("s", {}, tmp_path / "log", None, tmp_path)
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        kernel.process = process
        if "sleep" in code:
            kill(process)
        return kernel.ended()

    assert Kernel("s", {}, tmp_path / "log", None, tmp_path).ended() == "did not start"
    assert ended("raise SystemExit(70)") == "ended with exit code 70"
    reason = "was killed by SIGKILL (most often: the machine ran out of memory)"
    assert ended("import time; time.sleep(60)") == reason


def test_two_ctrl_c_or_one_sigterm_end_at_once():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)]
    with interruptions() as interrupts:
        assert interrupts.asked == GO_ON
        signal.raise_signal(signal.SIGINT)
        assert interrupts.asked == FINISH
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
            assert interrupts.asked == AT_ONCE
    with interruptions() as interrupts:
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.asked == AT_ONCE
    with interruptions() as interrupts:
        signal.raise_signal(signal.SIGHUP)
        assert interrupts.asked == AT_ONCE
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)] == before


def test_sighup_is_ignored_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptions() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.asked == GO_ON
    finally:
        signal.signal(signal.SIGHUP, before)


# -- other users of the machine --------------------------------------------------------------------


@pytest.fixture
def locks(tmp_path, monkeypatch):
    folder = tmp_path / "pepr-devices"
    monkeypatch.setattr(cluster, "LOCKS", folder)
    return folder


@pytest.mark.slow
def test_own_workers_refuse_a_client_without_their_certificate(tmp_path, locks):
    from distributed import Client

    with cluster.own_workers(1, (), tmp_path / "out", hide_gpus=True) as workers:
        address = workers.client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        (slot,) = workers.slots()
        assert slot.address.startswith("tls://127.0.0.1:")
        assert workers.client.submit(pow, 2, 5).result(timeout=60) == 32
        nanny = next(iter(workers.cluster.workers.values())).address
        for place in (address, slot.address, nanny):
            with pytest.raises(OSError), cluster.quiet():
                Client(place.replace("tls", "tcp"), timeout=0.5, set_as_default=False)
            # Without a certificate, and asking for none.
            anyone = ssl.create_default_context()
            anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
            host, port = place.removeprefix("tls://").split(":")
            with (
                pytest.raises(ssl.SSLError, match="certificate required"),
                socket.create_connection((host, int(port)), timeout=10) as plain,
                anyone.wrap_socket(plain) as encrypted,
            ):
                encrypted.recv(1)
        assert [path.stat().st_mode & 0o777 for path in [locks, *locks.glob("sweep-*[!k]")]] == [
            0o700, 0o700
        ]  # fmt: skip
    assert not list(locks.iterdir())


def test_a_worker_killed_while_it_starts_is_started_again(tmp_path, locks, monkeypatch):
    tried = []

    def start(**_options):
        tried.append(len(list(locks.glob("sweep-*"))))
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.deploy.spec.SpecCluster", start)
    with (
        pytest.raises(SweepError, match=r"no worker can be started .*Nanny failed to start"),
        cluster.own_workers(1, (), tmp_path, hide_gpus=True),
    ):
        pass
    assert tried == [2, 2]  # with the folder and its lock, which are gone now
    assert not list(locks.iterdir())


def test_what_a_killed_sweep_left_is_removed_and_what_a_living_one_uses_is_not(locks):
    with cluster._scratch() as living:
        dead = living.with_name(f"{living.name}x")
        dead.mkdir()
        (dead / "file").touch()
        Path(f"{dead}.lock").touch()
        elsewhere = locks / "sweep-another-host-1.lock"
        elsewhere.touch()
        with cluster._scratch() as second:
            assert sorted(locks.iterdir()) == sorted(
                [living, Path(f"{living}.lock"), second, Path(f"{second}.lock"), elsewhere]
            )


def test_a_folder_of_locks_is_this_users_alone_or_refused(tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    sweep_environment.make_private(loose)
    assert loose.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(loose)
    with pytest.raises(RunError, match="is not a folder of yours"):
        sweep_environment.make_private(tmp_path / "link")


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345, raising=False)
    with pytest.raises(RunError, match="another user's"):
        sweep_environment.make_private(tmp_path)
