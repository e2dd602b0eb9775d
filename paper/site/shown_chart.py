"""How a chart reaches a page: live, as a picture, in words, and as the data behind it.

`show` is the last line of every figure's cell. The page's script draws the Vega-Lite
specification that it puts out; without the script the reader sees the same chart as a picture,
and where HTML cannot be shown, the alternative text. The fragment holds everything, so that a
notebook is whole; on the site, pictures and tables are files beside the pages (`site_files`).
"""

from __future__ import annotations

import base64
import html
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from paper.site.theme import CONFIG, merge
from pepr_utils.errors import PeprError
from pepr_utils.printable import json_in_html
from pepr_utils.results.export import without_formulas

if TYPE_CHECKING:
    import pandas as pd
    from altair import TopLevelMixin

#: Width in pixels of the pictures; on a page a chart is as wide as its column.
PICTURE_WIDTH = 640
#: A picture with more bytes than this as SVG, such as one of a thousand cells, is a PNG.
MOST_BYTES = 150_000
#: Significant digits of the data that a page draws; the CSV has them as they are.
DIGITS = 7


def show(chart: TopLevelMixin, frame: pd.DataFrame, *, name: str, alt: str) -> ShownChart:
    """Make a chart ready for a page: live, as a picture, and with its data as CSV.

    Parameters
    ----------
    chart : altair chart
        A single or layered chart without a width fills its column; one with a width, and
        concatenated or faceted charts, keep theirs.
    frame : pandas.DataFrame
        The data behind the chart, offered for download. A named index becomes columns.
    name : str
        File name of the downloads, without extension: lower-case letters, digits, ``-``, ``_``.
    alt : str
        What the chart shows, for readers who do not see it.

    Returns
    -------
    ShownChart
        Displays itself as the last value of a notebook cell.

    Examples
    --------
    >>> import altair
    >>> import pandas
    >>> frame = pandas.DataFrame({"cost": [0.1, 0.9], "score": [0.8, 0.5]})
    >>> chart = altair.Chart(frame).mark_point().encode(x="cost", y="score")
    >>> shown = show(chart, frame, name="cost-score", alt="The score falls with the cost.")
    >>> shown
    The score falls with the cost.
    >>> '<div class="pepr-chart"' in shown._repr_mimebundle_()["text/html"]
    True
    """
    check_name(name)
    if not alt.strip():
        raise PeprError(f"chart {name!r} has no alternative text; say in `alt` what it shows")
    return ShownChart(specification(chart, alt), csv_link(frame, name), name, alt)


class ShownChart:
    """A chart that a notebook displays as HTML, PNG or text; made by `show`."""

    def __init__(self, spec: dict[str, Any], links: str, name: str, alt: str) -> None:
        self.spec, self.links, self.name, self.alt = spec, links, name, alt

    def __repr__(self) -> str:
        return self.alt

    @cached_property
    def _picture(self) -> dict[str, Any]:
        """The specification with the fixed width that pictures have."""
        fluid = self.spec.get("width") == "container"
        return self.spec | {"width": PICTURE_WIDTH} if fluid else self.spec

    def picture(self) -> tuple[str, bytes]:
        """Draw the chart as an SVG, or a PNG of twice its size: media type and content."""
        import vl_convert

        svg = vl_convert.vegalite_to_svg(self._picture).encode()
        if len(svg) <= MOST_BYTES:
            return "image/svg+xml", svg
        return "image/png", vl_convert.vegalite_to_png(self._picture, scale=2)

    def html(self) -> str:
        """Write the fragment of a page: picture, specification and the line of links."""
        kind, content = self.picture()
        address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        datasets = {key: by_column(rows) for key, rows in self.spec.get("datasets", {}).items()}
        spec = self.spec | ({"datasets": datasets} if datasets else {})
        spec = json_in_html(spec)
        return (
            f'<div class="pepr-chart" data-name="{self.name}">\n'
            f'<img src="{address}" alt="{html.escape(self.alt)}">\n'
            f'<script type="application/json">{spec}</script>\n'
            f"</div>\n{self.links}"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {
            "text/html": self.html(),
            "text/plain": self.alt,
        }


def specification(chart: TopLevelMixin, description: str) -> dict[str, Any]:
    """Return a chart's Vega-Lite specification as pages carry it.

    Parameters
    ----------
    chart : altair chart
        The chart; its data must be in it, not at an address.
    description : str
        Words for readers who do not see the chart.
    """
    from altair import data_transformers

    with data_transformers.disable_max_rows():
        spec = chart.to_dict()
    spec["description"] = description
    spec["config"] = merge(CONFIG, _without_defaults(spec.get("config", {})))
    if "width" not in spec and ("mark" in spec or "layer" in spec):
        spec["width"] = "container"
        spec.setdefault("autosize", {"type": "fit-x", "contains": "padding"})
    return spec


def by_column(rows: list[dict[str, Any]]) -> list[dict[str, Any]] | dict[str, list[Any]]:
    """Write rows as columns, a third of the size; the page's script turns them back.

    Examples
    --------
    >>> by_column([{"x": 1 / 3, "name": "a"}, {"x": None, "name": "b"}])
    {'x': [0.3333333, None], 'name': ['a', 'b']}
    >>> by_column([{}])  # altair's data of a mark without any
    [{}]
    """
    if not rows or not rows[0] or any(row.keys() != rows[0].keys() for row in rows):
        return rows
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        key: [float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v for v in values]
        for key, values in columns.items()
    }


def csv_link(frame: pd.DataFrame, name: str) -> str:
    """Write the line of links under a figure: its data, and a place for its notebook.

    The data is in the link itself, so that it can be saved from a page without a server.
    """
    named_index = any(level is not None for level in frame.index.names)
    shown = frame.reset_index(allow_duplicates=True) if named_index else frame
    data = base64.b64encode(without_formulas(shown).to_csv(index=False).encode()).decode()
    return (
        f'<p class="pepr-links"><a download="{name}.csv" href="data:text/csv;base64,{data}">'
        f'Data (CSV)</a><span class="pepr-notebook" data-name="{name}"></span></p>'
    )


def check_name(name: str) -> None:
    """Raise if a figure's or table's name does not serve as a file name everywhere."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise PeprError(
            f"{name!r} is no name for a figure or table; allowed: lower-case letters, digits, "
            "'-' and '_', such as 'model-space'"
        )


def _without_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Drop what altair's default theme sets, so that the book's theme applies."""
    return {k: v for k, v in config.items() if (k, v) != ("view", _ALTAIR_VIEW)}


_ALTAIR_VIEW = {"continuousWidth": 300, "continuousHeight": 300}
