"""Pages drawn from another set than the published one: their cells run here, in one process."""

import pytest

from paper.site import show_basis
from pepr_utils.results import Epoch, Record, load_result_set, write_record

HEAD = "architecture,dataset,test_accuracy,energy_kwh"
#: A set of one's own for a page, and some of the numbers that it has to give.
TABLES = {
    "results": (
        f"{HEAD},n_parameters\nresnet18d,clinic,0.871,0.0170,11709512\n"
        "my_small_net,clinic,0.862,0.0081,2400000\nmy_large_net,clinic,0.879,0.0920,88000000\n",
        {"best-pepr-model": "my_small_net", "best-pepr": "0.862", "pretraining-n": "n/a"},
    ),
    "stability": (  # alpha: (2 - 1) / (9 - 1); no n_test, hence no intervals
        f"{HEAD}\nsmall,clinic,0.862,1\nmiddle,clinic,0.871,2\nlarge,clinic,0.879,9\n",
        {"most-expensive": "large", "alpha-lowest": "0.12", "first": "n/a"},
    ),
    "statistics": (  # one small model against two large ones is no comparison
        f"{HEAD},n_parameters,n_test\nresnet18d,pneumonia,0.871,0.0170,11709512,624\n"
        "my_large_net,pneumonia,0.879,0.0920,88000000,624\n"
        "my_larger_net,pneumonia,0.881,0.1320,98000000,624\n",
        {"n-available": "0", "n-primary-tested": "0", "efficient-significant": "0 of 0"},
    ),
    "imagenet": (
        f"{HEAD}\nresnet18d,pneumonia,0.871,0.0170\n",
        {"imagenet-n": "n/a"},
    ),
    "study": (
        f"{HEAD}\ndla34,clinic,0.9,0.01\n",
        {"study-runs": "9", "study-hours": "n/a", "study-no-basis": "9", "parts": "3",
         "part-longest": "n/a", "example-time": "n/a", "basis-device": "n/a"},
    ),
}  # fmt: skip
PARAMETERS = {"study": {"study": "demo", "parts": 3}}


@pytest.mark.parametrize("page", TABLES)
def test_a_table_of_ones_own(page_numbers, tmp_path, page):
    text, expected = TABLES[page]
    (tmp_path / "mine.csv").write_text(text)
    found = page_numbers(page, result_set=tmp_path / "mine.csv", **PARAMETERS.get(page, {}))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [  # a: costs 1 and 2 of 1 to 22, so R = 0 and 1/21
        ("curve", {"optimum-score": f"{0.8 / (1 + 1 / 21):.4f}"}),
        ("pareto", {"best": "a after epoch 2"}),
        # R = 0 and 1: after the first epoch 0.5 and 0.3, so that the second costs half of 22.
        ("race", {"n-candidates": "2", "halving-found": "1", "halving-energy": "0.54"}),
    ],
)
def test_records_of_ones_own_with_epochs(page_numbers, tmp_path, page, expected):
    for model, accuracies, kwh in (("a", (0.5, 0.8), 1.0), ("b", (0.6, 0.7), 11.0)):
        epochs = tuple(
            Epoch(epoch=i, test_accuracy=p, energy_kwh=kwh) for i, p in enumerate(accuracies, 1)
        )
        record = Record(
            run_id=model, architecture=model, dataset="clinic", status="done", epochs=epochs,
            test_accuracy=accuracies[-1], energy_kwh=2 * kwh,
        )  # fmt: skip
        write_record(record, tmp_path / "mine")
    found = page_numbers(page, result_set=tmp_path / "mine")
    assert {name: found[name] for name in expected} == expected


def test_the_repaired_set_in_the_results(page_numbers):
    found = page_numbers("results", result_set="published-repaired")
    assert (found["n-models"], found["pepr-large"]) == ("125", "0.635")


@pytest.mark.slow
def test_the_repaired_set_in_the_audit(page_numbers):
    """A set in which nothing is a copy leaves the tables of copies empty and says so."""
    found = page_numbers("audit", result_set="published-repaired")
    assert (found["n-copies"], found["n-gaps-replaced"]) == ("0", "0")
    assert found["n-cells-changed"] == "0"
    assert found["finding"].startswith("None of")
    page_numbers("audit_tables", result_set="published-repaired")


@pytest.mark.parametrize("page", ["results", "stability"])
def test_our_own_measurements_by_one_parameter(page_numbers, page):
    """Models from scratch on a share of the images have no fine-tuned arm: said, not an error."""
    found = page_numbers(page, result_set="xray")
    assert found


def test_estimated_energies_are_said_above_the_figures():
    shown = show_basis(load_result_set("xray"))
    assert "not measured but estimated in every run" in repr(shown)
    assert show_basis(load_result_set("published")) is None
