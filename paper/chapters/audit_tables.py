"""What the audit found, laid out for reading: by check, by finding, by experiment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pepr_utils.audit import CHECKS, Finding
from pepr_utils.audit.checks_bounds import bounds
from pepr_utils.results import ResultSet, add_classes, experiment_labels
from pepr_utils.results.accuracies import fits, stated_lattices, test_values, training_images
from pepr_utils.results.power import declared, energy_windows, implied_power, pue_of, time_contents
from pepr_utils.results.repair import origins
from pepr_utils.results.repeats import shared_values


def by_check(findings: Sequence[Finding]) -> pd.DataFrame:
    """One row per check: what it looks for, how many findings and how many runs they concern."""
    rows = []
    for name, function in CHECKS.items():
        mine = [finding for finding in findings if finding.check == name]
        rows.append(
            {
                "check": name,
                "looks for": (function.__doc__ or "").strip().splitlines()[0],
                "gravest": mine[0].severity if mine else None,
                "findings": len(mine),
                "runs": len({row.run_id for finding in mine for row in finding.rows}),
            }
        )
    return pd.DataFrame(rows)


def as_rows(findings: Sequence[Finding]) -> pd.DataFrame:
    """One row per finding: check, severity, number of runs, evidence; grouped by check."""
    table = pd.DataFrame(
        [(f.check, f.severity, len(f.rows), f.evidence) for f in findings],
        columns=["check", "severity", "runs", "evidence"],
    )
    order = {name: place for place, name in enumerate(CHECKS)}
    table = table.sort_values("check", key=lambda names: names.map(order), kind="stable")
    return table[["check", "evidence", "severity", "runs"]].reset_index(drop=True)


def shared_energies(result_set: ResultSet) -> pd.DataFrame:
    """Count energies that are the same, to the last digit, in two experiments; most first."""
    runs = result_set.finished
    values = shared_values(runs, "energy_kwh")
    labels = experiment_labels(runs["experiment"])
    part = runs.loc[values.index, ["experiment", "energy_kwh"]]
    both = part.merge(part, on="energy_kwh", suffixes=("", "_other"))
    order = {key: place for place, key in enumerate(labels)}
    first, second = (both[c].map(order) for c in ("experiment", "experiment_other"))
    pairs = both[first < second].groupby(["experiment", "experiment_other"]).size()
    table = pairs.rename("energies shared").reset_index()
    table["experiment"] = table["experiment"].map(labels)
    table["experiment_other"] = table["experiment_other"].map(labels)
    table = table.rename(columns={"experiment_other": "and"})
    return table.sort_values("energies shared", ascending=False, kind="stable", ignore_index=True)


def roles(result_set: ResultSet) -> pd.DataFrame:
    """Runs of each experiment by where their energy is from, and the powers that the runs imply."""
    runs, power = result_set.finished, implied_power(result_set)
    role = origins(result_set)["role"].reindex(runs.index).fillna("own")
    labels = experiment_labels(runs["experiment"])
    rows = []
    for key, part in runs.groupby("experiment", sort=False):
        mine, watts = role[part.index], power.loc[part.index, "power_w"]
        copies, others = watts[mine == "copy"], watts[mine != "copy"]
        rows.append(
            {
                "experiment": labels[key],
                "runs": len(part),
                **{name: int((mine == name).sum()) for name in ("source", "copy", "undecided")},
                "power, not copies (W)": _range(others),
                "power, copies (W)": _range(copies),
            }
        )
    return pd.DataFrame(rows)


def _range(values: pd.Series) -> str | None:
    return f"{values.min():,.0f} to {values.max():,.0f}" if len(values.dropna()) else None


def allowances(result_set: ResultSet) -> tuple[float, float]:
    """Host allowances (W) between which the same runs are over their limit as at the declared one.

    Returns
    -------
    lowest, highest : float
        What processor and memory may draw at least so that no run that is now possible becomes
        impossible, and at most so that none that is impossible becomes possible.
    """
    runs, power = result_set.finished, implied_power(result_set)
    host = declared()["host"]["power_w"]
    beside = power["power_w"] / pue_of(runs) - (power["limit_w"] / pue_of(runs) - host)
    possible = power["possible"].fillna(True).astype(bool)
    return float(beside[possible].max()), float(beside[~possible].min())


def windows(result_set: ResultSet) -> pd.DataFrame:
    """Median power of each experiment, for each thing that its energy may have covered."""
    table = energy_windows(result_set)
    return table.assign(experiment=table["experiment"].map(_labels(result_set)))


def contents(result_set: ResultSet) -> pd.DataFrame:
    """How the time shrinks with the images, against training alone and with one evaluation."""
    table = time_contents(result_set)
    return table.assign(experiment=table["experiment"].map(_labels(result_set)))


def lattices(result_set: ResultSet) -> pd.DataFrame:
    """Over which images each experiment's accuracies are: test and training.

    Returns
    -------
    pandas.DataFrame
        experiment; the test images stated for the data set (see `stated_lattices`), those that the
        test accuracies are multiples of, and how many are not;
        accuracies on ``training`` images likewise, with the rule of the average.
    """
    labels, values = _labels(result_set), test_values(result_set)
    training = training_images(result_set).set_index("experiment")
    runs, tests, rows = result_set.finished, stated_lattices(result_set), []
    for key, part in runs.groupby("experiment", sort=False):
        n, lattice = tests.get(key, (0, None))
        n_steps = lattice.n_steps if lattice else n
        known = values.loc[part["run_id"]].to_numpy().ravel()
        known = known[np.isfinite(known)]
        line = training.loc[key] if key in training.index else None
        rows.append(
            {
                "experiment": labels[key],
                "test images stated": n or pd.NA,
                "test images": n_steps or pd.NA,
                "test accuracies": len(known),
                "off": int((~fits(known, n_steps)).sum()) if n_steps else pd.NA,
                "training images": line["n"] if line is not None else pd.NA,
                "as the": line["rule"] if line is not None else None,
                "training accuracies": int(line["values"]) if line is not None else 0,
                "not fitting": int(line["values"] - line["fit"]) if line is not None else pd.NA,
            }
        )
    return pd.DataFrame(rows)


def bounds_table(result_set: ResultSet, *, alpha: float = 1.0) -> pd.DataFrame:
    """Which model sets each bound of the energy, and what follows without it."""
    table = bounds(result_set, alpha=alpha)
    gone = [
        ", ".join(n for n in t if n not in w) or None
        for t, w in zip(table["top"], table["top_without"], strict=True)
    ]
    come = [
        ", ".join(n for n in w if n not in t) or None
        for t, w in zip(table["top"], table["top_without"], strict=True)
    ]
    return pd.DataFrame(
        {
            "experiment": table["experiment"].map(_labels(result_set)),
            "bound": table["bound"],
            "model": table["architecture"],
            "Wh": table["cost"] * 1e3,
            "next (Wh)": [
                f"{name} ({1e3 * cost:.2f})"
                for name, cost in zip(table["next_architecture"], table["next_cost"], strict=True)
            ],
            "leave the best five": gone,
            "join them": come,
            "median PePR-E": [
                f"{one:.3f} → {other:.3f}"
                for one, other in zip(
                    table["median_pepr"], table["median_pepr_without"], strict=True
                )
            ],
        }
    )


def copies_by_size(result_set: ResultSet) -> pd.DataFrame:
    """Share of copies among small and among large models of each experiment that has any."""
    runs = add_classes(result_set.finished)
    role = origins(result_set)["role"].reindex(runs.index)
    labels, rows = _labels(result_set), []
    for key, part in runs.groupby("experiment", sort=False):
        copy = role[part.index].eq("copy").fillna(False)
        if not copy.any():
            continue
        row: dict[str, object] = {"experiment": labels[key]}
        for size in ("small", "large"):
            mine = part["size"].eq(size).fillna(False)
            row |= {
                f"{size} models": int(mine.sum()),
                f"{size}, copies": int(copy[mine].sum()),
                f"{size}, share": copy[mine].mean(),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def changes_by_column(result_set: ResultSet) -> pd.DataFrame:
    """Count the changed cells of a derived set, by experiment and column."""
    changes, labels = result_set.changes, experiment_labels(result_set.experiments)
    counts = changes.groupby(["experiment", "column"], sort=False).agg(
        cells=("column", "size"), emptied=("after", lambda after: int(after.isna().sum()))
    )
    counts = counts.reset_index()
    return counts.assign(experiment=counts["experiment"].map(labels))


def _labels(result_set: ResultSet) -> dict[str, str]:
    return experiment_labels(result_set.finished["experiment"])
