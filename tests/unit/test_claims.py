"""The ledger of claims: the comparator by hand, the file's faults, sets that lack something."""

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paper.chapters import claims as shown
from paper.chapters.table_1 import QUANTITIES, printed_table
from pepr_utils.errors import InvalidTableError, NotAvailableError
from pepr_utils.ledger import (
    ANOTHER_READING,
    NOT_CHECKABLE,
    NOT_REPRODUCED,
    OUTCOMES,
    REPRODUCED,
    LabelledValue,
    check_claims,
    differing,
    load_claims,
    registry,
)
from pepr_utils.ledger.compare import (
    at_precision,
    compare,
    compare_printed,
    describe,
    near_misses,
)
from pepr_utils.ledger.registry import load_checks
from pepr_utils.ledger.schema import SECTIONS, Cells, Claim, Expected, json_schema
from pepr_utils.paths import data_file
from pepr_utils.results import load_architectures, load_result_set

CHECKS = load_checks("paper.checks")


@pytest.fixture(scope="module")
def ledger(published):
    return {one.claim.id: one for one in check_claims(published)}


@pytest.mark.parametrize(
    ("expected", "value", "agrees", "cut_off", "computed"),
    [
        ({"number": "58.2"}, 58.249, True, False, "58.2"),
        ({"number": "58.2"}, 47.579, False, True, "47.58"),
        ({"number": "24.6"}, 24.671, True, True, "24.67"),  # cut off: 24.6
        ({"number": "24.6"}, 24.55, True, False, "24.6"),  # exactly half a unit off
        ({"number": "24.6"}, 24.549, False, True, "24.55"),  # cut off it would be 24.5
        ({"number": "0.7014"}, 0.701449, True, False, "0.7014"),
        ({"number": "17.4"}, 17.5, False, True, "17.50"),
        ({"number": "17.4"}, 17.475088, True, True, "17.48"),
        ({"number": "0.9"}, 0.85, True, False, "0.9"),  # half a unit off, from below
        ({"number": "0.8"}, 0.85, True, False, "0.9"),  # and from above
        ({"number": "0.7070"}, 0.70705, True, False, "0.7071"),
        ({"number": "131"}, 130, False, True, "130"),
        ({"number": "7007"}, 7007, True, False, "7007"),
        ({"number": "3"}, float("nan"), False, False, "no one number"),
        ({"number": "-0.5"}, -0.51, True, False, "-0.5"),
        ({"numbers": ["1.1", "2.2"]}, [1.12, 2.18], True, False, "1.1, 2.2"),
        ({"numbers": ["1.1", "2.2"]}, [1.12, 2.29], True, True, "1.1, 2.29"),
        ({"numbers": ["1.1", "2.2"]}, [1.12, 2.31], False, True, "1.1, 2.31"),
        ({"numbers": ["1.1", "2.2"]}, [1.12], False, False, "1 values"),
        ({"inequality": "< 0.001"}, 0.000999, True, False, "0.000999"),
        ({"inequality": "< 0.001"}, 0.001, False, False, "0.001"),
        ({"inequality": "<= 0.001"}, 0.001, True, False, "0.001"),
        ({"inequality": ">= 0.05"}, 0.05, True, False, "0.05"),
        ({"inequality": "> -1.5e-3"}, -0.002, False, False, "-0.002"),
        ({"inequality": "< 0.05"}, float("nan"), False, False, "nan"),
        ({"about": "36", "tolerance": "1"}, 37.0, True, False, "37.0"),
        ({"about": "36", "tolerance": "1"}, 34.99, False, False, "35.0"),
        ({"truth": True}, True, True, False, "yes"),
        ({"truth": True}, False, False, False, "no"),
        ({"truth": False}, False, True, False, "no"),
        ({"truth": True}, LabelledValue(False, "115 of 131"), False, False, "115 of 131"),
        ({"text": "dpn107"}, "dpn107", True, False, "dpn107"),
        ({"text": "dpn107"}, "dpn98", False, False, "dpn98"),
        ({"names": ["a", "b"]}, ["a", "b"], True, False, "a, b"),
        ({"names": ["a", "b"]}, ["b", "a"], False, False, "b, a"),
        ({"members": ["a", "b"]}, ["b", "a"], True, False, "a, b"),
        ({"members": ["a"]}, ["b", "a"], False, False, "a, b"),
        ({"members": []}, [], True, False, "none"),
    ],
)
def test_the_comparator_by_hand(expected, value, agrees, cut_off, computed):
    found = compare(Expected(**expected), value)
    assert (found.agrees, found.computed) == (agrees, computed)
    assert not found.agrees or found.cut_off == cut_off


