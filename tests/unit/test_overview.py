"""The summary of a result set by experiment, by hand and against the authors' table."""

import pytest

from paper.chapters.published_data import overview

LABELS = {
    "derma": "derma, from scratch, 100 %",
    "derma_pt": "derma, pretrained, 100 %",
    "derma_small": "derma, pretrained, 10 %",
    "derma_smallest": "derma, pretrained, 1 %",
    "lidc": "lidc, pretrained, 100 %",
    "lidc_small": "lidc, pretrained, 10 %",
    "pneumonia": "pneumonia, pretrained, 100 %",
    "pneumonia_small": "pneumonia, pretrained, 10 %",
}


def test_by_hand(small_set):
    """Accuracies 0.85, 0.5, 0.4 and energies 1, 2, 6 kWh: no median is the mean."""
    table = overview(small_set).set_index("experiment")
    row = table.loc["ward, pretrained, 10 %"]
    assert row.to_dict() == {
        "runs": 3,
        "architectures": 3,
        "median accuracy": pytest.approx(0.5),
        "median energy (Wh)": pytest.approx(2000),
        "total energy (kWh)": pytest.approx(9),
    }
    twice = table.loc["ward, pretrained, 1 %"]  # tiny was run twice
    assert (twice["runs"], twice["architectures"]) == (4, 3)


def test_the_published_set(published, raw):
    found = overview(published).set_index("experiment")
    assert set(found.index) == set(LABELS.values())
    for dataset, label in LABELS.items():
        rows = raw[raw["dataset"] == dataset]
        assert found.loc[label].to_dict() == {
            "runs": 131,
            "architectures": 131,
            "median accuracy": pytest.approx(rows["test_09"].median()),
            "median energy (Wh)": pytest.approx(1000 * rows["energy"].median()),
            "total energy (kWh)": pytest.approx(rows["energy"].sum()),
        }
