"""Which runs belong together: what an average is taken over."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from pepr_utils.errors import InvalidTableError, unknown_name
from pepr_utils.results.result_set import ResultSet

#: What a point is the mean over: the paper's words, or what its released plotting code does.
AVERAGES = {
    "stated": "the fine-tuned experiments on all training data",
    "released": "all experiments",
}
Average = Literal["stated", "released"]


def averaged_runs(result_set: ResultSet, average: str) -> pd.DataFrame:
    """Return the runs that a point averages over, see `AVERAGES`."""
    if average not in AVERAGES:
        raise unknown_name("average", average, AVERAGES)
    if result_set.finished.empty:
        raise InvalidTableError(f"{result_set.name}: no finished run; nothing to average")
    if average == "released":
        return result_set.finished
    full = result_set.full_data()
    tuned = full[full["pretrained"].fillna(True).astype(bool)]
    return tuned if len(tuned) else full