@given(st.floats(0, 1000), st.integers(0, 6))
def test_a_value_printed_by_rounding_is_reproduced(value, digits):
    assert compare_printed(value, at_precision(value, f"{0:.{digits}f}")) == REPRODUCED


def test_near_misses_name_the_other_epoch_and_the_digit():
    assert near_misses(0.76361, "0.7651", {"epoch 8": 0.76512}) == ["epoch 8: 0.7651"]
    assert near_misses(31.684, "21.7", {}) == ["one digit: 31.7"]
    assert near_misses(0.5, "0.9", {"epoch 1": 0.1}) == ["one digit: 0.5"]
    assert near_misses(12.34, "98.8", {"epoch 1": 0.1}) == []


def test_expected_values_as_text():
    assert describe(Expected(number="58.2"), "kWh") == "58.2 kWh"
    assert describe(Expected(inequality="< 0.05")) == "< 0.05"
    assert describe(Expected(about="36", tolerance="1"), "km") == "about 36 (± 1) km"
    assert describe(Expected(truth=False)) == "no"
    assert describe(Expected(names=["a", "b"])) == "a, b"
    assert describe(Expected(members=[])) == "none"


def test_every_outcome_is_the_recorded_one(ledger):
    wrong = [f"{o.claim.id}: {o.outcome} {o.reading}" for o in differing(list(ledger.values()))]
    assert not wrong, wrong
    assert len(ledger) >= 60
    assert {one.outcome for one in ledger.values()} == set(OUTCOMES)
    assert {one.claim.section for one in ledger.values()} == set(SECTIONS)


def test_what_is_known_to_differ(ledger):
    assert ledger["total-energy"].computed == "47.58 kWh"
    assert ledger["no-other-efficient-pepr-e"].computed == "3 (derma, lidc, pneumonia)"
    assert ledger["no-other-efficient-pepr-e"].outcome == NOT_REPRODUCED
    assert ledger["lidc-resnet34-energy"].computed == "31.68 Wh"
    assert ledger["median-parameters"].reading == "cut off, not rounded"
    assert ledger["scratch-vovnet-accuracy"].reading == "after epoch 8 instead of 10"
    assert ledger["scratch-vovnet-accuracy"].literal == "0.76361"
    assert ledger["normalisation"].literal == "0"
    assert ledger["across-the-board"].literal == "115 of 131 models"
    assert ledger["time-of-ten-epochs"].outcome == ANOTHER_READING
    reproduced = [one for one in ledger.values() if one.outcome == REPRODUCED]
    assert not any(one.reading or one.literal or one.missing for one in reproduced)


def test_each_cell_of_table_1_is_in_one_claim():
    """The claims take their values from the file: together all of them, none twice."""
    entries = yaml.safe_load(data_file("claims.yaml").read_text("utf-8"))["claims"]
    given = [next(iter(entry["expected"].values())) for entry in entries]
    cells = [Cells(**one) for one in given if isinstance(one, dict)]
    table = printed_table()
    quantities = [*QUANTITIES, "architecture"]
    expected = Counter(
        (block, rank, name)
        for block, rank in zip(table["block"], table["rank"], strict=True)
        for name in quantities
    )
    found = Counter()
    for one in cells:
        assert one.file == "table1.csv"
        mine = table[table["block"] == one.rows["block"]]
        ranks = one.rows.get("rank", list(mine["rank"]))
        ranks = [ranks] if isinstance(ranks, str) else ranks
        assert one.read() == [mine.set_index("rank")[one.column][rank] for rank in ranks]
        found.update((one.rows["block"], rank, one.column) for rank in ranks)
    assert found == expected


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"file": "table2.csv"}, "unknown data file 'table2.csv'"),
        ({"column": "energy"}, "table1.csv: 'energy'"),
        ({"rows": {"block": "MNIST"}}, "table1.csv has no row with"),
        ({}, "24 cells; one is allowed here"),
    ],
)
def test_a_cell_that_the_table_does_not_have_is_named(cells, message):
    whole = {"file": "table1.csv", "column": "energy_wh"} | cells
    with pytest.raises(ValueError, match=message):
        Expected(number=whole)


