"""The counts of what is doubtful, on the published data and on a set where they are known."""

import pandas as pd
import pytest

from pepr_utils.reporting import doubts, numbers
from pepr_utils.results import ResultSet


@pytest.fixture
def toy():
    """Three models in two experiments: one repeated row, one shared energy, one of its own."""
    first = pd.DataFrame(
        {
            "architecture": ["a", "b", "c"],
            "test_accuracy": [0.5, 0.6, 0.7],
            "energy_kwh": [1.0, 2.0, 3.0],
            "co2eq_g": [1.0, 2.0, 3.0],
            "released_train_time_s": [360.0, 360.0, 360.0],
            "n_test": pd.array([10, 10, 10], "Int64"),
        }
    )
    second = first.copy()
    second.loc[1, "test_accuracy"] = 0.65
    second.loc[2, ["test_accuracy", "energy_kwh"]] = [0.9, 4.0]
    key = "{}/pretrained/1/-/-/-/-/-"
    runs = pd.concat(
        [first.assign(experiment=key.format("x")), second.assign(experiment=key.format("y"))],
        ignore_index=True,
    )
    return ResultSet("toy", runs, pd.DataFrame(), "0")


def test_shared_energies_and_repeated_rows(toy):
    assert doubts.shared_energies(toy).to_dict("records") == [
        {"experiment": "x", "and": "y", "energies shared": 2, "whole rows repeated": 1, "of": 3}
    ]
    assert doubts.repeated_rows(toy)["architecture"].tolist() == ["a"]


def test_power_reads_the_time_as_one_of_ten_epochs(toy):
    power = doubts.implied_power(toy).set_index("experiment")
    assert power.loc["x", "lowest (W)"] == pytest.approx(1000)  # 1 kWh in 10 x 360 s
    assert power.loc["y", "highest (W)"] == pytest.approx(4000)


def test_accuracies_that_no_whole_number_of_images_gives(toy):
    assert doubts.off_lattice(toy)["test_accuracy"].tolist() == [0.65]


def test_the_published_set(published):
    found = numbers.published(published)
    assert found["n-shared-energies"] == "442"
    assert found["shared-in-averages"] == "34 (derma), 6 (lidc), 51 (pneumonia)"
    assert set(found["repeated-models"].split(", ")) == {
        "dla46_c",
        "hardcorenas_a",
        "mobilevitv2_050",
        "resnet18d",
        "semnasnet_075",
        "spnasnet_100",
    }
    assert found["test-images"] == "1,984 (derma), 3,008 (lidc), 608 (pneumonia)"
