"""Check claims against a result set: what is computed, and which reading of the claim agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pepr_utils.errors import InvalidTableError, PeprError
from pepr_utils.ledger.compare import CUT_OFF, Comparison, compare, describe
from pepr_utils.ledger.registry import CHECKS
from pepr_utils.ledger.schema import (
    ANOTHER_READING,
    FILE,
    NOT_CHECKABLE,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    load_claims,
)
from pepr_utils.results import ResultSet
from pepr_utils.results.load import PUBLISHED


@dataclass(frozen=True)
class Checked:
    """Outcome of one claim.

    Attributes
    ----------
    claim : Claim
        The entry of the ledger.
    outcome : str
        One of `OUTCOMES`.
    computed : str
        The value as text, under the first reading that agrees or else under the paper's own;
        empty where nothing could be computed.
    reading : str
        The reading that agrees, where it is not the paper's own.
    literal : str
        The value under the paper's own reading, where another one agrees.
    missing : str
        What a check would need, where the claim is not checkable.
    of_recorded : bool
        Whether the outcome is of what the ledger's remarks are about: of the published set, or of
        no set, such as a property of the score.
    """

    claim: Claim
    outcome: str
    computed: str = ""
    reading: str = ""
    literal: str = ""
    missing: str = ""
    of_recorded: bool = True

    @property
    def as_recorded(self) -> bool:
        """Whether outcome and reading are those that the ledger records."""
        return (self.outcome, self.reading) == (self.claim.recorded, self.claim.reading)

    @property
    def note(self) -> str:
        """The ledger's remark, where it holds: it is about the recorded outcome of that data."""
        return self.claim.note if self.of_recorded and self.as_recorded else ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as an object for JSON."""
        claim = self.claim
        return {
            "id": claim.id,
            "where": claim.where,
            "section": claim.section,
            "statement": claim.statement,
            "expected": describe(claim.expected, claim.unit),
            "computed": self.computed or None,
            "outcome": self.outcome,
            "reading": self.reading or None,
            "literal": self.literal or None,
            "missing": self.missing or None,
            "recorded": claim.recorded,
            "as_recorded": self.as_recorded,
            "note": self.note or None,
            "link": claim.link,
        }


def check_claims(result_set: ResultSet, claims: Sequence[Claim] | None = None) -> list[Checked]:
    """Check claims against a result set.

    Parameters
    ----------
    result_set : ResultSet
        Any set; a claim whose runs are missing from it is not checkable.
    claims : sequence of Claim, optional
        Entries of the ledger; default is all of it.

    Returns
    -------
    list of Checked
        In the order of the ledger.

    Raises
    ------
    InvalidTableError
        If an entry expects another kind of value than its check computes.

    Examples
    --------
    >>> from pepr_utils.results import load_result_set
    >>> found = check_claims(load_result_set("published"))  # doctest: +SKIP
    >>> found[0].outcome  # doctest: +SKIP
    'reproduced'
    """
    published = result_set.name == PUBLISHED
    return [
        replace(_checked(result_set, claim), of_recorded=published or _of_no_set(claim))
        for claim in (load_claims() if claims is None else claims)
    ]


def _of_no_set(claim: Claim) -> bool:
    return claim.check is None or not CHECKS[claim.check].reads_runs


def _checked(result_set: ResultSet, claim: Claim) -> Checked:
    if claim.check is None:
        return Checked(claim, NOT_CHECKABLE, missing=claim.missing)
    try:
        own = _compared(result_set, claim, claim.check, claim.arguments)
    except _NoValueError as error:
        return Checked(claim, NOT_CHECKABLE, missing=str(error))
    if own.agrees and not own.cut_off:
        return Checked(claim, REPRODUCED, own.computed)
    if own.agrees:
        return Checked(claim, ANOTHER_READING, own.computed, CUT_OFF)
    for reading in claim.readings:
        try:
            found = _compared(result_set, claim, reading.check, reading.arguments)
        except _NoValueError:
            continue
        if found.agrees:
            words = f"{reading.words}, {CUT_OFF}" if found.cut_off else reading.words
            return Checked(claim, ANOTHER_READING, found.computed, words, own.computed)
    return Checked(claim, NOT_REPRODUCED, own.computed)


class _NoValueError(Exception):
    """Why a check has no value for a result set."""


def _compared(
    result_set: ResultSet, claim: Claim, check: str, arguments: Mapping[str, Any]
) -> Comparison:
    """Compare what a check computes, as text with the claim's unit, with what is expected."""
    try:
        value = CHECKS[check](result_set, **arguments)
    except PeprError as error:
        raise _NoValueError(error) from None
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        raise _NoValueError(
            f"{result_set.name}: a value; those that it is computed from are missing, "
            "too few or all the same"
        )
    try:
        found = compare(claim.expected, value)
    except InvalidTableError as error:
        raise InvalidTableError(f"{FILE}: {claim.id}: {check}: {error}") from None
    return replace(found, computed=f"{found.computed} {claim.unit}".strip())


def differing(checked: Sequence[Checked]) -> list[Checked]:
    """Those whose outcome or reading is not the recorded one."""
    return [one for one in checked if not one.as_recorded]
