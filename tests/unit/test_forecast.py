"""Forecasts against values worked out by hand, and against the authors' table read by pandas."""

from dataclasses import replace

import pytest

from pepr_utils.measurement.datasets import Sizes
from pepr_utils.measurement.metering import Intensity
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.dry_run import lines, totals
from pepr_utils.measurement.sweep.forecast import (
    Forecaster,
    Measured,
    Source,
    Work,
)
from pepr_utils.measurement.sweep.plan import Plan, Planned
from pepr_utils.results import Epoch, Record, load_result_set
from pepr_utils.results.load import of_records

OLD, NEW = "NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 4090"
CPU = "an abacus"


def record(**changed):
    """A record of phantom: 4 x 160 images trained on, 4 x 128 evaluated.

    0.1 s and 50 W for each of the former, 0.01 s and 25 W for each of the latter.
    """
    values = {
        "run_id": "r1",
        "status": "done",
        "architecture": "dla46_c",
        "dataset": "phantom",
        "image_size": 32,
        "pretrained": False,
        "train_fraction": 1.0,
        "n_train": 160,
        "n_test": 96,
        "seed": 1,
        "protocol": "demo",
        "test_accuracy": 0.5,
        "energy_kwh": 64.0 * 50 / 3.6e6,
        "energy_window": "train",
        "eval_energy_kwh": 5.12 * 25 / 3.6e6,
        "train_time_s": 64.0,
        "eval_time_s": 5.12,
        "energy_method": "nvml counter",
        "device": CPU,
        "epochs": tuple(Epoch(epoch=i, test_accuracy=0.5) for i in range(1, 5)),
    }
    return Record(**values | changed)


def forecaster(*records, device=CPU, **others):
    return Forecaster([Source.of(of_records(records, "here"))], device=device, **others)


DEMO = Run("dla46_c", "phantom", "demo", pretrained=False)


def test_a_run_like_a_measured_one_takes_what_that_took():
    found = forecaster(record())(DEMO)
    assert found.seconds == pytest.approx(69.12)
    assert found.energy_kwh == pytest.approx((64.0 * 50 + 5.12 * 25) / 3.6e6)
    assert found.basis == "here on an abacus, protocol demo; the same images"


def test_half_of_the_images_is_half_of_the_training_and_all_of_the_evaluation():
    found = forecaster(record())(Run("dla46_c", "phantom", "demo", False, 0.5))
    assert found.seconds == pytest.approx(4 * 80 * 0.1 + 4 * 128 * 0.01)
    assert found.energy_kwh == pytest.approx((32.0 * 50 + 5.12 * 25) / 3.6e6)
    assert found.basis.endswith("; by number of images from phantom")


def test_another_data_set_goes_by_its_sizes():
    run = Run("dla46_c", "/data/clinic", "demo", False)
    found = forecaster(record(), sizes={"/data/clinic": Sizes(1000, 100, 300)})(run)
    assert found.seconds == pytest.approx(4 * 1000 * 0.1 + 4 * 400 * 0.01)


def test_seeds_are_averaged_and_the_nearest_share_counts():
    tenth = record(run_id="r3", train_fraction=0.1, n_train=16, train_time_s=30.0)
    twice = record(run_id="r2", seed=2, train_time_s=230.4, energy_kwh=230.4 * 50 / 3.6e6)
    both = forecaster(record(), twice, tenth)
    assert both(DEMO).seconds == pytest.approx((64.0 + 230.4) / 2 + 5.12)
    assert both(Run("dla46_c", "phantom", "demo", False, 0.1)).seconds == pytest.approx(35.12)


def test_energy_that_was_not_measured_is_not_forecast():
    found = forecaster(record(energy_kwh=None, energy_window=None, eval_energy_kwh=None))(DEMO)
    assert found.seconds == pytest.approx(69.12)
    assert found.energy_kwh is None


