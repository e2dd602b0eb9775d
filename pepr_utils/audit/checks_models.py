"""Checks of models: two names for one network, repeated runs, labels that divide a family."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from pepr_utils.audit.finding import Finding, counted, rows_of, some
from pepr_utils.audit.registry import check
from pepr_utils.audit.replicates import same_network
from pepr_utils.results.architectures import load_architectures
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.result_set import ResultSet

_LABELS = ("type", "efficient")


@check("same-network")
def two_names(result_set: ResultSet) -> Iterator[Finding]:
    """Two names for one network: the same parameters and peak memory wherever both were run."""
    runs = result_set.finished
    for first, second, experiments, same, everything in same_network(result_set).itertuples(
        index=False
    ):
        rows = runs[runs["architecture"].isin([first, second])]
        shared = counted(experiments, "experiment")
        if everything:
            words = f"the same accuracies and energy in {everything}: one run under two names"
        elif same:
            words = (
                f"the same accuracy in every epoch in {same}, but other energies: a repeated run"
            )
        else:
            words = "other accuracies"
        yield Finding(
            "same-network",
            "error" if everything else "note",
            rows_of(rows),
            ("architecture", "n_parameters", "peak_memory_gb"),
            f"{first} and {second} have the same parameters and peak memory in {shared}, "
            f"and {words}",
        )


@check("repeated-runs")
def repeated(result_set: ResultSet) -> Iterator[Finding]:
    """Finished runs of one architecture in one experiment with the same seed or none."""
    runs = result_set.finished
    keys = ["architecture", "experiment", "seed", "weights"]
    rows = runs[runs.duplicated(keys, keep=False)]
    labels = experiment_labels(runs["experiment"])
    for (name, key), part in rows.groupby(["architecture", "experiment"]):
        yield Finding(
            "repeated-runs",
            "warning",
            rows_of(part),
            ("architecture", "seed"),
            f"{name} appears {len(part)} times in {labels[key]} with the same seed or none",
        )


@check("labels")
def labels(result_set: ResultSet) -> Iterator[Finding]:
    """Models of one family, by name, that are put into different classes.

    Labels are the set's own columns `type` and `efficient`; for the authors' release, those that it
    came with. A family is the part before the first digit of a name, without a prefix for where
    its weights are from.
    """
    table = label_table(result_set)
    runs = result_set.finished
    for column in [name for name in _LABELS if name in table]:
        classes = table.dropna(subset=[column]).groupby("family")[column].nunique()
        for family in sorted(classes.index[classes > 1]):
            part = table[table["family"] == family]
            sides = " against ".join(
                f"{value}: {some(names['architecture'], 12)}"
                for value, names in part.groupby(column)
            )
            yield Finding(
                "labels",
                "note",
                rows_of(runs[runs["architecture"].isin(part["architecture"])]),
                (column,),
                f"family {family!r} is split by {column}: {sides}",
            )


def label_table(result_set: ResultSet) -> pd.DataFrame:
    """Labels of each architecture of the set, with its family; empty where it has none."""
    runs = result_set.finished
    own = [name for name in _LABELS if name in runs]
    if own:
        table = runs.drop_duplicates("architecture")[["architecture", *own]]
    elif runs["released_train_time_s"].notna().any():
        released = load_architectures()[["architecture", *_LABELS]]
        table = released[released["architecture"].isin(runs["architecture"])]
        table = table.assign(efficient=table["efficient"].map({True: "yes", False: "no"}))
    else:
        table = pd.DataFrame(columns=["architecture"])
    return table.assign(family=[family_of(name) for name in table["architecture"]])


def family_of(name: str) -> str:
    """Family of an architecture: its name up to the first digit, without a source's prefix.

    Examples
    --------
    >>> family_of("gluon_seresnext50_32x4d"), family_of("dla46_c"), family_of("ecaresnetlight")
    ('seresnext', 'dla', 'ecaresnetlight')
    """
    bare = re.sub(r"^(gluon|legacy|adv|tf|ig)_", "", name)
    return re.split(r"\d", bare)[0].rstrip("_") or bare
