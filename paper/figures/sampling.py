"""What samples of power miss: the error of their integral on a trace whose energy is known."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import numpy as np
import pandas as pd

from paper.figures.common import BLUE, CHART_HEIGHT, VERMILION, tips

#: Lengths of the windows (s), and how many are tried of each.
WINDOWS_S = (2, 4, 8, 12, 20, 40, 80)
DRAWS = 200
#: The simulated GPU: two levels of power (W), each held for a random time of this mean (s).
LEVELS_W, MEAN_HELD_S = (100.0, 300.0), 0.3
#: The share of the windows that "most" stands for.
MOST = 0.95
_SHARES = {"half of the windows": 0.5, f"{100 * MOST:g} % of the windows": MOST}


def data(
    integral: Callable, samples: Callable, *, interval_s: float, seed: int = 1
) -> pd.DataFrame:
    """Errors of sampled energy, by length of the window.

    Parameters
    ----------
    integral : callable
        The meter's own: of samples, start and end to joules.
    samples : callable
        Builds the samples that `integral` expects from times (s) and powers (W).
    interval_s : float
        Between two samples.
    seed : int, default 1
        Of the random traces.

    Returns
    -------
    pandas.DataFrame
        One row per length and share: ``window_s``, ``n_samples``, ``share``, ``error_percent``
        that so many windows stay below.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for window in WINDOWS_S:
        errors = [_error(integral, samples, rng, window, interval_s) for _ in range(DRAWS)]
        rows += [
            {
                "window_s": window,
                "n_samples": round(window / interval_s),
                "share": words,
                "error_percent": 100 * float(np.quantile(errors, share)),
            }
            for words, share in _SHARES.items()
        ]
    return pd.DataFrame(rows)


def chart(frame: pd.DataFrame, *, few_samples: int) -> alt.LayerChart:
    """Error against the length of the window; the rule marks where the meter stops warning."""
    lines = (
        alt.Chart(frame)
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "window_s:Q",
                title="Length of the window (s, log scale)",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(values=list(WINDOWS_S)),
            ),
            y=alt.Y("error_percent:Q", title="Error stays below (%)"),
            color=alt.Color(
                "share:N",
                title="In",
                legend=alt.Legend(columns=1),
                scale=alt.Scale(domain=list(_SHARES), range=[BLUE, VERMILION]),
            ),
            tooltip=tips(
                "window_s|window (s)|",
                "n_samples|samples|",
                "share|in|",
                "error_percent|error below (%)|.2f",
            ),
        )
    )
    interval = float((frame["window_s"] / frame["n_samples"]).iloc[0])
    at = pd.DataFrame({"window_s": [few_samples * interval]})
    rule = alt.Chart(at).mark_rule(strokeDash=[4, 4], color="#52606d").encode(x="window_s:Q")
    return alt.layer(rule, lines).properties(height=CHART_HEIGHT)


def describe(frame: pd.DataFrame) -> str:
    """Write the alternative text from the chart's data."""
    most = frame[frame["share"] == list(_SHARES)[-1]]
    begin, *_, end = (f"{row.error_percent:.1f} % at {row.window_s} s" for row in most.itertuples())
    return (
        "Error of sampled energy against the length of the window. In "
        f"{100 * MOST:g} % of the windows it stays below {begin} and below {end}."
    )


def _error(
    integral: Callable, samples: Callable, rng: np.random.Generator, window: float, interval: float
) -> float:
    """Relative error in one window of a new trace, sampled from a random moment on."""
    held = rng.exponential(MEAN_HELD_S, int(4 * window / MEAN_HELD_S) + 20)
    ends = np.cumsum(held)
    watts = np.where((np.arange(len(held)) + rng.integers(2)) % 2, *LEVELS_W)
    times = np.arange(rng.uniform(0, interval), window, interval)
    sampled = samples(list(times), list(watts[np.searchsorted(ends, times)]))
    last = int(np.searchsorted(ends, window))
    known = float(np.sum(watts[:last] * held[:last])) + watts[last] * (
        window - (ends[last - 1] if last else 0.0)
    )
    return abs(integral(sampled, 0.0, float(window)) / known - 1)
