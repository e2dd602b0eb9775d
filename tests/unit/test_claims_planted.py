"""Every claim's check reads what it is about: a contradiction planted in the data is noticed.

Plants are tried one after the other, each on the claims that none has changed so far, until every
outcome has changed. *Not checkable* does not count: a check has to see the change, not to fail.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paper.chapters import access, imagenet, statements
from paper.chapters.published_data import released_script
from paper.chapters.statements import ExampleCurve
from paper.checks import data, definition, models
from pepr_utils.ledger import NOT_CHECKABLE, NOT_REPRODUCED, check_claims, load_claims
from pepr_utils.ledger.registry import CHECKS
from pepr_utils.results import add_classes, load_timm_models

CLAIMS = load_claims()
#: Claims of definitions, which no data can contradict; what they try is replaced instead.
DEFINED = [
    c
    for c in CLAIMS
    if c.check and c.check.startswith("definition.") and not CHECKS[c.check].reads_runs
]
#: Claims of figures 1 and 4b and of the released script, whose tables are not in the result set.
OF_SCRIPT = [c for c in CLAIMS if c.check == "data.script_setting"]
OF_OTHER_TABLES = OF_SCRIPT + [c for c in CLAIMS if c.check and c.check.startswith("world.")]
MEASURED = [c for c in CLAIMS if c.check and c not in DEFINED + OF_OTHER_TABLES]
#: The stars of Table 1 are off in several ways, so that no one change sets them right.
VALUE_ONLY = {"repeated"}

COSTS = ["energy_kwh", "co2eq_g", "reserved_memory_gb", "released_train_time_s"]


def _of(runs, dataset, fraction=1.0, pretrained=True):
    return (
        (runs["dataset"] == dataset)
        & (runs["train_fraction"] == fraction)
        & (runs["pretrained"] == pretrained)
    )


def _epochs_of(runs, epochs, mask):
    return epochs["run_id"].isin(runs.loc[mask, "run_id"])


def _accuracies(runs, epochs, change):
    """Change every accuracy, of the last epoch and of all."""
    runs["test_accuracy"] = change(runs["test_accuracy"])
    epochs["test_accuracy"] = change(epochs["test_accuracy"])


def mirrored_accuracies(runs, epochs):
    _accuracies(runs, epochs, lambda a: 1 - a)


def reversed_costs(runs, epochs):
    for name in COSTS:
        groups = runs.groupby("experiment")[name]
        runs[name] = groups.transform("max") + groups.transform("min") - runs[name]


def doubled_parameters(runs, epochs):
    runs["n_parameters"] *= 2


def every_other_model_gone(runs, epochs):
    names = sorted(runs["architecture"].unique())[::2]
    runs.loc[runs["architecture"].isin(names), "status"] = "failed"


def exchanged_arms(runs, epochs):
    runs["pretrained"] = runs["pretrained"].where(
        ~runs["dataset"].eq("derma") | runs["train_fraction"].ne(1.0), ~runs["pretrained"]
    )
    runs["train_fraction"] = runs["train_fraction"].replace({1.0: 0.1, 0.1: 1.0})
    scratch = runs["pretrained"].eq(False)
    runs.loc[scratch, "train_fraction"] = 1.0


def nothing_matters(runs, epochs):
    """One random accuracy for each model everywhere, and random energies."""
    random = np.random.default_rng(1)
    names = runs["architecture"].unique()
    accuracy = dict(zip(names, random.uniform(0.6, 0.9, names.size), strict=True))
    runs["test_accuracy"] = runs["architecture"].map(accuracy)
    runs["energy_kwh"] = random.uniform(0.01, 0.02, len(runs))


def groups_apart(runs, epochs):
    """Small, CNN and efficient models do better, by far."""
    classes = add_classes(runs[["architecture", "n_parameters"]])
    bonus = sum(
        classes[column].eq(group).astype(float).to_numpy()
        for column, group in (("size", "small"), ("type", "CNN"), ("efficient", "efficient"))
    )
    noise = np.random.default_rng(2).uniform(0, 0.02, len(runs))
    runs["test_accuracy"] = 0.1 + 0.25 * bonus + noise
    runs["energy_kwh"] = 0.02 + 0.001 * noise


def printed_totals(runs, epochs):
    runs["energy_kwh"] *= 58.2 / runs["energy_kwh"].sum()
    runs["co2eq_g"] *= 3700 / runs["co2eq_g"].sum()


def printed_distance(runs, epochs):
    runs["co2eq_g"] *= 36 * 107.5 / runs["co2eq_g"].sum()


def printed_sizes(runs, epochs):
    runs["n_parameters"] = runs["n_parameters"].clip(upper=131_000_000)
    runs.loc[runs["architecture"] == "gluon_inception_v3", "peak_memory_gb"] *= 1.1
    runs["released_total_memory_gb"] = 48.0
    runs["released_train_time_s"] *= 20


def printed_cells(runs, epochs):
    scratch, lidc = _of(runs, "derma", pretrained=False), _of(runs, "lidc")
    name = runs["architecture"]
    runs.loc[scratch & (name == "gluon_resnet34_v1b"), "test_accuracy"] = 0.7617
    runs.loc[lidc & (name == "resnet34d"), "energy_kwh"] = 0.0217


def one_resnet34(runs, epochs):
    pair = {"resnet34d": "gluon_resnet34_v1b", "gluon_resnet34_v1b": "resnet34d"}
    lidc = _of(runs, "lidc")
    runs.loc[lidc, "architecture"] = runs.loc[lidc, "architecture"].replace(pair)


def whole_test_sets(runs, epochs):
    """Accuracies are shares of all test images."""
    sizes = {"derma": 2005, "lidc": 3020, "pneumonia": 624}
    n = runs["dataset"].map(sizes)
    runs["test_accuracy"] = (runs["test_accuracy"] * n).round() / n
    n = epochs["run_id"].map(n.set_axis(runs["run_id"]))
    epochs["test_accuracy"] = (epochs["test_accuracy"] * n).round() / n


def other_training_sets(runs, epochs):
    """All training images 997, and the small arms 397 of them."""
    for mask, n in (
        (runs["train_fraction"] == 1.0, 997),
        (runs["train_fraction"] == 0.1, 397),
    ):
        runs.loc[mask, "n_train"] = n
        mine = _epochs_of(runs, epochs, mask)
        epochs.loc[mine, "train_accuracy"] = (epochs.loc[mine, "train_accuracy"] * n).round() / n


def expensive_is_better(runs, epochs):
    """In each experiment accuracies follow the energies, and grow over the epochs."""
    ranks = runs.groupby("experiment")["energy_kwh"].rank(pct=True)
    runs["test_accuracy"] = 0.2 + 0.7 * ranks
    final = epochs["run_id"].map(runs.set_index("run_id")["test_accuracy"])
    epochs["test_accuracy"] = final * epochs["epoch"] / epochs["epoch"].max()


def better_later_in_tenths(runs, epochs):
    """The tenths order models the other way, and Derma's tenth beats training from scratch."""
    tenth = runs["train_fraction"] == 0.1
    runs.loc[tenth, "test_accuracy"] = 1.9 - runs.loc[tenth, "test_accuracy"].clip(lower=0.95)
    full = runs[runs["train_fraction"].eq(1.0) & runs["pretrained"].astype(bool)]
    means = full.groupby("architecture")["test_accuracy"].mean()
    runs.loc[tenth, "test_accuracy"] = 1.7 - runs.loc[tenth, "architecture"].map(means)
    epochs.loc[epochs["epoch"] == 1, "test_accuracy"] = 0.1


