"""Figures of the audit: the power that each run implies, and the score under three readings."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import pandas as pd

from paper.figures.by_size import median_lines
from paper.figures.common import (
    BLUE,
    CHART_HEIGHT,
    GREEN,
    ORANGE,
    VERMILION,
    colours,
    large_shading,
    size_axis,
    tips,
)
from pepr_utils.results import ResultSet, experiment_labels
from pepr_utils.results.groups import Average, averaged_runs, by_architecture
from pepr_utils.results.power import implied_power
from pepr_utils.results.repair import origins

#: Colour of each role of a run's energy, in the order of the legend.
ROLES = {
    "in no other run": BLUE,
    "source": GREEN,
    "undecided": ORANGE,
    "copy": VERMILION,
}
ALL = "all experiments"


def power_data(result_set: ResultSet) -> pd.DataFrame:
    """Power that each run's energy implies over its own time, and where the energy is from.

    Returns
    -------
    pandas.DataFrame
        architecture, experiment (label), ``time_s`` (all epochs), ``energy_wh``, ``power_w``,
        ``limit_w``, ``role``.
    """
    runs, power = result_set.finished, implied_power(result_set)
    role = origins(result_set)["role"].reindex(runs.index).fillna("in no other run")
    return pd.DataFrame(
        {
            "architecture": runs["architecture"],
            "experiment": runs["experiment"].map(experiment_labels(runs["experiment"])),
            "time_s": power["time_s"],
            "energy_wh": runs["energy_kwh"] * 1e3,
            "power_w": power["power_w"],
            "limit_w": power["limit_w"],
            "role": role.astype(str),
        }
    ).reset_index(drop=True)


def power_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Power against time, both on log scales; a menu picks the experiment."""
    names = [ALL, *dict.fromkeys(frame["experiment"])]
    pick = alt.param(
        name="experiment",
        value=ALL,
        bind=alt.binding_select(options=names, name="experiment "),
    )
    known = frame.dropna(subset=["power_w"])
    known = known.sort_values("role", key=lambda role: role.map(list(ROLES).index), kind="stable")
    low, high = known["power_w"].min(), known["power_w"].max()
    y = alt.Y(
        "power_w:Q",
        title="Mean power over the run's own time (W, log scale)",
        scale=alt.Scale(type="log", domain=[low * 0.85, high * 1.2], nice=False),
        axis=alt.Axis(format="~s", values=[m * 10**e for e in range(1, 6) for m in (1, 2, 5)]),
    )
    x = alt.X(
        "time_s:Q",
        title="Time of all epochs (s, log scale)",
        scale=alt.Scale(
            type="log",
            domain=[known["time_s"].min() * 0.85, known["time_s"].max() * 1.15],
            nice=False,
        ),
        axis=alt.Axis(format="~s", values=[m * 10**e for e in range(6) for m in (1, 2, 5)]),
    )
    present = {role: colour for role, colour in ROLES.items() if (known["role"] == role).any()}
    points = (
        alt.Chart(known)
        .transform_filter(f"experiment == '{ALL}' || datum.experiment == experiment")
        .mark_point(filled=True, size=40, opacity=0.7)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "role:N",
                title="Energy",
                scale=colours(present),
            ),
            tooltip=tips(
                "architecture",
                "experiment",
                "role|energy|",
                "energy_wh|energy (Wh)|.2f",
                "time_s|time (s)|.1f",
                "power_w|power (W)|,.0f",
            ),
        )
        .add_params(pick)
    )
    limits = pd.DataFrame({"limit_w": sorted(known["limit_w"].dropna().unique())})
    rule = (
        alt.Chart(limits)
        .mark_rule(color="#222222", strokeDash=[5, 4], strokeWidth=1.5)
        .encode(y="limit_w:Q", tooltip=tips("limit_w|limit (W)|,.0f"))
    )
    return alt.layer(rule, points).properties(height=CHART_HEIGHT)


def describe_power(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    parts = []
    for role in ROLES:
        part = frame.loc[frame["role"] == role, "power_w"].dropna()
        if len(part):
            parts.append(f"{role}: {len(part)} runs from {part.min():,.0f} to {part.max():,.0f} W.")
    limits = frame["limit_w"].dropna().unique()
    bound = f" The limit is {limits[0]:,.0f} W." if len(limits) == 1 else ""
    return (
        "Scatter plot of mean power against time, by role of the energy. " + " ".join(parts) + bound
    )


def score_data(
    sets: Mapping[str, ResultSet], *, average: Average = "stated", alpha: float = 1.0
) -> pd.DataFrame:
    """Mean score of each architecture under each reading, and whether a copy is in it.

    Parameters
    ----------
    sets : mapping
        Result sets by the words of their reading, the published one first.
    average, alpha
        See `by_architecture`.

    Returns
    -------
    pandas.DataFrame
        architecture, n_parameters, size, ``reading``, ``energy_wh``, ``pepr``, ``affected``.
    """
    first = next(iter(sets.values()))
    table = origins(first)
    copies = table[table["role"] == "copy"]
    averaged = averaged_runs(first, average)
    touched = set(copies.loc[copies["run_id"].isin(averaged["run_id"]), "architecture"])
    parts = []
    for words, one in sets.items():
        frame = by_architecture(one, average=average, alpha=alpha)
        columns = ["architecture", "n_parameters", "size", "energy_wh", "pepr"]
        parts.append(frame[columns].assign(reading=words))
    long = pd.concat(parts, ignore_index=True)
    affected = long["architecture"].isin(touched).map({True: "with a copy", False: "without"})
    return long.assign(affected=affected)


def score_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Score against size under one reading at a time; buttons choose the reading."""
    names = list(dict.fromkeys(frame["reading"]))
    pick = alt.param(
        name="reading",
        value=names[0],
        bind=alt.binding_radio(options=names, name="reading "),
    )
    low, high = frame["pepr"].min(), frame["pepr"].max()
    margin = 0.05 * (high - low) + 0.005
    y = alt.Y(
        "pepr:Q",
        title="PePR-E, mean of the experiments",
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False),
    )
    points = (
        alt.Chart(frame)
        .transform_filter("datum.reading == reading")
        .mark_point(filled=True, size=50, opacity=0.8)
        .encode(
            x=size_axis(frame),
            y=y,
            color=alt.Color(
                "affected:N",
                title="As published",
                scale=alt.Scale(domain=["without", "with a copy"], range=[BLUE, VERMILION]),
            ),
            tooltip=tips("architecture", "reading", "n_parameters", "energy_wh", "pepr"),
        )
        .add_params(pick)
    )
    base = alt.Chart(frame).transform_filter("datum.reading == reading")
    layers = alt.layer(large_shading(frame), median_lines(base, y, "pepr"), points)
    return layers.properties(height=CHART_HEIGHT)


def describe_scores(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    parts = []
    for words in dict.fromkeys(frame["reading"]):
        part = frame[frame["reading"] == words]
        small, large = (part.loc[part["size"] == s, "pepr"] for s in ("small", "large"))
        parts.append(
            f"{words.capitalize()}: {len(part)} models, median {small.median():.3f} for small and "
            f"{large.median():.3f} for large ones."
        )
    return "Scatter plot of PePR-E against number of parameters. " + " ".join(parts)
