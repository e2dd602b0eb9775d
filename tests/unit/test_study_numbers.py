"""The chapter on running the study: its tables by hand, and the job scripts that it shows."""

import re
import subprocess

import pytest

from paper.chapters import study
from pepr_utils.commands.sweep import sweep
from pepr_utils.measurement.metering import Intensity
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.forecast import Forecaster, Measured, Source, Work
from pepr_utils.measurement.sweep.plan import Plan, Planned
from pepr_utils.paths import data_dir, data_file

GPU = "NVIDIA GeForce RTX 3090"
#: Training images and test images of each data set, ten epochs.
IMAGES = {"derma": (70070, 20050), "lidc": (90570, 30200), "pneumonia": (47080, 6240)}


def _measured(dataset, architecture, train_s, watt=400.0):
    """A run at so many seconds per image trained on, and a tenth of them per image tested."""
    return Measured(
        architecture, dataset, "paper", True, 1.0, 256, GPU, Work(*IMAGES[dataset]),
        train_s, train_s / 10, watt, watt,
    )  # fmt: skip


@pytest.fixture
def source():
    """Lidc takes twice as long per image as derma, at half the power; pneumonia as derma."""
    names = ("resnet18d", "vgg11")
    return Source("made up", tuple(
        _measured(dataset, name, seconds, watt)
        for dataset, seconds, watt in (("derma", 0.01, 400), ("lidc", 0.02, 200),
                                       ("pneumonia", 0.01, 400))
        for name in names
    ))  # fmt: skip


def test_each_experiment_is_forecast_from_the_rest(source):
    table = study.crosscheck(source).set_index(["dataset", "without"])
    assert (table["runs"] == 2).all()
    # The nearest in images: lidc for derma (90,570 to 70,070), derma for the others.
    assert table.loc[("derma", "this data set"), "forecast from"] == "lidc"
    assert table.loc[("pneumonia", "this data set"), "forecast from"] == "derma"
    expected = {"derma": (2.0, 1.0), "lidc": (0.5, 1.0), "pneumonia": (1.0, 1.0)}
    for dataset, (time, energy) in expected.items():
        row = table.loc[(dataset, "this data set")]
        for part in ("total", "low", "high"):
            assert row[f"time, {part}"] == pytest.approx(time)
            assert row[f"energy, {part}"] == pytest.approx(energy)


def test_one_experiment_alone_cannot_be_checked(source):
    alone = Source("alone", tuple(m for m in source.runs if m.dataset == "derma"))
    assert study.crosscheck(alone).empty


def test_a_table_of_the_check_in_per_cent(source):
    table = study.crosscheck_table(study.crosscheck(source))
    row = table[table["experiment"] == "derma, pretrained, 100 %"].iloc[-1]
    assert row["time, all"] == pytest.approx(100.0)
    assert row["energy, 90 %"] == pytest.approx(0.0)


@pytest.fixture
def plan():
    runs = [("a", Run("resnet18d", "derma")), ("b", Run("resnet18d", "lidc")),
            ("b", Run("dla34", "lidc"))]  # fmt: skip
    return Plan("mine", tuple(Planned(run, block) for block, run in runs))


def _seconds(n_train, n_evaluated, train_s):
    return 10 * (n_train * train_s + n_evaluated * train_s / 10)


def test_what_each_step_takes(source, plan):
    table = study.steps(plan, Forecaster([source]), Intensity(100.0, "declared"))
    assert table["step"].tolist() == [
        "one run: resnet18d on pneumonia",
        "pepr run: n_parameters < 10e6 on pneumonia",
        "pepr sweep mine: a",
        "pepr sweep mine: b",
        "pepr sweep mine",
    ]
    one, derma = _seconds(4708, 1148, 0.01), _seconds(7007, 3008, 0.01)
    lidc = _seconds(9057, 6039, 0.02)
    assert table["runs"].tolist() == [1, 20, 1, 2, 3]
    assert table["runs without a basis"].tolist() == [0, 20, 0, 1, 1]
    hours = [one, float("nan"), derma, lidc, derma + lidc]
    assert (table["time (h)"] * 3600).tolist() == pytest.approx(hours, nan_ok=True)
    kwh = [one * 400, float("nan"), derma * 400, lidc * 200, derma * 400 + lidc * 200]
    assert (table["energy (kWh)"] * 3.6e6).tolist() == pytest.approx(kwh, nan_ok=True)
    assert (table["CO2eq (kg)"] * 10).tolist() == pytest.approx(
        table["energy (kWh)"].tolist(), nan_ok=True
    )


def test_parts_over_their_mean(plan):
    seconds = {"derma": 10.0, "lidc": 20.0}
    shares = study.part_shares(plan, lambda run: seconds[run.dataset], 3)
    assert sorted(shares) == pytest.approx([10 / (50 / 3), 20 / (50 / 3), 20 / (50 / 3)])