def shorter_runs(runs, epochs):
    epochs.loc[epochs["epoch"] == 10, "run_id"] = "of no run"
    runs["energy_kwh"] = 0.02 + 1e-6 * np.arange(len(runs))


def no_lidc(runs, epochs):
    runs.loc[runs["dataset"] == "lidc", "status"] = "failed"


def lidc_arms_apart(runs, epochs):
    """On LIDC no model has a run on a tenth and one on all of the images."""
    first = runs["architecture"].isin(sorted(runs["architecture"].unique())[:65])
    runs.loc[_of(runs, "lidc", fraction=0.1) & first, "status"] = "failed"
    runs.loc[_of(runs, "lidc") & ~first, "status"] = "failed"


#: Plants that do not interfere share a set.
PLANTS = [
    (printed_totals, whole_test_sets, other_training_sets, printed_sizes),
    (groups_apart,),
    (reversed_costs, mirrored_accuracies, doubled_parameters),
    (exchanged_arms,),
    (every_other_model_gone,),
    (lidc_arms_apart,),
    (one_resnet34,),
    (no_lidc,),
    (nothing_matters,),
    (printed_distance, printed_cells),
    (expensive_is_better,),
    (better_later_in_tenths,),
    (shorter_runs,),
]


def _planted(published, plants):
    runs, epochs = published.runs.copy(), published.epochs.copy()
    for plant in plants:
        plant(runs, epochs)
    kept = epochs["run_id"].isin(runs["run_id"])
    return replace(published, runs=runs, epochs=epochs[kept])


