"""The numbers of the chapter on the meter, against values worked out by hand."""

import pandas as pd
import pytest

from paper.chapters import metering as metering_numbers
from paper.figures import sampling
from pepr_utils.measurement.metering.readings import Samples, energy_j
from pepr_utils.results import load_result_set


@pytest.fixture
def metered(tmp_path):
    (tmp_path / "mine.csv").write_text(
        "architecture,dataset,test_accuracy,energy_kwh,it_energy_kwh,train_time_s,energy_method,"
        "gpu_counter_kwh,gpu_polled_kwh,n_power_samples\n"
        "a,w,0.9,0.1,0.05,1000,counter,0.040,0.041,100\n"
        "b,w,0.8,0.1,0.06,1000,counter,0.050,0.040,80\n"
        "c,w,0.7,0.1,0.02,1000,tdp,,,\n"
    )
    return load_result_set(tmp_path / "mine.csv")


def test_methods_are_listed_apart_and_compared(metered):
    table = metering_numbers.agreement([metered]).set_index("method")
    assert table.loc["counter", "largest difference (%)"] == pytest.approx(20)  # 0.05 and 0.04 kWh
    assert table.loc["counter", "runs with both figures"] == 2
    assert table.loc["counter", "fewest samples"] == 80
    assert table.loc["counter", "highest mean power (W)"] == pytest.approx(216)  # 0.06 kWh in 1 ks
    assert table.loc["tdp", "runs with both figures"] == 0
    assert pd.isna(table.loc["tdp", "largest difference (%)"])
    found = metering_numbers.how_methods_agree(table.reset_index(), metered.name)
    assert found["n-runs"] == "3"
    assert "in 2 runs of the measured set" in found["comparison"]
    assert "differ by at most 20.0 %" in found["comparison"]
    neither = table.reset_index().query("method == 'tdp'")
    assert "no run" in metering_numbers.how_methods_agree(neither, metered.name)["comparison"]
    assert found["power-spread"] == "200.00"  # 72 W to 216 W


def test_the_error_of_samples_shrinks_with_the_window_and_is_none_for_constant_power(monkeypatch):
    monkeypatch.setattr(sampling, "DRAWS", 40)
    frame = sampling.data(energy_j, Samples, interval_s=0.2)
    most = frame[frame["share"].str.startswith("95")].set_index("window_s")["error_percent"]
    assert most[80] < most[8] < most[2]
    assert most[80] > 0.1
    assert "below" in sampling.describe(frame)
    sampling.chart(frame, few_samples=60).to_dict()
    monkeypatch.setattr(sampling, "LEVELS_W", (200.0, 200.0))
    assert sampling.data(energy_j, Samples, interval_s=0.2)["error_percent"].max() < 1e-9


def test_no_idle_power_moves_no_place():
    none = metering_numbers.net_of_idle(0.0)
    assert none["places that change"].sum() == 0
    assert none["Kendall's tau"].min() == pytest.approx(1)
    some = metering_numbers.net_of_idle(100.0)
    assert some["places that change"].sum() > 0


def test_every_method_of_the_records_is_explained():
    from typing import get_args

    from pepr_utils.measurement.metering.energy import Method

    assert set(metering_numbers.methods()["method"]) == set(get_args(Method))
