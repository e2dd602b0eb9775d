"""Numbers in few digits, and untrusted text: without control characters, or escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping


def clean(text: str) -> str:
    """Replace what would move the cursor or colour the terminal.

    Examples
    --------
    >>> clean("benign\\x1b[31m") == "benign\ufffd[31m"
    True
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


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
    return _replaced(text, _MARKDOWN)


def latex(text: object) -> str:
    """Escape a text for one line of LaTeX.

    Examples
    --------
    >>> print(latex("100 % of a_b"), latex("\\\\input{x}"))
    100 \\% of a\\_b \\textbackslash{}input\\{x\\}
    """
    return _replaced(text, _LATEX)


def _replaced(text: object, table: Mapping[str, str]) -> str:
    pattern = "|".join(map(re.escape, table))
    return re.sub(pattern, lambda found: table[found[0]], clean(str(text)))


_MARKDOWN = {c: "\\" + c for c in "\\`*_{}[]#|~$@"} | {"://": ":\\//"}
_MARKDOWN |= {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_LATEX = {c: "\\" + c for c in "&%$#_{}"} | {"--": "-{}-", "[": "{[}", "]": "{]}"}
_LATEX |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
_LATEX |= {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "±": "\\textpm{}"}
_LATEX |= {'"': "\\textquotedbl{}", "`": "\\textasciigrave{}", "'": "\\textquotesingle{}"}
