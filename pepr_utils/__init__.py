"""PePR: performance per resource unit. Score, measure and choose models by what they cost.

::

    import pepr_utils as pu

    table = pu.read_table("models.csv")
    pu.score(table, performance="accuracy", cost="energy_wh")

Importing this package is fast: its modules and names are loaded when they are first used, and
nothing on the scoring path imports torch. The names are listed in ``__init__.pyi``.
"""

import lazy_loader as _lazy

_find, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str):
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("pepr-utils")
        except metadata.PackageNotFoundError:
            return "unknown"
    return _find(name)
