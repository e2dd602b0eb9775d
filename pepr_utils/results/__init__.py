"""Floor 2: records, result sets and the published data. Frames in, frames out; no torch."""

from pepr_utils.results.architectures import (
    LARGE_ABOVE,
    add_classes,
    load_architectures,
    load_timm_models,
    size_class,
)
from pepr_utils.results.curves import curve_experiment, learning_curves
from pepr_utils.results.experiments import experiment_key, experiment_labels
from pepr_utils.results.majority import load_majority, majority_of_runs, majority_share
from pepr_utils.results.predictions import correct_images, read_predictions
from pepr_utils.results.records import read_record, write_record
from pepr_utils.results.result_set import (
    ResultSet,
    available_result_sets,
    content_hash,
    load_result_set,
)
from pepr_utils.results.schema import Epoch, Record, Run
from pepr_utils.results.scores import COST_COLUMNS, cost_column, score_runs
from pepr_utils.results.tables import data_dictionary

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
