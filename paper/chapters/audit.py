"""The audit's page: its findings laid out, the numbers in its prose, and what they change.

The last part is the paper's results under three readings of the data: which numbers move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from paper.chapters import stability, table_1
from paper.chapters.pareto import front_points
from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.audit import CHECKS, Finding
from pepr_utils.audit.checks_bounds import bounds
from pepr_utils.audit.replicates import spread
from pepr_utils.errors import InvalidTableError
from pepr_utils.ledger.compare import DIFFERS, compare_printed
from pepr_utils.paths import data_file
from pepr_utils.results import (
    ResultSet,
    add_classes,
    curve_experiment,
    experiment_labels,
    score_runs,
)
from pepr_utils.results.accuracies import (
    fits,
    fits_other_test_set,
    off_lattice,
    one_digit_edits,
    stated_lattices,
    test_values,
    training_images,
)
from pepr_utils.results.groups import (
    FRACTION_ARMS,
    PRETRAINING_ARMS,
    Average,
    by_architecture,
    fraction_arms,
    in_arms,
    medians_by_size,
    pretraining_arms,
)
from pepr_utils.results.power import declared, energy_windows, implied_power, pue_of, time_contents
from pepr_utils.results.repair import READINGS, origins, read_as
from pepr_utils.results.repeats import shared_values
from pepr_utils.results.result_set import fine_tuned
from pepr_utils.scoring.uncertainty import FEWEST_RESAMPLES
from pepr_utils.statistics import STRICT, USUAL, try_test
from pepr_utils.statistics.tables import format_p


def by_check(findings: Sequence[Finding]) -> pd.DataFrame:
    """One row per check: what it looks for, how many findings and how many runs they concern."""
    rows = []
    for name, function in CHECKS.items():
        mine = [finding for finding in findings if finding.check == name]
        rows.append(
            {
                "check": name,
                "looks for": (function.__doc__ or "").strip().splitlines()[0],
                "most severe": mine[0].severity if mine else None,
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


def board_power(runs: pd.DataFrame) -> object:
    """The power (W) that the maker of the runs' device states, if it is one that is declared."""
    devices = runs["device"].dropna().unique()
    declaration = declared()["devices"].get(devices[0], {}) if len(devices) == 1 else {}
    return declaration.get("board_power_w", NOT_AVAILABLE)


def time_apart(table: pd.DataFrame, power: pd.DataFrame) -> float:
    """Largest relative difference of the times of undecided runs with one energy."""
    undecided = table[table["role"] == "undecided"]
    times = power.loc[undecided.index, "time_s"].groupby(undecided["energy_kwh"])
    return float((times.max() / times.min() - 1).max())


def finding(result_set: ResultSet, shared: pd.DataFrame) -> str:
    """Say how many energies are copies, and how the power tells; `shared` as of `origins`."""
    runs = f"{len(result_set.finished):,}"
    copies = shared[shared["role"] == "copy"]
    if copies.empty:
        return f"None of {runs} runs carries an energy that is a copy of another run's."
    over = copies[copies["power_w"] > copies["limit_w"]]
    return (
        f"Of {runs} runs {len(copies)} carry the energy of another run: in {len(over)} of them the "
        f"hardware would have drawn {over['power_w'].min():,.0f} W or more, and it can draw "
        f"{over['limit_w'].max():,.0f} W at most."
    )


def consequences(
    sets: Mapping[str, ResultSet], values: pd.DataFrame, *, alpha: float = 1.0
) -> dict[str, str]:
    """Say what stands under every reading of the data, and how far the main gap moves."""
    statements = significance(sets, alpha=alpha)["stands"] == "yes"
    tables = [rankings(sets, method=method) for method in ("minmax", "max")]
    moved = sum((table[list(sets)[1:]] != "same").any(axis="columns").sum() for table in tables)
    n_places = sum(map(len, tables))
    if statements.all() and not moved:
        stands = (
            f"All {len(statements)} statements about differences stand under each reading, and "
            f"none of {n_places} places in the rankings of Table 1 changes."
        )
        short = "Replacing those energies overturns no tested statement and no rank of Table 1"
    else:
        stands = (
            f"{statements.sum()} of {len(statements)} statements about differences stand under "
            f"each reading, and {moved} of {n_places} places in the rankings of Table 1 change."
        )
        short = (
            f"Replacing those energies overturns {(~statements).sum()} of {len(statements)} tested "
            f"statements and moves {moved} of {n_places} ranks of Table 1"
        )
    first, *_, last = sets
    gaps = [_gap(values, reading) for reading in (first, last)]
    return {
        "stands": stands,
        "consequence": f"{short}; the lead of small models in PePR-E goes from {gaps[0]} to "
        f"{gaps[1]}.",
    }


