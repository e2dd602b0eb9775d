"""The chart of performance against cost: a Vega specification, and files of it."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pepr_utils.errors import NotInstalledError, PeprError
from pepr_utils.printable import clean
from pepr_utils.results.atomic import write_whole
from pepr_utils.results.models import Scale

SUFFIXES = (".svg", ".png", ".html")
#: What a model is in the chart: colour (after Okabe and Ito), shape, size and opacity of its mark;
#: the models of the last two roles are not named.
ROLES = {
    "best score": ("#cf4a10", "diamond", 170, 1),
    "best within budget": ("#00856a", "square", 130, 1),
    "knee": ("#cf4a10", "diamond", 130, 1),
    "moved most": ("#00856a", "square", 90, 1),
    "Pareto front": ("#1476b3", "circle", 64, 1),
    "others": ("#7b8794", "circle", 24, 0.75),
    "over budget": ("#7b8794", "cross", 30, 0.75),
}
_POINTED = [role for role in ROLES if role not in ("Pareto front", "others", "over budget")]
#: Colours of text, rules and paper in a file; on a page they follow its style sheet.
IN_A_FILE = {"ink": "#1f2933", "quiet": "#52606d", "rule": "#d3d9e0", "paper": "#ffffff"}
ON_A_PAGE = {name: f"var(--{name})" for name in IN_A_FILE}
WIDTH, HEIGHT = 620, 340
#: More marks than this are not drawn: those without a name are thinned out evenly.
MOST_MARKS = 2000
#: Plots at least this wide get the names placed for this width; the others the second.
WIDE, NARROW = 470, 250
#: Where a name may stand beside its mark, the side that the front leaves free first: alignment,
#: and pixels to the right and down.
_SIDES = (
    ("right", -6, -11), ("right", -10, 0), ("center", 0, -15), ("left", 6, -11), ("left", 10, 0),
    ("left", 6, 11), ("right", -6, 11), ("center", 0, 15), ("left", 12, 22), ("left", 12, -22),
)  # fmt: skip


def chart(
    models: pd.DataFrame,
    *,
    performance: str,
    cost: str,
    alpha: float | None = None,
    log_cost: bool = False,
    title: str | None = None,
    scale: Scale = Scale(),  # noqa: B008 (frozen)
    line: str = "step-after",
    colours: dict[str, str] = IN_A_FILE,
) -> dict[str, Any]:
    """Describe the chart of some models, all compared with each other, in Vega-Lite.

    Parameters
    ----------
    models : pandas.DataFrame
        One row each, best first: ``model``, ``performance``, ``cost``, ``role`` (of `ROLES`),
        ``front``; for lines of equal score also ``resource`` and ``pepr``.
    performance, cost : str
        Titles of the axes.
    alpha : float, optional
        Emphasis of the score; without it no lines of equal score are drawn.
    log_cost : bool, default False
        Whether the resource is linear in the logarithm of the cost.
    title : str, optional
        Above the chart.
    scale : Scale
        How the performance becomes a fraction; where low is better, the axis points down.
    line : str, default "step-after"
        How the front is joined; ``"step-before"`` where a high cost is better; ``"equal"`` draws
        instead where both axes have the same value.
    colours : dict
        `IN_A_FILE` or `ON_A_PAGE`.

    Examples
    --------
    >>> models = pd.DataFrame({"model": ["a"], "performance": [0.9], "cost": [2.0],
    ...                        "role": ["best score"], "front": [True]})
    >>> chart(models, performance="auc", cost="kwh")["description"]
    'auc against kwh for 1 model. Best score: a, 0.9 at 2.'
    """
    description = describe(models, performance=performance, cost=cost)
    named = ~models["role"].isin(list(ROLES)[-2:]) | models["front"]
    every = math.ceil(len(models) / MOST_MARKS)
    models = models[named | (np.arange(len(models)) % every == 0)]
    models = models.assign(model=[clean(str(name)) for name in models["model"]])
    for column in models.columns.intersection(["cost", "performance", "pepr"]):
        models[column] = models[column].map(_short)
    costs = models["cost"]
    fluid = colours == ON_A_PAGE  # in a file a chart keeps its width
    log = bool(costs.min() > 0 and costs.max() / costs.min() > 100)
    low, high = _padded(models["performance"])
    if models["performance"].between(scale.lower, scale.upper).all():
        room = 0.02 * (high - low)  # so that a mark at the limit is not cut
        low, high = max(low, scale.lower - room), min(high, scale.upper + room)
    left, right = _padded(np.log10(costs) if log else costs)
    x = {"field": "cost", "type": "quantitative", "title": cost}
    x |= _log_axis(left, right) if log else {
        "scale": {"domain": [left, right], "nice": False},
        "axis": {"tickCount": {"expr": "width < 400 ? 4 : 7"} if fluid else 7},
    }  # fmt: skip
    y = {"field": "performance", "type": "quantitative", "title": performance,
         "scale": {"domain": [low, high], "nice": False, "reverse": scale.better == "low"},
         }  # fmt: skip
    roles = [role for role in ROLES if (models["role"] == role).any()]
    looks: dict[str, Any] = {
        channel: {"field": "role", "type": "nominal",
                  "legend": {"title": None, "orient": "top"} if len(roles) > 1 else None,
                  "scale": {"domain": roles, "range": [ROLES[role][n] for role in roles]}}
        for n, channel in enumerate(("color", "shape"))
    }  # fmt: skip
    for n, channel in enumerate(("size", "opacity"), start=2):
        values = [{"test": f"datum.role == '{r}'", "value": ROLES[r][n]} for r in roles]
        looks[channel] = {"condition": values, "value": 1}
    tips = {"model": "model", "performance": performance, "cost": cost}
    tips |= {"pepr": "PePR"} if "pepr" in models else {}
    looks["tooltip"] = [{"field": f, "title": t} for f, t in tips.items()]
    lines, ends = [], []
    if alpha is not None and costs.nunique() > 1:
        lines, ends = _isoclines(models, (low, high), alpha, (log, log_cost), scale)
    if line == "equal":
        both = (max(low, costs.min()), min(high, costs.max()))
        lines = [{"cost": value, "performance": value} for value in both if both[0] < both[1]]
    best = {"test": "datum.best", "value": ROLES["best score"][0]}
    unmarked = {"aria": False, "tooltip": None}
    place = {"x": x, "y": y}
    names = []
    sets = {WIDE: f"width >= {WIDE} ? 1 : 0", NARROW: f"width < {WIDE} ? 1 : 0"}
    for width, shown in sets.items() if fluid else [(WIDE, "1")]:

        def spot(row: Any, width: int = width) -> tuple[float, float]:
            """Pixels from the upper left of a plot of this width."""
            across = (math.log10(row["cost"]) if log else row["cost"]) - left
            up = (row["performance"] - low) / (high - low)
            down = up if scale.better == "low" else 1 - up
            return across / (right - left) * width, down * HEIGHT

        text = {
            "type": "text", "align": {"expr": "datum.align"}, "dx": {"expr": "datum.dx"},
            "dy": {"expr": "datum.dy"}, "opacity": {"expr": shown}, **unmarked,
        }  # fmt: skip
        halo = {"stroke": colours["paper"], "strokeWidth": 3, "strokeJoin": "round"}
        layer = {
            "data": {"values": _placed(models[named[models.index]], models, ends, spot, width)}
        }
        layer["encoding"] = place | {"text": {"field": "text"}}
        ink = {"condition": [best, {"test": "datum.level", "value": colours["quiet"]}],
               "value": colours["ink"]}  # fmt: skip
        inked = layer | {"mark": text, "encoding": layer["encoding"] | {"color": ink}}
        names += [layer | {"mark": text | halo}, inked]
    front = models[models["front"]].sort_values("cost")
    return {
        "description": description,
        "width": WIDTH,
        "height": HEIGHT,
        **({"title": clean(title)[:90]} if title else {}),
        "layer": [
            {
                "data": {"values": lines},
                "mark": {"type": "line", "strokeWidth": 1.2} | unmarked,
                "encoding": place | {"detail": {"field": "level"},
                                     "strokeDash": {"condition": best | {"value": [7, 3]},
                                                    "value": [1, 3]},
                                     "color": {"condition": best, "value": colours["quiet"]}},
            },
            {
                "data": {"values": front[["cost", "performance"]].to_dict("records")},
                "mark": {"type": "line", "color": ROLES["Pareto front"][0], "strokeWidth": 1.5,
                         "interpolate": line} | unmarked,
                "encoding": place,
            },
            {
                "data": {"values": models[[*tips, "role"]].iloc[::-1].to_dict("records")},
                "mark": {"type": "point", "filled": True, "aria": False},
                "encoding": place | looks,
            },
            *names,
        ],
        "config": {
            "background": colours["paper"],
            "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
            "padding": 6,
            "view": {"stroke": None},
            "axis": {
                "domainColor": colours["quiet"], "tickColor": colours["quiet"],
                "gridColor": colours["rule"], "gridOpacity": 0.6, "labelColor": colours["quiet"],
                "labelFontSize": 12, "titleColor": colours["ink"], "titleFontSize": 13,
                "titleFontWeight": "normal", "titlePadding": 8, "titleLimit": 560,
            },
            "legend": {"labelColor": colours["ink"], "labelFontSize": 12, "labelLimit": 220,
                       "columns": {"expr": "width < 400 ? 2 : 5"} if fluid else 5,
                       "columnPadding": 20},
            "title": {"anchor": "start", "color": colours["ink"], "fontSize": 14},
        },
    }  # fmt: skip


def describe(models: pd.DataFrame, *, performance: str, cost: str) -> str:
    """Write what a chart shows, with its numbers, for readers who do not see it."""
    n = len(models)
    text = f"{performance} against {cost} for {n:,} model{'' if n == 1 else 's'}."
    for row in models[models["role"].isin(_POINTED)].itertuples():
        text += f" {row.role.capitalize()}: {row.model}, {row.performance:.4g} at {row.cost:.4g}."
    front = models[models["front"]].sort_values("cost")
    if len(front) > 1:
        ends = [f"{r.model} ({r.performance:.4g} at {r.cost:.4g})" for r in front.itertuples()]
        text += f" The Pareto front has {len(front)} models, from {ends[0]} to {ends[-1]}."
    return clean(text)


def check_target(target: Path, suffixes: Iterable[str], what: str) -> None:
    """Refuse a file that could not be written, before anything is computed.

    Raises
    ------
    PeprError
        If its suffix is not among those allowed, or its folder does not exist.
    """
    if target.suffix.lower() not in suffixes or target.is_dir():
        raise PeprError(
            f"{what} {str(target)!r} ends in {target.suffix or 'no suffix'!r}; allowed: a file "
            f"that ends in {', '.join(suffixes)}"
        )
    if not target.parent.is_dir():
        raise PeprError(f"{what} {str(target)!r}: no folder {str(target.parent)!r}; make it first")


def check_chart_target(target: Path) -> None:
    """Refuse a chart's file that could not be written, before anything is computed."""
    check_target(target, SUFFIXES, "chart")
    vl_convert()


