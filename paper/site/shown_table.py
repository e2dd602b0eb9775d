"""How a table reaches a page: accessible HTML, scrolling in its own box, with its data as CSV."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paper.site.shown_chart import check_name, csv_link

if TYPE_CHECKING:
    import pandas as pd

#: Tables with more rows than this scroll inside their box, under a fixed head.
TALL = 24

#: Texts with more characters than this are set in several lines.
LONG = 32

_NUMERIC = ' class="num"'

Format = str | Callable[[Any], str]


def show_table(
    frame: pd.DataFrame,
    *,
    name: str,
    formats: Mapping[Any, Format] | Format | None = None,
    marks: pd.DataFrame | None = None,
    links: Mapping[Any, Any] | None = None,
    group: Any = None,
    data: pd.DataFrame | None = None,
    filters: Sequence[Any] = (),
) -> ShownTable:
    """Make a frame ready for a page as an accessible HTML table with its data as CSV.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows as they are shown; the first column heads its row.
    name : str
        File name of the download, without extension: lower-case letters, digits, ``-``, ``_``.
    formats : mapping or str or callable, optional
        How values are written, by column, or one for all columns of floats: a format
        specification such as ``".3f"`` or a function. Missing values are a dash.
    marks : pandas.DataFrame, optional
        A word for single cells, such as ``"truncated"``, with the frame's index and any of its
        columns. It becomes the cell's class, ``pepr-WORD``, and its hover text; the page's style
        knows ``reproduced``, ``truncated`` and ``differs``.
    links : mapping, optional
        From a column to the column that holds its address; the latter is not shown.
    group : column, optional
        A column whose runs of equal values become headings over their rows instead of cells.
    data : pandas.DataFrame, optional
        What the CSV holds, where that is more than what is shown.
    filters : sequence of column, optional
        Columns by whose values a reader can choose rows, where the page runs scripts; without
        them the whole table is shown. Not together with `group`.

    Returns
    -------
    ShownTable
        Displays itself as the last value of a notebook cell.

    Examples
    --------
    >>> import pandas
    >>> frame = pandas.DataFrame({"model": ["a", "b"], "accuracy": [0.81234, None]})
    >>> print(show_table(frame, name="accuracies", formats=".3f").table)
    <table class="pepr-table">
    <thead><tr><th scope="col">model</th><th scope="col" class="num">accuracy</th></tr></thead>
    <tbody>
    <tr><th scope="row">a</th><td class="num">0.812</td></tr>
    <tr><th scope="row">b</th><td class="num">–</td></tr>
    </tbody>
    </table>
    """
    check_name(name)
    links = dict(links or {})
    hidden = [*links.values(), *([] if group is None else [group])]
    shown = frame.drop(columns=hidden)
    cells = [
        _column(shown[c], _format_of(formats, shown[c]), frame.get(links.get(c)), marks)
        for c in shown.columns
    ]
    rows = [f"<tr>{''.join(row)}</tr>" for row in _head_rows(cells)]
    if group is not None:
        rows = _under_headings(rows, frame[group], width=len(cells))
    table = (
        f'<table class="pepr-table">\n<thead>{_header(shown)}</thead>\n'
        "<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"
    )
    chosen = [shown.columns.get_loc(column) for column in filters]
    return ShownTable(table, csv_link(frame if data is None else data, name), frame, chosen)


class ShownTable:
    """A table that a notebook displays as HTML or text; made by `show_table`."""

    def __init__(
        self, table: str, links: str, frame: pd.DataFrame, filters: Sequence[int] = ()
    ) -> None:
        self.table, self.links, self.frame, self.filters = table, links, frame, filters

    def __repr__(self) -> str:
        return self.frame.to_string(index=False)

    def html(self) -> str:
        """Write the fragment of a page: the table in its box and the line of links."""
        tall = " pepr-tall" if len(self.frame) > TALL else ""
        places = f' data-filters="{" ".join(map(str, self.filters))}"' if self.filters else ""
        apart = self.table.replace("><t", ">\n<t")  # or the search takes a row's texts for one word
        return (
            f'<div class="pepr-table-box{tall}" tabindex="0"{places}>\n{apart}\n</div>\n'
            f"{self.links}"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": repr(self)}


def _is_number(column: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(column) and not is_bool_dtype(column)


def _format_of(formats: Mapping[Any, Format] | Format | None, column: pd.Series) -> Format | None:
    if isinstance(formats, Mapping):
        return formats.get(column.name)
    return formats if column.dtype.kind == "f" else None


def _write(value: Any, fmt: Format | None, number: bool) -> str:
    import pandas as pd

    if pd.isna(value):
        return "–"
    if callable(fmt):
        return html.escape(str(fmt(value)))
    text = format(value, fmt) if fmt and number else str(value)
    return html.escape(text.replace("%", " %") if number else text)  # as in the prose


def _column(
    column: pd.Series, fmt: Format | None, addresses: pd.Series | None, marks: pd.DataFrame | None
) -> list[tuple[str, str]]:
    """Return a column's cells as (attributes, content)."""
    number = _is_number(column)
    marked = marks[column.name] if marks is not None and column.name in marks else None
    cells = []
    for i, value in enumerate(column):
        content = _write(value, fmt, number)
        if addresses is not None and isinstance(addresses.iloc[i], str):
            content = f'<a href="{html.escape(addresses.iloc[i])}">{content}</a>'
        mark = marked.loc[column.index[i]] if marked is not None else None
        mark = html.escape(mark) if isinstance(mark, str) and mark else ""
        long = "long" if isinstance(value, str) and len(value) > LONG else ""
        classes = " ".join(filter(None, ["num" if number else long, mark and f"pepr-{mark}"]))
        attributes = f' class="{classes}"' if classes else ""
        cells.append((attributes + (f' title="{mark}"' if mark else ""), content))
    return cells


def _head_rows(columns: list[list[tuple[str, str]]]):
    """Turn columns of cells into rows whose first cell is the row's head."""
    for first, *others in zip(*columns, strict=True):
        head = f'<th scope="row"{first[0]}>{first[1]}</th>'
        yield [head, *(f"<td{attributes}>{content}</td>" for attributes, content in others)]


def _under_headings(rows: list[str], groups: pd.Series, width: int) -> list[str]:
    """Put a heading before each run of rows of the same group."""
    starts = (groups != groups.shift()).fillna(True).to_numpy(bool)
    return [
        f'<tr><th scope="rowgroup" colspan="{width}">{html.escape(str(value))}</th></tr>\n{row}'
        if start
        else row
        for row, value, start in zip(rows, groups, starts, strict=True)
    ]


def _header(frame: pd.DataFrame) -> str:
    """Write the header row."""
    heads = [
        f'<th scope="col"{_NUMERIC if _is_number(column) else ""}>{html.escape(str(name))}</th>'
        if str(name)
        else "<td></td>"
        for name, column in frame.items()
    ]
    return f"<tr>{''.join(heads)}</tr>"
