"""The study in batch: runs, a notebook and a folder in; one durable record per run out.

Nothing here imports torch. The coordinator hands shards of runs to Dask workers, each of which
executes the notebook in a kernel of its own; the records in the folder are the only state, which
`pepr_utils.measurement.sweep.state.state` reads.
"""

from importlib import import_module as _import_module

_PLACES = {
    "Progress": "state",
    "Running": "state",
    "State": "state",
    "SweepError": "errors",
    "sweep": "engine",
}

__all__ = ["Progress", "Running", "State", "SweepError", "sweep"]


def __getattr__(name: str):
    if name in _PLACES:
        return getattr(_import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
