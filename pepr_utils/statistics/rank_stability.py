"""Tables of how stable a ranking is: by normalisation, models compared, and against controls."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results import (
    ResultSet,
    add_classes,
    correct_images,
    cost_column,
    curve_experiment,
    experiment_labels,
    majority_of_runs,
    score_runs,
)
from pepr_utils.scoring import (
    agreement,
    beats_majority,
    compare_normalizations,
    cost_alone,
    equivalent_alpha,
    leave_one_out,
    normalize,
    pepr,
    ranks,
    score_intervals,
)

#: Rules that are compared with min-max.
RULES = ("max", "quantile", "log")
TOP = 5
BOUND_COLUMNS = (
    "experiment", "without", "sets", "equivalent alpha", "largest change of a score",
    "Kendall's tau", f"of {TOP} leaders kept", "largest shift", "leader",
)  # fmt: skip


def scored_experiments(
    result_set: ResultSet, *, alpha: float = 1.0, cost: str = "E"
) -> dict[str, pd.DataFrame]:
    """Scored runs of each full-data experiment by label, one row per architecture.

    Repeated runs of an architecture are averaged, and the cost of each is kept in ``costs``;
    experiments with one model are left out.
    """
    runs = result_set.full_data()
    column = cost_column(runs, cost)
    runs = runs[runs["test_accuracy"].notna() & runs[column].notna()]
    labels = experiment_labels(runs["experiment"])
    found = {}
    for key, part in runs.groupby("experiment", sort=False):
        each = part.groupby("architecture", sort=False)
        table = (
            each[["test_accuracy", column]]
            .mean()
            .assign(
                n_parameters=each["n_parameters"].first(),
                n_test=each["n_test"].first(),
                dataset=str(part["dataset"].iloc[0]),
                costs=pd.Series({name: list(runs[column]) for name, runs in each}),
                run_ids=pd.Series({name: list(runs["run_id"]) for name, runs in each}),
            )
        )
        if len(table) > 1:
            table = score_runs(table, cost=column, alpha=alpha, by=None)
            found[labels[str(key)]] = table.rename(columns={column: "cost"})
    if not found:
        raise InvalidTableError(
            f"{result_set.name}: no experiment on all training data has two models; "
            "a ranking needs at least two"
        )
    return found


def main_experiment(result_set: ResultSet, scored: dict[str, pd.DataFrame]) -> str:
    """Label of the experiment that is shown in detail: that of the learning curves, if scored."""
    labels = experiment_labels(result_set.full_data()["experiment"])
    try:
        label = labels.get(curve_experiment(result_set))
    except InvalidTableError:  # a table of totals has no curves
        label = None
    return label if label in scored else next(iter(scored))


def normalizations(scored: dict[str, pd.DataFrame], *, alpha: float = 1.0) -> pd.DataFrame:
    """How much each ranking changes when the normalisation rule does."""
    rows = []
    for label, table in scored.items():
        methods = ["minmax", *(r for r in RULES if r != "log" or (table["cost"] > 0).all())]
        placed = compare_normalizations(
            table["test_accuracy"], table["cost"], methods=methods, alpha=alpha
        )
        for rule in RULES:
            if rule not in placed:
                rows.append({"experiment": label, "rule": rule, "leader": "(a cost is 0)"})
                continue
            found = agreement(placed["minmax"], placed[rule], top=TOP)
            rows.append(
                {
                    "experiment": label,
                    "rule": rule,
                    "Kendall's tau": found["kendall_tau"],
                    f"of {TOP} leaders kept": found["top_shared"],
                    "largest shift": found["largest_shift"],
                    "leader": placed[rule].idxmin(),
                }
            )
    return pd.DataFrame(rows)


def bound_setters(scored: dict[str, pd.DataFrame], *, alpha: float = 1.0) -> pd.DataFrame:
    """Each ranking without the models that set its bounds."""
    rows = []
    for label, table in scored.items():
        if len(table) < 3:
            continue
        left = leave_one_out(table["test_accuracy"], table["cost"], alpha=alpha, top=TOP)
        bounds = (table["cost"].min(), table["cost"].max())
        for name, row in left[left["moves_bounds"]].iterrows():
            rest = table["cost"].drop(index=name)
            highest = rest.max() < bounds[1]
            rows.append(
                {
                    "experiment": label,
                    "without": name,
                    "sets": "R_max" if highest else "R_min",
                    "equivalent alpha": equivalent_alpha(bounds, (rest.min(), rest.max()))
                    if highest
                    else np.nan,
                    "largest change of a score": row["largest_score_change"],
                    "Kendall's tau": row["kendall_tau"],
                    f"of {TOP} leaders kept": row["top_shared"],
                    "largest shift": row["largest_shift"],
                    "leader": row["leader"],
                }
            )
    return pd.DataFrame(rows, columns=BOUND_COLUMNS)


def most_expensive_left_out(
    table: pd.DataFrame, *, alpha: float = 1.0, counts: tuple[int, ...] = (1, 2, 5, 10, 20, 40)
) -> pd.DataFrame:
    """The others' ranking as the most expensive models leave the comparison."""
    order = table.sort_values("cost", ascending=False).index
    rows = []
    for n in (c for c in counts if c <= len(table) - 2):
        rest = table.drop(index=order[:n])
        score = pepr(rest["test_accuracy"], normalize(rest["cost"]), alpha=alpha)
        found = agreement(ranks(rest["pepr"]), ranks(score), top=TOP)
        rows.append(
            {
                "left out": n,
                "R_max as a share of the first": rest["cost"].max() / table["cost"].max(),
                "Kendall's tau": found["kendall_tau"],
                f"of {TOP} leaders kept": found["top_shared"],
                "largest shift": found["largest_shift"],
                "leader": score.idxmax(),
            }
        )
    return pd.DataFrame(rows)


