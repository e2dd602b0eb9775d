"""How every chart of the book looks: one Vega-Lite configuration, merged under the chart's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Eight colours that stay apart for colour-blind readers and on paper (Okabe and Ito, darkened
#: where the original is too pale for text-sized marks on white).
PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#3b8fc7",
    "#7a5195",
    "#4d4d4d",
)

_INK = "#1f2933"
_QUIET = "#52606d"

CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
    "padding": 8,
    "view": {"stroke": None, "continuousHeight": 340},
    "axis": {
        "domainColor": "#9aa5b1",
        "gridColor": "#e4e7eb",
        "labelColor": _QUIET,
        "labelFontSize": 12,
        "tickColor": "#9aa5b1",
        "titleColor": _INK,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 10,
    },
    "axisQuantitative": {"tickCount": 6},
    "header": {"labelColor": _INK, "labelFontSize": 13, "titleColor": _INK, "titleFontSize": 13},
    "legend": {
        "columns": 4,
        "labelColor": _INK,
        "labelFontSize": 12,
        "labelLimit": 260,
        "orient": "top",
        "symbolBaseFillColor": _QUIET,
        "symbolBaseStrokeColor": _QUIET,
        "symbolSize": 90,
        "titleColor": _INK,
        "titleFontSize": 12,
    },
    "line": {"strokeWidth": 2.5},
    "mark": {"color": PALETTE[0]},
    "point": {"filled": True, "size": 60},
    "rule": {"color": _INK},
    "range": {"category": list(PALETTE), "heatmap": {"scheme": "viridis"}},
    "text": {"color": _INK},
    "title": {"anchor": "start", "color": _INK, "fontSize": 15, "fontWeight": 600},
}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested configurations; where both set a value, the second one wins.

    Examples
    --------
    >>> merge({"axis": {"grid": True, "ticks": True}}, {"axis": {"grid": False}})
    {'axis': {'grid': False, 'ticks': True}}
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both else value
    return merged