def strays(result_set: ResultSet) -> dict[str, str]:
    """Name the accuracies off their lattice that no other data set explains."""
    stray = off_lattice(result_set)
    elsewhere = fits_other_test_set(result_set)["run_id"]
    stray = stray[~stray["run_id"].isin(elsewhere)]
    if stray.empty:
        return {"n-stray": "0", "strays": "All other accuracies fit."}
    runs = result_set.finished.set_index("run_id")
    names = ", ".join(sorted(runs.loc[stray["run_id"], "architecture"].unique()))
    cases = stray.groupby(["run_id", "test_accuracy", "n_steps"]).size()
    (run_id, value, n_steps), times = cases.idxmax(), cases.max()
    run = runs.loc[run_id]
    experiment = experiment_labels(result_set.experiments)[run["experiment"]]
    edits = " or ".join(f"{edit:.6f}" for edit in one_digit_edits(value, n_steps))
    remedy = f"One digit changed would make it fit: {edits}." if edits else "No one digit mends it."
    return {
        "n-stray": f"{len(stray)}",
        "strays": f"{len(stray)} accuracies in {stray['run_id'].nunique()} runs of {names} are no "
        f"share of their test images. The most frequent is {value:.6f}, in {times} epochs of "
        f"{run['architecture']} on {experiment}. {remedy} The values are kept as they are.",
    }


def copies_on_all_images(result_set: ResultSet, copies: pd.DataFrame) -> dict[str, str]:
    """Share of copies among the small and the large models of the experiments on all images."""
    runs = add_classes(result_set.finished)
    mine = runs[runs["experiment"].isin(copies["experiment"])]
    copied = pd.Series(mine.index.isin(copies.index), index=mine.index)
    return {
        f"full-copies-{size}": fixed(100 * copied[mine["size"].eq(size).fillna(False)].mean(), 0)
        for size in ("small", "large")
    }


def levels(table: pd.DataFrame) -> str:
    """Write the level of each data set, the basis once for those that share it."""
    parts = [
        ", ".join(f"{row.level:.4f} ({row.dataset})" for row in same.itertuples(index=False))
        + f" by {basis}"
        for basis, same in table.dropna(subset=["level"]).groupby("basis", sort=False)
    ]
    return "; ".join(parts) or "none is known"


def replicates(result_set: ResultSet) -> str:
    """Say how far two runs of one network are apart."""
    table = spread(result_set)
    if table.empty:
        return "No two names of this set stand for one network."
    first = table.iloc[0]
    names = str(first["runs"]).replace(", ", " and ")
    same = (
        "Even their accuracies agree in every epoch, so they shared their randomness, and these "
        "data cannot say how far accuracies spread between runs."
        if first["epochs"] == 0
        else f"Their accuracies are {fixed(first['epochs'], 4)} apart (root mean square)."
    )
    return (
        f"{names} are one network with two sets of pretrained weights. From scratch, it was run "
        f"twice. The energies differ by {fixed(100 * first['energy'], 2)} % and the times by "
        f"{fixed(100 * first['time'], 2)} %, the data's only evidence of how much two runs of a "
        f"network differ. {same}"
    )


#: Columns of `energies_by_size`.
GAPS = [
    "experiment",
    "reading",
    "models",
    "energy, small (Wh)",
    "energy, large (Wh)",
    "PePR-E, small",
    "PePR-E, large",
    "gap",
]


