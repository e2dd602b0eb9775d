"""Table 1: every printed cell, the few that are not reproduced by name."""

import pytest

from paper.chapters.table_1 import (
    QUANTITIES,
    compare,
    full_data_runs,
    printed_table,
    recomputed_ranking,
    rule_counts,
    side_by_side,
)
from pepr_utils.errors import InvalidTableError
from pepr_utils.ledger.compare import DIFFERS, REPRODUCED, TRUNCATED, compare_printed
from pepr_utils.results import ResultSet, load_architectures


@pytest.fixture(scope="module")
def cells(published):
    return compare(published)


def _named(cells):
    return set(cells[["block", "rank", "quantity", "printed"]].itertuples(index=False, name=None))


def test_every_printed_number_is_compared(cells):
    stated = cells[cells["rule"] != "minmax"]
    assert len(stated) == 24 * len(QUANTITIES)
    assert len(cells) == len(stated) + 24


def test_cells_that_match_under_neither_rounding_nor_truncation(cells):
    odd = cells[(cells["outcome"] == DIFFERS) & (cells["rule"] != "minmax")]
    assert set(
        odd[["label", "quantity", "printed", "instead"]].itertuples(index=False, name=None)
    ) == {
        ("ESE-VoVNet*", "test_accuracy", "0.7651", "epoch 8: 0.7651"),
        ("ResNet-34*", "test_accuracy", "0.7617", "one digit: 0.7616"),
        ("ResNet-34*", "energy_wh", "21.7", "one digit: 31.7"),
    }


def test_cells_that_match_by_truncation(cells):
    cut = cells[(cells["outcome"] == TRUNCATED) & (cells["rule"] != "minmax")]
    assert _named(cut) == {("Derma", "1", "energy_wh", "17.4"), ("Derma", "1", "pepr_e", "0.8026")}


def test_all_other_cells_are_reproduced(cells):
    stated = cells[cells["rule"] != "minmax"]
    assert (stated["outcome"] == REPRODUCED).sum() == len(stated) - 3 - 2


def test_printed_scores_follow_from_the_maximum_and_never_from_minmax(published):
    counts = rule_counts(published).set_index(["rule", "bounds"])["matching"]
    assert counts["max", "experiment"] == 24
    assert counts["minmax", "experiment"] == 0
    assert counts.drop(("max", "experiment")).max() < 24


def test_both_rules_rank_the_same_models_first(published):
    printed = printed_table()["architecture"].tolist()
    for method in ("max", "minmax"):
        assert recomputed_ranking(published, method=method)["architecture"].tolist() == printed


def test_each_label_is_read_as_the_model_that_fits_best(published):
    """No other architecture of an experiment matches more cells of a printed row."""
    scored = full_data_runs(published)
    for line in printed_table().to_dict("records"):
        same = scored[
            (scored["dataset"] == line["dataset"]) & (scored["pretrained"] == line["pretrained"])
        ]
        fits = {
            run["architecture"]: sum(
                compare_printed(
                    float(run["pepr_max" if q == "pepr_e" else column]) * factor, line[q]
                )
                != DIFFERS
                for q, (column, factor, _) in QUANTITIES.items()
            )
            for run in same.to_dict("records")
        }
        best = max(fits.values())
        assert [a for a, n in fits.items() if n == best] == [line["architecture"]], line


def test_printed_efficiency_flags(published):
    flags = load_architectures().set_index("architecture")["efficient"]
    table = printed_table()
    assert (table["efficient"].to_numpy() == flags.reindex(table["architecture"]).to_numpy()).all()


def test_layout_shows_printed_values_where_they_differ(cells):
    table = side_by_side(cells)
    assert len(table) == 24
    row = table[(table["block"] == "LIDC") & (table["rank"] == "4")].iloc[0]
    assert row["E (Wh)"] == "31.7 [21.7]"
    assert set(table["eff."]) == {"yes", "no"}
    assert table["PePR-E"].tolist() == printed_table()["pepr_e"].tolist()


def test_a_planted_change_is_noticed(published):
    runs = published.runs.copy()
    hit = (
        (runs["architecture"] == "dpn107")
        & (runs["dataset"] == "lidc")
        & (runs["train_fraction"] == 1)
    )
    runs.loc[hit, "energy_kwh"] *= 1.01
    changed = compare(ResultSet("changed", runs, published.epochs, "x"))
    odd = changed[(changed["outcome"] == DIFFERS) & (changed["rule"] != "minmax")]
    assert ("dpn107", "energy_wh") in set(
        odd[["architecture", "quantity"]].itertuples(index=False, name=None)
    )


def test_a_set_without_an_experiment_is_an_error_not_a_table(published):
    rest = published.runs[published.runs["dataset"] != "lidc"]
    with pytest.raises(InvalidTableError, match="0 runs of 'mnasnet_100' on 'lidc'"):
        compare(ResultSet("partial", rest, published.epochs, "x"))
