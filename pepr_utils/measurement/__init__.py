"""Measuring: architectures, data sets, protocols, training, metering.

One noun and one verb: a frozen `Run` is what to measure, `resolve(run)` looks up all that it
names, `measure(run)` trains and meters it and returns its record. Importing this package is
cheap; torch and timm are loaded by what trains.
"""

from pepr_utils.lazy import lazy as _lazy

_PLACES = {
    "Protocol": "protocols",
    "ResolvedRun": "run",
    "Run": "run",
    "check_runs": "checks",
    "measure": "measuring",
    "protocol": "protocols",
    "record_killed": "store",
    "resolve": "run",
    "run_id": "run",
    "select_architectures": "architectures",
}

__all__ = [
    "Protocol",
    "ResolvedRun",
    "Run",
    "check_runs",
    "measure",
    "protocol",
    "record_killed",
    "resolve",
    "run_id",
    "select_architectures",
]

__getattr__ = _lazy(__name__, _PLACES)


def __dir__() -> list[str]:
    return __all__