def write_charts(charts: list[dict[str, Any]], target: Path) -> None:
    """Write charts, two in a row, as SVG, PNG or a page of their own, by the file's suffix.

    Raises
    ------
    PeprError
        If it cannot be written; an older file of that name is then unchanged.
    """
    spec = charts[0]
    if len(charts) > 1:
        inner = [{k: v for k, v in c.items() if k != "config"} for c in charts]
        words = " ".join(f"{c.get('title', '')}: {c['description']}" for c in charts)
        spec = {"description": words, "concat": inner, "columns": 2, "config": spec["config"]}
        spec["resolve"] = {"scale": dict.fromkeys(("color", "shape"), "independent")}
    draw = {".png": lambda v: vl_convert().vegalite_to_png(v, scale=2),
            ".svg": lambda v: vl_convert().vegalite_to_svg(v).encode(),
            ".html": lambda v: vl_convert().vegalite_to_html(v, bundle=True).encode()}  # fmt: skip
    write(target, draw[target.suffix.lower()](spec), "chart")


def write(target: Path, content: bytes, what: str) -> None:
    """Write a file whole or not at all; an error is one plain sentence."""
    try:
        write_whole(target, content)
    except OSError as error:
        raise PeprError(f"{what} {str(target)!r} cannot be written: {error.strerror}") from None


