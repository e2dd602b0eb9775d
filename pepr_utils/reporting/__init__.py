"""Floor 3: what the book shows and how it is built: figures, tables, claims, the book pipeline.

Importing this package is cheap: chart libraries are loaded when a name is first used.
"""

from importlib import import_module as _import_module

_PLACES = {"show": "shown_chart", "show_table": "shown_table"}

__all__ = ["show", "show_table"]


def __getattr__(name: str):
    if name in _PLACES:
        return getattr(_import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