@pytest.fixture(scope="module")
def changed(published):
    ledger = {
        one.claim.id: one.computed
        for one in check_claims(published, [c for c in MEASURED if c.id in VALUE_ONLY])
    }
    """The plant that changes each claim's outcome, by the claim's id."""
    found, left = {}, list(MEASURED)
    for plants in PLANTS:
        for one in check_claims(_planted(published, plants), left):
            new = one.outcome != one.claim.recorded and one.outcome != NOT_CHECKABLE
            other = one.claim.id in VALUE_ONLY and one.computed not in ("", ledger[one.claim.id])
            if new or other:
                found[one.claim.id] = plants
        left = [claim for claim in left if claim.id not in found]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("claim", MEASURED, ids=lambda claim: claim.id)
def test_a_contradiction_changes_the_outcome(claim, changed):
    assert claim.id in changed, f"no plant changes {claim.id}: does its check read the data?"


def _halved(performance, resource, alpha=1.0):
    return alpha * np.asarray(performance) / (alpha + 1 + np.asarray(resource))


def _subtracted(performance, resource, alpha=1.0):
    return np.asarray(performance) - 2 * np.asarray(resource)


STATED = [c for c in DEFINED if c.check == "definition.statement"]
SCORED = [c for c in DEFINED if c not in STATED]


@pytest.mark.parametrize("claim", SCORED, ids=lambda claim: claim.id)
def test_another_score_changes_the_outcome(claim, published, monkeypatch):
    outcomes = set()
    for score in (_halved, _subtracted):
        monkeypatch.setattr(definition, "pepr", score)
        outcomes.add(check_claims(published, [claim])[0].outcome)
    assert outcomes - {claim.recorded}


class _Falling:
    gain, penalty = -0.1, 0.1


#: By statement, what is replaced so that it has another outcome.
OTHERWISE = {
    "identity": {"pepr_curve": lambda f, r: _values_of(f, r) * 2},
    "weights": {"GRID": np.linspace(1.0, 0.0, 50)},
    "positive": {"integral_representation": lambda *_, **__: _Falling()},
    "never below": {"pepr_curve": lambda f, r: _values_of(f, r) * (1 + np.asarray(r))},
    "rises": {"pepr_curve": lambda f, r: _values_of(f, r) / (1 + 99 * np.asarray(r))},
    "falls": {"pepr_curve": lambda f, r: _values_of(f, r) * (1 + np.asarray(r))},
    "footnote 5": {"_increasing": lambda: [ExampleCurve("steep", "1/4 + 3*r/4")]},
    "maxima": {"_n_maxima": lambda curve: 1},
}


def _values_of(function, resource):
    return np.vectorize(function)(resource)


def test_a_maximum_below_the_start_changes_the_outcome(published, monkeypatch):
    [claim] = [c for c in STATED if c.id == "never-below-start"]

    class Low:
        pepr = -1.0

    monkeypatch.setattr(statements, "pepr_optimum", lambda _: Low())
    definition.tried.cache_clear()
    outcome = check_claims(published, [claim])[0].outcome
    definition.tried.cache_clear()
    assert outcome == NOT_REPRODUCED


