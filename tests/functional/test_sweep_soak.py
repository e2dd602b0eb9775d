"""`pepr sweep` over hundreds of tiny runs while its processes are killed and stopped and its disk
is full: a soak. PEPR_SOAK_RUNS says how many runs, `make test-all SOAK_RUNS=2000`.
"""

import importlib.util
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pepr_utils.measurement.store import is_held, noted_runs, read_note

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location(
    "sweep_driver", Path(__file__).with_name("sweep_driver.py")
)
driver = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(driver)

RUNS = int(os.environ.get("PEPR_SOAK_RUNS", "300"))
SEED = 20250108
MARK = "PEPR_SOAK"
COMMAND = [sys.executable, "-c", "from pepr_utils.cli import main; main()", "sweep"]
#: What is done to it, in turn, after so many runs each; the last ones are left in peace.
TROUBLES = ("kill a kernel", "kill a worker", "stop the command", "fill the disk", "stop a worker",
            "kill the command", "stop a kernel", "kill a worker")  # fmt: skip
EVERY = 30


class Soak:
    """A command `pepr sweep`, started again whenever it was killed, and what belongs to it."""

    def __init__(self, folder, study):
        self.folder, self.study, self.name = folder, study, str(folder)
        self.random, self.done = random.Random(SEED), Counter()
        self.start()

    def start(self):
        self.command = subprocess.Popen(
            [*COMMAND, self.study, "--output", self.folder, "--slots", "2", "--gpus", "0",
             "--attempts", "50", "--notebook", driver.NOTEBOOK],
            env=os.environ | {MARK: self.name}, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def family(self):
        """Every process that it has started and that lives, also those that lost their parent."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                is_zombie = process.status() == psutil.STATUS_ZOMBIE
                if not is_zombie and process.environ().get(MARK) == self.name:
                    found.append(process)
        return found

    def kernel(self):
        """A kernel that measures a run now; None where there is none."""
        notes = [read_note(self.folder, n) for n in noted_runs(self.folder)
                 if is_held(self.folder, n)]  # fmt: skip
        pids = [note["pid"] for note in notes if note]
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.random.choice(pids)) if pids else None

    def trouble(self, what):
        """Do it, and count it; False where there is no kernel at this moment."""
        verb, _, whom = what.partition(" ")
        with suppress(psutil.NoSuchProcess):
            victim = psutil.Process(self.command.pid)
            if whom in ("a kernel", "a worker"):
                kernel = self.kernel()
                victim = kernel.parent() if kernel and whom == "a worker" else kernel
                if victim is None or MARK not in victim.environ():
                    return False
            if verb == "kill":
                victim.kill()
            elif verb == "stop":
                victim.suspend()
                time.sleep(1)
                victim.resume()
            else:
                self.fill()
            self.done[verb] += 1
        if what == "kill the command":
            self.command.communicate()
            self.start()
        return True

    def fill(self):
        """Let none of its processes write to a file for a second: as on a full disk."""
        whole = psutil.RLIM_INFINITY
        for limit, seconds in ((0, 1), (whole, 0)):
            for process in self.family():
                with suppress(psutil.Error):
                    process.rlimit(psutil.RLIMIT_FSIZE, (limit, whole))
            time.sleep(seconds)
        # Those that were started meanwhile have the limit of who started them.
        for process in self.family():
            with suppress(psutil.Error):
                process.rlimit(psutil.RLIMIT_FSIZE, (whole, whole))


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="limits are set as on Linux")
def test_nothing_is_lost_doubled_or_orphaned(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))  # locks of our own
    runs, out, study = driver.runs(RUNS), tmp_path / "out", tmp_path / "study.yaml"
    seeds = sorted({run.seed for run in runs})
    study.write_text("blocks:\n" + "".join(
        f"  - {{datasets: phantom, protocols: demo, pretrained: false, seeds: {seed}, "
        f"architectures: [{', '.join(r.architecture for r in runs if r.seed == seed)}]}}\n"
        for seed in seeds
    ))  # fmt: skip
    soak, n_troubles = Soak(out, study), 0
    try:
        while soak.command.poll() is None:
            due = len(list(out.glob("runs/*.json"))) >= EVERY * (n_troubles + 1)
            if due and soak.trouble(TROUBLES[n_troubles % len(TROUBLES)]):
                n_troubles += 1
            time.sleep(0.1)
        _, said = soak.command.communicate()
        assert soak.command.returncode == 0, said
        driver.until(lambda: not soak.family())  # 0 orphaned
    finally:
        for process in soak.family():
            with suppress(psutil.Error):
                process.kill()
    assert min(soak.done[verb] for verb in ("kill", "stop", "fill")) > 0
    records = driver.check_whole(out, runs, killed=2 * soak.done["kill"] + soak.done["fill"])
    assert len(records) == RUNS  # 0 lost
    windows = driver.windows(out)
    # A run had its device as often as it was tried, and nobody repeated one that was done.
    times = Counter(name for *_, name in windows)
    assert {name: n for name, n in times.items() if n > records[name].attempt} == {}  # 0 doubled
    assert {device for device, *_ in windows} == {"cpu-0", "cpu-1"}
    assert list(Path(os.environ["TMPDIR"]).glob("pepr-devices-*/sweep-*")) == []
