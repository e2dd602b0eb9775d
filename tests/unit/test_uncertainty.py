"""Intervals of the score: against the binomial variance, by exact ties, and with bounds held."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring import normalize, pepr, score_intervals

N = 4000


def test_point_values_are_those_of_the_score():
    p, c = pd.Series([0.9, 0.8, 0.5], index=list("abc")), [5.0, 2.0, 1.0]
    found = score_intervals(p, c, n_test=200, alpha=2.0, method="max")
    assert found.index.tolist() == ["a", "b", "c"]
    assert found["performance"].tolist() == [0.9, 0.8, 0.5]
    assert found["resource"].tolist() == normalize(c, method="max").tolist() == [1.0, 0.4, 0.2]
    assert found["pepr"].tolist() == pepr(p, [1.0, 0.4, 0.2], alpha=2.0).tolist()
    assert found["rank"].tolist() == [2, 1, 3]


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_is_that_of_the_binomial(level):
    """With R = 0, 1 the ends are quantiles of the accuracy, halved for the more expensive model."""
    found = score_intervals([0.8, 0.6], [1.0, 2.0], n_test=[500, 2000], level=level, n_resamples=N)
    for row, (p, n, divisor) in zip(
        found.itertuples(), [(0.8, 500, 1), (0.6, 2000, 2)], strict=True
    ):
        spread = np.sqrt(p * (1 - p) / n) / divisor
        low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], n, p) / n / divisor
        assert row.pepr_low == pytest.approx(low, abs=0.15 * spread)
        assert row.pepr_high == pytest.approx(high, abs=0.15 * spread)


def test_images_have_the_spread_of_the_binomial():
    """Resampling n images of which k are right draws from the binomial with p = k / n."""
    hits = np.zeros((2, 400), dtype=bool)
    hits[0, :320] = hits[1, :100] = True
    by_image = score_intervals(hits, [1.0, 2.0], n_resamples=N)
    by_count = score_intervals([0.8, 0.25], [1.0, 2.0], n_test=400, n_resamples=N)
    assert by_image["performance"].tolist() == [0.8, 0.25]
    columns = ["pepr_low", "pepr_high"]
    np.testing.assert_allclose(by_image[columns], by_count[columns], atol=0.004)


def test_an_interval_covers_the_truth_about_as_often_as_its_level():
    """Accuracies of a model that is right with probability 0.7, from 300 images each."""
    rng = np.random.default_rng(3)
    p = rng.binomial(300, 0.7, size=400) / 300
    found = score_intervals(p, np.ones(400), n_test=300, level=0.9, n_resamples=1000)
    covered = ((found["pepr_low"] <= 0.7) & (found["pepr_high"] >= 0.7)).mean()
    assert 0.86 <= covered <= 0.95


def test_models_with_the_same_predictions_tie_in_every_resample():
    rng = np.random.default_rng(0)
    hits = rng.random(150) < 0.7
    found = score_intervals(np.array([hits, hits]), [3.0, 3.0])
    assert found["leads"].tolist() == [1.0, 1.0]
    assert found["rank_high"].tolist() == [1, 1]
    assert found["pepr_low"].nunique() == found["pepr_high"].nunique() == 1
    apart = score_intervals([hits.mean()] * 2, [3.0, 3.0], n_test=150)
    assert apart["leads"].max() < 0.7
    assert apart["rank_high"].tolist() == [2, 2]


def test_luck_with_the_images_cancels_between_models():
    """One more right image, of the same images, is never behind; drawn separately it may be."""
    hits = np.zeros((2, 100), dtype=int)
    hits[0, :60] = hits[1, :61] = 1
    together = score_intervals(hits, [1.0, 1.0])
    assert together["leads"][1] == 1.0
    assert 0.3 < together["leads"][0] < 0.45  # the image is not drawn: (1 - 1/100)^100 = 0.366
    apart = score_intervals([0.6, 0.61], [1.0, 1.0], n_test=100)
    assert apart["leads"][1] < 0.65


def test_images_are_drawn_all_and_in_chunks_alike():
    """All resamples are there, and n images are drawn in each."""
    hits = np.ones((1, 30))
    found = score_intervals(hits, [1.0], n_resamples=450)
    assert found.iloc[0][["pepr_low", "pepr_high", "leads"]].tolist() == [1.0, 1.0, 1.0]


def test_bounds_stay_those_of_the_costs_as_measured():
    """R of the model in between is 1/4 in every resample, whatever the others' runs cost."""
    found = score_intervals(
        [1.0, 1.0, 1.0],
        [1.0, 2.0, 5.0],
        n_test=10,
        cost_repeats=[[0.5, 1.5], [2.0], [1.0, 9.0]],
    )
    assert found["resource"].tolist() == [0.0, 0.25, 1.0]
    middle = found.iloc[1]
    assert (middle["pepr_low"], middle["pepr_high"]) == (0.8, 0.8)
    cheapest, most_expensive = found.iloc[0], found.iloc[2]
    assert (cheapest["pepr_low"], cheapest["pepr_high"]) == (pytest.approx(8 / 9), 1.0)
    assert (most_expensive["pepr_low"], most_expensive["pepr_high"]) == (0.5, 1.0)


def test_the_cost_drawn_is_the_mean_of_as_many_runs():
    """Of runs 2 and 4 the mean is 2, 3, 4 with 1/4, 1/2, 1/4: R = 1/4, 1/2, 3/4."""
    found = score_intervals(
        [1.0, 1.0, 1.0],
        [1.0, 3.0, 5.0],
        n_test=10,
        cost_repeats=[[1.0], [2.0, 4.0], [5.0]],
        level=0.4,
        n_resamples=N,
    )
    assert (found["pepr_low"][1], found["pepr_high"][1]) == (1 / 1.5, 1 / 1.5)
    wide = score_intervals(
        [1.0, 1.0, 1.0],
        [1.0, 3.0, 5.0],
        n_test=10,
        cost_repeats=[1.0, [2.0, 4.0], 5.0],
        level=0.6,
        n_resamples=N,
    )
    assert (wide["pepr_low"][1], wide["pepr_high"][1]) == (1 / 1.75, 1 / 1.25)


