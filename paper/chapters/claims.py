"""The ledger as pages show it: the table with its links, the counts, the numbers in prose."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pepr_utils.ledger import (
    ANOTHER_READING,
    NOT_CHECKABLE,
    NOT_REPRODUCED,
    OUTCOMES,
    REPRODUCED,
    Checked,
    differing,
)
from pepr_utils.ledger.compare import describe
from pepr_utils.ledger.schema import SECTIONS

#: What a cell of the column of outcomes is marked by.
_MARKS = {
    REPRODUCED: "reproduced",
    ANOTHER_READING: "another-reading",
    NOT_REPRODUCED: "not-reproduced",
    NOT_CHECKABLE: "",
}

#: Claims that the page names first where they do not hold as worded.
_NAMED = {
    "normalisation": "the scores of Table 1 under the paper's own definition",
    "total-energy": "the total energy",
    "total-carbon": "the total emissions",
    "no-other-efficient-pepr-e": "that no grouping but size matters",
}

#: Names of the counts, by outcome.
_COUNTS = {
    REPRODUCED: "n-reproduced",
    ANOTHER_READING: "n-another-reading",
    NOT_REPRODUCED: "n-not-reproduced",
    NOT_CHECKABLE: "n-not-checkable",
}


def table(checked: Sequence[Checked]) -> pd.DataFrame:
    """One row per claim, with the address of its computation.

    Returns
    -------
    pandas.DataFrame
        What the paper says, outcome, the expected value, what the data give (with the reading, or
        with what is missing), remark (beside a recorded outcome), section and ``address``.
    """
    return pd.DataFrame(
        [
            {
                "the paper says": one.claim.statement,
                "outcome": one.outcome,
                "expected": describe(one.claim.expected, one.claim.unit),
                "the data give": _given(one),
                "remark": one.note or None,
                "section": one.claim.section,
                "address": address(one.claim.link),
            }
            for one in checked
        ]
    )


def download(checked: Sequence[Checked]) -> pd.DataFrame:
    """All that is known of each claim, for the file behind the table."""
    return pd.DataFrame([one.as_dict() for one in checked])


def address(link: str) -> str:
    """Address of a place, as seen from a chapter under ``notebooks``.

    Examples
    --------
    >>> address("notebooks/table_1#tab-1"), address("book/rerun")
    ('table_1.html#tab-1', '../book/rerun.html')
    """
    page, _, anchor = link.partition("#")
    page = page.removeprefix("notebooks/") if page.startswith("notebooks/") else f"../{page}"
    return f"{page}.html#{anchor}" if anchor else f"{page}.html"


def _given(one: Checked) -> str:
    if one.missing:
        return f"nothing; missing: {one.missing}"
    literal = f"; as worded: {one.literal}" if one.literal else ""
    return f"{one.computed} ({one.reading}{literal})" if one.reading else one.computed


def marks(checked: Sequence[Checked]) -> pd.DataFrame:
    """Words for the cells of outcomes, for `show_table`."""
    return pd.DataFrame({"outcome": [_MARKS[one.outcome] for one in checked]})


def counts(checked: Sequence[Checked]) -> pd.DataFrame:
    """How many claims of each section come out how."""
    rows = []
    for section in SECTIONS:
        mine = [one.outcome for one in checked if one.claim.section == section]
        if mine:
            rows.append({"section": section, "claims": len(mine)} | _tally(mine))
    every = [one.outcome for one in checked]
    return pd.DataFrame([*rows, {"section": "all", "claims": len(every)} | _tally(every)])


def _tally(outcomes: Sequence[str]) -> dict[str, int]:
    return {outcome: outcomes.count(outcome) for outcome in OUTCOMES}


def numbers(checked: Sequence[Checked]) -> dict[str, str]:
    """The counts, and the values of each claim under its id: as computed, as worded, as printed."""
    found = {"n-claims": f"{len(checked)}", "n-differing": f"{len(differing(checked))}"}
    for outcome, name in _COUNTS.items():
        found[name] = f"{sum(one.outcome == outcome for one in checked)}"
    for one in checked:
        found[one.claim.id] = one.computed or "n/a"
        found[f"{one.claim.id}-worded"] = one.literal or one.computed or "n/a"
        found[f"{one.claim.id}-printed"] = _printed(one)
        if one.missing:
            found[f"{one.claim.id}-missing"] = one.missing
    return found


def sentences(checked: Sequence[Checked]) -> dict[str, str]:
    """Values of claims in parts: ``-short``, ``-detail``, ``-rest``, and a sentence of two."""
    found = {}
    for name, value in numbers(checked).items():
        short, bracket, detail = value.partition(" (")
        if bracket:
            found[f"{name}-short"], found[f"{name}-detail"] = short, detail.removesuffix(")")
        if name.endswith("-missing"):
            found[f"{name.removesuffix('missing')}rest"] = value.partition("; ")[2]
    failing = {one.claim.id for one in checked if one.outcome not in (REPRODUCED, NOT_CHECKABLE)}
    named = [words for claim, words in _NAMED.items() if claim in failing]
    found["fails"] = f"What fails by name: {'; '.join(named)}." if named else ""
    if "time-of-ten-epochs-detail" not in found:
        return found | {"time-sentence": "This set has no times to check it by."}
    return found | {
        "time-sentence": "T is called the time of ten epochs. The energies cannot have been drawn "
        f"in that time ({found['time-of-ten-epochs-worded-detail']}), and can in ten times as "
        f"long ({found['time-of-ten-epochs-detail']})."
    }


def _printed(one: Checked) -> str:
    """What the paper says, without the tolerance that is ours."""
    expected = one.claim.expected
    if expected.about is None:
        return describe(expected, one.claim.unit)
    return f"about {expected.about} {one.claim.unit}".strip()
