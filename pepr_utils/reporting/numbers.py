"""The numbers that stand in prose: computed here, formatted here, glued into the pages by name."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pepr_utils.reporting.figures import arms, by_size
from pepr_utils.reporting.printed import DIFFERS, REPRODUCED, TRUNCATED, compare_printed
from pepr_utils.results import LARGE_ABOVE, ResultSet, experiment_labels

NOT_AVAILABLE = "n/a"


def glue_numbers(numbers: dict[str, str]) -> None:
    """Bind formatted numbers to names that ``{glue:text}`` roles refer to."""
    from myst_nb import glue

    for name, text in numbers.items():
        glue(name, str(text), display=False)


def fixed(value: float, digits: int) -> str:
    """Format a number with fixed decimals; a missing one as ``n/a``.

    Examples
    --------
    >>> fixed(0.12345, 3), fixed(float("nan"), 3)
    ('0.123', 'n/a')
    """
    return NOT_AVAILABLE if pd.isna(value) else f"{value:,.{digits}f}"


def model_space(space: pd.DataFrame) -> dict[str, str]:
    """Counts of the model space, each from the table of architectures."""
    millions = space["n_parameters"] / 1e6
    agree = [
        compare_printed(value, printed) == REPRODUCED
        for value, printed in zip(millions, space["printed_parameters_m"], strict=True)
    ]
    first_large = space[space["size"] == "large"].nsmallest(1, "n_parameters").iloc[0]
    median = space.loc[space["n_parameters"] == space["n_parameters"].median(), "architecture"]
    return {
        "n-architectures": f"{len(space)}",
        "n-small": f"{(space['size'] == 'small').sum()}",
        "n-large": f"{(space['size'] == 'large').sum()}",
        "n-cnn": f"{(space['type'] == 'CNN').sum()}",
        "n-other": f"{(space['type'] == 'Other').sum()}",
        "n-efficient": f"{space['efficient'].sum()}",
        "n-not-efficient": f"{(~space['efficient']).sum()}",
        "large-above": f"{LARGE_ABOVE / 1e6:.1f} M",
        "median-parameters": f"{space['n_parameters'].median():,.0f}",
        "median-model": median.iloc[0] if len(median) else NOT_AVAILABLE,
        "first-large": first_large["architecture"],
        "smallest": f"{millions.min():.2f} M",
        "largest": f"{millions.max():.1f} M",
        "n-printed-counts-reproduced": f"{sum(agree)}",
    }


def energy(frame: pd.DataFrame) -> dict[str, str]:
    """Spread of the energy in figure 2c."""
    low, high = frame.nsmallest(1, "energy_wh").iloc[0], frame.nlargest(1, "energy_wh").iloc[0]
    return {
        "energy-lowest": fixed(low["energy_wh"], 1),
        "energy-lowest-model": low["architecture"],
        "energy-highest": fixed(high["energy_wh"], 1),
        "energy-highest-model": high["architecture"],
        "energy-highest-parameters": f"{high['n_parameters'] / 1e6:.1f} M",
        "energy-ratio": fixed(high["energy_wh"] / low["energy_wh"], 0),
    }


def two_arms(frame: pd.DataFrame, names: Sequence[str], prefix: str) -> dict[str, str]:
    """Medians of two arms and how many models do better in the first."""
    wide = frame.pivot(index="architecture", columns="arm", values="test_accuracy")
    first, second = (wide.get(name, pd.Series(dtype=float)) for name in names)
    return {
        f"{prefix}-n": f"{len(wide)}" if len(wide) else NOT_AVAILABLE,
        f"{prefix}-first-median": fixed(first.median(), 4),
        f"{prefix}-second-median": fixed(second.median(), 4),
        f"{prefix}-better": f"{(first > second).sum()}" if len(wide) else NOT_AVAILABLE,
        f"{prefix}-datasets": next(iter(frame["datasets"]), NOT_AVAILABLE)
        if len(frame)
        else NOT_AVAILABLE,
    }


def results(result_set: ResultSet, *, average: by_size.Average, alpha: float) -> dict[str, str]:
    """Every number that the results chapter quotes."""
    frame = by_size.data(result_set, average=average, alpha=alpha)
    medians = frame.groupby("size")[["test_accuracy", "pepr"]].median().reindex(["small", "large"])
    other = "released" if average == "stated" else "stated"
    variant = by_size.data(result_set, average=other, alpha=alpha)
    both = frame.merge(variant, on="architecture", suffixes=("", "_other"))
    best = frame.nlargest(1, "pepr").iloc[0]
    numbers = {
        "alpha": f"{alpha:g}",
        "average": by_size.AVERAGES[average],
        "other-average": by_size.AVERAGES[other],
        "n-models": f"{len(frame)}",
        "n-experiments": f"{sum(str(c).startswith('P: ') for c in frame)}",
        "accuracy-small": fixed(medians.loc["small", "test_accuracy"], 4),
        "accuracy-large": fixed(medians.loc["large", "test_accuracy"], 4),
        "pepr-small": fixed(medians.loc["small", "pepr"], 3),
        "pepr-large": fixed(medians.loc["large", "pepr"], 3),
        "best-pepr-model": best["architecture"],
        "best-pepr": fixed(best["pepr"], 3),
        "rank-correlation": fixed(both["pepr"].corr(both["pepr_other"], method="spearman"), 2),
        "n-runs": f"{len(result_set.runs):,}",
        "n-all-experiments": f"{len(result_set.experiments)}",
    }
    numbers |= two_arms(arms.pretraining_data(result_set), arms.PRETRAINING_ARMS, "pretraining")
    return numbers | two_arms(arms.fraction_data(result_set), arms.FRACTION_ARMS, "fraction")


def table_1(cells: pd.DataFrame, rules: pd.DataFrame) -> dict[str, str]:
    """Counts of outcomes of Table 1, under the normalisation that fits and the stated one."""
    main = cells[cells["rule"] != "minmax"]
    count = main["outcome"].value_counts()
    matching = rules[rules["bounds"] == "experiment"].set_index("rule")
    return {
        "cells": f"{len(main)}",
        "cells-reproduced": f"{count.get(REPRODUCED, 0)}",
        "cells-truncated": f"{count.get(TRUNCATED, 0)}",
        "cells-differing": f"{count.get(DIFFERS, 0)}",
        "scores": f"{matching.loc['max', 'printed']}",
        "scores-max": f"{matching.loc['max', 'matching']}",
        "scores-minmax": f"{matching.loc['minmax', 'matching']}",
    }


def published(result_set: ResultSet) -> dict[str, str]:
    """Size of a result set and what its own columns say about doubtful ones."""
    runs = result_set.runs
    power = runs["energy_kwh"] * 3.6e6 / runs["released_train_time_s"]
    images = runs["test_accuracy"] * runs["n_test"].astype(float)
    off = (images - images.round()).abs() > 1e-6
    intensity = runs["co2eq_g"] / runs["energy_kwh"]
    full = runs["experiment"].map(experiment_labels(runs["experiment"])).str.endswith("100 %")
    return {
        "n-runs": f"{len(runs):,}",
        "n-epochs": f"{len(result_set.epochs):,}",
        "n-experiments": f"{len(result_set.experiments)}",
        "n-architectures": f"{runs['architecture'].nunique()}",
        "power-as-stated": fixed(power[full].median(), 0),
        "power-per-epoch": fixed(power[full].median() / 10, 0),
        "n-off-lattice": f"{off.sum()}",
        "intensity-lowest": fixed(intensity.min(), 0),
        "intensity-highest": fixed(intensity.max(), 0),
    }
