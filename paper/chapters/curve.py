"""The PePR curve: learning curves with their optimum, and what the chapter quotes of them."""

from __future__ import annotations

import pandas as pd

from pepr_utils.results import ResultSet, curve_experiment, experiment_labels, learning_curves
from pepr_utils.scoring import pepr_optimum

#: The architecture that the paper's figure shows.
PAPERS_ARCHITECTURE = "ese_vovnet19b_dw"


#: Resources closer than this are the same place.
_SAME = 1e-6


def moves_of_the_optimum(measured: pd.DataFrame, frame: pd.DataFrame) -> pd.Series:
    """How far smoothing moves the optimum of each measured curve along the resource, or 0."""
    optima = frame[frame["optimum"]][["architecture", "resource"]]
    both = measured.merge(optima, on="architecture")
    shift = both["smoothed optimum R"] - both["resource"]
    return shift.where(shift.abs() > _SAME, 0.0)


def experiment_name(result_set: ResultSet, experiment: str = "") -> str:
    """Label of the experiment whose curves are shown."""
    if experiment and experiment not in result_set.experiments:
        return experiment
    return experiment_labels(result_set.experiments)[experiment or curve_experiment(result_set)]


def cost_basis(frame: pd.DataFrame) -> str:
    """Say whether the cost of an epoch was measured or is a share of the run's total."""
    if frame["assumed"].all():
        return (
            "Only the energy of a whole run is known; its epochs are assumed to have cost the same."
        )
    if frame["assumed"].any():
        return (
            "Energy was measured for each epoch of some runs; where only the total is known, "
            "epochs are assumed to have cost the same."
        )
    return "Energy was measured for each epoch."


def power_of_ten(value: float) -> str:
    """Write a tiny number as a power of ten that it does not exceed; 0 as it is.

    Examples
    --------
    >>> power_of_ten(2.2e-16)
    '10⁻¹⁵'
    """
    if value == 0:
        return "0"
    exponent = next(e for e in range(-20, 5) if value <= 10.0**e)
    return f"10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def pepr_curves(
    result_set: ResultSet, *, experiment: str | None = None, alpha: float = 1.0
) -> pd.DataFrame:
    """Learning curve and PePR curve of every architecture of an experiment.

    Parameters
    ----------
    result_set : ResultSet
        A set with epochs.
    experiment, alpha
        See `pepr_utils.results.learning_curves`.

    Returns
    -------
    pandas.DataFrame
        The frame of `learning_curves` with ``optimum``: whether the epoch is the model's best by
        score. Of repeated runs of an architecture the first is taken.
    """
    curves = learning_curves(result_set, experiment=experiment, alpha=alpha)
    first = curves.groupby("architecture")["run_id"].transform("first")
    curves = curves[curves["run_id"] == first].reset_index(drop=True)
    best = pd.Series(False, index=curves.index)
    for _, part in curves.groupby("architecture"):
        found = pepr_optimum(part["test_accuracy"], part["resource"], alpha=alpha)
        best.loc[part.index[found.position]] = True
    return curves.assign(optimum=best)


def default_architecture(frame: pd.DataFrame) -> str:
    """The paper's architecture where the frame has it, else the first one."""
    names = frame["architecture"]
    return PAPERS_ARCHITECTURE if (names == PAPERS_ARCHITECTURE).any() else str(names.iloc[0])