def test_errors_of_forecasts_for_the_text(source):
    found = study.errors_of_forecasts(study.crosscheck(source))
    assert (found["example-from"], found["full-time"]) == ("derma", "100")
    assert found["example-time"].startswith("0.0 % too")


@pytest.mark.parametrize("name", ["array.sh", "cluster.sh"])
def test_job_scripts_are_bash_and_use_options_that_exist(name):
    path = data_file(f"studies/slurm/{name}")
    checked = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    text = path.read_text().replace("\\\n", "")
    (command,) = re.findall(r"^pepr sweep .*$", text, re.MULTILINE)
    known = {option for parameter in sweep.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", command)) <= known
    assert "--output" in command


def run_script(name, folder, activate="", **programs):
    """Run a job's script with doubles of what it calls; return how it ended and what they noted."""
    fake, log = folder / ".venv" / "bin", folder / "log"
    fake.mkdir(parents=True, exist_ok=True)
    (fake / "activate").write_text(f'PATH="{fake}:$PATH"\n{activate}')
    log.write_text("")
    for program, text in programs.items():
        (fake / program).write_text(f'#!/bin/bash\necho "{program} $*" >> {log}\n{text}')
        (fake / program).chmod(0o755)
    # The first of an array's jobs has the number of the array.
    environment = {"PATH": "/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(folder), "LOG": str(log),
                   "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "77",
                   "SLURM_CPUS_PER_TASK": "8"}  # fmt: skip
    script = data_dir() / "studies" / "slurm" / name
    done = subprocess.run(
        ["bash", script], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    return done, log.read_text().splitlines()


ENDLESS = (
    'trap "echo sweep ended >> $LOG; exit 1" TERM\nkill -TERM $PPID\nwhile :; do sleep 0.05; done\n'
)


SCHEDULER = {"dask": 'echo "{}" > "$3"\nexec sleep 20\n', "srun": "exec sleep 20\n"}


def test_a_job_that_is_ended_passes_it_on_and_requeues_itself_alone(tmp_path):
    """SIGTERM reaches the sweep first; the number of the array would requeue all of its jobs."""
    done, calls = run_script("array.sh", tmp_path, pepr=ENDLESS, scontrol="")
    assert done.returncode == 0, done.stderr
    assert calls == [
        f"pepr sweep paper --output {tmp_path}/results/paper --shard 3/16",
        "sweep ended",
        "scontrol requeue 77_3",
    ]


def test_a_cluster_is_a_scheduler_and_a_worker_for_each_gpu(tmp_path):
    done, calls = run_script("cluster.sh", tmp_path, pepr=ENDLESS, scontrol="", **SCHEDULER)
    assert done.returncode == 0, done.stderr
    file = f"{tmp_path}/results/paper/scheduler-77.json"
    worker = f"srun --cpus-per-task=8 dask worker --scheduler-file {file} --nthreads 1"
    assert any(line.startswith(worker) for line in calls)
    assert f"pepr sweep paper --output {tmp_path}/results/paper --scheduler {file}" in calls
    assert calls[-2:] == ["sweep ended", "scontrol requeue 77"]
    assert not list(tmp_path.glob("results/paper/scheduler*"))


@pytest.mark.parametrize(
    ("name", "doubles", "requeue"),
    [("array.sh", {}, "scontrol requeue 77_3"), ("cluster.sh", SCHEDULER, "scontrol requeue 77")],
)
def test_a_job_in_which_no_run_ends_is_not_requeued_for_ever(name, doubles, requeue, tmp_path):
    """A run that takes longer than the job may: it is begun anew each time."""
    runs = tmp_path / "results" / "paper" / "runs"
    endings = []
    for number in range(5):
        if number == 1:  # this time, one has ended: it is counted from here
            runs.mkdir(parents=True)
            (runs / "a.json").write_text("{}")
        done, calls = run_script(name, tmp_path, pepr=ENDLESS, scontrol="", **doubles)
        endings.append((done.returncode, requeue in calls))
    assert endings == [(0, True)] * 4 + [(1, False)]
    assert "is not requeued: it was three times, and no run has ended since" in done.stderr
    assert "--time-limit-s" in done.stderr
    assert calls[-1] == "sweep ended"


@pytest.mark.parametrize("name", ["array.sh", "cluster.sh"])
def test_a_job_that_is_ended_before_its_sweep_begins_is_requeued_too(name, tmp_path):
    done, calls = run_script(name, tmp_path, activate="kill -TERM $$\n", scontrol="", **SCHEDULER)
    assert done.returncode == 0, done.stderr
    assert [line.partition("_")[0] for line in calls] == ["scontrol requeue 77"]


def test_a_cluster_without_its_scheduler_ends(tmp_path):
    done, calls = run_script(
        "cluster.sh", tmp_path, dask="exit 1\n", srun="exec sleep 20\n", pepr=""
    )
    assert done.returncode != 0
    assert not any(line.startswith("pepr") for line in calls)
