"""The paper's results under three readings of the data: which numbers move, which stand."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from paper.chapters import table_1
from paper.chapters.pareto import front_points
from pepr_utils.errors import InvalidTableError
from pepr_utils.ledger.compare import DIFFERS, compare_printed
from pepr_utils.results import (
    ResultSet,
    add_classes,
    curve_experiment,
    experiment_labels,
    score_runs,
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
from pepr_utils.results.repair import READINGS, read_as
from pepr_utils.results.result_set import fine_tuned
from pepr_utils.scoring.uncertainty import FEWEST_RESAMPLES
from pepr_utils.statistics import STRICT, USUAL, try_test
from pepr_utils.statistics.tables import format_p

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
    dearest, cheapest = frame.nlargest(1, "energy_wh"), frame.nsmallest(1, "energy_wh")
    found = {
        ("figure 2c", "models drawn"): f"{len(frame)}",
        ("figure 2c", "dearest model"): dearest["architecture"].iloc[0],
        ("figure 2c", "energy of the dearest (Wh)"): f"{dearest['energy_wh'].iloc[0]:.1f}",
        ("figure 2c", "cheapest model"): cheapest["architecture"].iloc[0],
        ("figure 2c", "energy of the cheapest (Wh)"): f"{cheapest['energy_wh'].iloc[0]:.1f}",
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