def test_runs_that_end_become_the_basis():
    forecast = Forecaster([])
    assert forecast(DEMO).seconds is None
    forecast.learn(())
    forecast.learn([record()])
    assert forecast(DEMO).seconds == pytest.approx(69.12)
    assert forecast(DEMO).basis.startswith("runs here on an abacus")
    assert forecast.device == CPU
    slow = [record(run_id=f"r{i}", seed=i, train_time_s=230.4) for i in range(2, 10)]
    forecast.learn([record(), *slow])
    assert forecast.seconds(DEMO) == pytest.approx((64.0 + 8 * 230.4) / 9 + 5.12)
    forecast.learn(
        [record(), *slow, record(run_id="r10", train_time_s=9e9)]
    )  # not yet a fifth more
    assert forecast.seconds(DEMO) == pytest.approx((64.0 + 8 * 230.4) / 9 + 5.12)


def test_a_forecast_names_an_estimated_energy():
    assert "estimate" in forecaster(record(energy_method="cpu tdp-estimate"))(DEMO).basis


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (Run("vgg11", "phantom", "demo", False), "no measured run of vgg11 at 32 px"),
        (Run("dla46_c", "phantom", "fast", False), "no measured run of dla46_c at 256 px"),
        (
            Run("dla46_c", "/nowhere", "demo"),
            "the images of /nowhere are missing and cannot be counted",
        ),
    ],
)
def test_a_run_without_a_basis_has_no_number(run, why):
    found = forecaster(record())(run)
    assert (found.seconds, found.energy_kwh, found.basis, found.why) == (None, None, "", why)


def test_failed_runs_and_runs_without_a_time_are_no_basis():
    failed = record(status="failed", test_accuracy=None, epochs=())
    untimed = record(run_id="r2", train_time_s=None)
    assert forecaster(failed, untimed)(DEMO).why == "no measured run of dla46_c at 32 px"


def test_another_device_without_common_runs_has_no_number():
    found = forecaster(record(), device="a slide rule")(DEMO)
    assert found.seconds is None
    assert "fewer than 3 runs were measured there and on a slide rule" in found.why


def test_an_unknown_device_gives_the_figure_of_the_basis_and_its_device():
    found = forecaster(record(), device=None)(DEMO)
    assert found.seconds == pytest.approx(69.12)
    assert "on an abacus" in found.basis


def _measured(architecture, seconds, *, device=OLD, protocol="paper", watt=400.0, **changed):
    values = {"dataset": "derma", "pretrained": True, "train_fraction": 1.0, "image_size": 256}
    return Measured(
        architecture=architecture, protocol=protocol, device=device, work=Work(1000, 100),
        train_s=seconds, eval_s=seconds / 4, train_w=watt, eval_w=watt, **values | changed,
    )  # fmt: skip


def test_runs_measured_in_both_ways_set_the_factor():
    names = ["vgg11", "vgg13", "dla34", "resnet18d"]
    old = Source("theirs", tuple(_measured(name, 0.01) for name in names))
    # Twice, three and four times as fast, at 200 instead of 400 W.
    here = tuple(
        _measured(name, 0.01 / n, device=NEW, protocol="fast", watt=200.0)
        for name, n in zip(names, (2, 3, 4), strict=False)
    )
    run = Run("resnet18d", "derma", "fast")
    few = Forecaster([Source("here", here[:2]), old], device=NEW)(run)
    assert few.seconds is None
    enough = Forecaster([Source("here", here), old], device=NEW)(run)
    base = 70070 * 0.01 + 30080 * 0.0025
    assert enough.seconds == pytest.approx(base / 3)
    assert enough.energy_kwh == pytest.approx(base / 3 * 200 / 3.6e6)
    assert "as 3 runs that were measured in both ways" in enough.basis
    blind = tuple(replace(m, train_w=None, eval_w=None) for m in here)
    timed = Forecaster([Source("here", blind), old], device=NEW)(run)
    assert timed.seconds == pytest.approx(base / 3)
    assert timed.energy_kwh is None
    own = Forecaster([Source("here", here), old], device=NEW)(Run("vgg13", "derma", "fast"))
    assert own.seconds == pytest.approx(base / 3)
    assert own.basis.startswith("here on")


@pytest.fixture(scope="module")
def repaired():
    return Source.of(load_result_set("published-repaired"))


