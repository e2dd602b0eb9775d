"""Compare a computed number with a printed one: rounded, cut off, or something else."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

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
    target, value = Decimal(printed), Decimal(repr(float(computed)))
    unit = Decimal(1).scaleb(target.as_tuple().exponent)
    if abs(value - target) <= unit / 2:
        return REPRODUCED
    if value.quantize(unit, rounding=ROUND_DOWN) == target:
        return TRUNCATED
    return DIFFERS


def at_precision(value: float, printed: str) -> str:
    """Format a value with as many decimals as a printed number has.

    Examples
    --------
    >>> at_precision(31.684, "21.7")
    '31.7'
    """
    return str(Decimal(repr(float(value))).quantize(Decimal(printed), rounding=ROUND_HALF_UP))


def near_misses(computed: float, printed: str, others: Mapping[str, float]) -> list[str]:
    """Say what a printed number that was not reproduced would match instead.

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
