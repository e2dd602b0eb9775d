"""The study in batch: runs, a notebook and a folder in; one durable record per run out.

Nothing here imports torch. The coordinator hands shards of runs to Dask workers, each of which
executes the notebook in a kernel of its own; the records in the folder are the only state, which
`pepr_utils.measurement.sweep.state.state` reads.
"""

from pepr_utils.lazy import lazy as _lazy

_PLACES = {
    "Progress": "state",
    "Running": "state",
    "State": "state",
    "SweepError": "state",
    "sweep": "engine",
}

__all__ = ["Progress", "Running", "State", "SweepError", "sweep"]

__getattr__ = _lazy(__name__, _PLACES)


def __dir__() -> list[str]:
    return __all__
