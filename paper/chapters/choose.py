"""The page to choose a model: the tables that it works on, its default view and its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from paper.chapters.pareto import models as models_of
from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.errors import InfeasibleBudgetError, InvalidTableError, PeprError
from pepr_utils.printable import json_in_html
from pepr_utils.results import (
    ResultSet,
    available_result_sets,
    experiment_labels,
    load_result_set,
)
from pepr_utils.results.groups import averaged_experiments, averaged_runs, by_architecture
from pepr_utils.results.scores import cost_column
from pepr_utils.scoring import pareto_front, select

#: Costs by the name that addresses have: letter of the score, words, unit, units per stored one.
COSTS = {
    "energy": ("E", "Energy", "Wh", 1e3),
    "memory": ("M", "Memory", "GB", 1.0),
    "time": ("T", "Time", "s", 1.0),
    "emissions": ("C", "Emissions", "g CO₂eq", 1.0),
}
SETS = {
    "published": "Published data, as released",
    "published-repaired": "Published data, repaired",
    "demo": "Demo, measured when this site was built",
    "xray": "Measured here without a GPU; energy is an estimate",
    "xray-extra": "Measured here: fine-tuned, and a control; energy is an estimate",
}
WORDS = {
    "derma": "Derma (skin lesions)",
    "lidc": "LIDC (lung nodules on CT)",
    "pneumonia": "Pneumonia (chest X-rays)",
    "phantom": "Phantom (drawn images)",
    "pretrained": "fine-tuned",
    "100 %": "all images",
}
#: The question that the page answers as an example: chest X-rays, at most 10 Wh.
EXAMPLE = ("pneumonia", 0.010)
#: Significant digits that the page is given: scores agree to 1e-9.
DIGITS = 12
RESAMPLES = 1000


def offered(result_set: str) -> list[ResultSet]:
    """The set itself, the other state of the published data, and every set measured here.

    A set without a finished run on all images is no choice.
    """
    found = [load_result_set(result_set)]
    for name in available_result_sets():
        if name != result_set and (name != "published" or result_set in SETS):
            other = load_result_set(name)
            with suppress(InvalidTableError):
                other.full_data()
                found.append(other)
    return found


def fragment(results: Iterable[ResultSet]) -> str:
    """Write what the page's script works on: its place, and the tables as JSON."""
    tables = [table for r in results if (table := embedded(r))["experiments"]]
    first = {experiment["id"]: experiment for experiment in tables[0]["experiments"]}
    for table in tables[1:]:  # what is as in the first set is not written twice
        if table["models"] == tables[0]["models"]:
            table["shares"] = True
            table["experiments"] = [
                {k: v for k, v in e.items() if k == "id" or first.get(e["id"], {}).get(k) != v}
                for e in table["experiments"]
            ]
    data = json_in_html(tables, ensure_ascii=False)
    return _PLACE + f'<script type="application/json" id="choose-data">{data}</script>'


#: What the script fills; without it only the first sentence is seen.
_PLACE = """\
<div id="choose">
<p id="choose-answer" role="status" aria-live="polite">Without JavaScript this page shows its first
view only: the picture and the ten best models below.</p>
<form class="pepr-controls" hidden></form>
<details id="choose-own" hidden>
<summary>A table of your own (it stays on your machine)</summary>
<p><label for="choose-file">Choose a CSV file, or drop it here:</label>
<input id="choose-file" type="file" accept=".csv,.tsv,.txt,text/csv"></p>
<div id="choose-columns"></div>
<p id="choose-error" role="alert"></p>
</details>
<div id="choose-tools" hidden>
<p class="pepr-filter"><label for="choose-search">Search</label>
<input id="choose-search" type="search">
<button id="choose-all" type="button" aria-pressed="false">Show all rows</button></p>
<p id="choose-summary"></p>
</div>
</div>
"""


def embedded(results: ResultSet) -> dict[str, Any]:
    """One result set as the page has it: its models, its columns, and each experiment by column."""
    runs = results.finished
    runs = runs.assign(n_parameters=runs["n_parameters"].astype("float64"))
    models = runs.groupby("architecture")["n_parameters"].mean().sort_values(kind="stable")
    columns = []
    for name, (letter, label, unit, factor) in COSTS.items():
        try:
            source = cost_column(runs, letter)
        except PeprError:  # nobody measured it
            continue
        window = " of one epoch" if source == "released_train_time_s" else ""
        columns.append({"id": name, "label": label + window, "unit": unit, "cost": True})
        runs = runs.assign(**{name: runs[source].astype("float64") * factor})
    labels = experiment_labels(runs["experiment"])
    experiments = []
    for key, label in labels.items():
        here = runs[runs["experiment"] == key]
        means = here.groupby("architecture")[["test_accuracy", *(c["id"] for c in columns)]].mean()
        means = means.reindex(models.index).rename(columns={"test_accuracy": "performance"})
        tests = here["n_test"].dropna().unique()
        experiments.append(
            {"id": _slug(label), "label": words(label)}
            | {"n_test": int(tests[0]) if len(tests) == 1 else None}
            | {name: _numbers(means[name]) for name in means}
        )
    averaged = [
        _slug(labels[key]) for key in averaged_runs(results, "stated")["experiment"].unique()
    ]
    several = {"id": "mean", "label": f"Mean of {len(averaged)}, fine-tuned, all images"}
    parameters = {"id": "parameters", "label": "Parameters", "unit": "", "cost": False}
    return {
        "id": results.name,
        "label": SETS.get(results.name, results.name),
        "performance": "Test accuracy",
        "models": list(models.index),
        "parameters": _numbers(models),
        "columns": [*columns, *([parameters] if models.notna().any() else [])],
        "experiments": experiments,
        "averages": [several | {"of": averaged}] if len(averaged) > 1 else [],
    }


