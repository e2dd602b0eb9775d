from . import (
    audit,
    errors,
    ledger,
    measurement,
    paths,
    reporting,
    results,
    scoring,
    statistics,
)
from .measurement import measure
from .measurement.metering import meter
from .reporting import report
from .results import best_by_pepr, load_result_set, read_table, score
from .scoring import normalize, pareto_front, pepr, select

__all__ = [
    "audit",
    "best_by_pepr",
    "errors",
    "ledger",
    "load_result_set",
    "measure",
    "measurement",
    "meter",
    "normalize",
    "pareto_front",
    "paths",
    "pepr",
    "read_table",
    "report",
    "reporting",
    "results",
    "score",
    "scoring",
    "select",
    "statistics",
]

__version__: str
