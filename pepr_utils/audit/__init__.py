"""The audit: faults in measured results, found by checks that know nothing of one data set.

A check is a function from a result set to a list of findings, registered under its name. The
package itself can be called as its function `audit`: ``pepr_utils.audit(result_set)``.
"""

import sys as _sys
from importlib import import_module as _import_module
from types import ModuleType as _Module

from pepr_utils.audit.finding import Finding, Row
from pepr_utils.audit.registry import CHECKS, audit

#: The families of checks, in the order in which they are run and listed.
_FAMILIES = ("copies", "energy", "accuracy", "emissions", "training", "models", "bounds", "meter")
for _family in _FAMILIES:
    _import_module(f"{__name__}.checks_{_family}")

__all__ = ["CHECKS", "Finding", "Row", "audit"]


class _Callable(_Module):
    """A package that can be called as its function, so that one name serves for both."""

    __call__ = staticmethod(audit)


_sys.modules[__name__].__class__ = _Callable