def test_the_schema_for_editors_is_that_of_the_model():
    shipped = json.loads(data_file("claims.schema.json").read_text("utf-8"))
    assert shipped == json_schema()


def test_every_registered_check_is_used():
    claims = load_claims()
    used = {one.check for claim in claims for one in (claim, *claim.readings)}
    assert set(CHECKS) == used - {None}


def test_splits_are_those_of_the_project(ledger):
    for dataset, n_test, _ in pd.read_csv(data_file("splits.csv")).itertuples(index=False):
        assert ledger[f"test-images-{dataset}"].claim.expected.number == str(n_test)


ENTRY = {
    "id": "a-claim",
    "section": "3",
    "where": "section 3",
    "statement": "There are 131.",
    "expected": {"number": "131"},
    "check": "models.count",
    "recorded": REPRODUCED,
    "link": "notebooks/table_1#tab-1",
}


def _written(tmp_path, *entries):
    path = tmp_path / "claims.yaml"
    text = yaml.safe_dump({"checks": "paper.checks", "claims": list(entries)})
    path.write_text(text, "utf-8")
    return path


def test_entries_are_in_the_order_of_the_paper():
    places = [SECTIONS.index(claim.section) for claim in load_claims()]
    assert places == sorted(places)


def test_no_difference_comes_with_interval_and_equivalence(ledger):
    by_type, by_size = ledger["p-type-accuracy"], ledger["p-size-accuracy"]
    assert by_type.computed == (
        "p 0.083 (Student's t-test); difference -0.003 to 0.028 (95 %, Welch); "
        "not decided within 0.02 (p 0.2)"
    )
    assert "; equivalent within 0.02 " in by_size.computed
    assert ledger["p-pretraining"].computed.endswith("(Student's t-test)")


def test_missing_runs_make_a_claim_not_checkable_not_refuted(ledger):
    assert ledger["less-data"].outcome == NOT_CHECKABLE
    assert "34 of 131 models reach" in ledger["less-data"].missing
    numbers = shown.numbers(list(ledger.values()))
    assert numbers["less-data-missing"] == ledger["less-data"].missing


def test_a_good_entry_is_read(tmp_path):
    [claim] = load_claims(_written(tmp_path, ENTRY))
    assert claim == Claim(**ENTRY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "A claim"}, "id is 'A claim'"),
        ({"section": "5"}, "section is '5'"),
        ({"recorded": "maybe"}, "recorded is 'maybe'"),
        ({"check": "models.cuont"}, "no check is registered as 'models.cuont'"),
        ({"check": None}, "give either a check, or what is missing for one"),
        ({"missing": "the weights"}, "give either a check, or what is missing for one"),
        ({"check": None, "missing": "x"}, "without a check the outcome is 'not checkable"),
        ({"recorded": ANOTHER_READING}, "'reading' is given exactly where"),
        ({"reading": "epoch 8"}, "'reading' is given exactly where"),
        ({"expected": {"number": "131", "truth": True}}, "has number and truth; exactly one"),
        ({"expected": {}}, "has no kind"),
        ({"expected": {"number": 131}}, "expected.number is 131"),
        ({"expected": {"number": "13l"}}, "'13l' is no number"),
        ({"expected": {"number": "NaN"}}, "'NaN' is no number"),
        ({"expected": {"about": "36"}}, "'about' and 'tolerance' go together"),
        ({"expected": {"number": "36", "tolerance": "1"}}, "'about' and 'tolerance' go together"),
        ({"expected": {"inequality": "0.05"}}, "'0.05' is no inequality"),
        ({"expected": {"inequality": "< 1.2.3"}}, "'< 1.2.3' is no inequality"),
        ({"with": {"dataset": "derma"}}, "models.count: got an unexpected keyword argument"),
        ({"check": "models.of_class"}, "models.of_class: missing a required argument"),
        ({"readings": [{"words": "w", "check": "none"}]}, "no check is registered as 'none'"),
        ({"link": "https://example.org"}, "link is 'https://example.org'"),
        ({"notes": "x"}, "notes"),
    ],
)
def test_a_fault_in_an_entry_is_named(change, message, tmp_path):
    path = _written(tmp_path, {**ENTRY, **change})
    with pytest.raises(InvalidTableError) as error:
        load_claims(path)
    assert message.lower() in str(error.value).lower()
    assert str(error.value).startswith("claims.yaml: ")


