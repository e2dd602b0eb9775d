"""Checks of the meter itself: two methods that disagree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pepr_utils.audit.finding import Finding, count, rows_of, span
from pepr_utils.audit.registry import check
from pepr_utils.results.result_set import ResultSet

#: The GPU's counter and samples of its power may differ by this share.
APART = 0.05
#: Shorter trainings have figures that are too coarse to compare (s).
COMPARED_ABOVE_S = 10.0


def apart(runs: pd.DataFrame) -> pd.Series:
    """Difference of a GPU's energy by counter and by samples, as a share of the larger.

    Taken from `gpu_disagreement`, which is of single windows; where that is empty, from the two
    energies of all training windows, unless these are known to be too short to compare.

    Examples
    --------
    >>> runs = pd.DataFrame({"gpu_disagreement": [0.02, None, None], "train_time_s": [90, 90, 5],
    ...                      "gpu_counter_kwh": 0.05, "gpu_polled_kwh": [0.05, 0.04, 0.0]})
    >>> apart(runs).round(2).tolist()
    [0.02, 0.2, nan]
    """
    return (
        runs["gpu_disagreement"]
        .astype("Float64")
        .fillna(between(runs).mask(runs["train_time_s"].le(COMPARED_ABOVE_S).fillna(False)))
        .astype(float)
    )


def between(runs: pd.DataFrame) -> pd.Series:
    """The same from the energies of all training windows; missing where one of them is."""
    counter, polled = (runs[name].astype(float) for name in ("gpu_counter_kwh", "gpu_polled_kwh"))
    larger = np.maximum(counter, polled)
    return ((counter - polled).abs() / larger.where(larger > 0)).astype("Float64")


@check("meters-disagree")
def disagree(result_set: ResultSet) -> Iterator[Finding]:
    """GPU energies by counter and by samples of power that differ by more than 5 %."""
    runs = result_set.finished
    share = apart(runs)
    bad = runs[share.gt(APART)]
    if len(bad):
        yield Finding(
            "meters-disagree",
            "warning",
            rows_of(bad),
            ("gpu_counter_kwh", "gpu_polled_kwh", "gpu_disagreement"),
            f"{count(bad, 'run')} with windows in which the GPU's energy counter and the samples "
            f"of its power are {span(share[bad.index] * 100)} % apart: samples were missed, the "
            "driver averages or delays them, or one of the two fails",
        )
