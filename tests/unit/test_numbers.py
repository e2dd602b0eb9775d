"""The numbers in the book's prose, computed anew from the authors' tables and by hand."""

import ast
import json
from pathlib import Path

import pandas as pd
import pytest

from paper.chapters import results

FROZEN = json.loads((Path(__file__).parents[1] / "frozen" / "glued.json").read_text("utf-8"))

TUNED = ["derma_pt", "lidc", "pneumonia"]


def frozen(page):
    """What a page glues; `tests/book/test_frozen.py` holds the built page against it."""
    return {name: ast.literal_eval(text) for name, text in FROZEN[page].items()}


@pytest.mark.parametrize("alpha", [1.0, 4.0])
@pytest.mark.parametrize(("average", "other"), [("stated", "released"), ("released", "stated")])
def test_medians_best_and_rank_correlation(page_numbers, published, means, average, other, alpha):
    found = page_numbers("results", result_set=published, average=average, alpha=alpha)
    table, variant = means(average, alpha), means(other, alpha)
    medians = table.groupby("size").median()
    for size in ("small", "large"):
        assert found[f"accuracy-{size}"] == f"{medians.loc[size, 'test_09']:.4f}"
        assert found[f"pepr-{size}"] == f"{medians.loc[size, 'score']:.3f}"
    assert found["best-pepr-model"] == table["score"].idxmax()[0]
    assert found["best-pepr"] == f"{table['score'].max():.3f}"
    ranks = table["score"].rank().corr(variant["score"].rank())
    assert found["rank-correlation"] == f"{ranks:.2f}"
    assert found["alpha"] == f"{alpha:.0f}"


HEADLINES = {
    "pepr-small": "0.663",
    "pepr-large": "0.557",
    "best-pepr-model": "ese_vovnet19b_dw",
    "best-pepr": "0.744",
    "n-experiments": "8",
    "average": "all experiments",
    "other-average": "the fine-tuned experiments on all training data",
    "averaged-experiments": "mean of 8 experiments",
}
OF_BOTH_AVERAGES = {
    "rank-correlation": "0.90",
    "n-models": "131",
    "n-runs": "1,048",
    "n-all-experiments": "8",
    "n-not-drawn": "0",
    "pretraining-n": "131",
    "pretraining-first-median": "0.8201",
    "pretraining-second-median": "0.7253",
    "pretraining-better": "115",
    "pretraining-datasets": "derma",
    "fraction-n": "131",
    "fraction-first-median": "0.7946",
    "fraction-second-median": "0.7244",
    "fraction-better": "125",
    "fraction-datasets": "derma, lidc, pneumonia",
}


def test_headline_values_of_the_released_average(page_numbers, published):
    found = page_numbers("results", result_set=published, average="released")
    expected = HEADLINES | OF_BOTH_AVERAGES
    assert {name: found[name] for name in expected} == expected


def test_two_ways_of_training_against_the_authors_table(page_numbers, published, raw):
    found = page_numbers("results", result_set=published)
    wide = raw.pivot(index="model", columns="dataset", values="test_09")
    tenth = wide[["derma_small", "lidc_small", "pneumonia_small"]].mean(axis="columns")
    for prefix, first, second in (
        ("pretraining", wide["derma_pt"], wide["derma"]),
        ("fraction", wide[TUNED].mean(axis="columns"), tenth),
    ):
        assert found[f"{prefix}-first-median"] == f"{first.median():.4f}"
        assert found[f"{prefix}-second-median"] == f"{second.median():.4f}"
        assert found[f"{prefix}-better"] == f"{(first > second).sum()}"