def test_all_faults_are_named_at_once(tmp_path):
    faulty = ({**ENTRY, "section": "5", "link": "x"}, {"id": "b"}, "c", ENTRY, ENTRY)
    with pytest.raises(InvalidTableError) as error:
        load_claims(_written(tmp_path, *faulty))
    lines = str(error.value).splitlines()
    assert sum(line.startswith("claims.yaml: a-claim: ") for line in lines) == 3
    assert any(line.startswith("claims.yaml: b: statement") for line in lines)
    assert any(line.startswith("claims.yaml: entry 3: ") for line in lines)
    assert "claims.yaml: a-claim: appears 2 times" in lines


@pytest.mark.parametrize(
    "text", ["", "a: 1", "- [", "[]", "- id: a", "checks: paper.checks\nclaims: []"]
)
def test_a_file_that_is_no_list_of_claims_is_refused(text, tmp_path):
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(InvalidTableError, match=r"claims\.yaml"):
        load_claims(tmp_path / "claims.yaml")


def _without(result_set, mask):
    runs = result_set.runs[~mask]
    epochs = result_set.epochs[result_set.epochs["run_id"].isin(runs["run_id"])]
    return replace(result_set, runs=runs, epochs=epochs)


def test_a_set_without_one_experiment(published):
    runs = published.runs
    lidc = runs["dataset"].eq("lidc") & runs["train_fraction"].eq(1.0)
    gone = ("lidc-energy", "lidc-five-best", "p-size-pepr-lidc", "test-images-lidc")
    claims = [c for c in load_claims() if c.id in (*gone, "p-size-pepr-derma", "derma-energy")]
    found = {one.claim.id: one for one in check_claims(_without(published, lidc), claims)}
    for name in gone:
        assert found[name].outcome == NOT_CHECKABLE, name
        assert "lidc" in found[name].missing
        assert found[name].as_dict()["computed"] is None
    assert found["p-size-pepr-derma"].as_recorded
    assert found["derma-energy"].as_recorded


#: What every run has a say in, whichever experiments there are; the outcome stays.
OF_ANY_RUNS = {"time-of-ten-epochs", "energy-of-ten-epochs"}
#: The paper does not describe the runs on 1 % of the images, so its totals can do without.
UNDESCRIBED = OF_ANY_RUNS | {"total-energy", "total-carbon", "car"}


def _few(result_set):
    """Every third architecture: as good for what a missing experiment does, and faster."""
    names = sorted(result_set.runs["architecture"].unique())
    return _without(result_set, ~result_set.runs["architecture"].isin(names[::3]))


@pytest.fixture(scope="module")
def few(published):
    claims = [c for c in load_claims() if c.check and c.check not in SETLESS]
    part = _few(published)
    return part, {one.claim.id: one for one in check_claims(part, claims)}


SETLESS = {name for name, check in CHECKS.items() if not check.reads_runs} | {"world.own_results"}


@pytest.mark.parametrize(
    ("dataset", "pretrained", "fraction"),
    [
        ("derma", False, 1.0),
        ("derma", True, 0.01),
        ("lidc", True, 1.0),
        pytest.param("derma", True, 1.0, marks=pytest.mark.slow),
        pytest.param("derma", True, 0.1, marks=pytest.mark.slow),
        pytest.param("lidc", True, 0.1, marks=pytest.mark.slow),
        pytest.param("pneumonia", True, 1.0, marks=pytest.mark.slow),
        pytest.param("pneumonia", True, 0.1, marks=pytest.mark.slow),
    ],
)
def test_without_an_experiment_no_outcome_comes_from_the_rest(few, dataset, pretrained, fraction):
    part, whole = few
    runs = part.runs
    gone = (
        runs["dataset"].eq(dataset)
        & runs["pretrained"].eq(pretrained)
        & runs["train_fraction"].eq(fraction)
    ).astype(bool)
    assert gone.any()
    found = check_claims(_without(part, gone), [one.claim for one in whole.values()])
    exempt = UNDESCRIBED if fraction == 0.01 else OF_ANY_RUNS
    changed = []
    for one in found:
        before = whole[one.claim.id]
        same = (one.outcome, one.reading) == (before.outcome, before.reading)
        value = one.computed == before.computed or one.claim.id in exempt
        if one.outcome != NOT_CHECKABLE and not (same and value):
            changed.append(f"{one.claim.id}: {before.computed} -> {one.outcome}: {one.computed}")
    assert not changed, changed
    lost = {one.claim.id for one in found if one.outcome == NOT_CHECKABLE}
    assert fraction == 0.01 or {"total-energy", "total-carbon", "car"} <= lost
    if pretrained and fraction == 1.0:
        assert {"p-size-accuracy", "p-type-accuracy", "p-size-pepr", "p-fraction"} <= lost
    if pretrained and fraction == 0.1:
        assert {"p-fraction", "fraction-datasets", "preliminary-choices"} <= lost


