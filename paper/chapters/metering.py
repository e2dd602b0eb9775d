"""What the chapter on the meter says of result sets: how methods agree, and what idle would do."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.audit.checks_meter import between
from pepr_utils.results import ResultSet, load_result_set, score_runs
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.load import PUBLISHED, REPAIRED, available_result_sets
from pepr_utils.results.power import JOULE_PER_KWH, implied_power, pue_of

#: Method, what is read, and what it can miss.
_METHODS = (
    (
        "counter",
        "GPU",
        "NVML's energy counter at both ends of a window, once the GPU has finished its work",
        "fans, supply and whatever else is not behind the GPU's own sensor; the counter moves in "
        "steps of some tens of milliseconds, which a window of less than a second feels; a slice "
        "of a divided GPU",
    ),
    (
        "polled",
        "GPU",
        "carbontracker's samples of power, integrated over the window",
        "what happens between two samples; many drivers give a mean over the last second, "
        "so that a window begins with its predecessor's power; samples that fail",
    ),
    (
        "rapl",
        "processor, its memory",
        "the processor's counters, packages and memory summed once, wrap-around followed",
        "mainboard, disks, fans, supply; memory, where it has no counter; whose work it was: a "
        "package is counted whole",
    ),
    (
        "tdp-estimate",
        "processor",
        "nothing: half of a rated power times the time",
        "everything but time: load, whose it was, number of cores in use, number of processors, "
        "memory",
    ),
    (
        "simulated",
        "declared",
        "nothing: a power that was declared, for trying things out",
        "everything but time",
    ),
)


def methods() -> pd.DataFrame:
    """The methods in words: the name in the records, what each reads and can miss."""
    return pd.DataFrame(_METHODS, columns=["method", "of", "reads", "can miss"])


def measured_sets(first: ResultSet) -> list[ResultSet]:
    """A set, and every other that was measured with this project and is at hand."""
    names = [n for n in available_result_sets() if n not in (PUBLISHED, REPAIRED, first.name)]
    return [first, *(load_result_set(name) for name in names)]


def agreement(sets: Iterable[ResultSet]) -> pd.DataFrame:
    """How the methods agree in some sets, one row per set and method.

    Returns
    -------
    pandas.DataFrame
        Mean power is the computer's, in the training windows; a missing value where no run has
        it, as the difference of counter and samples where no GPU was metered.
    """
    rows = []
    for result_set in sets:
        runs = result_set.finished
        method = runs["energy_method"].astype("string").fillna("not stated")
        power = runs["it_energy_kwh"] * JOULE_PER_KWH / runs["train_time_s"]
        for name, part in runs.groupby(method):
            apart = 100 * between(part).dropna()
            rows.append(
                {
                    "result set": result_set.name,
                    "method": name,
                    "runs": len(part),
                    "lowest mean power (W)": power[part.index].min(),
                    "highest mean power (W)": power[part.index].max(),
                    "fewest samples": part["n_power_samples"].min(),
                    "runs with both figures": len(apart),
                    "largest difference (%)": apart.max(),
                }
            )
    return pd.DataFrame(rows)


def how_methods_agree(table: pd.DataFrame, first: str) -> dict[str, str]:
    """Numbers of the table, for the text; `first` is the set that it speaks of."""
    mine = table[table["result set"] == first]
    low, high = mine["lowest mean power (W)"].min(), mine["highest mean power (W)"].max()
    both, n_sets = int(table["runs with both figures"].sum()), table["result set"].nunique()
    where = "the measured set" if n_sets == 1 else f"the {n_sets} measured sets"
    apart = fixed(table["largest difference (%)"].max(), 1)
    return {
        "n-runs": f"{mine['runs'].sum()}",
        "methods": "; and ".join(mine["method"]) or NOT_AVAILABLE,
        "power-low": fixed(low, 2),
        "power-high": fixed(high, 2),
        "power-spread": fixed(100 * (high / low - 1), 2),
        "comparison": f"A GPU's counter and its samples are both known in {both} runs of {where} "
        f"at hand, and differ by at most {apart} %."
        if both
        else f"A GPU's counter and its samples are both known in no run of {where} at hand.",
    }


def usable_methods(rows: pd.DataFrame) -> str:
    """Name the methods of metering energy that the machine that built the page allows."""
    energy = rows[rows["part"].isin(["gpu", "cpu", "memory"]) & (rows["method"] != "resident set")]
    return ", ".join(energy.loc[energy["available"], "method"].unique()) or "none"


def errors_of_samples(frame: pd.DataFrame, few_samples: int) -> dict[str, str]:
    """Errors of sampled energy at the shortest window and where the meter stops warning."""
    most = frame[frame["share"] == frame["share"].iloc[1]].set_index("n_samples")
    enough = most[most.index >= few_samples].iloc[0]
    return {
        "error-short": fixed(most["error_percent"].iloc[0], 1),
        "short-window": f"{most['window_s'].iloc[0]:g}",
        "error-enough": fixed(enough["error_percent"], 1),
        "enough-window": f"{enough['window_s']:g}",
    }


def net_of_idle(idle_w: float) -> pd.DataFrame:
    """Rankings of the published fine-tuned experiments, with and without an idle power.

    Only runs whose power is possible have a say: of the others the time is not known.

    Parameters
    ----------
    idle_w : float
        Power (W) that would be subtracted, for as long as the run took, before the PUE.

    Returns
    -------
    pandas.DataFrame
        One row per experiment: models, places that change, the largest change and Kendall's tau.
    """
    published = load_result_set(PUBLISHED)
    runs, power = published.finished, implied_power(published)
    possible = power["possible"].fillna(False).astype(bool) & power["time_s"].notna()
    chosen = possible & runs["train_fraction"].eq(1) & runs["pretrained"].fillna(False).astype(bool)
    runs, power = runs[chosen], power[chosen]
    idle = idle_w * pue_of(runs) * power["time_s"] / JOULE_PER_KWH
    gross = score_runs(runs)["pepr"]
    net = score_runs(runs.assign(energy_kwh=(runs["energy_kwh"] - idle).clip(lower=0)))["pepr"]
    labels = experiment_labels(runs["experiment"])
    rows = []
    for key, part in runs.groupby("experiment"):
        places = [s[part.index].rank(ascending=False) for s in (gross, net)]
        moved = (places[0] - places[1]).abs()
        rows.append(
            {
                "experiment": labels[key],
                "models": len(part),
                "places that change": int(moved.gt(0).sum()),
                "largest change": int(moved.max()),
                "Kendall's tau": gross[part.index].corr(net[part.index], method="kendall"),
            }
        )
    return pd.DataFrame(rows)
