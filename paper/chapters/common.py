"""The numbers that stand in prose: computed here, formatted here, glued into the pages by name."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from paper.chapters.table_1 import RULES
from pepr_utils.ledger.printed import DIFFERS, REPRODUCED, TRUNCATED, compare_printed
from pepr_utils.results import LARGE_ABOVE, ResultSet
from pepr_utils.results.groups import (
    AVERAGES,
    FRACTION_ARMS,
    PRETRAINING_ARMS,
    Average,
    averaged_experiments,
    by_architecture,
    fraction_arms,
    in_arms,
    medians_by_size,
    pretraining_arms,
)

NOT_AVAILABLE = "n/a"


def glue_numbers(numbers: dict[str, str]) -> None:
    """Bind formatted numbers to names that ``{glue:text}`` roles refer to."""
    from myst_nb import glue

    for name, text in numbers.items():
        glue(name, str(text), display=False)


def as_table(numbers: dict[str, str]) -> pd.DataFrame:
    """Lay the numbers of a chapter out by name, for readers of the notebook alone."""
    return pd.DataFrame({"name": list(numbers), "value": list(numbers.values())})


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


def energy(result_set: ResultSet, *, average: Average) -> dict[str, str]:
    """Spread of the energy in figure 2c, and where its dearest model sets the upper bound."""
    frame = by_architecture(result_set, average=average)
    resources = frame.set_index("architecture").filter(regex="^R: ")
    dearest = frame.nlargest(1, "energy_wh")["architecture"].iloc[0]
    low, high = frame.nsmallest(1, "energy_wh").iloc[0], frame.nlargest(1, "energy_wh").iloc[0]
    return {
        "energy-lowest": fixed(low["energy_wh"], 1),
        "energy-lowest-model": low["architecture"],
        "energy-highest": fixed(high["energy_wh"], 1),
        "energy-highest-model": high["architecture"],
        "energy-highest-parameters": f"{high['n_parameters'] / 1e6:.1f} M",
        "energy-highest-size": high["size"],
        "energy-highest-bounds": f"{(resources.idxmax() == dearest).sum()}",
        "energy-experiments": f"{len(resources.columns)}",
        "average": AVERAGES[average],
        "averaged-experiments": averaged_experiments(frame),
        "energy-ratio": fixed(high["energy_wh"] / low["energy_wh"], 0),
    }


def two_arms(frame: pd.DataFrame, names: Sequence[str], prefix: str) -> dict[str, str]:
    """Medians of two arms and how many models do better in the first."""
    wide = in_arms(frame, names)
    first, second = (wide[name] for name in names)
    return {
        f"{prefix}-n": f"{len(wide)}" if len(wide) else NOT_AVAILABLE,
        f"{prefix}-first-median": fixed(first.median(), 4),
        f"{prefix}-second-median": fixed(second.median(), 4),
        f"{prefix}-better": f"{(first > second).sum()}" if len(wide) else NOT_AVAILABLE,
        f"{prefix}-datasets": next(iter(frame["datasets"]), NOT_AVAILABLE)
        if len(frame)
        else NOT_AVAILABLE,
    }


def results(result_set: ResultSet, *, average: Average, alpha: float) -> dict[str, str]:
    """Every number that the results chapter quotes."""
    frame = by_architecture(result_set, average=average, alpha=alpha)
    accuracies, scores = (medians_by_size(frame, name) for name in ("test_accuracy", "pepr"))
    other = "released" if average == "stated" else "stated"
    variant = by_architecture(result_set, average=other, alpha=alpha)
    both = frame.merge(variant, on="architecture", suffixes=("", "_other"))
    best = frame.nlargest(1, "pepr").iloc[0]
    numbers = {
        "alpha": f"{alpha:g}",
        "average": AVERAGES[average],
        "other-average": AVERAGES[other],
        "n-models": f"{len(frame)}",
        "n-experiments": f"{sum(str(c).startswith('P: ') for c in frame)}",
        "accuracy-small": fixed(accuracies["small"], 4),
        "accuracy-large": fixed(accuracies["large"], 4),
        "pepr-small": fixed(scores["small"], 3),
        "pepr-large": fixed(scores["large"], 3),
        "best-pepr-model": best["architecture"],
        "best-pepr": fixed(best["pepr"], 3),
        "rank-correlation": fixed(both["pepr"].corr(both["pepr_other"], method="spearman"), 2),
        "n-runs": f"{len(result_set.runs):,}",
        "n-all-experiments": f"{len(result_set.experiments)}",
        "averaged-experiments": averaged_experiments(frame),
        "n-not-drawn": f"{result_set.runs['architecture'].nunique() - len(frame)}",
    }
    numbers |= two_arms(pretraining_arms(result_set), PRETRAINING_ARMS, "pretraining")
    return numbers | two_arms(fraction_arms(result_set), FRACTION_ARMS, "fraction")


def table_1(cells: pd.DataFrame, rules: pd.DataFrame, rankings: pd.DataFrame) -> dict[str, str]:
    """Counts of outcomes of Table 1: measured quantities and scores apart."""
    measured = cells[cells["quantity"] != "pepr_e"]["outcome"].value_counts()
    scores = cells[cells["rule"] == "max"]["outcome"].value_counts()
    matching = rules[rules["bounds"] == "experiment"].set_index("rule")
    same = {rule: (rankings[words] == "same").sum() for rule, words in RULES.items()}
    return {
        "cells": f"{measured.sum() + scores.sum()}",
        "measured": f"{measured.sum()}",
        "measured-reproduced": f"{measured.get(REPRODUCED, 0)}",
        "measured-truncated": f"{measured.get(TRUNCATED, 0)}",
        "measured-differing": f"{measured.get(DIFFERS, 0)}",
        "scores": f"{matching.loc['max', 'printed']}",
        "scores-max": f"{matching.loc['max', 'matching']}",
        "scores-max-rounded": f"{scores.get(REPRODUCED, 0)}",
        "scores-max-truncated": f"{scores.get(TRUNCATED, 0)}",
        "scores-minmax": f"{matching.loc['minmax', 'matching']}",
        "ranks": f"{len(rankings)}",
        "ranks-same-max": f"{same['max']}",
        "ranks-same-minmax": f"{same['minmax']}",
    }


def published(result_set: ResultSet) -> dict[str, str]:
    """Size of the published set."""
    runs = result_set.runs
    return {
        "n-runs": f"{len(runs):,}",
        "n-epochs": f"{len(result_set.epochs):,}",
        "n-experiments": f"{len(result_set.experiments)}",
        "n-architectures": f"{runs['architecture'].nunique()}",
    }
