"""PePR: performance per resource unit. Score, measure and choose models by what they cost.

Importing this package is cheap: its parts are loaded when they are first used, and nothing on
the scoring path imports torch.
"""

from importlib import import_module as _import_module
from importlib import metadata as _metadata

__all__ = [
    "__version__",
    "audit",
    "errors",
    "ledger",
    "measurement",
    "paths",
    "results",
    "scoring",
    "statistics",
]


def __getattr__(name: str):
    if name == "__version__":
        try:
            return _metadata.version("pepr-utils")
        except _metadata.PackageNotFoundError:
            return "unknown"
    if name in __all__:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
