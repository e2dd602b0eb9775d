"""`pepr race` as it is called: what it refuses, and races with real trainings that are killed."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import psutil
import pytest

from pepr_utils.measurement.sweep import engine
from pepr_utils.results import load_result_set, read_record

FIELD = "test_resnet,test_vit,test_efficientnet,test_convnext"
ARGUMENTS = ("race", "--data", "phantom", "--protocol", "demo", "--scratch")


@pytest.fixture
def untrained(monkeypatch):
    """A sweep that must not begin."""
    monkeypatch.setattr(engine, "sweep", lambda *a, **k: pytest.fail("something was trained"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--architectures", "test_resnet"), "the field is test_resnet alone; a race needs two"),
        (("--architectures", "test_resnet,resnet18dd"), "resnet18dd"),
        (("--architectures", "all"), "do not take the images of 32 px of protocol 'demo'"),
        ((), "no architecture named"),
        (("--architectures", FIELD, "--rule", "third"), "unknown rule 'third'; allowed: halving"),
        (("--architectures", FIELD, "--cost", "money"), "unknown cost 'money'; allowed: energy"),
        (("--architectures", FIELD, "--budget", "200"), "allowed: a number above 0 with Wh"),
        (("--architectures", FIELD, "--budget", "0Wh"), "allowed: a number above 0"),
        (("--architectures", FIELD, "--seeds", "1,x"), "allowed: whole numbers such as 1,2,3"),
        (("--architectures", FIELD, "--first-epochs", "3"), "no candidate could be eliminated"),
        (("--architectures", FIELD, "--alpha", "0.5"), "alpha"),
    ],
)
def test_what_no_race_can_be_made_of_is_one_error(tmp_path, pepr, untrained, options, message):
    found = pepr(*ARGUMENTS, "--output", tmp_path / "out", *options)
    assert found.code == 2, found.out
    assert message in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_for_the_records(tmp_path, pepr, untrained):
    (tmp_path / "out").write_text("")
    found = pepr(*ARGUMENTS, "--architectures", FIELD, "--output", tmp_path / "out")
    assert found.code == 2
    assert "out is a file; name a folder" in found.err


def test_images_and_a_folder_have_to_be_named(pepr):
    found = pepr("race", "--architectures", FIELD)
    assert found.code == 2
    assert "pepr race --data phantom" in found.err


def test_images_without_validation_are_refused(tmp_path, pepr, untrained, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    content = {}
    for split, n in (("train", 8), ("val", 0), ("test", 8)):
        content[f"{split}_images"] = np.zeros((n, 8, 8), np.uint8)
        content[f"{split}_labels"] = (np.arange(n) % 2)[:, None]
    np.savez(tmp_path / "few.npz", **content)
    found = pepr("race", "--data", tmp_path / "few.npz", "--architectures", FIELD, "--scratch",
                 "--protocol", "demo", "--output", tmp_path / "out")  # fmt: skip
    assert found.code == 2
    assert "val" in found.err
    assert "Traceback" not in found.err


def _race(folder, *options):
    """The command as another process, in a session of its own."""
    arguments = [*ARGUMENTS, "--architectures", FIELD, "--output", folder, "--json", *options]
    return subprocess.Popen(
        [sys.executable, "-c", "from pepr_utils.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def _records(folder):
    return {path.stem: read_record(path) for path in folder.glob("runs/*.json")}


def _until(process, words):
    """Read what a race says until a line has all of some words; return the lines."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if all(word in line for word in words):
            break
    return lines


@pytest.mark.slow
def test_a_race_that_is_interrupted_and_killed_goes_on_with_what_it_had_decided(
    tmp_path, monkeypatch
):
    """Ctrl-C in the first rung and SIGKILL in the second; nothing that was measured is repeated."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = tmp_path / "race"
    first = _race(folder)
    _until(first, ["paused "])
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, err = first.communicate()
    assert first.returncode == 130, err
    assert "the same command goes on" in err
    interrupted = _records(folder)
    assert {record.epochs_done for record in interrupted.values()} == {1}

    second = _race(folder, "--slots", "2")
    told = _until(second, ["paused ", "epoch 2,"])
    parent = psutil.Process(second.pid)
    for process in [parent, *parent.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    second.communicate()
    killed = _records(folder)
    out = {line.split(": ")[1] for line in told if line.startswith("out: ")}
    assert sorted(record.epochs_done for record in killed.values())[:2] == [1, 1]

    third = _race(folder, "--finish")
    shown, err = third.communicate()
    assert third.returncode == 0, err
    found = json.loads(shown)
    rows = found["candidates"]
    assert {r["architecture"] for r in rows if r["eliminated_after_epoch"] == 1} == out
    assert len(out) == 2
    assert {row["outcome"] for row in rows} == {"winner", "eliminated"}
    assert found["share_of_training_all"] < 1
    assert {row["epochs_done"] for row in rows} == {4}
    assert len(load_result_set(folder).finished) == 4
    assert not list(folder.glob("checkpoints/*"))
    every = _records(folder)
    for before in (interrupted, killed):  # to the last digit of its time: not trained again
        for name, record in before.items():
            assert every[name].epochs[: record.epochs_done] == record.epochs