def readings(result_set: ResultSet) -> dict[str, ResultSet]:
    """Return the set under each reading, by the reading's words."""
    return {words: read_as(result_set, name) for name, words in READINGS.items()}


def values(
    sets: Mapping[str, ResultSet], *, average: Average = "stated", alpha: float = 1.0
) -> pd.DataFrame:
    """Numbers of figures 2c, 3 and 4a under each reading.

    Parameters
    ----------
    sets : mapping
        What `readings` returns.
    average, alpha
        See `by_architecture`.

    Returns
    -------
    pandas.DataFrame
        figure, quantity, one column per reading (text), and ``moves``: yes where the text differs.
    """
    first = next(iter(sets.values()))
    try:  # one experiment for all: each reading alone might pick another
        drawn = curve_experiment(first)
    except InvalidTableError:
        drawn = None
    columns = {words: _figures(one, average, alpha, drawn) for words, one in sets.items()}
    table = pd.DataFrame(columns).rename_axis(["figure", "quantity"])
    return _with_moves(table.reset_index(), list(sets))


def _figures(
    result_set: ResultSet, average: Average, alpha: float, drawn: str | None
) -> dict[tuple[str, str], str]:
    frame = by_architecture(result_set, average=average, alpha=alpha)
    most, least = frame.nlargest(1, "energy_wh"), frame.nsmallest(1, "energy_wh")
    found = {
        ("figure 2c", "models drawn"): f"{len(frame)}",
        ("figure 2c", "most expensive model"): most["architecture"].iloc[0],
        ("figure 2c", "energy of the most expensive (Wh)"): f"{most['energy_wh'].iloc[0]:.1f}",
        ("figure 2c", "cheapest model"): least["architecture"].iloc[0],
        ("figure 2c", "energy of the cheapest (Wh)"): f"{least['energy_wh'].iloc[0]:.1f}",
    }
    for size, median in medians_by_size(frame, "energy_wh").items():
        found["figure 2c", f"median energy, {size} (Wh)"] = f"{median:.1f}"
    for figure, pairs, names in (
        ("figure 3a", pretraining_arms(result_set), PRETRAINING_ARMS),
        ("figure 3b", fraction_arms(result_set), FRACTION_ARMS),
    ):
        wide = in_arms(pairs, names)
        found[figure, "models drawn"] = f"{len(wide)}"
        for name in names:
            found[figure, f"median accuracy, {name}"] = f"{wide[name].median():.4f}"
        better = (wide[names[0]] > wide[names[1]]).sum()
        found[figure, f"better {names[0]}"] = f"{better} of {len(wide)}"
    for size, median in medians_by_size(frame, "test_accuracy").items():
        found["figure 3c", f"median accuracy, {size}"] = f"{median:.4f}"
    for size, median in medians_by_size(frame, "pepr").items():
        found["figure 3d", f"median PePR-E, {size}"] = f"{median:.3f}"
    for column, groups in (
        ("type", ("CNN", "Other")),
        ("efficient", ("efficient", "not efficient")),
    ):
        for group in groups:
            median = frame.loc[frame[column] == group, "pepr"].median()
            found["figure 3d", f"median PePR-E, {group}"] = f"{median:.3f}"
    best = frame.nlargest(5, "pepr")["architecture"]
    total = result_set.finished["energy_kwh"].sum()
    return found | {
        ("figure 3d", "five best"): ", ".join(best),
        **_front(result_set, alpha, drawn),
        ("section 3", "energy of all runs (kWh)"): f"{total:.1f}",
    }


def _front(
    result_set: ResultSet, alpha: float, experiment: str | None
) -> dict[tuple[str, str], str]:
    """Who is on the Pareto front of figure 4a, and its knee; nothing without epochs."""
    if experiment is None:
        return {}
    points = front_points(result_set, experiment=experiment, alpha=alpha)
    label = experiment_labels(result_set.experiments)[experiment]
    members = points[points["role"] != "other"]
    names = [f"{p.architecture} ({p.epoch})" for p in members.itertuples()]
    knee = [name for name, role in zip(names, members["role"], strict=True) if role == "knee"]
    best = points.loc[points["pepr"].idxmax()]
    return {
        ("figure 4a", f"models drawn, {label}"): f"{points['architecture'].nunique()}",
        ("figure 4a", "points of the front (epoch)"): ", ".join(names),
        ("figure 4a", "knee (epoch)"): ", ".join(knee) or "none",
        ("figure 4a", "best PePR-E (epoch)"): f"{best['architecture']} ({best['epoch']})",
    }


