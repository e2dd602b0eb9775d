"""Numbers in few digits, and untrusted text: without control characters, or escaped."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any


def clean(text: str) -> str:
    """Replace what would move the cursor or colour the terminal.

    Examples
    --------
    >>> clean("benign\\x1b[31m") == "benign\ufffd[31m"
    True
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def clean_lines(text: str) -> str:
    """Clean a text that may have several lines; see `clean`.

    Examples
    --------
    >>> clean_lines("one\\ntwo\\x07") == "one\\ntwo\ufffd"
    True
    """
    return text if text.isprintable() else "\n".join(map(clean, text.split("\n")))


def json_in_html(value: object, **options: Any) -> str:
    """Write JSON that no text in it can end or comment out the script element around.

    Examples
    --------
    >>> json_in_html(["<!--<script>"])
    '["\\\\u003c!--\\\\u003cscript>"]'
    """
    return json.dumps(value, separators=(",", ":"), **options).replace("<", "\\u003c")


#: Begins a cell that a spreadsheet would run as a formula, unless it is a number.
_FORMULA = re.compile(r"(?=[=+@\-\t\r])(?![-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*%?$)")


def for_spreadsheet(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run as a formula.

    Examples
    --------
    >>> for_spreadsheet("=1+1"), for_spreadsheet("-0.5"), for_spreadsheet(-0.5)
    ("'=1+1", '-0.5', -0.5)
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def fraction(value: float) -> str:
    """Four decimals, or a dash where there is no value."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def number(value: float) -> str:
    """Four significant digits, all digits before the point, or a dash where there is no value."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def count(n: int, noun: str) -> str:
    """``1 row``, ``1,048 rows``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def markdown(text: object) -> str:
    """Escape a text for one line of Markdown, of a table too.

    Examples
    --------
    >>> print(markdown("a_b | <i> https://x"))
    a\\_b \\| &lt;i&gt; https:\\//x
    """
    return _replaced(clean(str(text)), _MARKDOWN)


def markdown_cell(text: str) -> str:
    """Escape a cell of a Markdown table that is read back: only control characters are lost.

    Examples
    --------
    >>> print(markdown_cell("a_b | <i>"))
    a\\_b \\| &lt;i&gt;
    """
    return _replaced(without_controls(text), _MARKDOWN)


def without_controls(text: str) -> str:
    """Replace control characters and nothing else, such as in a document for TeX.

    Examples
    --------
    >>> without_controls("caf\\u00e9\\x1b[31m") == "caf\\u00e9\ufffd[31m"
    True
    """
    return _CONTROL.sub("\ufffd", text)


def latex(text: object) -> str:
    """Escape a text for one line of LaTeX.

    Examples
    --------
    >>> print(latex("100 % of a_b"), latex("\\\\input{x}"))
    100 \\% of a\\_b \\textbackslash{}input\\{x\\}
    """
    return _replaced(clean(str(text)), _LATEX)


def _replaced(text: str, table: Mapping[str, str]) -> str:
    pattern = "|".join(map(re.escape, table))
    return re.sub(pattern, lambda found: table[found[0]], text)


_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")
_MARKDOWN = {c: "\\" + c for c in "\\`*_{}[]#|~$@"} | {"://": ":\\//"}
_MARKDOWN |= {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_LATEX = {c: "\\" + c for c in "&%$#_{}"} | {"--": "-{}-", "[": "{[}", "]": "{]}"}
_LATEX |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
_LATEX |= {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "±": "\\textpm{}"}
_LATEX |= {'"': "\\textquotedbl{}", "`": "\\textasciigrave{}", "'": "\\textquotesingle{}"}