def vl_convert() -> Any:
    """Import vl-convert, which draws charts; it comes with the extra ``report``."""
    try:
        import vl_convert
    except ImportError as error:
        raise NotInstalledError.of(error, "a chart", "report") from None
    return vl_convert


def _log_axis(left: float, right: float) -> dict[str, Any]:
    """Scale and ticks, 1, 2 and 5 of each decade, from and to an exponent of ten."""
    digits = (1, 2, 5) if right - left < 4 else (1,)
    decades = range(math.floor(left), math.ceil(right) + 1)
    return {
        "axis": {"values": [float(f"{d}e{n}") for n in decades for d in digits]},
        "scale": {"type": "log", "domain": [10**left, 10**right]},
    }


def _short(value: float) -> float:
    """Seven digits: nobody sees more, and the page is smaller."""
    return float(f"{value:.7g}")


def _padded(values: Any) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return low - pad, high + pad


def _isoclines(
    models: pd.DataFrame,
    heights: tuple[float, float],
    alpha: float,
    logs: tuple[bool, bool],
    scale: Scale,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines of equal score: P = score x (1 + R / alpha), with R as the models' costs have it."""
    known = models[["cost", "resource"]].drop_duplicates("cost").sort_values("cost")
    grid = (np.geomspace if logs[0] else np.linspace)(*known["cost"].iloc[[0, -1]], 400)
    of = np.log if logs[1] else np.asarray
    growth = 1 + np.interp(of(grid), of(known["cost"].to_numpy()), known["resource"]) / alpha
    bottom, top = sorted(scale.fraction(np.array(heights)))
    best, least = float(models["pepr"].max()), max(bottom, 0.0) / growth[-1]
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if (top - least) / s <= 7)
    lines, ends = [], []
    steps = range(math.ceil(least / step), math.floor(top / step) + 1)
    for level in [best, *(n * step for n in steps)]:
        near = level is not best and abs(level - best) < step / 3
        if not 0 < level <= top or near:
            continue
        # From where the line enters the plot to where it leaves it.
        start, end = np.interp([bottom / level, top / level], growth, grid)
        costs = np.concatenate([[start], grid[(grid > start) & (grid < end)][::16], [end]])
        shares = level * np.interp(costs, grid, growth)
        own = shares if scale.better == "high" else 1 - shares
        own = scale.lower + own * (scale.upper - scale.lower)
        name = f"PePR {level:.3g}" if level == best else f"{level:.2f}"
        line = {"level": name, "best": level == best}
        for c, p in zip(costs.tolist(), own.tolist(), strict=True):
            lines.append(line | {"cost": _short(c), "performance": _short(p)})
        ends.append(lines[-1] | {"text": name})
    return lines, ends


