"""The page of a chapter whose data is missing: its text, without numbers, figures and tables."""

from __future__ import annotations

import posixpath
import re
from typing import Any

MISSING = "*not available*"
# A computed value in a text, or a figure of another page: both may name the page.
_GLUE = re.compile(r"\{glue:(?:text|md)?\}`(?:(?P<page>[^`:]+)::)?[^`]*`")
_FIGURE = re.compile(r"^```\{glue\}[^\n]*\n:doc: *(?P<page>\S+)\n```$", re.MULTILINE)
_TITLE = re.compile(r"^# .+$", re.MULTILINE)
_NOTICE = """\
```{{admonition}} The data of this chapter are missing
:class: warning

> {reason}

Its numbers, tables and figures are not available. Do what the message says and run `make paper`.
```"""


def without_results(notebook: Any, reason: str) -> Any:
    """Return a chapter that was not executed, with the reason below its title.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The chapter as it is written; it is changed.
    reason : str
        The error message.
    """
    import nbformat.v4 as v4

    notice = [_NOTICE.format(reason=" ".join(reason.split()))]
    kept = []
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if cell.cell_type == "markdown":
            cell.source = _GLUE.sub(MISSING, cell.source)
            if notice and (title := _TITLE.search(cell.source)):
                lines = [title[0], "", notice.pop()]
                cell.source = cell.source.replace(title[0], "\n".join(lines), 1)
        elif figure:  # other text refers to it by its name
            figure["caption"] = _GLUE.sub(MISSING, figure.get("caption", ""))
            # Sphinx drops a cell without source, its outputs included.
            cell.source, cell.metadata["tags"] = "# not executed", ["remove-input"]
            data = {"text/html": "<p>Not available.</p>", "text/plain": "Not available."}
            cell.outputs = [v4.new_output("display_data", data)]
        else:
            continue
        kept.append(cell)
    notebook.cells = kept
    return notebook


def without_values_of(text: str, docname: str, pages: set[str]) -> str:
    """Replace the values and figures that a text takes from pages without results.

    Examples
    --------
    >>> text = "There are {glue:text}`../notebooks/a.ipynb::n:s` models."
    >>> without_values_of(text, "book/index", {"notebooks/a"})
    'There are *not available* models.'
    >>> without_values_of(text, "book/index", set()) == text
    True
    """

    def replaced(match: re.Match[str]) -> str:
        path = posixpath.join("/", posixpath.dirname(docname), match["page"] or "")
        page = posixpath.splitext(posixpath.normpath(path))[0].lstrip("/")
        return MISSING if page in pages else match[0]

    return _FIGURE.sub(replaced, _GLUE.sub(replaced, text))
