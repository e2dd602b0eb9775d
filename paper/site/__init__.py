"""How pages show figures and tables, and how the site is made of them: chapters, stubs, Sphinx.

Importing this package is cheap: chart libraries are loaded when a name is first used.
"""

from pepr_utils.lazy import lazy as _lazy

_PLACES = {"show": "shown_chart", "show_table": "shown_table"}

__all__ = ["show", "show_table"]

__getattr__ = _lazy(__name__, _PLACES)


def __dir__() -> list[str]:
    return __all__
