"""The claims ledger: every checkable statement of the paper, recomputed, with its outcome.

``data/claims.yaml`` holds each statement and the value expected, a registered function computes the
value of a result set, and one comparator decides. `check_claims` puts them together.
"""

from pepr_utils.ledger.outcomes import Checked, check_claims, differing
from pepr_utils.ledger.registry import LabelledValue, check
from pepr_utils.ledger.schema import (
    ANOTHER_READING,
    NOT_CHECKABLE,
    NOT_REPRODUCED,
    OUTCOMES,
    REPRODUCED,
    Claim,
    load_claims,
)

__all__ = [
    "ANOTHER_READING",
    "NOT_CHECKABLE",
    "NOT_REPRODUCED",
    "OUTCOMES",
    "REPRODUCED",
    "Checked",
    "Claim",
    "LabelledValue",
    "check",
    "check_claims",
    "differing",
    "load_claims",
]
