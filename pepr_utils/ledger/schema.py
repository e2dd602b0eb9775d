"""What an entry of ``data/claims.yaml`` holds, and the reader that names every fault at once."""

from __future__ import annotations

import csv
import inspect
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.ledger.registry import Check, load_checks
from pepr_utils.paths import data_file

Outcome = Literal[
    "reproduced",
    "reproduced under another reading",
    "not reproduced",
    "not checkable from released data",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
REPRODUCED, ANOTHER_READING, NOT_REPRODUCED, NOT_CHECKABLE = OUTCOMES

FILE = "claims.yaml"
#: LibYAML's reader takes a tenth of the time of Python's.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Section = Literal["abstract", "1", "2", "3", "table 1", "4", "appendix"]
SECTIONS: tuple[Section, ...] = get_args(Section)


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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Cells(_Strict):
    """Values that a shipped table has, as printed there.

    Attributes
    ----------
    file, column : str
        A CSV file of ``data/`` and its column.
    rows : dict
        Which rows: the value, or the values, of other columns.
    """

    file: str
    column: str
    rows: dict[str, str | list[str]] = {}

    def read(self) -> list[str]:
        """Return the values in the order of the file.

        Raises
        ------
        ValueError
            If there is no such file, column or row.
        """
        try:
            with data_file(self.file).open(encoding="utf-8", newline="") as lines:
                table = list(csv.DictReader(lines))
            wanted = {k: [v] if isinstance(v, str) else v for k, v in self.rows.items()}
            rows = [row for row in table if all(row[k] in v for k, v in wanted.items())]
            found = [row[self.column] for row in rows]
        except (PeprError, KeyError) as error:
            raise ValueError(f"{self.file}: {error}") from None
        if not found:
            raise ValueError(f"{self.file} has no row with {self.rows}")
        return found


def _several(value: list[str] | Cells) -> list[str]:
    return value.read() if isinstance(value, Cells) else value


def _single(value: str | Cells) -> str:
    found = [value] if isinstance(value, str) else value.read()
    if len(found) != 1:
        raise ValueError(f"{len(found)} cells; one is allowed here")
    return found[0]


def _all_printed(texts: list[str]) -> list[str]:
    return [_printed(text) for text in texts]


def _place(value: Any) -> str:
    return "cells" if isinstance(value, dict | Cells) else "here"


_In = Discriminator(_place)
_Cells = Annotated[Cells, Tag("cells")]
_Text = Annotated[str, Tag("here")]
_Texts = Annotated[list[str], Field(min_length=1), Tag("here")]
_One = Annotated[_Text | _Cells, _In, AfterValidator(_single)]
_Several = Annotated[_Texts | _Cells, _In, AfterValidator(_several)]
Printed = Annotated[str, AfterValidator(_printed)]


class Expected(_Strict):
    """What the paper states: exactly one of these kinds, its values here or in `Cells`.

    Attributes
    ----------
    number, numbers : str or list of str
        As printed; the last digit sets the precision.
    inequality : str
        Such as ``"< 0.001"``.
    about, tolerance : str
        A rounded or hedged number, and how far off still counts; the tolerance is ours.
    truth : bool
        Whether the statement holds, according to the paper.
    text : str
        A name.
    names : list of str
        Names in this order.
    members : list of str
        Names in any order; may be empty.
    """

    number: Annotated[_One, AfterValidator(_printed)] | None = None
    numbers: Annotated[_Several, AfterValidator(_all_printed)] | None = None
    inequality: Annotated[str, AfterValidator(_inequality)] | None = None
    about: Printed | None = None
    tolerance: Printed | None = None
    truth: bool | None = None
    text: _One | None = None
    names: _Several | None = None
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

    @property
    def value(self) -> Any:
        """What that field holds; with ``about``, the tolerance too."""
        return (self.about, self.tolerance) if self.kind == "about" else getattr(self, self.kind)


class Reading(_Strict):
    """Another way to understand the statement, tried where the first does not agree."""

    words: str
    check: str
    arguments: dict[str, Any] = Field({}, alias="with")


class Claim(_Strict):
    """One statement or number of the paper.

    Attributes
    ----------
    id : str
        Its name here.
    where, section : str
        The place in the paper, as text, and the section that it is filed under.
    statement : str
        What the paper states, in our words.
    expected : Expected
        The value that the statement gives.
    unit : str
        Unit of the expected value, if any.
    check : str or None
        Registered function that computes it; None where the released data cannot say.
    arguments : dict
        What it is given beside the result set; ``with`` in the file.
    missing : str
        What is missing for a check; empty where there is one.
    readings : list of Reading
        Other readings, in the order in which they are tried.
    recorded : str
        The outcome on the published data.
    reading : str
        The reading that gives the value, where the outcome is *another reading*.
    note : str
        What was found and how to see it.
    link : str
        Page of the book, and anchor, where the value is computed or discussed.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    where: str = Field(min_length=1)
    section: Section
    statement: str = Field(min_length=1)
    expected: Expected
    unit: str = ""
    check: str | None = None
    arguments: dict[str, Any] = Field({}, alias="with")
    missing: str = ""
    readings: list[Reading] = []
    recorded: Outcome
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
        ledger = yaml.load(path.read_text("utf-8"), Loader=_LOADER)  # a safe one
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
            faults += [f"{name or f'entry {place}'}: {_message(e)}" for e in error.errors()]
    for claim in claims:
        for one in (claim, *claim.readings):
            fault = one.check and _fault(one.check, one.arguments, known)
            faults += [f"{claim.id}: {fault}"] if fault else []
    repeated = Counter(claim.id for claim in claims)
    faults += [f"{name}: appears {n} times" for name, n in repeated.items() if n > 1]
    if faults:
        raise InvalidTableError("\n".join(f"{path.name}: {fault}" for fault in faults))
    return claims


def _fault(check: str, arguments: Mapping[str, Any], known: Mapping[str, Check]) -> str:
    """What is wrong with a check and its arguments; empty if nothing is."""
    if check not in known:
        return f"no check is registered as {check!r}"
    try:
        inspect.signature(known[check].function).bind(None, **arguments)
    except TypeError as error:
        return f"{check}: {error}"
    return ""


class _Ledger(_Strict):
    """The file: the package of the checks, and the claims."""

    checks: str
    claims: list[Claim]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``claims.yaml``, for editors."""
    return _Ledger.model_json_schema()


def _message(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("here", "cells"))
    value = "" if isinstance(error["input"], dict) else f" is {error['input']!r}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}{value}: {message}" if place else message
