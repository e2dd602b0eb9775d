"""Text as people write numbers (0,871; 1.234,5; 1'017; 87.1%), as numbers. Nothing is guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.tables import shorten

#: How people and programs (the last line: pandas and Excel) write that a number is missing, in
#: small letters. A dash is not among them: accounting formats write 0 as a dash.
MISSING = (
    "", "na", "n/a", "nan", "-nan", "null", "none",
    "<na>", "nat", "#n/a",
)  # fmt: skip
DECIMAL_MARKS = {",": "comma", ".": "point"}
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_BLANKS = " \u00a0\u202f'’"
#: A number that every parser reads, and none that is infinite.
_PLAIN = re.compile(r"[+-]?(?:\d{1,30}\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
#: May be a number that is not written plainly.
_MARKED = re.compile(rf"[-+]?[\d,.{_BLANKS}]*\d[\d,.{_BLANKS}]*{_EXPONENT}")


def _proof(mark: str, other: str) -> re.Pattern[str]:
    """What is a number with this decimal mark only: 0,5 and 12,34 and 1.234,5 and 1.234.567."""
    plain = rf"(?:\d*{mark}(?!\d{{3}}$)\d*|0?{mark}\d*|0\d*{mark}\d+|\d{{4,}}{mark}\d*){_EXPONENT}"
    grouped = rf"\d{{1,3}}(?:{other}\d{{3}})+{mark}\d*|\d{{1,3}}(?:{other}\d{{3}}){{2,}}"
    return re.compile(rf"[+-]?(?:{plain}|\d+{mark}\d+[eE][+-]?\d+|{grouped})")


def _number(mark: str, other: str) -> re.Pattern[str]:
    """A number with this decimal mark, and thousands."""
    groups = "|".join(rf"\d{{1,3}}(?:{g}\d{{3}})+" for g in (other, *_BLANKS[:3], "['’]"))
    return re.compile(rf"[+-]?(?:(?:\d+|{groups})(?:{mark}\d*)?|{mark}\d+){_EXPONENT}")


_PROOFS = {",": _proof(",", r"\."), ".": _proof(r"\.", ",")}
_NUMBERS = {",": _number(",", r"\."), ".": _number(r"\.", ",")}
_TO_POINT = {
    mark: str.maketrans({**dict.fromkeys(other + _BLANKS, ""), mark: "."})
    for mark, other in ((",", "."), (".", ","))
}
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[,.]\d{3}")


class Numbers(NamedTuple):
    """A column of text as numbers."""

    text: pd.Series  #: floats, or each value with a decimal point and without thousands
    divided: bool  #: whether all were percentages, to be divided by 100
    taken: str  #: what was not the plain default


def is_missing(text: pd.Series) -> pd.Series:
    """Flag the values that say that a number is missing."""
    return text.isna() | text.str.strip().str.lower().isin(MISSING).fillna(True).astype(bool)


def are_numbers(text: pd.Series, *, plainly: bool = False) -> bool:
    """Whether a column holds numbers, with whatever decimal mark, and at least one.

    `plainly`: only such as every parser reads.
    """
    head = text.iloc[:100]
    if len(head) < len(text):
        if not (are_numbers(head) or is_missing(head).all()):
            return False
    elif (known := _at_a_glance(text)) is not None:
        return known
    typed = pd.to_numeric(text, errors="coerce").astype("float64")
    typed = typed.where(typed.abs() < math.inf)  # a model may be called Infinity
    if is_missing(text[typed.isna()]).all():
        return bool(typed.notna().any())
    values = [] if plainly else _plain_values(text.dropna())
    return bool(values) and any(
        all(number.fullmatch(value) for value in values) for number in _NUMBERS.values()
    )


def _at_a_glance(text: Iterable[object]) -> bool | None:
    """Whether a few values are plain numbers or no numbers; None where that takes a closer look.

    pandas takes a millisecond for each column, and a table may have thousands.
    """
    known = [v for v in text if isinstance(v, str) and v.strip().lower() not in MISSING]
    if not known or not any(map(str.isdigit, known[0])):
        return False
    return True if all(map(_PLAIN.fullmatch, known)) else None


def decimal_marks(values: Iterable[str]) -> set[str]:
    """Return the decimal marks that values prove: none where all could be either.

    Examples
    --------
    >>> decimal_marks(["0,871", "17"]), decimal_marks(["1,017", "17"])
    ({','}, set())
    """
    return {m for m, proof in _PROOFS.items() if any(proof.fullmatch(value) for value in values)}


def sampled_marks(sample: pd.DataFrame) -> set[str]:
    """Decimal marks proved by the columns of a file that hold nothing but numbers."""
    found: set[str] = set()
    for dtype, column in zip(sample.dtypes, sample.to_numpy(dtype=object).T, strict=True):
        texts = [value for value in column if isinstance(value, str)]
        if isinstance(dtype, pd.StringDtype) or len(texts) == len(column):
            values = _plain_values(texts)
            marks = decimal_marks(values)
            if len(marks) == 1 and all(map(_NUMBERS[min(marks)].fullmatch, values)):
                found |= marks
    return found


def _plain_values(texts: Iterable[str]) -> list[str]:
    """Values that are not missing, with a plain minus sign and without percent signs."""
    values = [v.strip().replace("\u2212", "-") for v in texts]
    return [v.removesuffix("%").rstrip() for v in values if v.lower() not in MISSING]


def as_numbers(
    values: pd.Series,
    where: str,
    *,
    decimal: str | None = None,
    elsewhere: frozenset[str] = frozenset(),
) -> Numbers:
    """Rewrite a column of text so that any parser reads its numbers.

    The decimal mark is the one given, else the one that the column's own values prove, else the
    one of the file's other columns.

    Parameters
    ----------
    values : pandas.Series of str
        As `is_missing` says, some are missing.
    where : str
        File and column, for messages.
    decimal : str, optional
        The decimal mark.
    elsewhere : frozenset of str
        The marks that other columns of the file prove.

    Raises
    ------
    InvalidTableError
        If it could be read in two ways, such as 1,234 alone, or percentages and others are mixed.

    Examples
    --------
    >>> as_numbers(pd.Series(["1.234,5", "7"], dtype="string"), "x").text.tolist()
    ['1234.5', '7']
    """
    if decimal != "," and "," not in elsewhere:
        typed = pd.to_numeric(values, errors="coerce")
        if is_missing(values[typed.isna()]).all():
            return Numbers(typed, divided=False, taken="")
    values = values.mask(is_missing(values))
    text = values.str.strip().str.replace("\u2212", "-", regex=False)
    percent = text.str.endswith("%").fillna(False).astype(bool)
    if percent.any():
        if not percent[text.notna()].all():
            row = int((text.notna() & ~percent).to_numpy().argmax())
            raise InvalidTableError(
                f"{where}: row {row + 1} is {shorten(values.iloc[row])} and others end in %; "
                "allowed: all or none"
            )
        text = text.str.removesuffix("%").str.strip()
    mark = decimal or _decimal_mark(text, where, elsewhere)
    plain = text.map(lambda v: _with_point(v, mark), na_action="ignore").astype("string")
    bad = [row for row, v in enumerate(plain) if isinstance(v, str) and _is_odd(v)]
    if bad:
        raise InvalidTableError(
            f"{where}: row {bad[0] + 1} is {shorten(values.iloc[bad[0]])}, no number with a "
            f"decimal {DECIMAL_MARKS[mark]}; allowed: one decimal mark in all of a column; "
            "--decimal names it"
        )
    grouped = bool((plain.str.len() < text.str.len()).any())
    taken = []
    if mark == "," or grouped:
        taken.append(f"decimal {DECIMAL_MARKS[mark]}{' and thousands' if grouped else ''}")
    if percent.any():
        taken.append("percentages divided by 100")
    return Numbers(plain, bool(percent.any()), ", ".join(taken))


def _with_point(value: str, mark: str) -> str:
    """A number without thousands and with a decimal point; anything else as it is."""
    return value.translate(_TO_POINT[mark]) if _NUMBERS[mark].fullmatch(value) else value


def _is_odd(value: str) -> bool:
    """Whether digits and marks are left that are no number."""
    return bool(_MARKED.fullmatch(value)) and not _NUMBERS["."].fullmatch(value)


def _decimal_mark(text: pd.Series, where: str, elsewhere: frozenset[str]) -> str:
    values = [str(value) for value in text.dropna()]
    own = decimal_marks(values)
    if len(own) > 1:
        rows = list(enumerate(text.fillna("")))
        found = [next((i, v) for i, v in rows if _PROOFS[m].fullmatch(str(v))) for m in ".,"]
        both = " and ".join(f"row {i + 1} is {shorten(v)}" for i, v in found)
        raise InvalidTableError(f"{where}: {both}; allowed: one decimal mark in all of a column")
    if own:
        return min(own)
    either = [value for value in values if _EITHER.fullmatch(value)]
    if not either:
        return "."
    if len(elsewhere) == 1:
        return min(elsewhere)
    if not elsewhere and not any("," in value for value in either):
        return "."
    value = either[0]
    one, other = re.sub("[,.]", ".", value), re.sub("[,.]", "", value)
    row = text.fillna("").tolist().index(value) + 1
    raise InvalidTableError(
        f"{where}: row {row} is {shorten(value)}, which may be {one} or {other}; say which with "
        "--decimal , or --decimal ."
    )
