"""The one comparator of the ledger: an expected value, a computed one, and whether they agree.

A printed number is met by rounding or by cutting digits off.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from numbers import Real
from typing import Any

import numpy as np

from pepr_utils.errors import InvalidTableError
from pepr_utils.ledger.registry import LabelledValue
from pepr_utils.ledger.schema import Expected, split_inequality

#: The reading that every printed number is tried under.
CUT_OFF = "cut off, not rounded"

_SIGNS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}

REPRODUCED = "reproduced"
TRUNCATED = "reproduced by truncation"
DIFFERS = "not reproduced"


def compare_printed(computed: float, printed: str) -> str:
    """Outcome of comparing a computed value with a printed one.

    Parameters
    ----------
    computed : float
        The value at full precision.
    printed : str
        The number as printed; its last digit sets the precision.

    Returns
    -------
    {"reproduced", "reproduced by truncation", "not reproduced"}
        *Reproduced* when the values differ by at most half a unit of the last printed digit;
        *by truncation* when cutting the computed value off after that digit gives the printed one.

    Examples
    --------
    >>> compare_printed(0.76361, "0.7636"), compare_printed(17.475, "17.4")
    ('reproduced', 'reproduced by truncation')
    >>> compare_printed(31.684, "21.7")
    'not reproduced'
    """
    target, value, unit = Decimal(printed), Decimal(repr(float(computed))), _last_digit(printed)
    if abs(value - target) <= unit / 2:
        return REPRODUCED
    if value.quantize(unit, rounding=ROUND_DOWN) == target:
        return TRUNCATED
    return DIFFERS


def _last_digit(printed: str) -> Decimal:
    """One unit of the last digit of a printed number."""
    return Decimal(1).scaleb(int(Decimal(printed).as_tuple().exponent))


def at_precision(value: float, printed: str) -> str:
    """Format a value with as many decimals as a printed number has.

    Examples
    --------
    >>> at_precision(31.684, "21.7")
    '31.7'
    """
    return str(Decimal(repr(float(value))).quantize(Decimal(printed), rounding=ROUND_HALF_UP))


def near_misses(computed: float, printed: str, others: Mapping[str, float]) -> list[str]:
    """Find what a printed number that was not reproduced would match instead.

    Parameters
    ----------
    computed : float
        The value that did not match.
    printed : str
        The printed number.
    others : mapping of str to float
        Other candidate values by what they are, such as ``{"epoch 8": 0.76512}``.

    Returns
    -------
    list of str
        The candidates that match, and ``"one digit: ..."`` where the computed value, rounded or
        cut off, differs from the printed number in exactly one digit.

    Examples
    --------
    >>> near_misses(0.76361, "0.7651", {"epoch 8": 0.76512, "epoch 9": 0.76159})
    ['epoch 8: 0.7651']
    >>> near_misses(31.684, "21.7", {})
    ['one digit: 31.7']
    """
    found = [
        f"{what}: {at_precision(value, printed)}"
        for what, value in others.items()
        if compare_printed(value, printed) != DIFFERS
    ]
    value, unit = Decimal(repr(float(computed))), Decimal(printed)
    for rounding in (ROUND_HALF_UP, ROUND_DOWN):
        shown = str(value.quantize(unit, rounding=rounding))
        if (
            len(shown) == len(printed)
            and sum(a != b for a, b in zip(shown, printed, strict=True)) == 1
        ):
            found.append(f"one digit: {shown}")
            break
    return found


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

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
    """Compare a computed value with what the paper states.

    Parameters
    ----------
    expected : Expected
        The kind and the value; see `pepr_utils.ledger.schema.Expected`.
    value : float, bool, str, collection or LabelledValue
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
    label = None
    if isinstance(value, LabelledValue):
        value, label = value.value, value.label
    allowed = [kind for kind, (fits, _) in _KINDS.items() if fits(value)]
    if expected.kind not in allowed:
        raise InvalidTableError(
            f"expected is {expected.kind!r}, and the check gives {value!r}; "
            f"allowed with it: {', '.join(allowed) or 'nothing'}"
        )
    found = _KINDS[expected.kind][1](expected.value, value)
    return found if label is None else Comparison(found.agrees, found.cut_off, label)


def describe(expected: Expected, unit: str = "") -> str:
    """Write an expected value for reading.

    Examples
    --------
    >>> from pepr_utils.ledger.schema import Expected
    >>> describe(Expected(about="36", tolerance="1"), "km")
    'about 36 (± 1) km'
    """
    value = expected.value
    if expected.kind == "truth":
        text = _yes(value)
    elif expected.kind == "about":
        text = f"about {value[0]} (± {value[1]})"
    elif isinstance(value, str):
        text = value
    else:
        text = _listed(value)
    return f"{text} {unit}".strip()


def _number(text: str, value: float) -> Comparison:
    if not math.isfinite(value):
        return Comparison(False, False, "no one number")
    outcome = compare_printed(value, text)
    if outcome == REPRODUCED:
        return Comparison(True, False, at_precision(value, text))
    finer = str(_last_digit(text) / 10)
    shown = f"{value:.0f}" if value == int(value) else at_precision(value, finer)
    return Comparison(outcome == TRUNCATED, True, shown)


def _numbers(texts: Sequence[str], values: Sequence[float]) -> Comparison:
    if len(values) != len(texts):
        return Comparison(False, False, f"{len(values)} values")
    each = [_number(text, value) for text, value in zip(texts, values, strict=True)]
    return Comparison(
        all(one.agrees for one in each),
        any(one.cut_off for one in each),
        _listed([one.computed for one in each]),
    )


def _inequality(text: str, value: float) -> Comparison:
    sign, bound = split_inequality(text)
    return Comparison(bool(_SIGNS[sign](value, bound)), False, f"{value:.3g}")


def _about(stated: tuple[str, str], value: float) -> Comparison:
    centre, tolerance = (Decimal(text) for text in stated)
    distance = abs(Decimal(repr(float(value))) - centre)
    return Comparison(distance <= tolerance, False, at_precision(value, str(tolerance / 10)))


def _truth(stated: bool, value: bool) -> Comparison:
    return Comparison(bool(value) == stated, False, _yes(value))


def _text(stated: str, value: str) -> Comparison:
    return Comparison(value == stated, False, value)


def _names(stated: Sequence[str], values: Collection[str]) -> Comparison:
    return Comparison(list(values) == stated, False, _listed(values))


def _members(stated: Sequence[str], values: Collection[str]) -> Comparison:
    return Comparison(set(values) == set(stated), False, _listed(sorted(values)))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not _is_truth(value)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _all(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple | set) and all(map(kind, value))


#: By kind of expected value: whether a computed one can be compared with it, and how.
_KINDS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], Comparison]]] = {
    "number": (_is_number, _number),
    "inequality": (_is_number, _inequality),
    "about": (_is_number, _about),
    "truth": (_is_truth, _truth),
    "text": (_is_text, _text),
    "numbers": (_all(_is_number), _numbers),
    "names": (_all(_is_text), _names),
    "members": (_all(_is_text), _members),
}


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _listed(values: Collection[str]) -> str:
    return ", ".join(values) or "none"
