"""Checks of energy and time: impossible power, what a time means and contains, what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from pepr_utils.audit.finding import Finding, by_experiment, count, rows_of, span
from pepr_utils.audit.registry import check
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.power import (
    JOULE_PER_KWH,
    NOT_MEASURED,
    TIME_COLUMNS,
    epochs_per_run,
    implied_power,
    least_power,
    pue_of,
    time_contents,
)
from pepr_utils.results.result_set import ResultSet

#: Fewer power readings than this do not make a mean.
MIN_SAMPLES = 10


@check("impossible-power")
def impossible(result_set: ResultSet) -> Iterator[Finding]:
    """Mean powers that the device cannot draw, or that no running computer draws."""
    runs, power = result_set.finished, implied_power(result_set)
    least = least_power(runs)
    remedy = "; if the device may draw more, record its power_limit_w"
    for flagged, relation, bounds, advice in (
        (power["power_w"] > power["limit_w"], "more than", power["limit_w"], remedy),
        ((power["power_w"] < least) & runs["energy_kwh"].gt(0), "less than", least, ""),
    ):
        for label, rows in by_experiment(result_set, flagged):
            of = power.loc[rows.index]
            n_runs = (runs["experiment"] == rows["experiment"].iloc[0]).sum()
            assumed = " (assumed)" if rows["pue"].isna().all() else ""
            yield Finding(
                "impossible-power",
                "error",
                rows_of(rows),
                ("energy_kwh", *sorted(of["time_column"].dropna().unique())),
                f"{label}: {len(rows)} of {n_runs} runs imply {span(of['power_w'])} W, {relation} "
                f"{span(bounds[rows.index])} W with a PUE of {span(pue_of(rows), 2)}{assumed}"
                f"{advice}",
            )


@check("time-meaning")
def meaning(result_set: ResultSet) -> Iterator[Finding]:
    """Time columns that cannot be the time of the whole run."""
    runs, power = result_set.finished, implied_power(result_set)
    n_epochs = runs["run_id"].map(epochs_per_run(result_set))
    for name in TIME_COLUMNS:
        part = power[(power["time_column"] == name).fillna(False) & (power["reading"] == "epoch")]
        if part.empty:
            continue
        above = (part["stated_power_w"] > part["limit_w"]).sum()
        yield Finding(
            "time-meaning",
            "warning",
            rows_of(runs.loc[part.index]),
            (name,),
            f"as the time of the whole run, {above} of {len(part)} runs would draw more than their "
            f"limit ({span(part['stated_power_w'])} W); as the time of one of "
            f"{span(n_epochs[part.index])} epochs, {int((~part['possible']).sum())} would",
        )


@check("time-contents")
def contents(result_set: ResultSet) -> Iterator[Finding]:
    """Times called training times that shrink as if an evaluation were inside."""
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    for row in time_contents(result_set).itertuples(index=False):
        key, models, fraction, ratio, alone, within = row
        if abs(ratio / alone - 1) > 0.2 and abs(ratio / within - 1) < 0.05:
            part = runs[runs["experiment"] == key]
            column = implied_power(result_set)["time_column"].mode().iloc[0]
            yield Finding(
                "time-contents",
                "warning",
                rows_of(part),
                (str(column),),
                f"{labels[key]}: on {fraction:g} of the images the time is {ratio:.3f} of that on "
                f"all (median of {models} models); training alone would make it {alone:.3f}, "
                f"training and one evaluation {within:.3f}",
            )


@check("energy-window")
def window(result_set: ResultSet) -> Iterator[Finding]:
    """Energies recorded as training alone that only training and evaluation together explain."""
    runs, power = result_set.finished, implied_power(result_set)
    both = runs["train_time_s"] + runs["eval_time_s"]
    together = runs["energy_kwh"] * JOULE_PER_KWH / both
    alone = runs["energy_window"].eq("train").fillna(False).astype(bool)
    bad = alone & (power["power_w"] > power["limit_w"]) & (together <= power["limit_w"])
    for label, rows in by_experiment(result_set, bad):
        yield Finding(
            "energy-window",
            "warning",
            rows_of(rows),
            ("energy_kwh", "energy_window"),
            f"{label}: {count(rows, 'energy')} recorded as training alone: "
            f"{span(power.loc[rows.index, 'power_w'])} W over the training and "
            f"{span(together[rows.index])} W over training and evaluation",
        )


@check("unexplained-energy")
def unexplained(result_set: ResultSet) -> Iterator[Finding]:
    """Energies without what would explain them: a time, enough power readings, a measurement."""
    runs, power = result_set.finished, implied_power(result_set)
    positive = runs["energy_kwh"].gt(0)
    method = runs["energy_method"].astype("string").str.lower()
    cases = (
        (runs["energy_kwh"].eq(0), "warning", ("energy_kwh",), "an energy of zero"),
        (
            # of a table without any time it goes without saying
            positive & power["time_s"].isna() & power["time_s"].notna().any(),
            "note",
            ("energy_kwh", "train_time_s"),
            "an energy and no time: no power can be computed",
        ),
        (
            # samples of power check a counter, and are not where its energy is from
            positive
            & runs["n_power_samples"].lt(MIN_SAMPLES).fillna(False)
            & ~method.str.contains("counter|rapl").fillna(False),
            "warning",
            ("energy_kwh", "n_power_samples"),
            f"an energy from fewer than {MIN_SAMPLES} power readings",
        ),
        (
            positive & method.str.contains(NOT_MEASURED).fillna(False),
            "note",
            ("energy_kwh", "energy_method"),
            "an energy that was estimated, not measured",
        ),
    )
    for bad, severity, columns, fault in cases:
        rows = runs[bad.fillna(False).astype(bool)]
        if len(rows):
            yield Finding(
                "unexplained-energy",
                severity,
                rows_of(rows),
                columns,
                f"{count(rows, 'run')} with {fault}",
            )
