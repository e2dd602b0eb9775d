"""Checks of the paper's totals: energy, carbon and the distance by car."""

from __future__ import annotations

import pandas as pd

from paper.checks.shared import ARMS, need_arms
from pepr_utils.errors import NotAvailableError
from pepr_utils.ledger import check
from pepr_utils.results import ResultSet
from pepr_utils.results.repair import read_as
from pepr_utils.results.result_set import cached_on_result_set, image_share

#: carbontracker's CO2 of a kilometre by car, in g, by year of its source: new cars in the EU.
CAR_G_PER_KM = {"2018": 120.4, "2020": 107.5, "2024": 106.8}
#: Emissions that the paper prints, in kg.
PRINTED_KG = 3.7


@cached_on_result_set
def _without_copies(result_set: ResultSet) -> dict[str, ResultSet]:
    need_arms(result_set, ARMS)
    return {name: read_as(result_set, name) for name in ("dropped", "replaced")}


def _total(runs: pd.DataFrame, column: str) -> float:
    """Sum over runs; there is none where one of the values is missing."""
    n = int(runs[column].isna().sum())
    if n:
        raise NotAvailableError(f"{column} of {n} of {len(runs)} runs")
    return float(runs[column].sum())


def _all_runs(result_set: ResultSet) -> pd.DataFrame:
    """Finished runs, if every arm that the paper describes is among them."""
    need_arms(result_set, ARMS)
    return result_set.finished


@check
def energy(result_set: ResultSet) -> float:
    """Energy of all runs, in kWh."""
    return _total(_all_runs(result_set), "energy_kwh")


@check
def energy_replaced(result_set: ResultSet) -> float:
    """The same with copied energies replaced."""
    return _total(_without_copies(result_set)["replaced"].finished, "energy_kwh")


@check
def energy_described(result_set: ResultSet) -> float:
    """The same without runs on less than a tenth of the images."""
    runs = _all_runs(result_set)
    return _total(runs[image_share(runs) >= 0.1], "energy_kwh")


@check
def carbon(result_set: ResultSet) -> float:
    """Emissions of all runs, in kg."""
    return _total(_all_runs(result_set), "co2eq_g") / 1e3


@check
def carbon_own(result_set: ResultSet) -> float:
    """The same without copied runs."""
    return _total(_without_copies(result_set)["dropped"].finished, "co2eq_g") / 1e3


@check
def kilometres(result_set: ResultSet, year: str) -> float:
    """Distance by car that the emissions of all runs are worth."""
    return 1e3 * carbon(result_set) / CAR_G_PER_KM[year]


@check
def printed_kilometres(result_set: ResultSet, year: str) -> float:  # noqa: ARG001
    """Distance by car that the printed emissions are worth; no run is looked at."""
    return 1e3 * PRINTED_KG / CAR_G_PER_KM[year]
