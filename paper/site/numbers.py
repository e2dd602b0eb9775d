"""How computed numbers reach a page's prose: formatted here, bound to names by `show_numbers`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from paper.site.shown_table import ShownTable, show_table
from pepr_utils.results import ResultSet
from pepr_utils.results.power import energy_basis

NOT_AVAILABLE = "n/a"


def fixed(value: float, digits: int) -> str:
    """Format a number with fixed decimals; a missing one as ``n/a``.

    Examples
    --------
    >>> fixed(0.12345, 3), fixed(float("nan"), 3)
    ('0.123', 'n/a')
    """
    return NOT_AVAILABLE if pd.isna(value) else f"{value:,.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """Write a share in per cent; a missing one as ``n/a``.

    Examples
    --------
    >>> percent(0.274), percent(0.0034, 1)
    ('27 %', '0.3 %')
    """
    return NOT_AVAILABLE if pd.isna(share) else f"{100 * share:.{digits}f} %"


def show_numbers(numbers: Mapping[str, object]) -> ShownTable:
    """Bind numbers to the names that ``{glue:text}`` roles refer to.

    Returns
    -------
    ShownTable
        Name and value of each, for readers of the notebook alone.
    """
    from myst_nb import glue

    for name, value in numbers.items():
        glue(name, str(value), display=False)
    rows = {"name": list(numbers), "value": [str(value) for value in numbers.values()]}
    return show_table(pd.DataFrame(rows), name="numbers")


def show_basis(result_set: ResultSet) -> ShownTable | None:
    """Say above a chapter's figures that a set's energies are estimates; nothing where not."""
    basis = energy_basis(result_set)
    return basis and show_table(
        pd.DataFrame({"result set": [result_set.name], "energy": [basis]}), name="energy-basis"
    )
