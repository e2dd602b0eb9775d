"""What a result set holds: its experiments, and its columns in words."""

from __future__ import annotations

import pandas as pd

from pepr_utils.paths import data_file
from pepr_utils.results import ResultSet, data_dictionary, experiment_labels


def overview(result_set: ResultSet) -> pd.DataFrame:
    """Summarise a result set by experiment.

    Returns
    -------
    pandas.DataFrame
        One row per experiment: its label, number of runs and architectures, median test accuracy,
        median energy (Wh) and total energy (kWh).
    """
    runs = result_set.finished
    labels = experiment_labels(result_set.experiments)
    groups = runs.groupby("experiment", sort=False)
    table = groups.agg(
        runs=("run_id", "size"),
        architectures=("architecture", "nunique"),
        accuracy=("test_accuracy", "median"),
        energy=("energy_kwh", "median"),
        total=("energy_kwh", "sum"),
    ).reset_index()
    return pd.DataFrame(
        {
            "experiment": table["experiment"].map(labels),
            "runs": table["runs"],
            "architectures": table["architectures"],
            "median accuracy": table["accuracy"],
            "median energy (Wh)": table["energy"] * 1e3,
            "total energy (kWh)": table["total"],
        }
    )


def dictionary(table: str) -> pd.DataFrame:
    """Lay out the data dictionary of one table for a page.

    Parameters
    ----------
    table : {"runs", "epochs"}
        Which table.

    Returns
    -------
    pandas.DataFrame
        One row per column: its name, its meaning with what is doubtful, unit, allowed values.
    """
    rows = data_dictionary()
    rows = rows[rows["table"] == table]
    meaning = rows["meaning"].where(rows["in sets"] == "all", rows["meaning"] + " (published only)")
    doubt = (". In the published set: " + rows["doubt"]).where(rows["doubt"] != "", "")
    return pd.DataFrame(
        {
            "column": rows["column"],
            "meaning": (meaning + doubt).str.replace("`", ""),
            "unit": rows["unit"],
            "allowed": rows["allowed"],
        }
    )


def released_script() -> pd.DataFrame:
    """Lines of the released training script that say how the runs were made.

    Returns
    -------
    pandas.DataFrame
        One row per line: ``file``, ``line`` (from 1), ``setting``, ``value``, ``code`` and
        ``what``, all text but the line's number.
    """
    return pd.read_csv(data_file("released_code.csv"), dtype={"value": str})
