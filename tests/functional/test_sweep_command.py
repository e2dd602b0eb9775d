"""`pepr sweep` and `pepr status` as a stranger runs them; the engine has tests of its own."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from pepr_utils.cli import pepr
from pepr_utils.commands.status import status
from pepr_utils.commands.sweep import sweep
from pepr_utils.errors import PeprError
from pepr_utils.measurement.run import run_id
from pepr_utils.measurement.store import note_path
from pepr_utils.measurement.sweep import engine, gpus
from pepr_utils.measurement.sweep.state import Progress, named_state
from pepr_utils.measurement.sweep.study import StudyError, load_study, make_plan
from pepr_utils.results import Epoch, Record, write_record

_COMMAND = [sys.executable, "-c", "from pepr_utils.cli import main; main()"]


def _run(*arguments, code="", **environment):
    command = [sys.executable, "-c", f"{code}\nfrom pepr_utils.cli import main; main()"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True,
        env=os.environ | environment, check=False,
    )  # fmt: skip


def _call(*arguments):
    return CliRunner().invoke(sweep, [str(a) for a in arguments])


def _status(*arguments):
    return CliRunner().invoke(status, [str(a) for a in arguments])


def record_of(run, identity, **changed):
    values = {
        "run_id": identity, "status": "done", "architecture": run.architecture,
        "dataset": run.dataset, "image_size": 32, "pretrained": run.pretrained,
        "train_fraction": run.train_fraction, "n_train": 160, "n_test": 96, "seed": run.seed,
        "protocol": run.protocol, "test_accuracy": 0.5, "energy_kwh": 0.002,
        "energy_window": "train", "eval_energy_kwh": 0.001, "train_time_s": 100.0,
        "eval_time_s": 20.0, "device": "an abacus", "energy_method": "nvml counter",
        "epochs": tuple(Epoch(epoch=i, test_accuracy=0.5) for i in range(1, 5)),
    }  # fmt: skip
    return Record(**values | changed)


@pytest.fixture(scope="module")
def demo():
    return make_plan(load_study("demo"))


@pytest.fixture
def engine_double(monkeypatch):
    """An engine that fails runs of one architecture and notes what it was given."""
    given = {}

    def double(runs, notebook, folder, *, fail=("pvt_v2_b0",), watch, seconds, options, **others):
        given.update(others, runs=runs, notebook=notebook, options=options)
        given["seconds"] = [seconds(run) for run in runs]
        names = {run_id(run): run for run in runs}
        for name, run in names.items():
            bad = run.architecture in fail
            changed = {"status": "failed", "failure_reason": "killed: out of memory", "attempt": 2,
                       "test_accuracy": None, "epochs": ()}  # fmt: skip
            write_record(record_of(run, name, **(changed if bad else {})), folder)
        watch(Progress(named_state(folder, names), "running", datetime.now(UTC), 1))
        return named_state(folder, names)

    monkeypatch.setattr(engine, "sweep", double)
    return given


@pytest.mark.parametrize("command", ["sweep", "status"])
def test_help_has_an_example(command):
    done = CliRunner().invoke(pepr, [command, "--help"])
    assert done.exit_code == 0
    assert "Example:" in done.output
    assert command in CliRunner().invoke(pepr, ["--help"]).output


def test_a_dry_run_needs_no_torch_and_writes_nothing(tmp_path, published):
    hide = "import sys\nfor m in ('torch', 'timm', 'distributed'): sys.modules[m] = None"
    done = _run("sweep", "paper", "--output", tmp_path / "out", "--dry-run", code=hide)
    assert done.returncode == 0, done.stderr
    assert "study paper: 1,048 runs, 0 done in" in done.stdout
    assert "published-repaired on NVIDIA GeForce RTX 3090" in done.stdout
    assert "kWh" in done.stdout
    assert not (tmp_path / "out").exists()


def test_a_forecast_as_json(tmp_path, published):
    arguments = ("paper", "--output", tmp_path, "--dry-run", "--json", "--carbon-intensity", 100)
    found = json.loads(_call(*arguments).output)
    assert found["runs"] == 1048
    assert [block["runs"] for block in found["blocks"]] == [786, 131, 131]
    assert found["co2eq_g"] == pytest.approx(100 * found["energy_kwh"])
    assert found["seconds"] == pytest.approx(sum(b["seconds"] for b in found["blocks"]))
    assert sum(b["runs"] for b in found["basis"]) == 1048
    part = json.loads(_call(*arguments, "--shard", "2/4").output)
    assert part["runs"] == 262
    assert part["seconds"] == pytest.approx(found["seconds"] / 4, rel=0.05)
    other = json.loads(_call(*arguments, "--on", "an abacus").output)
    assert (other["seconds"], other["runs_without_basis"]) == (None, 1048)


def test_done_runs_count_and_are_the_first_basis(tmp_path, demo):
    for planned in demo.runs[:3]:
        write_record(record_of(planned.run, planned.run_id), tmp_path)
    found = json.loads(_call("demo", "--output", tmp_path, "--dry-run", "--json").output)
    assert (found["runs"], found["done"], found["runs_without_basis"]) == (9, 3, 0)
    # Three more of 120 s on all images, three on 52 of 160.
    assert found["seconds"] == pytest.approx(3 * 120 + 3 * (100 * 52 / 160 + 20))
    assert all(b["words"].startswith("runs here on an abacus") for b in found["basis"])


def test_another_set_is_a_basis_where_it_is_named(tmp_path, demo):
    for planned in demo.runs[:3]:
        write_record(record_of(planned.run, planned.run_id), tmp_path / "mine")
    plain = ("demo", "--output", tmp_path / "out", "--dry-run")
    assert "no basis: 9 runs" in _call(*plain).output
    named = _call(*plain, "--basis", tmp_path / "mine").output
    assert "no basis" not in named
    assert "mine on an abacus" in " ".join(named.split())


@pytest.fixture
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_MIRROR", str(tmp_path))
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def test_without_a_network_the_published_runs_are_the_basis(tmp_path, offline):
    path = tmp_path / "study.yaml"
    path.write_text("blocks:\n  - {datasets: derma, architectures: dla34, protocols: fast}\n")
    done = _call(path, "--output", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "no basis" not in done.output
    assert "not downloaded yet: derma" in done.stdout


def test_the_demo_asks_no_network(tmp_path, offline, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    done = _call("demo", "--output", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""


def test_a_sweep_passes_its_runs_on_and_ends_with_1_where_some_failed(tmp_path, engine_double):
    done = _call(
        "demo", "--output", tmp_path, "--slots", 2, "--gpus", 0, "--attempts", 3,
        "--carbon-intensity", "DK", "--weights", tmp_path / "w",
    )  # fmt: skip
    assert done.exit_code == 1, done.output
    assert len(engine_double["runs"]) == 9
    assert engine_double["seconds"] == [None] * 9  # as long as none has ended
    assert (engine_double["slots"], engine_double["gpus"]) == (2, 0)
    assert (engine_double["scheduler"], engine_double["attempts"]) == (None, 3)
    assert engine_double["options"] == {
        "weights": str(tmp_path / "w"), "carbon_intensity": "DK", "any_device": False
    }  # fmt: skip
    assert engine_double["notebook"].name == "fine_tune.md"
    assert "6 of 9 runs done, 0 running, 3 failed, 0 waiting" in done.output
    assert "killed: out of memory" in done.output
    assert "done    mobilevitv2_050 on phantom scratch seed 1" in done.output
    assert "used up" not in done.stderr  # two of three


def test_excluded_workers_and_used_up_attempts_are_noted_at_the_end(
    tmp_path, engine_double, monkeypatch
):
    def excluding(*arguments, watch, **options):
        lines = ("worker w1 gets no more runs, since it began none of the last ones: no GPU",)
        return double(*arguments, **options, watch=lambda now: watch(replace(now, excluded=lines)))

    double = engine.sweep
    monkeypatch.setattr(engine, "sweep", excluding)
    done = _call("demo", "--output", tmp_path)
    assert done.stderr.count("worker w1 gets no more runs, since it began none of the last") == 1
    assert "3 runs failed and have used up their 2 attempts; --attempts 3 tries them" in done.stderr
    note = _status(tmp_path).stderr
    assert note == "the same sweep with --attempts 3 tries the failed runs again\n"


def test_a_finished_sweep_ends_with_0(tmp_path, engine_double, demo):
    def better(*arguments, **options):
        return double(*arguments, **options, fail=())

    double, engine.sweep = engine.sweep, better
    try:
        done = _call("demo", "--output", tmp_path, "--json")
    finally:
        engine.sweep = double
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["runs"] == {"total": 9, "done": 9, "running": 0, "failed": 0, "waiting": 0,
                             "paused": 0}  # fmt: skip
    assert found["energy_kwh"] == pytest.approx(9 * 0.003)
    assert _status(tmp_path).exit_code == 0


def test_a_shard_is_swept_and_the_whole_plan_is_written(tmp_path, engine_double):
    seen = []
    for number in (1, 2):
        _call("demo", "--output", tmp_path, "--shard", f"{number}/2")
        seen += engine_double["runs"]
        assert len(json.loads((tmp_path / "study.json").read_text())["runs"]) == 9
    assert len(seen) == len(set(seen)) == 9


def test_large_images_without_a_gpu_are_noted(tmp_path, engine_double, monkeypatch, published):
    path = tmp_path / "study.yaml"
    path.write_text("blocks:\n  - {datasets: phantom, architectures: dla34, protocols: fast}\n")
    monkeypatch.setattr(gpus, "find_gpus", lambda wanted, _env: [])
    done = _call(path, "--output", tmp_path / "out")
    assert "no GPU is visible: the runs go to the processor" in done.stderr
    monkeypatch.setattr(gpus, "find_gpus", lambda wanted, _env: ["GPU-a"])
    assert "no GPU" not in _call(path, "--output", tmp_path / "out").stderr


def test_status_names_failed_broken_and_missing_runs(tmp_path, engine_double, demo):
    _call("demo", "--output", tmp_path)
    first = demo.runs[0].run_id
    (tmp_path / "runs" / f"{first}.json").write_text("{")
    (tmp_path / "runs" / f"{demo.runs[2].run_id}.json").unlink()
    done = _status(tmp_path)
    assert done.exit_code == 1
    text = " ".join(done.output.split())
    assert "study demo: 4 of 9 runs done, 0 running, 3 failed, 2 waiting" in text
    assert "all images 2 of 6 runs done" in text
    assert text.count("failed: pvt_v2_b0 on phantom") == 3
    assert "attempt 2: killed: out of memory" in text
    assert f"broken: {tmp_path / 'runs' / first}.json" in text
    found = json.loads(_status(tmp_path, "--json").output)
    assert found["runs"] == {"total": 9, "done": 4, "running": 0, "failed": 3, "waiting": 2,
                             "paused": 0}  # fmt: skip
    assert {f["reason"] for f in found["failures"]} == {"killed: out of memory"}
    assert {w["architecture"] for w in found["waiting"]} == {
        demo.runs[0].run.architecture, demo.runs[2].run.architecture
    }  # fmt: skip


def test_status_of_a_folder_that_no_sweep_made(tmp_path, demo):
    with pytest.raises(PeprError, match="holds no runs"):
        CliRunner().invoke(status, [str(tmp_path)], catch_exceptions=False)
    planned = demo.runs[0]
    write_record(record_of(planned.run, planned.run_id), tmp_path)
    done = _status(tmp_path)
    assert done.exit_code == 0
    assert "1 of 1 runs done" in done.output


def test_status_names_a_killed_run_without_a_record(tmp_path):
    note = {
        "pid": 7, "host": "node3", "started": "2026-01-01T00:00:00+00:00",
        "record": {"run_id": "r1", "architecture": "resnet18d", "dataset": "phantom"},
    }  # fmt: skip
    path = note_path(tmp_path, "r1")
    path.parent.mkdir()
    path.write_text(json.dumps(note))
    done = _status(tmp_path)
    assert done.exit_code == 1
    assert "killed: resnet18d on phantom, since " in done.output
    assert "node3, process 7; the next run on this folder records it" in done.output
    (killed,) = json.loads(_status(tmp_path, "--json").output)["killed"]
    assert (killed["run_id"], killed["pid"]) == ("r1", 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["papr", "--output", "x"], "unknown study 'papr'; allowed: demo, paper, xray, xray-extra"),
        (["demo"], "Missing option '--output'"),
        (["demo", "--output", "x", "--shard", "5/4"], "'5/4' is not a part; allowed: I/N"),
        (["demo", "--output", "x", "--shard", "0/4"], "'0/4' is not a part"),
        (["demo", "--output", "x", "--gpus", "two"], "'two' is not a number of GPUs"),
        (["demo", "--output", "x", "--slots", "0"], "0 is not in the range"),
        (["demo", "--output", "x", "--attempts", "0"], "0 is not in the range"),
        (["demo", "--output", "x", "--notebook", "no.md"], "no notebook no.md"),
        (["demo", "--output", "x", "--dry-run", "--basis", "nix"], "unknown result set 'nix'"),
        (["demo", "--output", "x", "--carbon-intensity", "XX"], "no carbon intensity for 'XX'"),
    ],
)
def test_each_wrong_option_is_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(sweep, arguments)
    shown = done.output + str(done.exception or "")
    assert message in shown
    assert not Path("x").exists()
    if not isinstance(done.exception, PeprError):
        assert done.exit_code == 2


def test_a_bad_study_is_exit_code_2_with_every_line(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("blocks:\n  - datasets: dermo\n    architectures: dla34\n    protocols: papr\n")
    done = _run("sweep", path, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert f"{path}:2: datasets: unknown data set 'dermo'" in done.stderr
    assert f"{path}:4: protocols: unknown protocol 'papr'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_notes_missing_gpus(tmp_path):
    done = _call("demo", "--output", tmp_path / "out", "--dry-run", "--gpus", 99)
    assert done.exit_code == 0
    (line,) = done.stderr.splitlines()
    assert "the sweep cannot start on this machine: 99 GPUs are asked for and" in line
    assert (
        "GPUs" not in _call("demo", "--output", tmp_path / "out", "--dry-run", "--gpus", 0).stderr
    )


@pytest.mark.parametrize(
    ("options", "at_once"),
    [((), 3), (("--on", "an abacus"), 1), (("--scheduler", "x"), 1), (("--gpus", "0"), 1)],
)
def test_a_dry_run_divides_its_time_by_the_gpus_of_the_sweep(
    options, at_once, tmp_path, demo, monkeypatch
):
    three = ["GPU-a", "GPU-b", "GPU-c"]
    monkeypatch.setattr(gpus, "find_gpus", lambda wanted, _env: three if wanted else [])
    for planned in demo.runs[:3]:
        write_record(record_of(planned.run, planned.run_id), tmp_path)
    shown = _call("demo", "--output", tmp_path, "--dry-run", *options).output
    found = re.findall(r"(\d) at a time", shown)
    assert found == [str(n) for n in (at_once,) if n > 1]


def test_nothing_begins_while_a_data_set_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PEPR_DATA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "study.yaml"
    path.write_text(
        "blocks:\n  - {datasets: [phantom, lidc], architectures: dla34, protocols: demo}\n"
    )
    done = _call(path, "--output", tmp_path / "out")
    assert isinstance(done.exception, StudyError)
    assert str(done.exception).startswith("lidc.zip is not there")
    assert str(done.exception).endswith("(1 run)\nnothing was started")
    assert not (tmp_path / "out").exists()
