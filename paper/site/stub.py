"""The page that stands in for a chapter whose data could not be downloaded.

It keeps what other pages refer to: the title, the headings, and every label of a figure, table
or equation. What would be a number says that it is not available.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from paper.site.chapters import BookError

NOT_AVAILABLE = "*not available*"
_MISSING = "Not available: the data could not be downloaded."

# A role that puts in a computed value: {glue:text}`page.ipynb::key:s`, the page being optional.
_GLUE = re.compile(r"\{glue:(?:text|md)?\}`(?:(?P<page>[^`:]+)::)?[^`]*`")

# A directive that puts in a figure of another page.
_GLUE_BLOCK = re.compile(
    r"^```\{glue[^}]*\}[^\n]*\n:doc: *(?P<page>\S+)\n.*?^```$", re.MULTILINE | re.DOTALL
)

_LOST = "*Not available: this needs data that could not be downloaded.*"

# Where a paragraph or a list item ends.
_BLOCK_END = re.compile(r"\n\n+|\n(?=- )")

_TITLE = re.compile(r"^# .+$", re.MULTILINE)

_NOTICE = """\
```{{admonition}} This chapter's data could not be downloaded
:class: warning

Its numbers, tables and figures are computed from data that was not there when the site was built:

> {reason}

Connect to a network, or do what the message says, and run `make paper` again: the chapter then
takes the place of this page.
```"""


def stub_notebook(notebook: Any, reason: str) -> Any:
    """Make the stand-in for a notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The chapter as it is written, not executed.
    reason : str
        Why the data could not be downloaded, in one sentence.

    Returns
    -------
    nbformat.NotebookNode
        Title, notice, and whatever carries a label.
    """
    import nbformat.v4 as v4

    cells = [cell for cell in map(_keep, notebook.cells) if cell is not None]
    notice = _NOTICE.format(reason=" ".join(reason.split()))
    titled = next((c for c in cells if _TITLE.search(c.source)), None)
    if titled is None:
        raise BookError("a chapter has no title: its first line of prose must be `# Title`")
    titled.source = _TITLE.sub(lambda title: f"{title[0]}\n\n{notice}", titled.source, count=1)
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {k: notebook.metadata[k] for k in ("kernelspec",) if k in notebook.metadata}
    return v4.new_notebook(
        cells=cells, metadata=kernel | {"language_info": {"name": "python"}}, nbformat_minor=5
    )


def without_stubs(text: str, docname: str, stubs: set[str]) -> str:
    """Replace the paragraphs and list items that take a value from stubbed chapters.

    A sentence with a hole in it says nothing; neighbours that would be replaced become one.

    Parameters
    ----------
    text : str
        MyST text.
    docname : str
        The page it stands on; pages are named relative to it.
    stubs : set of str
        The docnames of stubbed chapters.

    Examples
    --------
    >>> text = "Models.\\n\\n- There are {glue:text}`../notebooks/a.ipynb::n:s`.\\n- Still here."
    >>> print(without_stubs(text, "book/index", {"notebooks/a"}))
    Models.
    <BLANKLINE>
    *Not available: this needs data that could not be downloaded.*
    <BLANKLINE>
    - Still here.
    >>> without_stubs(text, "book/index", set()) == text
    True
    """

    def is_lost(block: str) -> bool:
        pages = [m["page"] for pattern in (_GLUE, _GLUE_BLOCK) for m in pattern.finditer(block)]
        return any(page and _resolve(page, docname) in stubs for page in pages)

    blocks = [_LOST if is_lost(block) else block for block in _BLOCK_END.split(text)]
    if _LOST not in blocks:
        return text
    after = [None, *blocks]
    return "\n\n".join(b for b, a in zip(blocks, after, strict=False) if not a == b == _LOST)


def _resolve(page: str, docname: str) -> str:
    """The docname that a page's relative path, or a path from the root, stands for."""
    parts: list[str] = []
    start = () if page.startswith("/") else PurePosixPath(docname).parent.parts
    for part in (*start, *PurePosixPath(page.lstrip("/")).with_suffix("").parts):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _keep(cell: Any) -> Any | None:
    import nbformat.v4 as v4

    if cell.cell_type == "markdown":
        text = _labelled_blocks(_GLUE.sub(NOT_AVAILABLE, cell.source))
        return v4.new_markdown_cell(text) if text else None
    figure = cell.metadata.get("mystnb", {}).get("figure")
    if cell.cell_type != "code" or not figure:
        return None
    caption = _GLUE.sub(NOT_AVAILABLE, figure.get("caption", ""))
    empty = v4.new_output(
        "display_data",
        {
            "text/html": f'<div class="pepr-missing">{_MISSING}</div>',
            "text/plain": _MISSING,
        },
    )
    metadata = {"tags": ["remove-input"], "mystnb": {"figure": figure | {"caption": caption}}}
    # Sphinx drops a cell without a source, its outputs included.
    return v4.new_code_cell("# not executed", outputs=[empty], metadata=metadata)


def _labelled_blocks(text: str) -> str:
    """Keep the headings, targets, labelled equations and labelled directives of a text."""
    from markdown_it.renderer import RendererHTML
    from myst_parser.config.main import MdParserConfig
    from myst_parser.parsers.mdit import create_md_parser

    config = MdParserConfig(enable_extensions={"dollarmath", "amsmath", "colon_fence"})
    lines = text.splitlines()
    kept = [
        "\n".join(lines[slice(*token.map)])
        for token in create_md_parser(config, RendererHTML).parse(text)
        if token.level == 0 and token.map and _has_label(token)
    ]
    return "\n\n".join(kept)


def _has_label(token: Any) -> bool:
    if token.type in ("fence", "colon_fence"):
        return bool(re.search(r"^\s*:?(label|name):", token.content, re.MULTILINE))
    return token.type in ("heading_open", "myst_target", "math_block_label")