def words(label: str) -> str:
    """An experiment's label for readers who do not know the data sets' short names."""
    return ", ".join(WORDS.get(part, part) for part in label.split(", "))


def default_view(results: ResultSet, *, alpha: float = 1.0) -> pd.DataFrame:
    """The models as the page opens, best first: mean accuracy, energy, resource and score.

    Returns
    -------
    pandas.DataFrame
        The columns of `by_architecture` with ``resource``, ``front`` and ``stays``, the share of
        resamplings of the test images in which the model is on the front (null where the number
        of images is unknown).
    """
    frame = by_architecture(results, alpha=alpha)
    resources = frame[[c for c in frame if c.startswith("R: ")]]
    frame["resource"] = resources.mean(axis="columns")
    frame["front"] = pareto_front(frame["test_accuracy"], frame["resource"])
    runs = averaged_runs(results, "stated")
    keys = {label: key for key, label in experiment_labels(runs["experiment"]).items()}
    rng, drawn = np.random.default_rng(0), []
    for column in (c for c in frame if c.startswith("P: ")):
        tests = runs.loc[runs["experiment"] == keys[column.removeprefix("P: ")], "n_test"]
        if tests.nunique() != 1 or tests.isna().any():
            return frame.assign(stays=float("nan")).sort_values("pepr", ascending=False)
        n = int(tests.iloc[0])
        drawn.append(rng.binomial(n, frame[column], size=(RESAMPLES, len(frame))) / n)
    fronts = pareto_front(
        np.mean(drawn, axis=0).ravel(),
        np.tile(frame["resource"], RESAMPLES),
        by=np.repeat(np.arange(RESAMPLES), len(frame)),
    )
    frame["stays"] = fronts.reshape(RESAMPLES, -1).mean(axis=0)
    return frame.sort_values("pepr", ascending=False, kind="stable", ignore_index=True)


def top_table(frame: pd.DataFrame, rows: int = 10) -> pd.DataFrame:
    """The best models of `default_view`, for readers without scripts."""
    top = frame.head(rows)
    return pd.DataFrame(
        {
            "model": top["architecture"],
            "PePR-E": top["pepr"],
            "R": top["resource"],
            "test accuracy": top["test_accuracy"],
            "energy (Wh)": top["energy_wh"],
            "parameters": top["n_parameters"],
            "on the front": top["stays"],
        }
    )


def leaders(frame: pd.DataFrame, highest: float = 1000.0) -> pd.DataFrame:
    """Which model leads the mean score from which alpha on, between 1 and `highest`.

    `leaders_by_alpha` is exact for one experiment; a mean of scores is searched on a fine grid,
    and each change then bisected.
    """
    p, r = (
        frame[[c for c in frame if c.startswith(f"{x}: ")]].to_numpy(float).T[..., None]
        for x in "PR"
    )

    def leader(alpha: np.ndarray) -> np.ndarray:
        return (p / (1 + r / alpha)).mean(axis=0).argmax(axis=0)

    grid = np.geomspace(1, highest, 3001)
    found = leader(grid)
    rows = [(frame["architecture"].iloc[found[0]], 1.0)]
    for i in np.flatnonzero(np.diff(found)):
        low, high = grid[i], grid[i + 1]
        for _ in range(40):
            middle = (low + high) / 2
            same = leader(np.array([middle]))[0] == found[i]
            low, high = (middle, high) if same else (low, middle)
        rows.append((frame["architecture"].iloc[found[i + 1]], high))
    return pd.DataFrame(rows, columns=["model", "from_alpha"])


def numbers(results: ResultSet, frame: pd.DataFrame) -> dict[str, str]:
    """What the page's first sentences quote."""
    led = leaders(frame)
    later = led.iloc[1] if len(led) > 1 else None
    return {
        "over": averaged_experiments(frame),
        "n-models": f"{len(frame)}",
        "leader": led["model"].iloc[0],
        "leader-score": fixed(frame["pepr"].iloc[0], 4),
        "first-change": NOT_AVAILABLE if later is None else fixed(later["from_alpha"], 2),
        "second-leader": NOT_AVAILABLE if later is None else later["model"],
        "last-leader": led["model"].iloc[-1],
        "last-change": fixed(led["from_alpha"].iloc[-1], 1),
        "front": f"{int(frame['front'].sum())}",
        "front-expected": fixed(frame.loc[frame["front"], "stays"].sum(), 1),
        **_example(results),
    }


def _example(results: ResultSet) -> dict[str, str]:
    """The best model of the example's data set within its budget."""
    dataset, most = EXAMPLE
    labels = [
        label
        for key, label in experiment_labels(results.experiments).items()
        if key in set(averaged_runs(results, "stated")["experiment"]) and label.startswith(dataset)
    ]
    try:
        rows = models_of(results, experiment=labels[0]).reset_index()
        found = select(rows, maximum={"energy_kwh": most})
    except (IndexError, InfeasibleBudgetError):
        return dict.fromkeys(("example-best", "example-within", "example-of"), NOT_AVAILABLE)
    return {
        "example-best": found.best["architecture"],
        "example-within": f"{len(found.ranking)}",
        "example-of": f"{found.n_candidates}",
    }


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-")


def _numbers(values: pd.Series) -> list[float | int | None]:
    rounded = [None if pd.isna(v) else float(f"{v:.{DIGITS}g}") for v in values]
    return [int(v) if v is not None and v.is_integer() else v for v in rounded]
