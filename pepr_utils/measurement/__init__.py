"""Floor 3: running an experiment. Architectures, data sets, protocols, training, metering.

One noun and one verb: a frozen `Run` says what is to be measured, `measure(run)` does it and
returns its record. Importing this package is cheap; torch and timm are loaded by what trains.
"""

from pepr_utils.lazy import lazy as _lazy

_PLACES = {
    "Protocol": "protocols",
    "Run": "run",
    "check_runs": "checks",
    "measure": "measuring",
    "protocol": "protocols",
    "record_killed": "store",
    "run_id": "run",
    "select_architectures": "architectures",
}

__all__ = [
    "Protocol",
    "Run",
    "check_runs",
    "measure",
    "protocol",
    "record_killed",
    "run_id",
    "select_architectures",
]

__getattr__ = _lazy(__name__, _PLACES)


def __dir__() -> list[str]:
    return __all__
