"""Records, result sets and the published data. Frames in, frames out; no torch.

Its parts are loaded when they are used: whoever writes a record needs no pandas.
"""

from pepr_utils.lazy import lazy as _lazy

_PLACES = {
    "COST_COLUMNS": "scores",
    "LARGE_ABOVE": "architectures",
    "Epoch": "schema",
    "Record": "schema",
    "ResultSet": "result_set",
    "Run": "schema",
    "add_classes": "architectures",
    "available_result_sets": "load",
    "content_hash": "load",
    "correct_images": "predictions",
    "cost_column": "scores",
    "curve_experiment": "curves",
    "data_dictionary": "tables",
    "experiment_key": "experiments",
    "experiment_labels": "experiments",
    "learning_curves": "curves",
    "load_architectures": "architectures",
    "load_majority": "majority",
    "load_result_set": "load",
    "load_timm_models": "architectures",
    "majority_of_runs": "majority",
    "majority_share": "majority",
    "read_predictions": "predictions",
    "read_record": "record_files",
    "score_runs": "scores",
    "size_class": "architectures",
    "write_record": "record_files",
}

__all__ = [
    "COST_COLUMNS",
    "LARGE_ABOVE",
    "Epoch",
    "Record",
    "ResultSet",
    "Run",
    "add_classes",
    "available_result_sets",
    "content_hash",
    "correct_images",
    "cost_column",
    "curve_experiment",
    "data_dictionary",
    "experiment_key",
    "experiment_labels",
    "learning_curves",
    "load_architectures",
    "load_majority",
    "load_result_set",
    "load_timm_models",
    "majority_of_runs",
    "majority_share",
    "read_predictions",
    "read_record",
    "score_runs",
    "size_class",
    "write_record",
]

__getattr__ = _lazy(__name__, _PLACES)


def __dir__() -> list[str]:
    return __all__
