"""Text as people write numbers (0,871; 1.234,5; 1'017; 87.1%), as numbers. Nothing is guessed."""

from __future__ import annotations

import re
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
_GROUPING = r"[ \u00a0\u202f'’]"
_EXPONENT = r"(?:[eE][+-]?\d+)?"


class Numbers(NamedTuple):
    """A column of text as numbers."""

    text: pd.Series  #: floats, or each value with a decimal point and without thousands
    divided: bool  #: whether all were percentages, to be divided by 100
    taken: str  #: what was not the plain default


def is_missing(text: pd.Series) -> pd.Series:
    """Flag the values that say that a number is missing."""
    return text.isna() | text.str.strip().str.lower().isin(MISSING).fillna(True).astype(bool)


def are_numbers(text: pd.Series) -> bool:
    """Whether a column holds numbers, with whatever decimal mark, and at least one."""
    text = _plain_signs(text[~is_missing(text)]).str.removesuffix("%").str.strip()
    return bool(len(text)) and any(_with_point(text, m).notna().all() for m in DECIMAL_MARKS)


def decimal_marks(text: pd.Series) -> set[str]:
    """Return the decimal marks that a column's values prove: none where all could be either.

    Examples
    --------
    >>> decimal_marks(pd.Series(["0,871", "17"])), decimal_marks(pd.Series(["1,017", "17"]))
    ({','}, set())
    """
    found = set()
    for mark, other in ((",", "."), (".", ",")):
        m, o = re.escape(mark), re.escape(other)
        proofs = (
            rf"[+-]?(?:\d*{m}(?!\d{{3}}$)\d*|0?{m}\d*|0\d*{m}\d+|\d{{4,}}{m}\d*){_EXPONENT}",
            rf"[+-]?\d+{m}\d+[eE][+-]?\d+",
            rf"[+-]?\d{{1,3}}(?:{o}\d{{3}})+{m}\d*",
            rf"[+-]?\d{{1,3}}(?:{o}\d{{3}}){{2,}}",
        )
        if text.str.fullmatch("|".join(f"(?:{proof})" for proof in proofs)).any():
            found.add(mark)
    return found


def sampled_marks(sample: pd.DataFrame) -> set[str]:
    """Decimal marks proved by the columns of a file that hold nothing but numbers."""
    found: set[str] = set()
    for column in sample.columns:
        if not isinstance(sample[column].dtype, pd.StringDtype):
            continue
        text = _plain_signs(sample[column][~is_missing(sample[column])])
        text = text.str.removesuffix("%").str.strip()
        marks = decimal_marks(text)
        if len(marks) == 1 and _with_point(text, next(iter(marks))).notna().all():
            found |= marks
    return found


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
    text = _plain_signs(values)
    percent = text.str.endswith("%").fillna(False).astype(bool)
    if percent.any():
        if not percent[text.notna()].all():
            row = int((text.notna() & ~percent).to_numpy().argmax())
            raise InvalidTableError(
                f"{where}: row {row + 1} is {shorten(values.iloc[row])} and others end in %; "
                "allowed: all or none"
            )
        text = text.str.removesuffix("%").str.strip()
    taken = []
    if text.str.contains(r"\d[,.]|[,.]\d|\d" + _GROUPING + r"\d").any():
        mark = decimal or _decimal_mark(text, where, elsewhere)
        plain = _with_point(text, mark)
        bad = plain.isna() & text.notna() & text.str.fullmatch(r"[-+]?[\d.,]+").fillna(False)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise InvalidTableError(
                f"{where}: row {row + 1} is {shorten(values.iloc[row])}, no number with a decimal "
                f"{DECIMAL_MARKS[mark]}; allowed: one decimal mark in all of a column; --decimal "
                "names it"
            )
        grouped = bool((plain.str.len() < text.str.len()).any())
        if mark == "," or grouped:
            taken.append(f"decimal {DECIMAL_MARKS[mark]}{' and thousands' if grouped else ''}")
        text = plain.fillna(text)
    if percent.any():
        taken.append("percentages divided by 100")
    return Numbers(text, bool(percent.any()), ", ".join(taken))


def _plain_signs(text: pd.Series) -> pd.Series:
    return text.str.strip().str.replace("\u2212", "-", regex=False)


def _with_point(text: pd.Series, mark: str) -> pd.Series:
    """Values without thousands and with a decimal point; null where one is no such number."""
    other = re.escape("," if mark == "." else ".")
    m = re.escape(mark)
    groups = "|".join(
        rf"\d{{1,3}}(?:{g}\d{{3}})+" for g in (other, " ", "\u00a0", "\u202f", "['’]")
    )
    number = rf"[+-]?(?:(?:\d+|{groups})(?:{m}\d*)?|{m}\d+){_EXPONENT}"
    plain = text.where(text.str.fullmatch(number).fillna(False).astype(bool))
    plain = plain.str.replace(rf"{other}|{_GROUPING}", "", regex=True)
    return plain.str.replace(mark, ".", regex=False)


def _decimal_mark(text: pd.Series, where: str, elsewhere: frozenset[str]) -> str:
    own = decimal_marks(text)
    if len(own) > 1:
        point = text[text.str.fullmatch(r"[+-]?\d*\.\d*").fillna(False)]
        comma = text[text.str.fullmatch(r"[+-]?\d*,\d*").fillna(False)]
        both = [f"row {s.index[0] + 1} is {shorten(s.iloc[0])}" for s in (point, comma) if len(s)]
        raise InvalidTableError(
            f"{where}: {' and '.join(both) or 'its values mix decimal marks'}; allowed: one "
            "decimal mark in all of a column"
        )
    if own:
        return next(iter(own))
    either = text.str.fullmatch(r"[+-]?[1-9]\d{0,2}[,.]\d{3}").fillna(False).astype(bool)
    if not either.any():
        return "."
    if len(elsewhere) == 1:
        return next(iter(elsewhere))
    if not elsewhere and not text[either].str.contains(",").any():
        return "."
    row = int(either.to_numpy().argmax())
    digits = str(text.iloc[row])
    one, other = re.sub("[,.]", ".", digits), re.sub("[,.]", "", digits)
    raise InvalidTableError(
        f"{where}: row {row + 1} is {shorten(digits)}, which may be {one} or {other}; say which "
        "with --decimal , or --decimal ."
    )
