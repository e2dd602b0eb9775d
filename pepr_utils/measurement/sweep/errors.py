"""What ends a sweep before its runs have."""

from __future__ import annotations

from pepr_utils.errors import PeprError


class SweepError(PeprError, RuntimeError):
    """A sweep cannot begin, or cannot go on; the records that there are stay as they are."""