def test_results_by_hand(page_numbers, small_set):
    """On the set of conftest.py; its scores are those in test_figures.py."""
    found = page_numbers("results", result_set=small_set, alpha=4)
    expected = {
        "alpha": "4",
        "n-models": "3",
        "n-experiments": "2",
        "accuracy-small": "0.7000",  # small 0.65, tiny 0.75
        "accuracy-large": "0.8000",
        "pepr-small": "0.620",  # small 0.60, tiny 0.64
        "pepr-large": "0.750",
        "best-pepr-model": "large",
        "best-pepr": "0.750",
        "pretraining-n": "3",
        "pretraining-first-median": "0.8000",  # 0.8, 0.9, 0.6
        "pretraining-second-median": "0.3000",  # 0.4, 0.3, 0.2
        "pretraining-better": "3",
        "pretraining-datasets": "ward",
        "fraction-first-median": "0.8000",
        "fraction-second-median": "0.5000",  # 0.85, 0.5, 0.4
        "fraction-better": "2",  # not small: 0.80 against 0.85
        "fraction-datasets": "ward",
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("average", ["stated", "released"])
def test_spread_of_energy(page_numbers, published, raw, means, names, average):
    found = page_numbers("model_space", result_set=published, average=average)
    energy = means(average, 1)["energy_wh"].droplevel("size")
    lowest, highest = energy.idxmin(), energy.idxmax()
    most_expensive = raw.loc[raw.groupby("dataset")["energy"].idxmax()].set_index("dataset")[
        "model"
    ]
    averaged = most_expensive[TUNED] if average == "stated" else most_expensive
    expected = {
        "energy-lowest": f"{energy.min():.1f}",
        "energy-lowest-model": lowest,
        "energy-highest": f"{energy.max():.1f}",
        "energy-highest-model": highest,
        "energy-highest-parameters": f"{names.loc[highest, 'num_param'] / 1e6:.1f} M",
        "energy-highest-bounds": f"{(averaged == highest).sum()}",
        "energy-experiments": f"{len(averaged)}",
        "energy-ratio": f"{energy.max() / energy.min():.0f}",
    }
    assert {name: found[name] for name in expected} == expected


def test_size_of_the_published_set(raw):
    assert frozen("published_data") == {
        "n-runs": f"{len(raw):,}",
        "n-epochs": f"{10 * len(raw):,}",
        "n-experiments": f"{raw['dataset'].nunique()}",
        "n-architectures": f"{raw['model'].nunique()}",
    }


def test_model_space_against_the_authors_table(names):
    found = frozen("model_space")
    sizes = names["num_param"]
    expected = {
        "n-architectures": "131",
        "n-small": f"{(sizes <= 24_600_000).sum()}",
        "n-large": f"{(sizes > 24_600_000).sum()}",
        "n-cnn": f"{(names['type'] == 'CNN').sum()}",
        "n-other": f"{(names['type'] == 'Other').sum()}",
        "n-efficient": f"{names['efficient'].sum()}",
        "n-not-efficient": f"{(names['efficient'] == 0).sum()}",
        "large-above": "24.6 M",
        "median-parameters": f"{sizes.median():,.0f}",
        "median-model": sizes.index[sizes == sizes.median()].item(),
        "first-large": sizes[sizes > 24_600_000].idxmin(),
        "smallest": f"{sizes.min() / 1e6:.2f} M",
        "largest": f"{sizes.max() / 1e6:.1f} M",
        "n-printed-counts-reproduced": "131",
    }
    assert {name: found[name] for name in expected} == expected
    assert (found["n-small"], found["n-large"]) == ("65", "66")
    assert (found["n-cnn"], found["n-other"], found["n-efficient"]) == ("80", "51", "31")


def test_better_counts_the_models_whose_first_arm_is_above_the_second():
    """Above in two models of four, below in one, equal in one."""
    frame = pd.DataFrame(
        {
            "architecture": ["a", "b", "c", "d"] * 2,
            "arm": ["first"] * 4 + ["second"] * 4,
            "test_accuracy": [0.9, 0.8, 0.2, 0.5, 0.1, 0.2, 0.3, 0.5],
            "datasets": "ward",
        }
    )
    assert results.two_arms(frame, ("first", "second"), "x") == {
        "x-n": "4",
        "x-first-median": "0.6500",
        "x-second-median": "0.2500",
        "x-better": "2",
        "x-datasets": "ward",
    }
