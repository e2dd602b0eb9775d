"""The numbers that the chapter on the PePR curve quotes."""

from __future__ import annotations

import pandas as pd

from paper.chapters.common import fixed
from pepr_utils.results import ResultSet, curve_experiment, experiment_labels, learning_curves
from pepr_utils.scoring import pepr_optimum

#: The architecture that the paper's figure shows.
PAPERS_ARCHITECTURE = "ese_vovnet19b_dw"


def numbers(
    result_set: ResultSet,
    frame: pd.DataFrame,
    examples: pd.DataFrame,
    convergence: pd.DataFrame,
    measured: pd.DataFrame,
    *,
    architecture: str,
    experiment: str = "",
) -> dict[str, str]:
    """Format what the frames of `figures.curves` and `figures.integral` hold."""
    curve = frame[frame["architecture"] == architecture]
    best, last = curve[curve["optimum"]].iloc[0], curve.iloc[-1]
    observed = measured.merge(
        frame[frame["optimum"]][["architecture", "resource"]], on="architecture"
    )
    shift = observed["smoothed optimum R"] - observed["resource"]
    return {
        "experiment": experiment_name(result_set, experiment),
        "cost-basis": cost_basis(frame),
        "architecture": architecture,
        "epochs": f"{len(curve)}",
        "optimum-epoch": f"{best['epoch']}",
        "optimum-score": fixed(best["pepr"], 4),
        "optimum-accuracy": fixed(best["test_accuracy"], 4),
        "last-score": fixed(last["pepr"], 4),
        "last-accuracy": fixed(last["test_accuracy"], 4),
        "n-curves": f"{len(measured)}",
        "n-first": f"{(measured['optimum epoch'] == 1).sum()}",
        "n-first-own": f"{(measured['own-axis optimum epoch'] == 1).sum()}",
        "n-below-start": f"{(measured['score'] < measured['start']).sum()}",
        "measured-difference": _power(measured["difference"].max()),
        "n-examples": f"{len(examples)}",
        "largest-difference": _power(examples["largest difference"].max()),
        "sampled-error": _power(convergence["error of the score"].max()),
        "median-change": fixed(measured["smoothing changes by"].median(), 3),
        "largest-change": fixed(measured["smoothing changes by"].max(), 3),
        "n-later": f"{(shift > _SAME).sum()}",
        "n-earlier": f"{(shift < -_SAME).sum()}",
    }


#: Resources closer than this are the same place.
_SAME = 1e-6


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


def _power(value: float) -> str:
    """Write a tiny number as a power of ten that it does not exceed; 0 as it is.

    Examples
    --------
    >>> _power(2.2e-16)
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