def test_the_mean_of_all_experiments_needs_all_of_them(published):
    runs = published.runs
    arguments = {"comparison": "size-accuracy-average_released", "test": "student"}
    check = partial(CHECKS["differences.p_value"], **arguments)
    assert 0 <= check(published).value <= 1
    with pytest.raises(NotAvailableError, match="derma fine-tuned on 1 % of the data"):
        check(_without(published, runs["train_fraction"].eq(0.01)))


def test_accuracies_are_compared_without_energies(published):
    runs = published.runs.assign(energy_kwh=float("nan"))
    arguments = {"comparison": "size-accuracy-average", "test": "student"}
    check = partial(CHECKS["differences.p_value"], **arguments)
    assert check(replace(published, runs=runs)) == check(published)


def test_a_total_with_a_value_missing_is_none(published):
    runs = published.runs.copy()
    runs.loc[runs.index[:3], "co2eq_g"] = float("nan")
    with pytest.raises(NotAvailableError, match="co2eq_g of 3 of 1048 runs"):
        CHECKS["totals.carbon"](replace(published, runs=runs))


def test_pretrained_not_given_is_read_in_one_way(few):
    """As fine-tuned, by every check; what pretraining is compared with has to be given."""
    part, whole = few
    runs = part.runs.copy()
    tuned = runs["pretrained"].astype(bool)
    runs.loc[tuned, "pretrained"] = pd.NA
    claims = [one.claim for one in whole.values()]
    found = {one.claim.id: one for one in check_claims(replace(part, runs=runs), claims)}
    lost = {name for name in whole if found[name].computed != whole[name].computed}
    assert lost == {"pretrained-weights", "across-the-board", "p-pretraining", "gains"}
    for name in lost:
        assert found[name].outcome == NOT_CHECKABLE
        assert "pretrained is not given" in found[name].missing
    runs["pretrained"] = pd.array([pd.NA] * len(runs), dtype="boolean")
    claims = [whole[name].claim for name in ("less-data", "derma-scratch-energy")]
    found = {one.claim.id: one for one in check_claims(replace(part, runs=runs), claims)}
    missing = found["less-data"].missing
    assert missing.startswith("no finished run of derma trained from scratch on 100 % of the data;")
    assert f"pretrained is not given for {len(runs)} of {len(runs)} runs" in missing
    assert "pretrained is not given" in found["derma-scratch-energy"].missing


@pytest.mark.parametrize(
    ("expected", "value", "kinds"),
    [
        ({"names": ["a"]}, 131, "expected is 'names', and the check gives 131"),
        ({"numbers": ["1"]}, 131, "expected is 'numbers', and the check gives 131"),
        ({"members": []}, 1.5, "expected is 'members', and the check gives 1.5"),
        ({"text": "131"}, 131, "allowed with it: number, inequality, about"),
        ({"truth": True}, 1, "allowed with it: number, inequality, about"),
        ({"number": "1"}, True, "expected is 'number', and the check gives True"),
        ({"about": "1", "tolerance": "1"}, "1", "allowed with it: text"),
        ({"inequality": "> 0"}, ["a"], "allowed with it: names, members"),
        ({"names": ["a"]}, LabelledValue(1, "one"), "and the check gives 1;"),
        ({"text": "a"}, {}, "the check gives {}; allowed with it: nothing"),
    ],
)
def test_another_kind_than_the_check_computes_is_named(expected, value, kinds, monkeypatch):
    claim = Claim(**{**ENTRY, "expected": expected})
    monkeypatch.setitem(CHECKS, claim.check, registry.Check(lambda _: value))
    with pytest.raises(InvalidTableError) as error:
        check_claims(SimpleNamespace(name="mine"), [claim])
    assert str(error.value).startswith("claims.yaml: a-claim: models.count: ")
    assert kinds in str(error.value)


