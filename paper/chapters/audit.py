"""The numbers that the audit's prose quotes, formatted; glued into its pages by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from paper.chapters import audit_tables as laid_out
from paper.chapters.table_1 import printed_table
from paper.site import fixed
from pepr_utils.audit import CHECKS, Finding
from pepr_utils.audit.checks_bounds import bounds
from pepr_utils.audit.checks_emissions import implied_intensity
from pepr_utils.audit.learning import answer_levels, learning
from pepr_utils.audit.replicates import spread
from pepr_utils.results import ResultSet, add_classes, experiment_labels
from pepr_utils.results.accuracies import (
    fits_other_test_set,
    off_lattice,
    one_digit_edits,
    test_values,
)
from pepr_utils.results.power import declared, implied_power
from pepr_utils.results.repair import origins
from pepr_utils.results.result_set import on_all_images

#: A run shorter than this, in s, is too short for a steady mean power.
BRIEF_S = 30

#: What is quoted of the gaps, and is not there where nothing was copied.
_GAPS = (
    "gaps-wider",
    "gaps-narrowing",
    "gaps-widening",
    "n-gaps-replaced",
    "n-gaps-narrowing",
    "n-gaps-widening",
)


def of_findings(findings: Sequence[Finding]) -> dict[str, str]:
    """How many findings there are, by severity."""
    counts = {s: sum(f.severity == s for f in findings) for s in ("error", "warning", "note")}
    return {
        "n-checks": f"{len(CHECKS)}",
        "n-findings": f"{len(findings)}",
        **{f"n-{severity}s": f"{n}" for severity, n in counts.items()},
    }


def of_set(result_set: ResultSet) -> dict[str, str]:
    """What the audit knows of one set: copies, powers, accuracies, emissions, spread."""
    runs, power, table = result_set.finished, implied_power(result_set), origins(result_set)
    copies = table[table["role"] == "copy"]
    fresh = power.loc[~power.index.isin(table.index[table["role"] != "source"])]
    over = copies[copies["power_w"] > copies["limit_w"]]
    full = on_all_images(runs)
    full_over = over[full[over.index]]
    most = over.groupby("experiment").size() / runs.groupby("experiment").size()
    labels = experiment_labels(runs["experiment"])
    intensity = implied_intensity(runs)
    fallback = declared()["intensity"]["fallbacks_g_per_kwh"][0]
    elsewhere = set(fits_other_test_set(result_set)["run_id"])
    stray = off_lattice(result_set)
    stray = stray[~stray["run_id"].isin(elsewhere)]
    names = runs.set_index("run_id")["architecture"]
    allowance = laid_out.allowances(result_set)
    facility, host = declared()["facility"], declared()["host"]
    devices = runs["device"].dropna().unique()
    board = declared()["devices"].get(devices[0], {}) if len(devices) == 1 else {}
    return {
        "n-runs": f"{len(runs):,}",
        "n-shared": f"{len(table)}",
        "n-sources": f"{(table['role'] == 'source').sum()}",
        "n-copies": f"{len(copies)}",
        "n-over": f"{len(over)}",
        "n-undecided": f"{(table['role'] == 'undecided').sum()}",
        "n-whole-rows": f"{copies['whole_row'].sum()}",
        "n-groups": f"{table['energy_kwh'].nunique()}",
        "n-groups-without-source": f"{_without_source(table)}",
        "most-copies": fixed(100 * most.max(), 0),
        "most-copies-in": labels.get(most.idxmax(), "") if len(most.dropna()) else "n/a",
        "full-copies": f"{len(full_over)}",
        "full-copies-in": ", ".join(dict.fromkeys(full_over["experiment"].map(labels))) or "n/a",
        "full-copies-power": fixed(full_over["power_w"].mean(), 0),
        "full-own-power": fixed(
            fresh.loc[
                runs["experiment"][fresh.index].isin(full_over["experiment"]), "power_w"
            ].mean(),
            0,
        ),
        "copies-power-lowest": fixed(over["power_w"].min(), 0),
        "others-power-lowest": fixed(fresh["power_w"].min(), 0),
        "others-power-highest": fixed(fresh["power_w"].max(), 0),
        "brief-power": _span(fresh.loc[fresh["time_s"] < BRIEF_S, "power_w"]),
        "brief": f"{BRIEF_S}",
        "limit": fixed(power["limit_w"].max(), 0),
        "board": f"{board.get('board_power_w', 'n/a')}",
        "host": f"{host['power_w']}",
        "pue": f"{facility['pue']}",
        "host-from": fixed(allowance[0], 0),
        "host-to": fixed(allowance[1], 0),
        "stated-power-lowest": fixed(power["stated_power_w"].min() / 1e3, 1),
        "n-stated-impossible": f"{(power['stated_power_w'] > power['limit_w']).sum():,}",
        "undecided-apart": fixed(100 * _time_apart(table, power), 1),
        "n-stray": f"{len(stray)}",
        "stray-models": ", ".join(sorted(names[stray["run_id"].unique()].unique())) or "none",
        "n-stray-runs": f"{stray['run_id'].nunique()}",
        "intensity-lowest": fixed(intensity.min(), 0),
        "intensity-highest": fixed(intensity.max(), 0),
        "fallback": f"{fallback:g}",
        "n-fallback": f"{((intensity / fallback - 1).abs() < 1e-4).sum()}",
        **_stray(result_set, stray),
        **_by_size(result_set, full_over),
        **_learning(result_set),
        **_spread(result_set),
    }


def _span(values: pd.Series) -> str:
    return f"{fixed(values.min(), 0)} to {fixed(values.max(), 0)}" if len(values) else "n/a"


def _stray(result_set: ResultSet, stray: pd.DataFrame) -> dict[str, str]:
    """Quote the value off its lattice that is met most often, and its one-digit edits."""
    if stray.empty:
        names = ("value", "run", "edits", "common", "training")
        return {"stray-times": "0", "stray-common-times": "0"} | {
            f"stray-{name}": "n/a" for name in names
        }
    cases = stray.groupby(["run_id", "test_accuracy", "n_steps"]).size()
    (run_id, value, n_steps), times = cases.idxmax(), cases.max()
    run = result_set.finished.set_index("run_id").loc[run_id]
    same = result_set.finished["run_id"][result_set.finished["dataset"] == run["dataset"]]
    known = test_values(result_set).loc[same].to_numpy()
    edits = one_digit_edits(value, n_steps)
    met = {edit: int((abs(known - edit) < 1e-9).sum()) for edit in edits}
    common = max(met, key=met.__getitem__, default=float("nan"))
    epochs = result_set.epochs.set_index("run_id").loc[[run_id], "train_accuracy"].dropna()
    return {
        "stray-value": f"{value:.6f}",
        "stray-times": f"{times}",
        "stray-run": f"{run['architecture']} on "
        f"{experiment_labels(result_set.experiments)[run['experiment']]}",
        "stray-edits": " or ".join(f"{edit:.6f}" for edit in edits) or "none",
        "stray-common": fixed(common, 6),
        "stray-common-times": f"{met.get(common, 0)}",
        "stray-training": fixed(epochs.iloc[-1] if len(epochs) else float("nan"), 4),
    }


def _by_size(result_set: ResultSet, copies: pd.DataFrame) -> dict[str, str]:
    """Share of copies among the small and the large models of the experiments on all images."""
    runs = add_classes(result_set.finished)
    mine = runs[runs["experiment"].isin(copies["experiment"])]
    shares = mine.index.isin(copies.index)
    return {
        f"full-copies-{size}": fixed(100 * shares[mine["size"].eq(size).fillna(False)].mean(), 0)
        for size in ("small", "large")
    }


def _without_source(table: pd.DataFrame) -> int:
    roles = table.groupby("energy_kwh")["role"]
    return int(roles.agg(lambda r: (r == "copy").all()).sum())


def _time_apart(table: pd.DataFrame, power: pd.DataFrame) -> float:
    """Largest relative difference of the times of undecided runs with one energy."""
    undecided = table[table["role"] == "undecided"]
    times = power.loc[undecided.index, "time_s"].groupby(undecided["energy_kwh"])
    return float((times.max() / times.min() - 1).max())


def _learning(result_set: ResultSet) -> dict[str, str]:
    runs, table = result_set.finished, learning(result_set)
    levels = answer_levels(result_set).dropna(subset=["level"])
    full = on_all_images(runs)
    state = table["state"]
    never = state.eq("never learnt").fillna(False).groupby(runs["experiment"]).agg(["sum", "size"])
    most = never["sum"].idxmax()
    return {
        "never-learnt-most": f"{never.loc[most, 'sum']}",
        "never-learnt-of": f"{never.loc[most, 'size']}",
        "never-learnt-most-in": experiment_labels(result_set.experiments)[most],
        "n-never-learnt": f"{(state == 'never learnt').sum()}",
        "n-collapsed": f"{(state == 'collapsed').sum()}",
        "n-never-learnt-full": f"{(state[full] == 'never learnt').sum()}",
        "n-not-told-apart": f"{(state == 'not told apart').sum()}",
        "n-not-told-apart-full": f"{(state[full] == 'not told apart').sum()}",
        "n-not-judged": f"{state.isna().sum()}",
        "constant-answers": _levels(levels),
    }


def _levels(levels: pd.DataFrame) -> str:
    """Write the level of each data set, the basis once for those that share it."""
    parts = [
        ", ".join(f"{row.level:.4f} ({row.dataset})" for row in same.itertuples(index=False))
        + f" by {basis}"
        for basis, same in levels.groupby("basis", sort=False)
    ]
    return "; ".join(parts) or "none is known"


def _spread(result_set: ResultSet) -> dict[str, str]:
    table = spread(result_set)
    first = table.iloc[0] if len(table) else {}
    return {
        "replicates": str(first.get("runs", "none")).replace(", ", " and "),
        "replicates-energy": fixed(100 * first.get("energy", float("nan")), 2),
        "replicates-time": fixed(100 * first.get("time", float("nan")), 2),
        "replicates-accuracies": "the same in every epoch"
        if first.get("epochs") == 0
        else f"apart by {fixed(first.get('epochs', float('nan')), 4)} (root mean square)",
    }


def of_readings(
    sets: Mapping[str, ResultSet],
    values: pd.DataFrame,
    other: pd.DataFrame,
    significance: pd.DataFrame,
    gaps: pd.DataFrame,
    ranks: Sequence[pd.DataFrame],
) -> dict[str, str]:
    """What moves and what stands under the three readings.

    `values` are those of the average that the chapter takes, `other` those of the other one.
    """
    published, dropped, replaced = sets.values()
    words = list(sets)
    table = values.set_index(["figure", "quantity"])
    rows = printed_table()
    keys = ["dataset", "pretrained", "architecture"]
    copied = published.runs[published.runs["run_id"].isin(_copied(published))]
    among = copied[copied["train_fraction"] == 1.0][keys].astype(str).agg("/".join, axis=1)
    listed = replaced.changes
    energies = (listed["column"] == "energy_kwh").sum() if len(listed) else 0
    moving = [int((r[words[1:]] != "same").any(axis="columns").sum()) for r in ranks]
    found = {
        "n-cells-changed": f"{len(replaced.changes):,}",
        "n-energies-replaced": f"{energies - _gone(published, replaced)}",
        "n-rows-withdrawn": f"{_gone(published, replaced)}",
        "n-printed": f"{len(rows)}",
        "n-printed-copies": f"{rows[keys].astype(str).agg('/'.join, axis=1).isin(among).sum()}",
        "n-rows-dropped": f"{_gone(published, dropped)}",
        "n-values": f"{len(values)}",
        "n-values-moving": f"{(values['moves'] != '').sum()}",
        "n-claims": f"{len(significance)}",
        "n-claims-standing": f"{(significance['stands'] == 'yes').sum()}",
        "n-ranks": f"{sum(len(r) for r in ranks)}",
        "n-ranks-moving": f"{sum(moving)}",
    }
    for short, reading in zip(("published", "dropped", "replaced"), words, strict=True):
        found[f"gap-{short}"] = _gap(values, reading)
        found[f"other-gap-{short}"] = _gap(other, reading)
    for short, reading in (("published", words[0]), ("dropped", words[1])):
        found[f"n-models-{short}"] = table.loc[("figure 2c", "models drawn"), reading]
    for short, reading in (("published", words[0]), ("replaced", words[2])):
        found[f"pepr-large-{short}"] = table.loc[("figure 3d", "median PePR-E, large"), reading]
        energy = table.loc[("figure 2c", "median energy, large (Wh)"), reading]
        found[f"energy-large-{short}"] = energy
        found[f"total-{short}"] = table.loc[("section 3", "energy of all runs (kWh)"), reading]
    drawn = values[values["quantity"].isin(["points of the front (epoch)", "knee (epoch)"])]
    moves = (drawn["moves"] != "").any()
    found["front-verdict"] = "move" if moves else "are the same under all three"
    wide = gaps.pivot(index="experiment", columns="reading", values="gap")
    found["n-gaps"] = f"{len(wide)}"
    if wide.empty:
        return found | dict.fromkeys(_GAPS, "none")
    first, without, mended = (wide[name].round(3) for name in words)
    # in an experiment whose copies are all withdrawn the two readings are one
    differ = gaps["experiment"].isin(_replaced_in(replaced))
    can = wide.index.isin(gaps.loc[differ, "experiment"])
    wider = int((without[can] > mended[can]).sum())
    return found | {
        "gaps-wider": f"all {wider}" if wider == can.sum() else f"{wider} of the {can.sum()}",
        "n-gaps-replaced": f"{can.sum()}",
        "gaps-narrowing": "; ".join(wide.index[can & (mended < first)]) or "none",
        "gaps-widening": "; ".join(wide.index[can & (mended > first)]) or "none",
        "n-gaps-narrowing": f"{(can & (mended < first)).sum()}",
        "n-gaps-widening": f"{(can & (mended > first)).sum()}",
    }


def _replaced_in(replaced: ResultSet) -> set[str]:
    """Labels of the experiments in which an energy was replaced, and not only rows withdrawn."""
    changes = replaced.changes
    kept = changes[changes["run_id"].isin(replaced.runs["run_id"])]
    labels = experiment_labels(replaced.experiments)
    return {labels[key] for key in kept["experiment"]}


def _copied(result_set: ResultSet) -> pd.Series:
    table = origins(result_set)
    return table.loc[table["role"] == "copy", "run_id"]


def _gap(values: pd.DataFrame, reading: str) -> str:
    """Median score of the small models less that of the large ones."""
    medians = values.set_index("quantity")[reading]
    small, large = (float(medians[f"median PePR-E, {size}"]) for size in ("small", "large"))
    return f"{small - large:.3f}"


def _gone(before: ResultSet, after: ResultSet) -> int:
    return len(before.runs) - len(after.runs)


def of_bounds(result_set: ResultSet) -> dict[str, str]:
    """Which models set the bounds of the energy, and in how many experiments."""
    table = bounds(result_set)
    highest = table[table["bound"] == "highest"]["architecture"].value_counts()
    lowest = table[table["bound"] == "lowest"]["architecture"].value_counts()
    moved = [set(t) != set(w) for t, w in zip(table["top"], table["top_without"], strict=True)]
    return {
        "highest-model": str(highest.index[0]),
        "highest-times": f"{highest.iloc[0]}",
        "lowest-model": str(lowest.index[0]),
        "lowest-times": f"{lowest.iloc[0]}",
        "n-bounded": f"{table['experiment'].nunique()}",
        "n-bounds": f"{len(table)}",
        "n-bounds-moving": f"{sum(moved)}",
    }
