"""Several hundred tiny runs while kernels and workers are killed at random: a soak."""

import importlib.util
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location(
    "sweep_driver", Path(__file__).with_name("sweep_driver.py")
)
driver = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(driver)

SEED, N, KILLS = 20250108, 300, 8


class Killer:
    """Kills, as a watcher of the sweep, a kernel and a worker in turn, on average every 3 s."""

    def __init__(self, seed):
        self.random, self.next, self.killed = random.Random(seed), time.monotonic(), []

    def __call__(self, progress):
        if time.monotonic() < self.next or len(self.killed) >= KILLS:
            return
        running = list(progress.state.running)
        if not running:
            return
        victim = psutil.Process(self.random.choice(running).pid)
        what = ("kernel", "worker")[len(self.killed) % 2]
        with suppress(psutil.NoSuchProcess):
            if what == "worker":
                victim = victim.parent()
            assert victim.pid != os.getpid()
            os.kill(victim.pid, signal.SIGKILL)
            self.killed.append(what)
        # The first two come soon, however short the soak is.
        self.next = time.monotonic() + (self.random.uniform(1, 5) if len(self.killed) > 1 else 0)


def test_nothing_is_lost_doubled_or_metered_together(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))  # locks of our own
    runs, killer = driver.runs(N), Killer(SEED)
    found = driver.measure(
        runs, tmp_path, gpus=["GPU-a", "GPU-b"], attempts=50, watch=killer,
        seconds=lambda _run: 0.3, options={"seconds": 0.05},
    )  # fmt: skip
    assert len(found.done) == N
    records = driver.check_whole(tmp_path, runs, killed=len(killer.killed))
    assert set(killer.killed) == {"kernel", "worker"}
    windows = driver.windows(tmp_path)
    assert {device for device, *_ in windows} == {"GPU-a", "GPU-b"}
    # A run had its device as often as it was tried, and nobody repeated one that was done.
    times = {name: sum(w[3] == name for w in windows) for name in records}
    assert {name: n for name, n in times.items() if n > records[name].attempt} == {}
    repeated = [name for name, record in records.items() if record.attempt > 1]
    assert 1 <= len(repeated) <= len(killer.killed)
