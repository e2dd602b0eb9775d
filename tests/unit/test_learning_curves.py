"""Curves on the common axis, worked out by hand, and the majority class against the data."""

import numpy as np
import pandas as pd
import pytest

from pepr_utils.errors import InvalidTableError, UnknownNameError
from pepr_utils.results import (
    curve_experiment,
    experiment_labels,
    learning_curves,
    load_majority,
    majority_share,
)
from pepr_utils.scoring import integral_representation


def test_cost_accumulates_and_is_normalised_over_models_and_epochs(epoch_set):
    curves = learning_curves(epoch_set)
    assert curves["architecture"].tolist() == ["cheap"] * 3 + ["dear"] * 3
    # cheap: 1, 2, 4 measured; dear: 3, 6, 9 by equal shares of 9
    assert curves["cost"].tolist() == [1, 2, 4, 3, 6, 9]
    assert curves["assumed"].tolist() == [False] * 3 + [True] * 3
    assert curves["resource"].tolist() == [0, 1 / 8, 3 / 8, 2 / 8, 5 / 8, 1]
    assert curves["pepr"].tolist() == pytest.approx(
        [0.5, 0.8 * 8 / 9, 0.7 * 8 / 11, 0.6 * 8 / 10, 0.85 * 8 / 13, 0.45]
    )


def test_alpha_and_method_reach_the_score(epoch_set):
    curves = learning_curves(epoch_set, alpha=2.0, method="max")
    assert curves["resource"].iloc[-1] == 1
    assert curves["resource"].iloc[0] == pytest.approx(1 / 9)
    assert curves["pepr"].iloc[0] == pytest.approx(2 * 0.5 / (2 + 1 / 9))


def test_published_curves_are_tenths_of_the_total(published):
    curves = learning_curves(published)
    assert len(curves) == 1310
    assert curves["assumed"].all()
    runs = published.runs
    tuned = runs[(runs["experiment"] == curve_experiment(published))].set_index("architecture")
    third = curves[curves["epoch"] == 3].set_index("architecture")["cost"]
    np.testing.assert_allclose(third, 0.3 * tuned["energy_kwh"].reindex(third.index), rtol=1e-12)
    assert tuned["dataset"].unique().tolist() == ["derma"]
    assert tuned["pretrained"].all()


def test_the_identity_holds_on_every_published_curve_of_every_experiment(published):
    for key in published.experiments:
        for _, part in learning_curves(published, experiment=key).groupby("architecture"):
            terms = integral_representation(
                part["test_accuracy"].to_numpy(), part["resource"].to_numpy()
            )
            np.testing.assert_allclose(terms.pepr, part["pepr"], rtol=0, atol=1e-10)


def test_an_experiment_is_named_by_its_label_or_its_key(published):
    labels = experiment_labels(published.experiments)
    key = next(k for k, label in labels.items() if label == "lidc, pretrained, 10 %")
    by_label = learning_curves(published, experiment=labels[key])
    pd.testing.assert_frame_equal(by_label, learning_curves(published, experiment=key))
    with pytest.raises(UnknownNameError, match="unknown experiment 'lidc'; allowed: derma, from"):
        learning_curves(published, experiment="lidc")


def test_memory_does_not_add_up_over_epochs(epoch_set):
    with pytest.raises(InvalidTableError, match="reserved_memory_gb does not add up over epochs"):
        learning_curves(epoch_set, cost="M")


def test_a_set_without_epochs_says_so(small_set):
    with pytest.raises(InvalidTableError, match="no finished run has epochs"):
        learning_curves(small_set)


def test_the_majority_is_what_runs_that_predict_one_class_reach(raw):
    """The share is a value of many epochs; of LIDC's two classes both shares are, and sum to 1."""
    epochs = [c for c in raw if str(c).startswith("test_")]

    def times(dataset, correct, n):
        values = raw[raw["dataset"] == dataset][epochs].to_numpy()
        return int(np.isclose(values * n, correct, atol=1e-3).sum())

    assert times("derma_small", 1328, 1984) == 219
    assert times("pneumonia_small", 381, 608) == 68
    assert times("lidc", 1573, 3008) == 16
    assert times("lidc_small", 3008 - 1573, 3008) == 28
    table = load_majority().set_index(["dataset", "n_test"])["n_majority"]
    assert table.to_dict() == {
        ("derma", 2005): 1341,
        ("derma", 1984): 1328,
        ("lidc", 3008): 1573,
        ("pneumonia", 624): 390,
        ("pneumonia", 608): 381,
    }


def test_majority_share_of_an_unknown_set_is_missing():
    assert majority_share("pneumonia", 624) == 0.625
    assert np.isnan(majority_share("pneumonia", 623))