def intervals(
    table: pd.DataFrame, *, alpha: float = 1.0, result_set: ResultSet | None = None
) -> pd.DataFrame:
    """Scores of one experiment with 95 % intervals, best first.

    Test images are resampled together for all models where the set has every model's predictions
    and each ran once, else accuracies as binomial counts; costs are resampled where runs were
    repeated. Empty if neither predictions nor the number of test images are known.
    """
    hits = None if result_set is None else _hits(result_set, table)
    if hits is None and table["n_test"].isna().any():
        return pd.DataFrame()
    repeated = (table["costs"].map(len) > 1).any()
    found = score_intervals(
        table["test_accuracy"] if hits is None else hits,
        table["cost"],
        n_test=table["n_test"].astype(int) if hits is None else None,
        cost_repeats=list(table["costs"]) if repeated else None,
        alpha=alpha,
    )
    found = found.assign(by_image=hits is not None)
    return found.sort_values("rank", kind="stable").rename_axis("architecture").reset_index()


def _hits(result_set: ResultSet, table: pd.DataFrame) -> pd.DataFrame | None:
    """Which images each model gets right, where that is known and each ran once."""
    if (table["run_ids"].map(len) > 1).any():
        return None
    runs = result_set.runs.set_index("run_id", drop=False)
    ordered = runs.loc[[run_ids[0] for run_ids in table["run_ids"]]]
    correct = correct_images(result_set, ordered)
    if correct is None or not np.allclose(correct.mean(axis=1), table["test_accuracy"], atol=1e-6):
        return None
    return pd.DataFrame(correct, index=table.index)


def compare_with_majority(scored: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare every model with the majority-class predictor of its experiment.

    Returns
    -------
    pandas.DataFrame
        Columns experiment, architecture, test accuracy, PePR-E, majority class, and whether
        accuracy and PePR-E are above it; experiments without a known majority are left out.
    """
    parts = []
    for label, table in scored.items():
        share = majority_of_runs(table)
        if not np.isnan(share):
            parts.append(
                pd.DataFrame(
                    {
                        "experiment": label,
                        "architecture": table.index,
                        "test accuracy": table["test_accuracy"].to_numpy(),
                        "PePR-E": table["pepr"].to_numpy(),
                        "majority class": share,
                        "accuracy above": (table["test_accuracy"] > share).to_numpy(),
                        "PePR-E above": np.asarray(beats_majority(table["pepr"], share)),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def controls(scored: dict[str, pd.DataFrame], *, alpha: float = 1.0) -> pd.DataFrame:
    """Compare small and large models by accuracy, score and cost alone; count the beaten majority.

    Returns
    -------
    pandas.DataFrame
        One row per experiment: medians of small and large models and their difference for test
        accuracy, PePR and PePR with P = 1; the rank correlation of PePR with cost alone; the
        share of the majority class and how many models score above it.
    """
    rows = []
    for label, table in scored.items():
        frame = add_classes(table.reset_index()[["architecture", "n_parameters"]])
        size = frame.set_index("architecture")["size"]
        alone = cost_alone(table["resource"], alpha=alpha)
        row: dict[str, object] = {"experiment": label}
        for name, values in (
            ("accuracy", table["test_accuracy"]),
            ("PePR", table["pepr"]),
            ("P = 1", alone),
        ):
            medians = values.groupby(size.reindex(values.index)).median()
            small, large = medians.get("small", np.nan), medians.get("large", np.nan)
            row |= {
                f"{name}, small": small,
                f"{name}, large": large,
                f"{name}, difference": small - large,
            }
        share = majority_of_runs(table)
        known = not np.isnan(share)
        row |= {
            "correlation with cost alone": table["pepr"].corr(alone, method="spearman")
            if min(table["pepr"].nunique(), alone.nunique()) > 1
            else np.nan,
            "majority class": share,
            "above it": int(beats_majority(table["pepr"], share).sum()) if known else pd.NA,
            "accuracy above it": int((table["test_accuracy"] > share).sum()) if known else pd.NA,
            "models": len(table),
        }
        rows.append(row)
    return pd.DataFrame(rows)
