"""The one comparator of the ledger: an expected value, a computed one, and whether they agree."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from pepr_utils.errors import InvalidTableError
from pepr_utils.ledger import printed
from pepr_utils.ledger.schema import Expected, split_inequality

#: Words of the reading that every printed number is tried under.
CUT_OFF = "cut off, not rounded"

_SIGNS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


@dataclass(frozen=True)
class Told:
    """A computed value with words that say more than the value alone: 115 of 131, not just no."""

    value: Any
    words: str


@dataclass(frozen=True)
class Comparison:
    """What came of comparing.

    Attributes
    ----------
    agrees : bool
        Whether the computed value is the expected one, rounded or cut off.
    cut_off : bool
        Whether it takes cutting digits off, instead of rounding.
    computed : str
        The computed value in words, a digit more than printed where it does not agree.
    """

    agrees: bool
    cut_off: bool
    computed: str


def compare(expected: Expected, value: Any) -> Comparison:
    """Compare a computed value with what the paper says.

    Parameters
    ----------
    expected : Expected
        The kind and the value; see `pepr_utils.ledger.schema.Expected`.
    value : float, bool, str, collection or Told
        What the check returned.

    Raises
    ------
    InvalidTableError
        If the value is of another kind: names are expected, and the check counts.

    Examples
    --------
    >>> from pepr_utils.ledger.schema import Expected
    >>> compare(Expected(number="24.6"), 24.671)
    Comparison(agrees=True, cut_off=True, computed='24.67')
    >>> compare(Expected(inequality="< 0.001"), 2e-9).agrees
    True
    """
    words = None
    if isinstance(value, Told):
        value, words = value.value, value.words
    if not _FITS[expected.kind](value):
        raise InvalidTableError(
            f"expected is {expected.kind!r}, and the check gives {_kind(value)}; "
            f"allowed with it: {_allowed(value)}"
        )
    agrees, cut_off, shown = _KINDS[expected.kind](expected, value)
    return Comparison(agrees, cut_off, words if words is not None else shown)


def describe(expected: Expected, unit: str = "") -> str:
    """Write an expected value for reading.

    Examples
    --------
    >>> from pepr_utils.ledger.schema import Expected
    >>> describe(Expected(about="36", tolerance="1"), "km")
    'about 36 (± 1) km'
    """
    value = getattr(expected, expected.kind)
    if expected.kind == "truth":
        text = _yes(value)
    elif expected.kind == "about":
        text = f"about {value} (± {expected.tolerance})"
    elif isinstance(value, str):
        text = value
    else:
        text = _listed(value)
    return f"{text} {unit}".strip()


def _number(text: str, value: float) -> tuple[bool, bool, str]:
    if not math.isfinite(value):
        return False, False, "no one number"
    outcome = printed.compare_printed(value, text)
    if outcome == printed.REPRODUCED:
        return True, False, printed.at_precision(value, text)
    finer = Decimal(1).scaleb(Decimal(text).as_tuple().exponent - 1)
    shown = f"{value:.0f}" if value == int(value) else printed.at_precision(value, str(finer))
    return outcome == printed.TRUNCATED, True, shown


def _numbers(expected: Expected, value: Sequence[float]) -> tuple[bool, bool, str]:
    if len(value) != len(expected.numbers):
        return False, False, f"{len(value)} values"
    each = [_number(t, v) for t, v in zip(expected.numbers, value, strict=True)]
    agrees, cut_off = all(e[0] for e in each), any(e[1] for e in each)
    return agrees, cut_off, _listed([e[2] for e in each])


def _holds(expected: Expected, value: float) -> tuple[bool, bool, str]:
    sign, bound = split_inequality(expected.inequality)
    return bool(_SIGNS[sign](value, bound)), False, f"{value:.3g}"


def _near(expected: Expected, value: float) -> tuple[bool, bool, str]:
    distance = abs(Decimal(repr(float(value))) - Decimal(expected.about))
    shown = printed.at_precision(value, str(Decimal(expected.tolerance) / 10))
    return distance <= Decimal(expected.tolerance), False, shown


def _is(expected: Expected, value: bool) -> tuple[bool, bool, str]:
    return bool(value) == expected.truth, False, _yes(value)


def _members(expected: Expected, value: Collection[str]) -> tuple[bool, bool, str]:
    return set(value) == set(expected.members), False, _listed(sorted(value))


_KINDS = {
    "number": lambda expected, value: _number(expected.number, value),
    "numbers": _numbers,
    "inequality": _holds,
    "about": _near,
    "truth": _is,
    "text": lambda expected, value: (value == expected.text, False, str(value)),
    "names": lambda expected, value: (list(value) == expected.names, False, _listed(value)),
    "members": _members,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not _is_truth(value)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _all(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether a value is a list or the like of what is of a kind."""
    return lambda value: isinstance(value, list | tuple | set) and all(map(kind, value))


#: Whether a value can be compared with an expected one of this kind.
_FITS: dict[str, Callable[[Any], bool]] = {
    "number": _is_number,
    "inequality": _is_number,
    "about": _is_number,
    "truth": _is_truth,
    "text": _is_text,
    "numbers": _all(_is_number),
    "names": _all(_is_text),
    "members": _all(_is_text),
}
#: Kinds of computed values in words, by one expected kind that fits them.
_WORDS = {
    "number": "a number",
    "truth": "yes or no",
    "text": "a text",
    "numbers": "a list of numbers",
    "names": "a list of names",
}


def _kind(value: Any) -> str:
    found = (words for kind, words in _WORDS.items() if _FITS[kind](value))
    return next(found, f"a {type(value).__name__}")


def _allowed(value: Any) -> str:
    return ", ".join(kind for kind, fits in _FITS.items() if fits(value)) or "nothing"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _listed(values: Collection[str]) -> str:
    return ", ".join(values) or "none"
