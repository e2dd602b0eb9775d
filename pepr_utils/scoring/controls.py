"""Baselines for a comparison of scores: cost alone, and the majority-class predictor."""

from __future__ import annotations

from typing import Any

from pepr_utils.errors import ScoreInputError
from pepr_utils.scoring.arrays import (
    broadcast,
    check_unit_interval,
    like_input,
    pandas_index,
    position,
    to_floats,
)
from pepr_utils.scoring.score import pepr


def cost_alone(resource: Any, *, alpha: float = 1.0) -> Any:
    """Score every model as if its performance were perfect: ``pepr(1, R)``.

    A difference in this score is due to cost alone. Where a comparison of PePR scores gives the
    same answer with it, the models' performance has not been needed to reach that answer.

    Parameters
    ----------
    resource : float, array_like or pandas.Series
        Normalised resource in [0, 1].
    alpha : float, default 1.0
        Emphasis on performance, at least 1.

    Returns
    -------
    float, numpy.ndarray or pandas.Series
        From alpha / (alpha + 1) to 1, whatever the models' performance.

    Raises
    ------
    ScoreInputError
        As `pepr` does.

    Examples
    --------
    >>> cost_alone([0.0, 0.25, 1.0]).tolist()
    [1.0, 0.8, 0.5]
    """
    return pepr(1.0, resource, alpha=alpha)


def beats_majority(score: Any, majority_share: Any) -> Any:
    """Flag the models that score above the predictor that always answers with the largest class.

    It has no parameters to train, so R = 0, and its score is its accuracy: the share of the
    largest class among the test images (property 4 of the paper, for classes of any balance).

    Parameters
    ----------
    score : float, array_like or pandas.Series
        PePR scores in [0, 1].
    majority_share : float, array_like or pandas.Series
        Share of the largest class among the test images, above 0 and at most 1.

    Returns
    -------
    bool, numpy.ndarray or pandas.Series
        True where the score is higher.

    Raises
    ------
    ScoreInputError
        If a value lies outside its range.

    Examples
    --------
    >>> beats_majority([0.7, 0.6, 0.5], majority_share=0.6).tolist()
    [True, False, False]
    """
    index = pandas_index(score, majority_share)
    s, m = to_floats(score, "score"), to_floats(majority_share, "majority_share")
    check_unit_interval(s, score, "score", "pass scores made by pepr()")
    check_unit_interval(m, majority_share, "majority_share", "divide percentages by 100")
    if (m == 0).any():
        raise ScoreInputError(
            f"majority_share{position(majority_share, m == 0)} is 0; allowed: above 0 to 1; "
            "the largest class has at least one image"
        )
    s, m = broadcast(score=s, majority_share=m)
    beaten = s > m
    if index is not None:
        return like_input(beaten, index, "beats_majority")
    return bool(beaten) if beaten.ndim == 0 else beaten
