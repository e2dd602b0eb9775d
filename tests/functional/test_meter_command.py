"""`pepr meter`: any command measured, its exit code passed on, and what a machine allows."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pepr_utils.measurement.metering import hardware, rapl


def _pepr(*arguments, **options):
    code = "from pepr_utils.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "meter", *arguments],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


def test_json_is_all_of_stdout_and_the_exit_code_is_the_commands():
    done = _pepr(
        "--json", "--simulate", "100", "--pue", "1.2", "--carbon-intensity", "50", "--",
        "sh", "-c", "echo output; sleep 0.1; exit 3",
    )  # fmt: skip
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert done.stderr.startswith("output\n")
    assert report["command"][0] == "sh"
    assert (report["exit_code"], report["energy_method"]) == (3, "declared: simulated simulated")
    assert report["duration_s"] >= 0.1
    assert report["it_energy_kwh"] == pytest.approx(100 * report["duration_s"] / 3.6e6)
    assert report["energy_kwh"] == pytest.approx(1.2 * report["it_energy_kwh"])
    assert report["co2eq_g"] == pytest.approx(50 * report["energy_kwh"])


METERED = ("--simulate", "3600", "--pue", "2", "--carbon-intensity", "500", "--label")


def test_rows_of_several_commands_are_a_table_that_is_scored(tmp_path):
    from pepr_utils.results.user_table import load_user_table

    runs = tmp_path / "runs.csv"
    for name, seconds in (("a", "0.1"), ("b, c", "0.3")):
        assert _pepr(*METERED, name, "--append", runs, "--", "sleep", seconds).returncode == 0
    failed = _pepr(*METERED, "d", "--append", runs, "--", "false")
    assert (failed.returncode, "no row was added" in failed.stderr) == (1, True)
    table = load_user_table(runs)
    assert table.labels("model").tolist() == ["a", "b, c"]
    watts = table.numbers("energy_kwh") * 3.6e6 / table.numbers("duration_s")
    assert watts.tolist() == pytest.approx([7200, 7200])
    refused = _pepr(*METERED, "e", "--append", runs, "--format", "codecarbon", "--", "false")
    assert (refused.returncode, "its columns are model, energy_kwh" in refused.stderr) == (2, True)


def test_codecarbon_reads_its_columns_and_adds_to_them(tmp_path):
    from dataclasses import fields

    import pandas as pd
    from codecarbon.output_methods.emissions_data import EmissionsData
    from codecarbon.output_methods.file import FileOutput

    path = tmp_path / "emissions.csv"
    for name in ("a", "b"):
        _pepr(*METERED, name, "--append", path, "--format", "codecarbon", "--", "sleep", "0.1")
    data = EmissionsData(**dict.fromkeys(f.name for f in fields(EmissionsData)))
    output = FileOutput(path.name, str(tmp_path))
    assert output.has_valid_headers(data)
    output.out(data, None)
    rows = pd.read_csv(path)
    assert rows["project_name"].tolist()[:2] == ["a", "b"]
    first = rows.iloc[0]  # 3600 W and a PUE of 2: 2 Wh a second, at 500 g/kWh
    assert first["energy_consumed"] == pytest.approx(first["duration"] * 2e-3)
    assert first["emissions"] == pytest.approx(first["duration"] * 1e-3)
    assert first["emissions_rate"] == pytest.approx(1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["emissions.csv"]


def test_the_table_leaves_stdout_to_the_command():
    big = "print(len(bytearray(400_000_000)))"
    done = _pepr("--", sys.executable, "-c", big)
    assert (done.returncode, done.stdout) == (0, "400000000\n")
    assert "energy, computer" in done.stderr
    (memory,) = [line for line in done.stderr.splitlines() if "memory, process" in line]
    assert 0.4 <= float(memory.split()[-2]) < 2


def test_missing_values_have_a_reason_and_a_closed_pipe_changes_no_exit_code():
    done = _pepr("--", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert "peak memory, process: below " in done.stderr
    assert "peak memory, GPUs: no GPU was read" in " ".join(done.stderr.split())
    assert "memory no counter of its own" in done.stderr
    code = "from pepr_utils.cli import main; main()"
    command = f"{sys.executable} -c '{code}' meter --json --simulate 1 -- sh -c 'exit 3'"
    shell = f"{{ {command}; echo $? >&2; }} | true"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "3"


def test_options_after_the_command_are_the_commands():
    done = _pepr("--simulate", "1", "printf", "%s", "--json")
    assert done.stdout == "--json"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "no COMMAND"),
        (("--check", "true"), 2, "takes no COMMAND"),
        (("no-such-program",), 127, "no command 'no-such-program'"),
        (("--carbon-intensity", "XX", "true"), 2, "no carbon intensity for 'XX'"),
        (("--pue", "0.5", "true"), 2, "0.5"),
        (("--simulate", "1", "--", "sh", "-c", "kill -9 $$"), 137, "137"),
    ],
)
def test_errors_are_one_plain_message(arguments, code, message):
    done = _pepr(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_goes_to_the_command_and_the_report_still_comes():
    code = "from pepr_utils.cli import main; main()"
    command = (
        "trap 'exit 5' TERM; echo in; i=0; while [ $i -lt 400 ]; do sleep 0.05; i=$((i+1)); done"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "meter", "--simulate", "1", "--", "sh", "-c", command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "in\n"
        time.sleep(0.2)  # until the meter waits
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
    assert process.returncode == 5
    assert "energy, computer" in errors


def _check():
    from click.testing import CliRunner

    from pepr_utils.commands.meter import meter

    done = CliRunner().invoke(meter, ["--check", "--json"])
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    return {(row["part"], row["method"]): (row["available"], row["detail"]) for row in rows}


@pytest.fixture
def doubles(monkeypatch, tmp_path):
    """The doubles of the unit tests, and no RAPL."""
    from importlib import util
    from pathlib import Path

    path = Path(__file__).parents[1] / "unit" / "metering_doubles.py"
    spec = util.spec_from_file_location(path.stem, path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path / "powercap")
    hardware.idle_power_w.cache_clear()
    return module


def test_the_check_of_a_machine_with_nothing(monkeypatch, doubles):
    doubles.install(monkeypatch, [])
    found = _check()
    assert found["gpu", "counter"] == (False, "NVML lists no GPU")
    assert not found["cpu", "rapl"][0]
    assert "a container" in found["cpu", "rapl"][1]
    assert found["cpu", "tdp-estimate"][0]
    assert "one processor" in found["cpu", "tdp-estimate"][1]
    assert not found["memory", "rapl"][0]


def test_the_check_of_a_machine_with_gpus_and_counters(monkeypatch, doubles, tmp_path):
    gpus = [doubles.Gpu("GPU-a", 70.0), doubles.Gpu("GPU-b", counter=False)]
    gpus += [doubles.Gpu("GPU-c", mig=("MIG-1",)), doubles.Gpu("GPU-d")]
    gpus[3].lost = True
    doubles.install(monkeypatch, gpus)
    packages = {"intel-rapl:0": ("package-0", 5, 1000), "intel-rapl:0:0": ("dram", 5, 1000)}
    doubles.powercap(tmp_path / "powercap", packages)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    found = _check()
    assert found["gpu", "counter"] == (True, "H100 GPU-a")
    assert found["gpu", "polled"] == (True, "H100 GPU-a: 70 W now, limit 300 W")
    assert found["cpu", "rapl"] == (True, "package-0")
    assert found["memory", "rapl"] == (True, "dram of package-0")
    for visible, reason in (
        ("GPU-b", "it is polled"),
        ("GPU-c", "divided (MIG)"),
        ("", "CUDA_VISIBLE_DEVICES= names none"),
    ):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        available, detail = _check()["gpu", "counter"]
        assert (available, reason in detail) == (False, True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")  # all, the last of which is lost
    available, detail = _check()["gpu", "counter"]
    assert (available, "GPU is lost" in detail) == (False, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_counters_that_may_not_be_read_come_with_the_fix(monkeypatch, doubles, tmp_path):
    doubles.install(monkeypatch, [])
    folder = doubles.powercap(tmp_path / "powercap", {"intel-rapl:0": ("package-0", 5, 1000)})
    (folder / "intel-rapl:0" / "energy_uj").chmod(0)
    available, how = _check()["cpu", "rapl"]
    assert not available
    assert "sudo chmod a+r" in how


def test_the_check_loads_no_torch():
    code = (
        "import sys\nfrom pepr_utils.measurement.metering.check import possibilities\n"
        "possibilities(); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
