from .engine import sweep
from .state import Progress, Running, State, SweepError

__all__ = [
    "Progress",
    "Running",
    "State",
    "SweepError",
    "sweep",
]
