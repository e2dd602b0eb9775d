"""Checks of values that appear twice: shared measurements, copied energies, repeated rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement

from pepr_utils.audit.finding import Finding, count, counted, rows_of, some, span
from pepr_utils.audit.registry import check
from pepr_utils.results.accuracies import fits_other_test_set
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.repair import COPY, UNDECIDED, origins
from pepr_utils.results.repeats import continuous_columns, repeated_rows, shared_values
from pepr_utils.results.result_set import ResultSet


@check("shared-values")
def shared(result_set: ResultSet) -> Iterator[Finding]:
    """Continuous measurements that coincide bit for bit between two experiments, or inside one."""
    runs = result_set.finished
    labels = experiment_labels(runs["experiment"])
    pairs: dict[tuple[str, str], dict[str, list]] = {}
    for column in continuous_columns(runs):
        values = shared_values(runs, column)
        for _, same in values.groupby(values):
            keys = runs.loc[same.index, "experiment"]
            counts = keys.value_counts()
            for pair in combinations_with_replacement(sorted(counts.index), 2):
                if pair[0] == pair[1] and counts[pair[0]] < 2:
                    continue
                rows = pairs.setdefault(pair, {}).setdefault(column, [])
                rows.append(keys.index[keys.isin(pair)])
    for (first, second), by_column in sorted(pairs.items()):
        counts = {c: len(groups) for c, groups in by_column.items()}
        rows = sorted({i for groups in by_column.values() for g in groups for i in g})
        place = (
            f"within {labels[first]}"
            if first == second
            else f"in {labels[first]} and in {labels[second]}"
        )
        evidence = " and ".join(f"{counted(n, 'value')} of {c}" for c, n in counts.items())
        verb = "is" if sum(counts.values()) == 1 else "are"
        yield Finding(
            "shared-values",
            "error",
            rows_of(runs.loc[rows]),
            tuple(counts),
            f"{evidence} {verb} the same to the last digit {place}",
        )


@check("copied-energy")
def copied(result_set: ResultSet) -> Iterator[Finding]:
    """Energies that appear in several runs, and which run cannot have consumed them."""
    table = origins(result_set)
    runs, labels = result_set.finished, experiment_labels(result_set.experiments)
    for (key, role), part in table.groupby(["experiment", "role"], sort=True):
        rows = rows_of(runs.loc[part.index])
        emitted = runs.loc[part.index, "co2eq_g"].notna().any()
        columns = ("energy_kwh", "co2eq_g") if emitted else ("energy_kwh",)
        over = part[part["power_w"] > part["limit_w"]]
        if role == COPY and len(over):
            yield Finding(
                "copied-energy",
                "error",
                rows_of(runs.loc[over.index]),
                columns,
                f"{labels[key]}: {count(over, 'energy')} that another run has too would need "
                f"{span(over['power_w'])} W over the run's own time, against at most "
                f"{span(over['limit_w'])} W: {'copies' if len(over) > 1 else 'a copy'}",
            )
        elif role == UNDECIDED:
            yield Finding(
                "copied-energy",
                "warning",
                rows,
                columns,
                f"{labels[key]}: {count(part, 'energy')} that another run has too; power does not "
                f"say which of the runs consumed them ({span(part['power_w'])} W)",
            )


@check("repeated-rows")
def repeated(result_set: ResultSet) -> Iterator[Finding]:
    """Runs under two experiments or two names that agree in every measured value."""
    runs = result_set.finished.set_index("run_id", drop=False)
    labels = experiment_labels(runs["experiment"])
    table = repeated_rows(result_set)
    roles = origins(result_set).set_index("run_id")["role"]
    of_other_test_set = set(fits_other_test_set(result_set)["run_id"])
    pairs: dict[tuple[str, ...], list[int]] = {}
    for group, experiments in table.groupby("group")["experiment"]:
        pairs.setdefault(tuple(sorted(set(experiments))), []).append(group)
    for pair, groups in sorted(pairs.items()):
        part = table[table["group"].isin(groups)]
        copies = part[part["run_id"].map(roles).eq(COPY).fillna(False).astype(bool)]
        copies = copies[copies["run_id"].isin(of_other_test_set)]
        verdict = ""
        if len(copies):
            where = some(sorted({labels[e] for e in copies["experiment"]}))
            verdict = f"; the accuracies do not fit the test set of {where}: copies there"
        names = some(sorted(part["architecture"].unique()))
        where = f"within {labels[pair[0]]}" if len(pair) == 1 else _places(labels, pair)
        yield Finding(
            "repeated-rows",
            "error",
            rows_of(runs.loc[part["run_id"]]),
            ("test_accuracy", *continuous_columns(runs.loc[part["run_id"]])),
            f"{count(groups, 'measurement')} filed more than once, with every measured value, "
            f"{where}: {names}{verdict}",
        )


def _places(labels: dict[str, str], experiments: tuple[str, ...]) -> str:
    return f"in {' and in '.join(labels[e] for e in experiments)}"
