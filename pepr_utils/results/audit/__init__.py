"""The audit: faults in measured results, found by checks that know nothing of one data set.

A check is a function from a result set to a list of findings, registered under its name. What the
checks find out about copied values also gives the three readings of a set: see `read_as`.
"""

from importlib import import_module as _import_module

from pepr_utils.results.audit.finding import Finding, Row
from pepr_utils.results.audit.origins import origins
from pepr_utils.results.audit.registry import CHECKS, audit
from pepr_utils.results.audit.repair import READINGS, read_as, repair

#: The families of checks, in the order in which they are run and listed.
_FAMILIES = ("copies", "energy", "accuracy", "emissions", "training", "models", "bounds", "meter")
for _family in _FAMILIES:
    _import_module(f"{__name__}.checks_{_family}")

__all__ = ["CHECKS", "READINGS", "Finding", "Row", "audit", "origins", "read_as", "repair"]