def test_the_released_time_is_one_epoch_with_its_evaluation(repaired, raw):
    row = raw.set_index(["model", "dataset"]).loc[("resnet18d", "pneumonia")]
    found = Forecaster([repaired])(Run("resnet18d", "pneumonia"))
    training = 10 * (row["train_time"] - row["inf_time"])
    evaluation = 10 * row["inf_time"] * (524 + 624) / 624  # ours looks at validation images too
    assert found.seconds == pytest.approx(training + evaluation)
    power = row["energy"] * 3.6e6 / (10 * row["train_time"])
    assert found.energy_kwh == pytest.approx(power * found.seconds / 3.6e6)


def test_a_copied_energy_is_no_basis(repaired, raw):
    """One that would need kilowatts over its own time stands in the authors' table as it is."""
    power = raw["energy"] * 3.6e6 / (10 * raw["train_time"])
    worst = raw.loc[power.idxmax()]
    assert power.max() > 1000
    run = Run(worst["model"], "pneumonia", train_fraction=0.1)
    found = Forecaster([repaired])(run)
    assert found.energy_kwh * 3.6e6 / found.seconds < 800


def test_every_run_of_the_paper_has_a_basis(repaired):
    forecast = Forecaster([repaired])
    for name in {m.architecture for m in repaired.runs}:
        assert forecast(Run(name, "lidc")).seconds > 0
    assert len({m.architecture for m in repaired.runs}) == 131


def test_a_dry_run_adds_up_what_is_left_and_counts_what_has_no_basis():
    run, other = DEMO, Run("vgg11", "phantom", "demo", False)
    half = Run("dla46_c", "phantom", "demo", False, 0.5)
    plan = Plan("mine", (Planned(run, "a", "r1"), Planned(half, "a", "r2"),
                         Planned(other, "b", None, "it is away")))  # fmt: skip
    rows = totals(plan.runs, forecaster(record()), {"r1"})
    assert [(r.name, r.runs, r.done) for r in rows] == [("a", 2, 1), ("b", 1, 0), ("all", 3, 1)]
    assert rows[0].seconds == rows[2].seconds == pytest.approx(37.12)
    assert (rows[1].seconds, rows[1].without_time) == (None, 1)
    text = lines(plan, rows, Intensity(100.0, "declared"), where="DIR", slots=2)
    assert "device: as in the measured runs that the forecast is based on" in text
    named = lines(plan, rows, Intensity(100.0, "declared"), where="DIR", device=CPU)
    assert "device: an abacus" in named
    assert text[0] == "study mine: 3 runs, 1 done in DIR, 2 to do"
    assert text[3].split() == ["a", "2", "1", "37", "s", "0.48", "Wh", "0.048", "g"]
    assert text[4].split() == ["b", "1", "1", "-", "-", "-"]
    joined = " ".join(" ".join(text).split())
    assert "2 at a time: 19 s" in joined
    assert "no basis: 1 run, not included in any figure above 1 run: no measured run" in joined
    assert "missing: 1 run, counted as not done: it is away" in joined


def test_a_missing_basis_is_shown_as_dashes_and_not_as_zeros():
    plan = Plan("mine", (Planned(DEMO, "a", "r1"),))
    text = lines(plan, totals(plan.runs, Forecaster([]), set()), Intensity(1, "x"), where="DIR")
    assert text[3].split() == ["all", "1", "1", "-", "-", "-"]


def test_a_finished_study_takes_no_time():
    plan = Plan("mine", (Planned(DEMO, "a", "r1"),))
    rows = totals(plan.runs, Forecaster([]), {"r1"})
    text = lines(plan, rows, Intensity(1, "x"), where="DIR", slots=4)
    assert text[3].split() == ["all", "1", "0", "0", "s", "0", "Wh", "0", "g"]
    assert "at a time" not in " ".join(text)


def test_energies_are_those_of_the_runs_that_are_left(repaired):
    """The whole paper, by pandas: what was repaired, and the validation images on top."""
    table = load_result_set("published-repaired").runs
    energy = table["energy_kwh"].sum()
    forecast = Forecaster([repaired])
    total = sum(
        forecast(Run(r.architecture, r.dataset, "paper", r.pretrained, r.train_fraction)).energy_kwh
        for r in table.itertuples()
    )
    assert energy < total < 1.15 * energy