def test_bounds_that_fail_as_printed_change_the_outcome(published, monkeypatch):
    [claim] = [c for c in STATED if c.id == "footnote-bounds"]
    monkeypatch.setattr(statements, "_increasing", lambda: [ExampleCurve("falls", "1 - r")])
    definition.tried.cache_clear()
    outcome = check_claims(published, [claim])[0].outcome
    definition.tried.cache_clear()
    assert outcome == NOT_REPRODUCED


@pytest.mark.parametrize("claim", STATED, ids=lambda claim: claim.id)
def test_other_evidence_changes_the_outcome_of_a_statement(claim, published, monkeypatch):
    name = claim.arguments["name"]
    for place, value in OTHERWISE[name].items():
        monkeypatch.setattr(statements, place, value)
    definition.tried.cache_clear()
    outcome = check_claims(published, [claim])[0].outcome
    definition.tried.cache_clear()
    assert outcome != claim.recorded


def _two_regions(table):
    """The first region as rich in publications as the others, in ten regions."""
    names = sorted(table["region"].unique())
    few = table["region"].where(table["region"].isin(names[:10]), names[0])
    return table.assign(region=few, publications=table["population"] // 1000)


def _half_known(result_set):
    """Every other architecture by its own name, the larger the better by far."""
    runs = result_set.finished.drop_duplicates("architecture").iloc[::2]
    known = load_timm_models()["weights"]
    top1 = 20 + 60 * runs["n_parameters"].rank(pct=True).astype(float)
    return pd.DataFrame(
        {"weights": runs["architecture"].map(known), "image_size": 256, "top1_percent": top1}
    )


@pytest.mark.parametrize("column", ["type", "efficient"])
def test_another_label_in_print_is_noticed(column, published, tmp_path, monkeypatch):
    table = pd.read_csv(models.data_file("table_a1.csv"))
    table[column] = table[column].replace({"CNN": "Other", 0: 1})
    table.to_csv(tmp_path / "table_a1.csv", index=False)
    monkeypatch.setattr(models, "data_file", lambda name: tmp_path / name)
    [claim] = [
        c
        for c in CLAIMS
        if c.check == "models.labels_of_table_a1" and c.arguments == {"column": column}
    ]
    assert check_claims(published, [claim])[0].outcome == NOT_REPRODUCED


def _any_size(result_set):
    """Every architecture by its own weights, its accuracy whatever its size."""
    runs = result_set.finished.drop_duplicates("architecture")
    top1 = np.random.default_rng(3).uniform(60, 80, len(runs))
    known = load_timm_models()["weights"]
    return pd.DataFrame(
        {"weights": runs["architecture"].map(known), "image_size": 256, "top1_percent": top1}
    )


@pytest.mark.parametrize("claim", OF_OTHER_TABLES, ids=lambda claim: claim.id)
def test_other_tables_change_the_outcome(claim, published, monkeypatch):
    countries = access.countries()
    monkeypatch.setattr(access, "countries", lambda: _two_regions(countries))
    script = released_script()
    script["value"] = "0.5"
    monkeypatch.setattr(data, "released_script", lambda: script)
    other = _any_size if claim.id == "imagenet-accuracy-trend" else _half_known
    monkeypatch.setattr(imagenet, "validation", lambda: other(published))
    [one] = check_claims(replace(published), [claim])
    assert one.outcome not in (claim.recorded, NOT_CHECKABLE), one


def test_every_statement_of_the_chapter_is_a_claim():
    names = {c.arguments["name"] for c in STATED}
    assert names == {s.name for s in statements.STATEMENTS} == set(OTHERWISE)


def test_claims_that_name_no_check_say_what_is_missing():
    unchecked = [claim for claim in CLAIMS if claim.check is None]
    assert len(unchecked) + len(MEASURED) + len(DEFINED) + len(OF_OTHER_TABLES) == len(CLAIMS)
    assert all(claim.missing and claim.recorded == NOT_CHECKABLE for claim in unchecked)
