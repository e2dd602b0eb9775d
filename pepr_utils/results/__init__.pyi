from .accuracies import load_majority, majority_of_runs, majority_share
from .architectures import (
    LARGE_ABOVE,
    add_classes,
    load_architectures,
    load_timm_models,
    size_class,
)
from .curves import curve_experiment, learning_curves
from .experiments import experiment_key, experiment_labels
from .grid_search import best_by_pepr
from .load import available_result_sets, content_hash, load_result_set
from .predictions import correct_images, read_predictions
from .ranking import score
from .record_files import read_record, write_record
from .result_set import ResultSet
from .schema import Epoch, Record, Run
from .scores import COST_COLUMNS, cost_column, score_runs
from .tables import data_dictionary
from .user_table import read_table

__all__ = [
    "COST_COLUMNS",
    "LARGE_ABOVE",
    "Epoch",
    "Record",
    "ResultSet",
    "Run",
    "add_classes",
    "available_result_sets",
    "best_by_pepr",
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
    "read_table",
    "score",
    "score_runs",
    "size_class",
    "write_record",
]