@pytest.mark.parametrize(
    ("method", "resource"), [("max", 3 / 9), ("log", np.log10(3) / np.log10(9)), ("minmax", 0.25)]
)
def test_repeats_are_normalised_by_the_given_rule(method, resource):
    found = score_intervals(
        [1.0] * 3,
        [1.0, 3.0, 9.0],
        n_test=5,
        method=method,
        cost_repeats=[[1.0], [3.0, 3.0], [9.0]],
    )
    assert found["pepr_low"][1] == found["pepr_high"][1] == pytest.approx(1 / (1 + resource))
    assert found["pepr"][1] == pytest.approx(1 / (1 + resource))


def test_the_seed_makes_it_reproducible():
    arguments = {"performance": [0.9, 0.8], "cost": [2.0, 1.0], "n_test": 9999}
    first = score_intervals(**arguments, seed=1)
    pd.testing.assert_frame_equal(first, score_intervals(**arguments, seed=1))
    assert not first.equals(score_intervals(**arguments, seed=2))


def test_ranks_of_distant_and_of_close_models():
    found = score_intervals([0.95, 0.5, 0.51], [1.0, 1.0, 1.0], n_test=100)
    assert found["rank"].tolist() == [1, 3, 2]
    assert found["rank_low"].tolist() == [1, 2, 2]
    assert found["rank_high"].tolist() == [1, 3, 3]
    assert found["leads"].tolist() == [1.0, 0.0, 0.0]
    assert found["rank_low"].dtype.kind == found["rank_high"].dtype.kind == "i"


def test_the_interval_is_that_of_the_alpha_in_use():
    found = score_intervals([1.0, 1.0], [1.0, 2.0], n_test=5, alpha=3.0)
    assert found["pepr_low"].tolist() == found["pepr_high"].tolist() == [1.0, 0.75]


def test_certain_accuracies_have_no_spread():
    found = score_intervals([1.0, 0.0], [1.0, 1.0], n_test=100)
    assert found["pepr_low"].tolist() == found["pepr_high"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("kind", [bool, int, float, "boolean"])
def test_a_frame_of_hits_of_any_kind_keeps_its_models(kind):
    hits = pd.DataFrame([[1, 0, 1], [0, 0, 1]], index=["a", "b"]).astype(kind)
    found = score_intervals(hits, pd.Series([2.0, 1.0], index=["a", "b"]))
    assert found["performance"].to_dict() == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3)}


BASE = {"performance": [0.9, 0.8], "cost": [2.0, 1.0], "n_test": 50}
AB, BA = ["a", "b"], ["b", "a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_test": None}, "n_test is missing"),
        ({"n_test": 0}, "n_test is 0; allowed: a whole number"),
        ({"n_test": [50, 2.5]}, "n_test at position 1 is 2.5"),
        ({"n_test": [50, 50, 50]}, r"n_test has shape \(3,\) for 2 models"),
        ({"level": 0}, "level is 0; allowed: between 0 and 1"),
        ({"level": 1}, "level is 1"),
        ({"level": 95}, "level is 95"),
        ({"level": "high"}, "level is 'high'"),
        ({"n_resamples": 99}, "n_resamples is 99; allowed: a whole number, 100 or more"),
        ({"n_resamples": 150.5}, "n_resamples is 150.5"),
        ({"performance": [0.9, 80]}, "performance at position 1 is 80"),
        ({"performance": [True, False]}, "performance must be numbers, got booleans"),
        ({"performance": 0.9}, "two lists of one length"),
        ({"performance": []}, "performance is empty"),
        ({"performance": [[1, 0], [1, 0.5]]}, "performance at position 1, 1 is 0.5; allowed: one"),
        ({"performance": [[1, 0], [1, None]]}, "performance at position 1, 1 is nan"),
        ({"performance": [[1, 0], [1]]}, "performance is ragged"),
        ({"performance": np.ones((2, 2, 2))}, r"performance has shape \(2, 2, 2\)"),
        ({"performance": [[1, 0]] * 3}, r"performance has shape \(3,\) and cost \(2,\)"),
        ({"cost": [2.0, -1.0]}, "cost at position 1 is -1"),
        ({"cost": [2.0, 0.0], "method": "log"}, "cost at position 1 is 0; allowed: above 0"),
        ({"method": "fixed"}, "needs both"),
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"cost_repeats": [[2.0]]}, "cost_repeats has 1 entries for 2 models"),
        ({"cost_repeats": [[2.0], []]}, "cost_repeats of model 1 is empty"),
        ({"cost_repeats": [[2.0], [3.0]]}, "model 1 have the mean 3 and its cost is 1"),
        ({"cost_repeats": [[2.0], [-1.0, 3.0]]}, "model 1 at position 0 is -1; allowed: 0 or more"),
        (
            {"cost_repeats": [[2.0], [0.0, 2.0]], "method": "log"},
            "model 1 at position 0 is 0; allowed: above 0",
        ),
        (
            {
                "performance": pd.DataFrame([[1, 0], [1, 1]], index=AB),
                "cost": pd.Series([1.0, 2.0], index=BA),
            },
            "different indexes",
        ),
        (
            {"cost": pd.Series([1.0, 2.0], index=AB), "n_test": pd.Series([5, 6], index=BA)},
            "different indexes",
        ),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ScoreInputError, match=message):
        score_intervals(**{**BASE, **change})
