"""What the release's own code and tables say, and an independent benchmark beside it."""

from math import comb

import pandas as pd
import pytest

from paper.chapters import audit, published_data, results, stability, table_1
from paper.checks.data import script_setting
from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet

N = 30


def planted(tenth_accuracy) -> ResultSet:
    """Thirty models with accuracies 0.50 to 0.79 on all images, and planted ones on a tenth."""
    runs = [
        {
            "run_id": f"{share}-{i}",
            "status": "done",
            "experiment": f"clinic-{share}",
            "architecture": f"m{i:02d}",
            "dataset": "clinic",
            "pretrained": True,
            "train_fraction": share,
            "n_parameters": 1_000_000 + i,
            "test_accuracy": (50 + i) / 100 if share == 1 else tenth_accuracy(i),
            "energy_kwh": 1.0 + i,
        }
        for share in (1.0, 0.1)
        for i in range(N)
    ]
    return ResultSet("planted", pd.DataFrame(runs), pd.DataFrame(), "")


def test_a_tenth_that_keeps_the_order_shortlists_the_best():
    row = results.preliminary_choices(planted(lambda i: (40 + i) / 100)).iloc[0]
    assert row["correlation"] == pytest.approx(1.0)
    assert (row["best of the ten"], row["best of all"], row["kept"]) == (0.79, 0.79, 10)
    assert row["as good at random"] == pytest.approx(1 / 3)  # one of 30 models on a list of ten


def test_a_tenth_that_reverses_the_order_shortlists_the_worst():
    row = results.preliminary_choices(planted(lambda i: (90 - i) / 100)).iloc[0]
    assert row["correlation"] == pytest.approx(-1.0)
    assert (row["best of the ten"], row["kept"]) == (0.59, 0)
    assert row["as good at random"] == pytest.approx(1 - comb(9, 10) / comb(30, 10))
    # The mean of the best of ten drawn from 0.50 to 0.79: 0.50 + (10 * 31 / 11 - 1) / 100.
    assert row["ten at random"] == pytest.approx(0.50 + (310 / 11 - 1) / 100)


def test_the_released_figures_take_the_labels_of_another_row_order():
    labels = results.labels_by_row()
    assert len(labels) == 131
    assert labels["architecture"].is_monotonic_increasing
    assert labels["type as drawn"].eq(labels["type"]).sum() == 57
    assert labels["efficient as drawn"].eq(labels["efficient"]).sum() == 89
    first = labels.iloc[0]  # adv_inception_v3, drawn with the labels of dla46x_c
    assert (first["architecture"], first["type as drawn"]) == ("adv_inception_v3", "CNN")


def test_the_authors_notebook_follows_from_the_data_and_not_from_the_print(published):
    notebook = table_1.notebook_table(published)
    assert len(notebook) == 24 * 6
    assert notebook["follows"].all()
    assert not notebook.loc[notebook["quantity"] == "pepr_e", "agrees"].any()
    odd = table_1.contradicted(notebook)
    assert set(odd[["printed", "notebook"]].itertuples(index=False, name=None)) == {
        ("0.7651", "0.7636"),
        ("0.7617", "0.7616"),
        ("21.7", "31.6836"),
    }


def test_a_changed_run_no_longer_follows_the_notebook(published):
    runs = published.runs.copy()
    ghost = runs["architecture"].eq("ghostnet_100") & runs["dataset"].eq("derma")
    runs.loc[ghost, "energy_kwh"] *= 1.01
    changed = ResultSet("changed", runs, published.epochs, "")
    notebook = table_1.notebook_table(changed)
    wrong = notebook[~notebook["follows"]]
    assert {"energy_wh", "pepr_e"} <= set(wrong["quantity"])


def test_the_script_sets_the_learning_rate_for_the_authors_runs_only(published):
    script = published_data.released_script()
    assert script.set_index("line").loc[89, "code"] == "lr = 5e-4"
    assert script_setting(published, "learning_rate") == 0.0005
    with pytest.raises(NotAvailableError):
        script_setting(planted(float), "learning_rate")


def test_leads_beside_the_spread_of_seeds_by_hand(published):
    seeds = stability.other_seeds(published).set_index("data set")
    assert list(seeds.index) == ["derma", "pneumonia"]
    # The middle two of the ten standard deviations on DermaMNIST: 0.51 and 1.05 per cent.
    assert seeds.loc["derma", "seed sd"] == pytest.approx(0.0078)
    assert seeds.loc["derma", "seeds alone"] == pytest.approx(1.96 * 2**0.5 * 0.0078)
    assert seeds.loc["derma", "lead"] == pytest.approx(2 / 1984)
    assert stability.other_seeds(planted(lambda i: 0.5)).empty


def test_the_misfiled_rows_are_below_every_model_of_the_benchmark(published):
    found = audit.misfiled_against_benchmark(published)
    assert float(found["misfiled-high"]) < float(found["benchmark-lowest"]) == 0.753
    assert (found["filed-n"], found["filed-above"]) == ("125", "104")
