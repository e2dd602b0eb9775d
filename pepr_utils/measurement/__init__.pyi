from .architectures import select_architectures
from .checks import check_runs
from .measuring import measure
from .protocols import Protocol, protocol
from .run import ResolvedRun, Run, resolve, run_id
from .store import record_killed

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