def _placed(
    named: pd.DataFrame,
    models: pd.DataFrame,
    ends: list[dict[str, Any]],
    spot: Callable[[Any], tuple[float, float]],
    width: int,
) -> list[dict[str, Any]]:
    """Texts at the marks to be named, then at the lines' ends: as many as fit without overlap."""
    front = named[named["front"]].sort_values("cost")
    order = [
        *named.index[named["role"].isin(_POINTED)],
        *front.index[-1:],
        *front.index[:1],
        *front.index,
    ]
    rows = named.loc[list(dict.fromkeys(order))].assign(text=named["model"]).to_dict("records")
    taken = [_box(spot(row), 5) for row in rows]
    dots = [_box(spot(row), 3) for row in models.to_dict("records")]
    steps = [spot(row) for row in front.to_dict("records")]
    for one, other in itertools.pairwise(steps):
        corner = (other[0], one[1])
        dots += [_box(one, 1, corner), _box(corner, 1, other)]
    placed = []
    for row in [*rows, *ends]:
        longest = 30 if width == WIDE else 20
        text = row["text"] if len(row["text"]) <= longest else row["text"][: longest - 1] + "…"
        size = 7 * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
        found = []
        for n, (align, dx, dy) in enumerate(_SIDES):
            x, y = np.add(spot(row), (dx, dy))
            x -= {"left": 0, "center": size / 2, "right": size}[align]
            box = (x, y - 7, x + size, y + 7, spot(row)[0])
            inside = x >= 0 and box[2] <= width + 8 and box[1] >= -6 and box[3] <= HEIGHT
            if inside and not _overlaps(box, taken):
                found.append((_overlaps(box, dots), n, box))
        if found:
            _, n, box = min(found)
            taken.append(box)
            kept = {k: row.get(k) for k in ("cost", "performance", "level", "best")}
            side = zip(("align", "dx", "dy"), _SIDES[n], strict=True)
            placed.append(kept | {"text": text} | dict(side))
    return placed


def _box(one: tuple[float, float], pad: float, other: tuple[float, float] | None = None) -> Any:
    """Edges around a point, or around the line to another, and where on the axis it belongs."""
    low, high = np.minimum(one, other or one) - pad, np.maximum(one, other or one) + pad
    return (*low, *high, one[0])


def _overlaps(box: tuple[float, ...], others: list[tuple[float, ...]]) -> int:
    """How many of the others a box overlaps, here or in a wider plot, where marks move apart."""
    left, upper, right, lower, place = np.array(others).T
    across = (box[0] < right) & (left < box[2]) | ((box[0] - left) * (box[4] - place) < 0)
    return int((across & (box[1] < lower) & (upper < box[3])).sum())
