"""`pepr run` as a user runs it: on a folder, on real X-rays, with several errors at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pepr_utils.audit import audit
from pepr_utils.cli import main
from pepr_utils.commands.status import status
from pepr_utils.results import load_result_set

#: Where a folder with real images is named, for machines that have one; see CONTRIBUTING.
IMAGES_VARIABLE = "PEPR_TEST_IMAGES"
_COMMAND = [sys.executable, "-c", "from pepr_utils.cli import main; main()", "run"]


def _run(*arguments, **environment):
    return subprocess.run(
        [*_COMMAND, *map(str, arguments)], capture_output=True, text=True,
        env=os.environ | environment, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder: two classes, one of them brighter, with odd images and stray files."""
    folder = tmp_path_factory.mktemp("data") / "clinic"
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("bright", 160)):
        (folder / name).mkdir(parents=True)
        for i in range(60):
            size = (30 + i % 5, 40)
            pixels = rng.integers(level - 40, level + 40, (*size, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    rgba = rng.integers(0, 90, (20, 20, 4)).astype(np.uint8)
    Image.fromarray(rgba).save(folder / "dark" / "clear.png")
    Image.fromarray(np.full((20, 20), 60_000, np.uint16)).save(folder / "bright" / "deep.png")
    (folder / "dark" / "readme.txt").write_text("hello")
    (folder / "unused").mkdir()
    return folder


def test_help_has_an_example(monkeypatch, capsys):
    code, out, _ = _called(monkeypatch, capsys, "--help")
    assert code == 0
    assert "Example:" in out
    assert "--train-fraction" in out


def _called(monkeypatch, capsys, *arguments):
    """Run `pepr run` in this process; return its exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["pepr", "run", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


@pytest.mark.slow
def test_a_folder_is_trained_resumed_and_scored(folder, tmp_path, monkeypatch, capsys):
    arguments = ["--data", folder, "--architectures", "test_resnet,test_vit", "--protocol", "demo",
                 "--scratch", "--output", tmp_path / "out"]  # fmt: skip
    done = _run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "class 'unused' has no image: it is left out" in done.stderr
    assert "dark/readme.txt" in done.stderr
    assert "PePR-E" in done.stdout
    assert "warning: of two models the cheaper one gets R = 0" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    results = load_result_set(tmp_path / "out")
    assert results.runs["architecture"].tolist() == ["test_resnet", "test_vit"]
    assert results.runs["dataset"].unique().tolist() == ["clinic"]
    assert (results.runs["test_accuracy"] > 0.5).any()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "runs").iterdir()}
    code, out, _ = _called(monkeypatch, capsys, *arguments, "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["status"] for row in rows] == ["done", "done"]
    assert max(row["pepr_e"] for row in rows) <= 1
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "runs").iterdir()}


@pytest.fixture
def leaking(folder, tmp_path):
    """The user's folder, split by hand, with two test images that are training images."""
    given, names = tmp_path / "given", sorted(p.name for p in (folder / "dark").glob("?.png"))
    for split, part in (("train", names[:5]), ("val", names[5:7]), ("test", names[5:])):
        for of in ("dark", "bright"):
            (given / split / of).mkdir(parents=True)
            for name in part:
                (given / split / of / name).write_bytes((folder / of / name).read_bytes())
    return given


def test_what_is_found_in_the_data_is_printed_as_json_before_training(
    leaking, tmp_path, monkeypatch, capsys
):
    arguments = ["--data", leaking, "--architectures", "test_resnet", "--protocol", "demo",
                 "--scratch", "--output", tmp_path / "out"]  # fmt: skip
    code, out, err = _called(monkeypatch, capsys, *arguments, "--check", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["warnings"] == ["4 of 10 test images are copies of val images"]
    assert [row["class"] for row in found["classes"]] == ["bright", "dark"]
    assert found["files"][0] == {
        "finding": "copy",
        "split": "test", "file": found["files"][0]["file"],
        "other_split": "val", "other_file": found["files"][0]["file"].replace("test", "val"),
    }  # fmt: skip
    assert [row["architecture"] for row in found["runs"]] == ["test_resnet"]
    assert not list((tmp_path / "out").iterdir())


def test_what_was_found_in_the_data_stays_found(leaking, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out"
    arguments = ["--data", leaking, "--architectures", "test_resnet", "--protocol", "demo",
                 "--scratch", "--output", output]  # fmt: skip
    code, out, err = _called(monkeypatch, capsys, *arguments)
    assert code == 0, err
    text = "4 of 10 test images are copies of val images"
    results = load_result_set(output)
    assert results.runs["data_warnings"].tolist() == [text]
    (files,) = (output / "data-warnings").iterdir()
    assert f"warning: {text}; the files: {files}" in out
    lines = files.read_text().splitlines()
    assert lines[0] == "finding,split,file,other_split,other_file"
    assert len(lines) == 5
    (finding,) = audit(results, ["data-warnings"])
    assert finding.evidence.endswith(f"{text}; the files: {files}")
    (record,) = (output / "runs").iterdir()
    assert json.loads(record.read_text())["predictions_sha256"]
    assert audit(results, ["predictions"]) == []


def test_every_error_is_reported_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    code, _, err = _called(
        monkeypatch, capsys, "--data", "phantm", "--architectures", "resnet18x,halonet26t",
        "--protocol", "demo", "--scratch", "--output", tmp_path / "file" / "out",
    )  # fmt: skip
    assert code == 2
    for message in (
        "cannot be written",
        "unknown data set 'phantm'",
        "unknown architecture 'resnet18x'",
        "halonet26t does not take images of 32 px; it needs 256 px",
        "nothing was trained",
    ):
        assert message in err
    assert err.count("\n") == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architectures", "test_vit", "--device", "cuda:99"], "device 'cuda:99' is not there"),
        (["--architectures", "test_resnet", "--protocol", "papr"], "did you mean 'paper'?"),
        (["--architectures", "test_resnet", "--train-fraction", "2"], "train_fraction is 2.0"),
        (["--where", "n_params < 1"], "is not understood"),
        ([], "no architecture named"),
        (["--architectures", "resnet18d."], "unknown architecture 'resnet18d.'"),
        (["--where", "0"], "'0' is not understood (it compares nothing"),
        (["--architectures", "test_resnet", "--pretrained", "--weights", "/nowhere",
          "--protocol", "demo"], "no weights of test_resnet in /nowhere (there is no such folder)"),
    ],
)  # fmt: skip
def test_each_wrong_option_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    options = [] if "--pretrained" in arguments else ["--scratch"]
    given = ["--data", "phantom", "--output", tmp_path, *options, *arguments]
    code, _, err = _called(monkeypatch, capsys, *given)
    assert code == 2
    assert message in err
    assert err.removesuffix("nothing was trained\n").count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("option", ["--output", "--weights", "--data"])
def test_an_empty_path_is_refused(option, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from pepr_utils.commands.run import run

    monkeypatch.chdir(tmp_path)
    given = {"--data": "phantom", "--output": "out", "--architectures": "test_resnet", option: " "}
    done = CliRunner().invoke(run, [part for pair in given.items() for part in pair])
    assert done.exit_code == 2
    assert f"Invalid value for '{option}': it is empty; name a folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(tmp_path):
    arguments = ["--data", "phantom", "--architectures", "resnet18d", "--protocol", "demo",
                 "--scratch", "--output", str(tmp_path)]  # fmt: skip
    process = subprocess.Popen(
        [*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not list(tmp_path.glob("running/*.json")) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in output
    assert "Traceback" not in output
    assert not list(tmp_path.glob("running/*.json"))
    assert not list(tmp_path.glob("runs/*"))
    assert not list(tmp_path.rglob("*.tmp"))
    # Status still counts the run.
    shown = CliRunner().invoke(status, [str(tmp_path)])
    assert shown.exit_code == 1
    assert "0 of 1 runs done, 0 running, 0 failed, 1 waiting" in shown.output
    assert "run the same command again" in shown.output


@pytest.mark.slow
def test_real_chest_x_rays(tmp_path):
    named = os.environ.get(IMAGES_VARIABLE, "").strip()
    path = Path(named) / "pneumoniamnist_28_imbalanced.npz"
    if not path.is_file():
        pytest.skip(f"{IMAGES_VARIABLE} names no folder with {path.name}: real X-rays, not ours")
    done = _run(
        "--data", path, "--architectures", "test_resnet", "--protocol", "demo", "--scratch",
        "--train-fraction", "0.1", "--output", tmp_path, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "8 of 524 val images are copies of train images" in done.stderr
    (run,) = load_result_set(tmp_path).runs.to_dict("records")
    assert (run["n_classes"], run["n_train"], run["n_test"]) == (2, 388, 624)
    assert run["test_accuracy"] >= 0.37
    assert run["test_auc"] > 0.6
