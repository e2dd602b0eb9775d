"""What an entry of ``data/claims.yaml`` holds, and the reader that names every fault at once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pepr_utils.errors import InvalidTableError
from pepr_utils.ledger.registry import load_checks
from pepr_utils.paths import data_file

REPRODUCED = "reproduced"
ANOTHER_READING = "reproduced under another reading"
NOT_REPRODUCED = "not reproduced"
NOT_CHECKABLE = "not checkable from released data"
OUTCOMES = (REPRODUCED, ANOTHER_READING, NOT_REPRODUCED, NOT_CHECKABLE)

FILE = "claims.yaml"
SECTIONS = ("abstract", "1", "2", "3", "table 1", "4", "appendix")


def split_inequality(text: str) -> tuple[str, float]:
    """Take an inequality apart.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> split_inequality("< 0.001")
    ('<', 0.001)
    """
    match = re.fullmatch(r"(<=|>=|<|>) *(-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)", text)
    if not match:
        raise ValueError(f"{text!r} is no inequality; write it as '< 0.05'")
    return match[1], float(match[2])


def _printed(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        raise ValueError(f"{text!r} is no number; write it as printed, without separators")
    return text


def _inequality(text: str) -> str:
    split_inequality(text)
    return text


Printed = Annotated[str, AfterValidator(_printed)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expected(_Strict):
    """What the paper says: exactly one of these kinds.

    Attributes
    ----------
    number, numbers : str or list of str
        As printed; the last digit sets the precision.
    inequality : str
        Such as ``"< 0.001"``.
    about, tolerance : str
        A rounded or hedged number, and how far off still counts; the tolerance is ours.
    truth : bool
        Whether the statement is said to hold.
    text : str
        A name.
    names : list of str
        Names in this order.
    members : list of str
        Names in any order; may be empty.
    """

    number: Printed | None = None
    numbers: list[Printed] | None = Field(None, min_length=1)
    inequality: Annotated[str, AfterValidator(_inequality)] | None = None
    about: Printed | None = None
    tolerance: Printed | None = None
    truth: bool | None = None
    text: str | None = None
    names: list[str] | None = Field(None, min_length=1)
    members: list[str] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Expected:
        kinds = sorted(self.model_fields_set - {"tolerance"})
        if len(kinds) != 1:
            raise ValueError(f"has {' and '.join(kinds) or 'no kind'}; exactly one is allowed")
        if ("about" in kinds) != (self.tolerance is not None):
            raise ValueError("'about' and 'tolerance' go together")
        return self

    @property
    def kind(self) -> str:
        """Name of the one field that is set."""
        return next(iter(self.model_fields_set - {"tolerance"}))


class Reading(_Strict):
    """Another way to understand the statement, tried where the first does not come out."""

    words: str
    check: str


class Claim(_Strict):
    """One statement or number of the paper.

    Attributes
    ----------
    id : str
        Its name here.
    where, section : str
        The place in the paper in words, and the section that it is filed under.
    statement : str
        What the paper says, in our words.
    expected : Expected
        The value that the statement gives.
    unit : str
        Unit of the expected value, if any.
    check : str or None
        Registered function that computes it; None where the released data cannot say.
    missing : str
        What is missing for a check; empty where there is one.
    readings : list of Reading
        Other readings, in the order in which they are tried.
    recorded : str
        The outcome on the published data.
    reading : str
        The words of the reading that gives the value, where the outcome is *another reading*.
    note : str
        What was found and how to see it.
    link : str
        Page of the book, and anchor, where the value is computed or discussed.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    where: str = Field(min_length=1)
    section: Literal["abstract", "1", "2", "3", "table 1", "4", "appendix"]
    statement: str = Field(min_length=1)
    expected: Expected
    unit: str = ""
    check: str | None = None
    missing: str = ""
    readings: list[Reading] = []
    recorded: Literal[OUTCOMES]
    reading: str = ""
    note: str = ""
    link: str = Field(pattern=r"^(notebooks|book)/[a-z0-9_]+(#[a-z0-9-]+)?$")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Claim:
        if (self.check is None) != bool(self.missing):
            raise ValueError("give either a check, or what is missing for one")
        if self.check is None and self.recorded != NOT_CHECKABLE:
            raise ValueError(f"without a check the outcome is {NOT_CHECKABLE!r}")
        if (self.recorded == ANOTHER_READING) != bool(self.reading):
            raise ValueError(f"'reading' is given exactly where 'recorded' is {ANOTHER_READING!r}")
        return self


def load_claims(path: Path | None = None) -> list[Claim]:
    """Read the ledger and check every entry.

    Parameters
    ----------
    path : pathlib.Path, optional
        Another file of the same layout; default is the project's own.

    Raises
    ------
    InvalidTableError
        With every fault of the file, one line for each, by the entry's id.

    Examples
    --------
    >>> len(load_claims()) >= 60
    True
    """
    path = path or data_file(FILE)
    try:
        ledger = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidTableError(f"{path.name}: no readable YAML ({error})") from None
    if not isinstance(ledger, dict) or set(ledger) != {"checks", "claims"}:
        raise InvalidTableError(f"{path.name}: allowed: 'checks', a package, and 'claims', a list")
    if not isinstance(ledger["claims"], list) or not ledger["claims"]:
        raise InvalidTableError(f"{path.name}: claims: allowed: a list with at least one entry")
    known = load_checks(str(ledger["checks"]))
    claims, faults = [], []
    for place, entry in enumerate(ledger["claims"], start=1):
        name = entry.get("id") if isinstance(entry, dict) else None
        try:
            claims.append(Claim.model_validate(entry))
        except ValidationError as error:
            faults += [f"{name or f'entry {place}'}: {_words(e)}" for e in error.errors()]
    for claim in claims:
        faults += [
            f"{claim.id}: no check is registered as {name!r}"
            for name in (claim.check, *(reading.check for reading in claim.readings))
            if name is not None and name not in known
        ]
    repeated = Counter(claim.id for claim in claims)
    faults += [f"{name}: stands {n} times" for name, n in repeated.items() if n > 1]
    if faults:
        raise InvalidTableError("\n".join(f"{path.name}: {fault}" for fault in faults))
    return claims


def _words(error: dict) -> str:
    place = ".".join(map(str, error["loc"]))
    value = "" if isinstance(error["input"], dict) else f" is {error['input']!r}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}{value}: {message}" if place else message
