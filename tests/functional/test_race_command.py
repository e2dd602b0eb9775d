"""`pepr race` as it is called: what it refuses, and races with real trainings that are killed."""

import json
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


def _out(lines):
    """The candidates that a race says are out."""
    return {line.split(": ")[1] for line in lines if line.startswith("out: ")}


@pytest.mark.slow
def test_a_race_that_is_killed_goes_on_with_what_it_had_decided(tmp_path, monkeypatch):
    """SIGKILL to all its processes in the second rung: nothing that was measured is repeated."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder, told = tmp_path / "race", []
    first = _race(folder)
    for line in first.stderr:
        told.append(line)
        if line.startswith("paused") and "epoch 2," in line:
            break
    parent = psutil.Process(first.pid)
    for process in [parent, *parent.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    first.communicate()
    before = _records(folder)
    assert sorted(record.epochs_done for record in before.values())[:3] == [1, 1, 1]
    second = _race(folder)
    out, err = second.communicate()
    assert second.returncode == 0, err
    found, after = json.loads(out), _records(folder)
    assert len(_out(told)) == 2
    assert {r["architecture"] for r in found["candidates"] if r["eliminated_after_epoch"] == 1} == (
        _out(told)
    )
    for name, record in before.items():  # to the last digit of its time: not trained again
        assert after[name].epochs[: record.epochs_done] == record.epochs
    assert [r.architecture for r in after.values() if r.status == "done"] == [found["winner"]]
    assert load_result_set(folder).finished["architecture"].tolist() == [found["winner"]]
    assert {row["outcome"] for row in found["candidates"]} == {"winner", "eliminated"}
    assert found["share_of_training_all"] < 1
    # Decided, it trains nothing more; finished, every candidate is done.
    assert json.loads(_race(folder).communicate()[0])["winner"] == found["winner"]
    finished = json.loads(_race(folder, "--finish").communicate()[0])
    assert finished["winner"] == found["winner"]
    assert {row["epochs_done"] for row in finished["candidates"]} == {4}
    assert not list(folder.glob("checkpoints/*"))
    for name, record in after.items():
        assert _records(folder)[name].epochs[: record.epochs_done] == record.epochs