def test_a_check_without_a_value_makes_the_claim_not_checkable(monkeypatch):
    claim = Claim(**ENTRY)
    for value in (None, float("nan"), pd.NA):
        monkeypatch.setitem(CHECKS, claim.check, registry.Check(lambda _, value=value: value))
        [one] = check_claims(SimpleNamespace(name="mine"), [claim])
        assert one.outcome == NOT_CHECKABLE
        assert "too few or all the same" in one.missing
        assert "models.count" not in one.missing


def test_a_note_is_shown_only_with_the_outcome_that_it_is_about(ledger):
    kept = ledger["networks"]
    assert kept.as_dict()["note"] == kept.claim.note != ""
    other = replace(kept, outcome=REPRODUCED)
    assert other.as_dict()["note"] is None
    assert replace(kept, of_recorded=False).as_dict()["note"] is None
    remarks = shown.table([kept, other])["remark"]
    assert remarks[0] == kept.claim.note
    assert pd.isna(remarks[1])


def test_a_set_without_epochs_and_with_other_columns(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "architecture,dataset,test_accuracy,energy_kwh\nresnet18d,clinic,0.9,0.01\nmine,clinic,0.8,0.02\n"
    )
    found = {one.claim.id: one for one in check_claims(load_result_set(path))}
    assert found["architectures"].computed == "2"
    assert found["epochs"].outcome == NOT_CHECKABLE
    assert found["derma-accuracy"].outcome == NOT_CHECKABLE
    assert found["single-model"].outcome == REPRODUCED


def test_a_check_is_registered_once(monkeypatch):
    monkeypatch.setattr(registry, "CHECKS", dict(CHECKS))
    with pytest.raises(ValueError, match=r"two checks are called 'models\.count'"):
        registry.check(CHECKS["models.count"].function)


def test_another_reading_is_tried_only_where_an_entry_declares_it(published):
    [declared] = [c for c in load_claims() if c.id == "normalisation"]
    [bare] = check_claims(published, [declared.model_copy(update={"readings": []})])
    assert bare.outcome == NOT_REPRODUCED
    assert not bare.as_recorded
    assert bare.computed == "0"


def test_the_page_shows_both_values_and_the_address(ledger):
    checked = list(ledger.values())
    table = shown.table(checked).set_index(shown.download(checked)["id"])
    assert "as worded: 0.76361" in table.loc["scratch-vovnet-accuracy", "the data give"]
    assert table.loc["scratch-vovnet-accuracy", "address"] == "table_1.html#tab-differing"
    assert "missing: " in table.loc["classes", "the data give"]
    counts = shown.counts(checked).set_index("section")
    assert counts.loc["all", "claims"] == len(checked)
    assert (counts.drop(index="all").sum() == counts.loc["all"]).all()
    numbers = shown.numbers(checked)
    assert int(numbers["n-claims"]) == sum(
        int(numbers[f"n-{n}"])
        for n in ("reproduced", "another-reading", "not-reproduced", "not-checkable")
    )
    assert numbers["total-energy-printed"] == "58.2 kWh"
    assert set(shown.marks(checked)["outcome"]) == {
        "", "reproduced", "another-reading", "not-reproduced",
    }  # fmt: skip


def test_links_lead_to_a_place_that_the_sources_have():
    """A page of the book, and on it a label or a heading of that name."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    for claim in load_claims():
        page, _, anchor = claim.link.partition("#")
        text = (root / f"{page}.md").read_text("utf-8")
        headings = {
            "-".join("".join(c for c in line.lower() if c.isalnum() or c in " -").split())
            for line in text.splitlines()
            if line.startswith("#")
        }
        assert not anchor or f"name: {anchor}\n" in text or anchor in headings, claim.id


def test_table_a1_is_counted_on_the_printed_numbers(published):
    assert CHECKS["models.table_a1"](published) == len(load_architectures()) == 131
