"""Choosing under a budget: two sliders, and the best of the models that remain."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from paper.figures.common import CHART_HEIGHT, ORANGE, VERMILION, alpha_slider, tips
from pepr_utils.scoring import select

PAIR = {"energy_wh": "energy (Wh)", "memory_gb": "memory (GB)"}
#: Where the sliders start, if the models reach so far: the budget that the text works through.
START = {"energy_wh": 20.0, "memory_gb": 8.0}


def data(runs: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, energy, memory and resource of the models of one experiment.

    Parameters
    ----------
    runs : pandas.DataFrame
        Indexed by architecture, with ``test_accuracy``, ``energy_kwh`` and, where it is known,
        ``reserved_memory_gb``.

    Returns
    -------
    pandas.DataFrame
        Columns architecture, test_accuracy, energy_wh, memory_gb (null where unknown), resource.
    """
    everyone = select(
        runs.reset_index(), performance="test_accuracy", cost="energy_kwh", objective="performance"
    ).ranking
    return pd.DataFrame(
        {
            "architecture": everyone["architecture"],
            "test_accuracy": everyone["test_accuracy"],
            "energy_wh": everyone["energy_kwh"] * 1e3,
            "memory_gb": everyone["reserved_memory_gb"].astype("float64"),
            "resource": everyone["resource"],
        }
    ).reset_index(drop=True)


def chart(frame: pd.DataFrame, *, alpha: float = 1.0) -> alt.LayerChart:
    """Accuracy against energy; sliders set the budgets, the best within them are marked.

    A model whose memory is not known meets no memory budget, as in `pepr select`.
    """
    energy, memory = (_limits(frame[c]) for c in PAIR)
    params = [_slider("energy", "at most Wh ", energy, START["energy_wh"])]
    within = "datum.energy_wh <= energy"
    if memory is not None:
        params.append(_slider("memory", "at most GB ", memory, START["memory_gb"]))
        within += " && isValid(datum.memory_gb) && datum.memory_gb <= memory"
    base = (
        alt.Chart(frame)
        .transform_calculate(
            score="alpha * datum.test_accuracy / (alpha + datum.resource)", within=within
        )
        .transform_calculate(
            held="datum.within ? datum.score : -1", kept="datum.within ? datum.test_accuracy : -1"
        )
        .transform_joinaggregate(best_score="max(held)", best_accuracy="max(kept)")
    )
    x = alt.X("energy_wh:Q", title="Energy per run (Wh, log scale)", scale=_log_scale(energy))
    y = alt.Y(
        "test_accuracy:Q", title="Test accuracy", scale=alt.Scale(domain=_range(frame), nice=False)
    )
    tooltips = tips("architecture", "test_accuracy", "energy_wh", "memory_gb", "score")
    points = base.mark_point(filled=True, size=45).encode(
        x=x,
        y=y,
        color=alt.condition("datum.within", alt.value("#0072b2"), alt.value("#b8c0c9")),
        opacity=alt.condition("datum.within", alt.value(0.9), alt.value(0.5)),
        tooltip=tooltips,
    )
    marked = [
        ("datum.held > 0 && datum.held == datum.best_score", "highest PePR-E", ORANGE, 14),
        ("datum.kept > 0 && datum.kept == datum.best_accuracy", "most accurate", VERMILION, 34),
    ]
    layers = [points]
    for test, what, colour, height in marked:
        best = base.transform_filter(test).transform_calculate(
            words=f"'{what}: ' + datum.architecture + ', ' + format(datum.test_accuracy, '.4f') + "
            "', ' + format(datum.energy_wh, '.1f') + ' Wh'"
        )
        label = {"x": alt.value(26), "y": alt.value(height), "text": "words:N"}
        key = {"x": alt.value(14), "y": alt.value(height)}
        dot = {"filled": True, "color": colour, "stroke": "#1f2933", "opacity": 1}
        layers += [
            best.mark_point(size=170, **dot).encode(
                x="energy_wh:Q", y="test_accuracy:Q", tooltip=tooltips
            ),
            best.mark_point(size=90, **dot).encode(**key),
            best.mark_text(align="left", baseline="middle", fontSize=12).encode(**label),
        ]
    nothing = base.transform_aggregate(best="max(held)").transform_filter("datum.best < 0")
    layers.append(
        nothing.mark_text(
            align="left", baseline="middle", fontSize=13, text="no model meets the budgets"
        ).encode(x=alt.value(14), y=alt.value(14))
    )
    return (
        alt.layer(*layers).add_params(*params, alpha_slider(alpha)).properties(height=CHART_HEIGHT)
    )


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    best = frame.assign(pepr=frame["test_accuracy"] / (1 + frame["resource"]))
    return (
        f"Test accuracy against energy of {len(frame)} models, with sliders for the most energy "
        "and memory that one may use. The models within the budgets are blue; the one with the "
        "highest PePR-E and the most accurate one are marked and named. Without budgets they are "
        f"{best.nlargest(1, 'pepr')['architecture'].iloc[0]} and "
        f"{best.nlargest(1, 'test_accuracy')['architecture'].iloc[0]}."
    )


def _limits(values: pd.Series) -> tuple[float, float] | None:
    known = values.dropna()
    return (float(known.min()), float(known.max())) if len(known) else None


def _slider(name: str, label: str, limits: tuple[float, float], start: float) -> alt.Parameter:
    """Slider from below the smallest value to the largest, set to `start` or to the middle."""
    low, high = np.floor(limits[0] * 10) / 10, np.ceil(limits[1] * 10) / 10
    if not low <= start <= high:
        start = np.round((low + high) / 2, 1)
    step = 0.1 if high - low > 2 else (high - low) / 100
    bind = alt.binding_range(min=max(0.0, low - step), max=high, step=step, name=label)
    return alt.param(name=name, value=float(start), bind=bind)


def _log_scale(limits: tuple[float, float]) -> alt.Scale:
    return alt.Scale(type="log", domain=[limits[0] * 0.85, limits[1] * 1.3], nice=False)


def _range(frame: pd.DataFrame) -> list[float]:
    low, high = frame["test_accuracy"].min(), frame["test_accuracy"].max()
    margin = 0.08 * (high - low) + 0.005
    return [float(low - margin), float(high + 3 * margin)]  # room for the legend above
