"""The model space: how the energy of figure 2c spreads."""

from __future__ import annotations

import pandas as pd

from paper.chapters.common import fixed
from pepr_utils.results.groups import AVERAGES, Average, averaged_experiments


def numbers(frame: pd.DataFrame, *, average: Average) -> dict[str, str]:
    """Spread of the energy in figure 2c, and where its dearest model sets the upper bound."""
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
