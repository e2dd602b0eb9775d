"""Shared by the chapters: numbers are formatted here, and glued into the pages by name."""

from __future__ import annotations

import pandas as pd

NOT_AVAILABLE = "n/a"


def glue_numbers(numbers: dict[str, str]) -> None:
    """Bind formatted numbers to names that ``{glue:text}`` roles refer to."""
    from myst_nb import glue

    for name, text in numbers.items():
        glue(name, str(text), display=False)


def as_table(numbers: dict[str, str]) -> pd.DataFrame:
    """Lay the numbers of a chapter out by name, for readers of the notebook alone."""
    return pd.DataFrame({"name": list(numbers), "value": list(numbers.values())})


def fixed(value: float, digits: int) -> str:
    """Format a number with fixed decimals; a missing one as ``n/a``.

    Examples
    --------
    >>> fixed(0.12345, 3), fixed(float("nan"), 3)
    ('0.123', 'n/a')
    """
    return NOT_AVAILABLE if pd.isna(value) else f"{value:,.{digits}f}"