def _with_moves(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    same = table[columns].nunique(axis="columns", dropna=False) == 1
    return table.assign(moves=same.map({True: "", False: "moves"}))


def differences(result_set: ResultSet, *, alpha: float = 1.0) -> pd.DataFrame:
    """Differences that the paper calls significant or not, tested on one reading.

    The tests are those declared in `pepr_utils.statistics`: models that are in both
    arms are paired, groups of different models are compared by Welch's test.

    Returns
    -------
    pandas.DataFrame
        ``claim`` and ``paper`` (what the paper says of it), n of both groups, their means, ``p``,
        and ``outcome``: first or second group higher, or no difference, at the paper's level.
        A comparison that the reading has no models for is ``n/a``.
    """
    rows = []
    for name, words, paper, level in _claims(result_set):
        tested = try_test(result_set, name, n_resamples=FEWEST_RESAMPLES, alpha=alpha)
        row = {"claim": words, "paper": paper}
        if tested is None:
            rows.append(row | {"n": "–", "means": "–", "p": float("nan"), "outcome": "n/a"})
            continue
        row |= {
            "n": f"{tested.n_a}, {tested.n_b}",
            "means": f"{tested.mean_a:.4f}, {tested.mean_b:.4f}",
            "p": tested.p,
            "outcome": tested.conclusion(level=level),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _claims(result_set: ResultSet) -> list[tuple[str, str, str, float]]:
    """Name of each comparison, its words here, what the paper says of it, and at which level."""
    higher, none = "first higher", "no difference"
    fixed = [
        ("pretraining-accuracy-average", "fine-tuned, from scratch (3a)", higher, STRICT),
        ("fraction-accuracy-average", "all images, a tenth (3b)", higher, STRICT),
        ("size-accuracy-average", "small, large (3c)", none, USUAL),
        ("efficient-accuracy-average", "efficient, not efficient (3c)", none, USUAL),
        ("type-accuracy-average", "CNN, Other (3c)", none, USUAL),
    ]
    found = [(name, f"accuracy: {words}", paper, level) for name, words, paper, level in fixed]
    full = result_set.full_data()
    tuned = full[fine_tuned(full)]
    for dataset in tuned["dataset"].unique():
        words = f"PePR-E: small, large, {dataset} (A.1)"
        found.append((f"size-pepr_e-{dataset}", words, higher, USUAL))
    return found


def significance(sets: Mapping[str, ResultSet], *, alpha: float = 1.0) -> pd.DataFrame:
    """Each difference under each reading: its p and whether the paper's statement stands.

    Returns
    -------
    pandas.DataFrame
        claim, what the paper says, per reading *p* with the number of models in both groups, and
        ``stands``: under all readings, or which ones.
    """
    each = {words: differences(one, alpha=alpha) for words, one in sets.items()}
    first = next(iter(each.values()))
    table = first[["claim", "paper"]].copy()
    for words, tested in each.items():
        table[words] = [
            f"{format_p(p)} ({n})" for p, n in zip(tested["p"], tested["n"], strict=True)
        ]
    stands = pd.DataFrame({w: t["outcome"] == first["paper"] for w, t in each.items()})
    table["stands"] = [
        "yes" if row.all() else f"only {', '.join(row.index[row])}" if row.any() else "no"
        for _, row in stands.iterrows()
    ]
    return table


def printed_scores(sets: Mapping[str, ResultSet]) -> pd.DataFrame:
    """PePR-E column of Table 1 under each reading and either normalisation.

    Returns
    -------
    pandas.DataFrame
        block, label, architecture, printed (text), and per reading and rule the score; null where
        the reading has no such run.
    """
    table = table_1.printed_table()
    lines = table[["block", "rank", "label", "architecture", "pepr_e", "dataset", "pretrained"]]
    for words, one in sets.items():
        runs = table_1.full_data_runs(one)
        keys = ["dataset", "pretrained", "architecture"]
        for rule, rule_words in table_1.RULES.items():
            scores = runs.set_index(runs[keys].astype(str).agg("/".join, axis=1))[f"pepr_{rule}"]
            found = lines[keys].astype(str).agg("/".join, axis=1).map(scores)
            lines = lines.assign(**{f"{words}, {rule_words}": found})
    return lines.drop(columns=["dataset", "pretrained"]).rename(columns={"pepr_e": "printed"})


def matched(scores: pd.DataFrame) -> pd.DataFrame:
    """How many printed scores come out, rounded or cut off, under each reading and rule."""
    rows = []
    for column in scores.columns[5:]:
        reading, rule = str(column).rsplit(", ", 1)
        known = scores.dropna(subset=[column])
        hits = [
            compare_printed(value, printed) != DIFFERS
            for value, printed in zip(known[column], known["printed"], strict=True)
        ]
        rows.append((reading, rule, len(known), sum(hits)))
    return pd.DataFrame(rows, columns=["reading", "normalisation", "scores", "as printed"])


def rankings(sets: Mapping[str, ResultSet], *, method: str = "minmax") -> pd.DataFrame:
    """Rank Table 1 anew under each reading; ``same`` where it agrees with the first one."""
    table = None
    for words, one in sets.items():
        again = table_1.recomputed_ranking(one, method=method)
        again = again.rename(columns={"architecture": words})
        if table is None:
            table, first = again, words
            continue
        table = table.merge(again, on=["block", "rank"], how="left")
        table[words] = table[words].where(table[words] != table[first], "same")
    return table


def energies_by_size(sets: Mapping[str, ResultSet]) -> pd.DataFrame:
    """Median energy and score of small and large models, per experiment with copies and reading.

    Returns
    -------
    pandas.DataFrame
        experiment, reading, models left, median energy (Wh) and PePR-E of small and of large
        models, and the gap between these scores.
    """
    original, *_, last = sets.values()
    touched = set(last.changes["experiment"]) if len(last.changes) else set()
    labels, rows = experiment_labels(original.finished["experiment"]), []
    for key in [k for k in labels if k in touched]:
        for words, one in sets.items():
            scored = add_classes(score_runs(one.finished))
            part = scored[scored["experiment"] == key]
            energy = 1e3 * medians_by_size(part, "energy_kwh")
            score = medians_by_size(part, "pepr")
            rows.append(
                {
                    "experiment": labels[key],
                    "reading": words,
                    "models": len(part),
                    "energy, small (Wh)": energy["small"],
                    "energy, large (Wh)": energy["large"],
                    "PePR-E, small": score["small"],
                    "PePR-E, large": score["large"],
                    "gap": score["small"] - score["large"],
                }
            )
    return pd.DataFrame(rows, columns=GAPS)


def changes_of_data(sets: Mapping[str, ResultSet]) -> dict[str, str]:
    """How many cells and rows the readings change, and how many rows of Table 1 are copies."""
    published, dropped, replaced = sets.values()
    table = origins(published)
    copies = published.runs[
        published.runs["run_id"].isin(table.loc[table["role"] == "copy", "run_id"])
    ]
    printed, keys = table_1.printed_table(), ["dataset", "pretrained", "architecture"]
    copied = copies[copies["train_fraction"] == 1.0][keys].astype(str).agg("/".join, axis=1)
    changed = replaced.changes
    energies = (changed["column"] == "energy_kwh").sum() if len(changed) else 0
    withdrawn = len(published.runs) - len(replaced.runs)
    counts = matched(printed_scores(sets)).groupby("normalisation")["as printed"]
    same = (counts.nunique() == 1).all()
    return {
        "printed-verdict": "As many printed scores come out as before."
        if same
        else "Not as many printed scores come out as before.",
        "n-cells-changed": f"{len(changed):,}",
        "n-energies-replaced": f"{energies - withdrawn}",
        "n-rows-withdrawn": f"{withdrawn}",
        "n-rows-dropped": f"{len(published.runs) - len(dropped.runs)}",
        "n-printed": f"{len(printed)}",
        "n-printed-copies": f"{printed[keys].astype(str).agg('/'.join, axis=1).isin(copied).sum()}",
    }


def changes_of_results(sets: Mapping[str, ResultSet], values: pd.DataFrame) -> dict[str, str]:
    """Numbers of the figures under each reading."""
    table = values.set_index(["figure", "quantity"])
    drawn = values[values["quantity"].isin(["points of the front (epoch)", "knee (epoch)"])]
    found = {
        "n-values": f"{len(values)}",
        "n-values-moving": f"{(values['moves'] != '').sum()}",
        "front-verdict": "The Pareto front of figure 4a and its knee change."
        if (drawn["moves"] != "").any()
        else "The Pareto front of figure 4a and its knee stay as they are.",
    }
    for short, reading in zip(("published", "dropped", "replaced"), sets, strict=True):
        found[f"gap-{short}"] = _gap(values, reading)
        if short != "replaced":
            found[f"n-models-{short}"] = table.loc[("figure 2c", "models drawn"), reading]
        if short != "dropped":
            energy = table.loc[("figure 2c", "median energy, large (Wh)"), reading]
            found[f"energy-large-{short}"] = energy
            found[f"total-{short}"] = table.loc[("section 3", "energy of all runs (kWh)"), reading]
    return found


def _gap(values: pd.DataFrame, reading: str) -> str:
    """Median score of the small models less that of the large ones."""
    medians = values.set_index("quantity")[reading]
    small, large = (float(medians[f"median PePR-E, {size}"]) for size in ("small", "large"))
    return f"{small - large:.3f}"


def changes_of_gaps(sets: Mapping[str, ResultSet], gaps: pd.DataFrame) -> dict[str, str]:
    """In how many experiments the gap between small and large narrows or widens."""
    wide = gaps.pivot(index="experiment", columns="reading", values="gap")
    if wide.empty:
        return dict.fromkeys(("n-gaps-replaced", "n-gaps-narrowing", "n-gaps-widening"), "0")
    published, _, replaced = (wide[name].round(3) for name in sets)
    # in an experiment whose copies are all withdrawn nothing is replaced
    last = list(sets.values())[-1]
    changed = last.changes[last.changes["run_id"].isin(last.runs["run_id"])]
    differ = wide.index.isin(changed["experiment"].map(experiment_labels(last.experiments)))
    return {
        "n-gaps-replaced": f"{differ.sum()}",
        "n-gaps-narrowing": f"{(differ & (replaced < published)).sum()}",
        "n-gaps-widening": f"{(differ & (replaced > published)).sum()}",
    }


def misfiled_against_benchmark(result_set: ResultSet) -> dict[str, str]:
    """Accuracies of Derma's misfiled rows, and of its others, beside the MedMNIST+ benchmark."""
    known = stability.benchmark().query("dataset == 'derma'")["accuracy"]
    runs = result_set.full_data()
    runs = runs[fine_tuned(runs) & (runs["dataset"] == "derma").fillna(False)]
    elsewhere = runs["run_id"].isin(fits_other_test_set(result_set)["run_id"])
    misfiled, filed = (runs.loc[rows, "test_accuracy"].dropna() for rows in (elsewhere, ~elsewhere))
    answers = pd.read_csv(data_file("majority.csv")).query("dataset == 'derma'").iloc[0]
    return {
        "benchmark-models": f"{len(known)}",
        "benchmark-lowest": fixed(known.min(), 3),
        "misfiled-low": fixed(misfiled.min(), 3),
        "misfiled-high": fixed(misfiled.max(), 3),
        "misfiled-majority": fixed(answers["n_majority"] / answers["n_test"], 3),
        "filed-n": f"{len(filed)}",
        "filed-above": f"{(filed > known.min()).sum()}",
    }
