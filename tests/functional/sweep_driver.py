"""A sweep of tiny runs as a process of its own, to be killed; and what the tests ask of a folder.

python tests/functional/sweep_driver.py FOLDER '{"n": 8, "slots": 2}'
"""

import json
import os
import subprocess
import sys
import time
from itertools import count, islice
from pathlib import Path

from pepr_utils.measurement import Run, run_id, select_architectures
from pepr_utils.measurement.architectures import find_architecture
from pepr_utils.measurement.store import is_held, noted_runs, read_note
from pepr_utils.measurement.sweep import sweep
from pepr_utils.results import read_record

NOTEBOOK = Path(__file__).with_name("tiny_sweep.md")
NAMES = [name for name in select_architectures([], "n_parameters > 0")
         if find_architecture(name).smallest_size == 32]  # fmt: skip


def runs(n, first=0):
    """So many runs; those of one seed differ in their architecture only."""
    pairs = ((seed, name) for seed in count(1) for name in NAMES)
    wanted = islice(pairs, first, first + n)
    return [Run(name, "phantom", "demo", False, seed=seed) for seed, name in wanted]


def names(wanted):
    """The option of the notebook that spares its kernel from finding the names out."""
    return {f"{run.architecture} {run.seed}": run_id(run) for run in wanted}


def waits(wanted):
    """Options by which runs take until there is a file "go" in the folder."""
    return {"behaviour": {run.architecture: "wait" for run in wanted}}


def measure(wanted, folder, *, options=(), **asked):
    """Sweep in this process."""
    given = {"names": names(wanted), **dict(options)}
    return sweep(wanted, NOTEBOOK, folder, options=given, **asked)


def start(folder, **asked):
    """Begin a sweep in another process; it prints what the sweep is doing, and the end."""
    return subprocess.Popen(
        [sys.executable, __file__, str(folder), json.dumps(asked)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def until(condition, seconds=150):
    """Wait for a condition and return what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return found


def being_measured(folder):
    """Notes of the runs that a living process holds."""
    found = [read_note(folder, name) for name in noted_runs(folder) if is_held(folder, name)]
    return [note for note in found if note]


def alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def records(folder):
    """The folder's records by run_id; every one has to be whole."""
    return {path.stem: read_record(path) for path in Path(folder).glob("runs/*.json")}


def windows(folder):
    """(device, begin, end, run_id) of every time that a run had a device, sorted."""
    found = []
    for path in Path(folder).glob("windows/*"):
        lines = path.read_text().split("\n")[:-1]  # a killed kernel may leave half a line
        if len(lines) > 1:
            times = [float(line) for line in lines[1:]]
            found.append((lines[0], times[0], times[-1], path.name.rsplit(".", 2)[0]))
    return sorted(found)


def overlaps(folder):
    """Pairs of windows on one device that overlap."""
    found, last = [], {}
    for window in windows(folder):
        device, begin, end, _ = window
        if device in last and begin < last[device][2]:
            found.append((last[device], window))
        if device not in last or end > last[device][2]:
            last[device] = window
    return found


def check_whole(folder, wanted, *, killed=0):
    """Every run is done, once, and nothing else lies about.

    Who is killed may leave one file under its temporary name, which is no record.
    """
    found = records(folder)
    assert set(found) == {run_id(run) for run in wanted}
    assert {record.status for record in found.values()} == {"done"}
    assert overlaps(folder) == []
    assert noted_runs(folder) == []
    assert not list(Path(folder).glob("running/*.stop"))
    assert len(list(Path(folder).glob("running/*.here"))) <= killed
    assert len(list(Path(folder).rglob("*.tmp"))) <= killed
    return found


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def main():
    folder, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
    wanted = runs(asked.pop("n"))

    def watch(progress):
        say(f"{os.getpid()} {progress.doing}: {len(progress.state.done)} done\n")

    found = measure(wanted, folder, watch=watch, **asked)
    say(f"done {len(found.done)} failed {len(found.failed)}\n")
    sys.exit(0 if len(found.done) == len(wanted) else 1)


if __name__ == "__main__":
    main()
