"""Figure 1: publications on artificial intelligence per inhabitant, by region, in two years."""

from __future__ import annotations

import pandas as pd

from pepr_utils.errors import unknown_name
from pepr_utils.results.published import read_text


def countries(release: str = "published") -> pd.DataFrame:
    """Read the authors' tables of both years.

    Parameters
    ----------
    release : str, default "published"
        The release that the tables are part of; there is one.

    Returns
    -------
    pandas.DataFrame
        One row per country and year: ``country``, ``region`` (the refined one, which the released
        code aggregates by), ``year``, ``publications``, ``population``, ``per_million``
        (publications per million inhabitants).

    Raises
    ------
    UnknownNameError
        If there is no such release.
    """
    if release != "published":
        raise unknown_name("release", release, ["published"])
    table = read_text("countries.csv")
    counts = table[["year", "publications", "population"]].astype("int64")
    found = pd.DataFrame(
        {"country": table["country"].str.strip(), "region": table["region"]} | dict(counts)
    )
    return found.assign(per_million=1e6 * found["publications"] / found["population"])


def data(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Aggregate publications and inhabitants by region and year.

    Parameters
    ----------
    table : pandas.DataFrame, optional
        What `countries` returns, which is called if nothing is given.

    Returns
    -------
    pandas.DataFrame
        One row per region and year: ``countries`` (how many), ``publications``, ``population``,
        ``per_million``: the sum of the publications over the sum of the populations.
    """
    table = countries() if table is None else table
    grouped = table.groupby(["region", "year"])
    found = grouped[["publications", "population"]].sum()
    found.insert(0, "countries", grouped.size())
    found["per_million"] = 1e6 * found["publications"] / found["population"]
    return found.reset_index()


def in_one_year(table: pd.DataFrame) -> pd.DataFrame:
    """Countries that appear in the table of one year only."""
    years = table.groupby("country")["year"].transform("nunique")
    only = table[years == 1].sort_values(["year", "country"])
    return only[["year", "country", "region", "publications", "population"]].reset_index(drop=True)


def steepest(table: pd.DataFrame, n: int = 10) -> pd.DataFrame:
    """The countries with most publications per inhabitant in the last year."""
    last = table[table["year"] == table["year"].max()]
    columns = ["country", "region", "publications", "population", "per_million"]
    return last.nlargest(n, "per_million")[columns].reset_index(drop=True)


#: Countries, neighbours in the alphabet, whose populations the chapter shows side by side.
NEIGHBOURS = (
    "Ethiopia",
    "Falkland Islands",
    "Mexico",
    "Micronesia",
    "Norway",
    "Oman",
    "Pakistan",
    "Palestine, State of",
)


def neighbours(table: pd.DataFrame) -> pd.DataFrame:
    """Return the populations of some countries in both years, null where one has no row."""
    named = table[table["country"].isin(NEIGHBOURS)]
    wide = named.pivot(index="country", columns="year", values="population").astype("Int64")
    return (
        wide.rename(columns=lambda year: f"population, {year}")
        .rename_axis(None, axis=1)
        .reset_index()
    )


def without(table: pd.DataFrame, region: str, country: str, year: int) -> float:
    """Publications per million inhabitants of a region but for one country."""
    here = (table["region"] == region) & (table["year"] == year) & (table["country"] != country)
    rest = table.loc[here, ["publications", "population"]].sum()
    return 1e6 * rest["publications"] / rest["population"]
