"""Quantities with a unit, such as ``20Wh``, converted to the unit in a column's name."""

from __future__ import annotations

import re
from fractions import Fraction

from pepr_utils.errors import ScoreInputError

#: Kind of quantity -> unit -> its size in the kind's base unit, a whole number.
UNITS = {
    "energy": {
        "J": 1,
        "kJ": 1000,
        "MJ": 10**6,
        "Wh": 3600,
        "kWh": 3600 * 1000,
        "MWh": 3600 * 10**6,
    },
    "memory": {
        "MB": 10**6,
        "GB": 10**9,
        "TB": 10**12,
        "MiB": 2**20,
        "GiB": 2**30,
        "TiB": 2**40,
    },
    "time": {"s": 1, "min": 60, "h": 3600, "d": 86400},
    "mass": {"g": 1, "kg": 1000, "t": 10**6},
}
_QUANTITY = re.compile(
    r"\s*(?P<number>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?)\s*(?P<unit>.*?)\s*"
)
_PARTS = re.compile(r"[^a-zA-Z]+")


def unit_of(column: str) -> tuple[str, str] | None:
    """Find the kind and unit at the end of a column's name, or None where there is none.

    Examples
    --------
    >>> unit_of("energy_kwh"), unit_of("memory (GiB)"), unit_of("n_parameters")
    (('energy', 'kWh'), ('memory', 'GiB'), None)
    """
    words = [word for word in _PARTS.split(column) if word]
    return _find(words[-1]) if words else None


def same_quantity(first: str, second: str) -> bool:
    """Whether the names of two columns end in units of one quantity."""
    one, other = unit_of(first), unit_of(second)
    return one is not None and other is not None and one[0] == other[0]


def to_unit_of(column: str, text: str) -> float:
    """Read a number, with or without a unit, as a value in the unit of a column.

    Parameters
    ----------
    column : str
        Its name ends in its unit, as in ``energy_kwh``, where `text` has one.
    text : str
        Such as ``"20"``, ``"20Wh"`` or ``"8 GB"``. A unit is written as usual or all in small or
        capital letters, which leaves ``mJ`` and ``Gb`` (other units) refused.

    Raises
    ------
    ScoreInputError
        If it is no number, the unit is unknown or of another kind than the column's, or the
        column's name has none.

    Examples
    --------
    >>> to_unit_of("energy_kwh", "20Wh"), to_unit_of("memory_gb", "2GiB"), to_unit_of("x", "3")
    (0.02, 2.147483648, 3.0)
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ScoreInputError(
            f"the budget of {column!r} is {text!r}; allowed: a number, such as 20 or 0.5, or one "
            "with a unit, such as 20Wh"
        )
    given = match["unit"]
    if not given:
        return float(match["number"])
    own = unit_of(column)
    if own is None:
        raise ScoreInputError(
            f"the budget of {column!r} is {text!r}, but that name ends in no unit; "
            "allowed: a number in whatever unit the column is"
        )
    kind, unit = own
    found = _find(given)
    if found is None or found[0] != kind:
        raise ScoreInputError(
            f"the budget of {column!r} is {text!r}; allowed units of {kind}: "
            f"{', '.join(UNITS[kind])}, or none for {unit}"
        )
    # Exact, so that 8.1Wh equals a table's 0.0081 kWh.
    return float(Fraction(match["number"]) * Fraction(UNITS[kind][found[1]], UNITS[kind][unit]))


def _find(word: str) -> tuple[str, str] | None:
    for kind, units in UNITS.items():
        for unit in units:
            if word in (unit, unit.lower(), unit.upper()):
                return kind, unit
    return None
