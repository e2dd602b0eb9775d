"""Result sets by name and path, a table of one's own as CSV, and the scores of a set."""

import pandas as pd
import pytest

from pepr_utils.errors import InvalidTableError, ScoreInputError, UnknownNameError
from pepr_utils.results import (
    add_classes,
    data_dictionary,
    experiment_labels,
    load_result_set,
    score_runs,
)
from pepr_utils.results.load import content_hash
from pepr_utils.results.tables import columns

HEADER = "architecture,dataset,test_accuracy,energy_kwh"


@pytest.fixture
def csv(tmp_path):
    """Write a CSV table and give its path."""

    def write(*lines, name="mine.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_a_users_small_table(csv):
    path = csv(HEADER + ",n_parameters,note", "a,ward,0.9,2.0,1000,first", "b,ward,0.8,1.0,2000,")
    loaded = load_result_set(path)
    assert loaded.runs["run_id"].tolist() == ["row-1", "row-2"]
    assert loaded.runs["note"].tolist() == ["first", ""]
    assert loaded.runs["train_time_s"].isna().all()
    assert loaded.epochs.empty
    assert score_runs(loaded.runs)["pepr"].tolist() == [0.45, 0.8]
    assert loaded.content_hash == content_hash(path)


def test_every_column_of_the_dictionary_is_there_and_in_order(csv, published):
    own = load_result_set(csv(HEADER, "a,ward,0.9,2.0"))
    for result_set in (own, published):
        assert list(result_set.runs)[: len(columns("runs"))] == list(columns("runs"))
        assert {c: str(result_set.runs[c].dtype) for c in columns("runs")} == {
            c: spec.dtype for c, spec in columns("runs").items()
        }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["architecture,dataset,test_accuracy", "a,w,0.5"],
            "no column 'energy_kwh'; it has 'architecture'",
        ),
        (
            ["architecture,dataset,test_acuracy,energy_kwh", "a,w,0.5,1"],
            "unknown column 'test_acuracy'; did you mean",
        ),
        (
            ["architecture,dataset,test_accuracy,energy_kw", "a,w,0.5,1"],
            "unknown column 'energy_kw'; convert its values to kWh and name it 'energy_kwh'",
        ),
        (
            [HEADER, "a,w,0.5,1", "b,w,0.6,-2"],
            "row 2, column 'energy_kwh' is '-2'; allowed: a finite number of at",
        ),
        (
            [HEADER, "a,w,inf,1"],
            "row 1, column 'test_accuracy' is 'inf'; allowed: a finite number from 0 to 1",
        ),
        ([HEADER, "a,w,0.5,inf"], "row 1, column 'energy_kwh' is 'inf'"),
        ([HEADER, "a,w,NaN,1"], "row 1, column 'test_accuracy' is empty"),
        (
            [HEADER, "a,w,0.5,1", "b,w,87.5,1"],
            "row 2, column 'test_accuracy' is '87.5'.*--percent 'test_accuracy' divides",
        ),
        ([HEADER, "a,w,good,1"], "row 1, column 'test_accuracy' is 'good'"),
        ([HEADER, "a,w,,1"], "row 1, column 'test_accuracy' is empty"),
        ([HEADER, ",w,0.5,1"], "row 1, column 'architecture' is empty"),
        (
            [HEADER + ",n_parameters", "a,w,0.5,1,1.5"],
            "column 'n_parameters' is '1.5'; allowed: a whole number",
        ),
        (
            [HEADER + ",pretrained", "a,w,0.5,1,maybe"],
            "column 'pretrained' is 'maybe'; allowed: true or false",
        ),
        ([HEADER + ",run_id", "a,w,0.5,1,x", "b,w,0.5,1,x"], "row 2, column 'run_id' repeats 'x'"),
        ([HEADER], "no rows"),
        ([HEADER, 'a,w,0.5,1,"'], "not a readable CSV table"),
    ],
)
def test_a_bad_table_is_one_line_with_value_place_and_remedy(csv, lines, message):
    with pytest.raises(InvalidTableError, match=message) as caught:
        load_result_set(csv(*lines))
    assert "\n" not in str(caught.value)
    assert "mine.csv" in str(caught.value)


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.csv"
    path.touch()
    with pytest.raises(InvalidTableError, match="the file is empty"):
        load_result_set(path)


def test_an_unknown_set_names_the_known_ones(tmp_path):
    with pytest.raises(
        UnknownNameError, match=r"unknown result set 'publishd'; allowed: published.*did you mean"
    ):
        load_result_set("publishd")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidTableError, match="no records"):
        load_result_set(tmp_path / "empty")


def test_experiments_are_scored_separately_unless_requested(published):
    scored = score_runs(published.runs)
    assert (
        scored.groupby("experiment")["resource"].agg(["min", "max"]).to_numpy().tolist()
        == [[0, 1]] * 8
    )
    with pytest.raises(ScoreInputError, match="'derma' of 'dataset' mixes 4 experiments"):
        score_runs(published.runs, by="dataset")
    together = score_runs(published.runs, by=None)
    assert (together["resource"] == 0).sum() == 1


def test_costs_by_letter_or_column(published):
    runs = published.runs
    for cost, column in {
        "E": "energy_kwh",
        "C": "co2eq_g",
        "M": "reserved_memory_gb",
        "T": "released_train_time_s",
    }.items():
        assert score_runs(runs, cost=cost)["pepr"].equals(score_runs(runs, cost=column)["pepr"])
    with pytest.raises(InvalidTableError, match="train_time_s, which no run has"):
        score_runs(runs, cost="train_time_s")
    with pytest.raises(UnknownNameError, match=r"unknown cost 'energy'.*did you mean 'energy_kwh'"):
        score_runs(runs, cost="energy")


def test_runs_without_a_value_get_no_score():
    runs = pd.DataFrame(
        {"experiment": "x", "test_accuracy": [0.5, None, 0.5], "energy_kwh": [1.0, 9.0, 3.0]}
    )
    assert score_runs(runs)["pepr"].isna().tolist() == [False, True, False]
    assert score_runs(runs)["resource"].tolist()[2] == 1.0


def test_classes_of_unknown_architectures_are_null_but_their_size_is_known():
    runs = pd.DataFrame(
        {"architecture": ["my_net", "vgg13"], "n_parameters": pd.array([30_000_000, None], "Int64")}
    )
    joined = add_classes(runs)
    assert joined["size"].tolist() == ["large", "large"]
    assert joined["type"].isna().tolist() == [True, False]
    assert joined["n_parameters"].tolist() == [30_000_000, 133_047_848]


def test_labels_leave_out_what_does_not_differ(csv):
    loaded = load_result_set(csv(HEADER, "a,ward,0.9,2.0", "a,clinic,0.9,2.0"))
    assert list(experiment_labels(loaded.experiments).values()) == ["ward", "clinic"]


def test_the_dictionary_covers_both_tables_and_keeps_the_doubts():
    dictionary = data_dictionary()
    assert set(dictionary["table"]) == {"runs", "epochs"}
    assert (dictionary["meaning"] != "").all()
    assert dictionary.set_index("column").loc["released_train_time_s", "doubt"] != ""


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("dataset", "ward", "clinic"),
        ("pretrained", "true", "false"),
        ("train_fraction", "1", "0.1"),
        ("protocol", "paper", "other"),
        ("device", "one card", "another card"),
        ("energy_method", "carbontracker", "meter"),
        ("energy_window", "train", "train+eval"),
        ("power_limit_w", "250", "350"),
        ("power_limit_w", "250", ""),
    ],
)
def test_runs_that_differ_in_a_key_column_are_two_experiments(csv, column, first, second):
    known = {"architecture": ["a", "b"], "test_accuracy": ["0.9", "0.8"], "energy_kwh": ["1", "2"]}
    cells = {"dataset": ["ward", "ward"]} | known | {column: [first, second]}
    path = csv(",".join(cells), *(",".join(row) for row in zip(*cells.values(), strict=True)))
    loaded = load_result_set(path)
    assert len(loaded.experiments) == 2
    assert len(set(experiment_labels(loaded.experiments).values())) == 2
    # each is alone in its experiment, so that its cost is the lowest
    assert score_runs(loaded.runs)["resource"].tolist() == [0, 0]
    assert score_runs(loaded.runs)["pepr"].tolist() == [0.9, 0.8]


@pytest.mark.parametrize("value", [2024, None, 1.5, ["published"]])
def test_a_name_that_is_no_text_is_an_error_with_the_parameter(value):
    for function in (load_result_set, content_hash):
        with pytest.raises(UnknownNameError, match=r"result_set is .*; allowed: a name or path"):
            function(value)


def test_names_that_look_alike_in_a_key_are_kept_apart(csv):
    names = ["a/b", "a_b", "a%2Fb"]
    loaded = load_result_set(csv(HEADER, *(f"m,{name},0.9,2.0" for name in names)))
    assert len(loaded.experiments) == 3
    assert list(experiment_labels(loaded.experiments).values()) == names


def test_two_data_sets_of_one_name_are_two_experiments(csv):
    twins = csv(
        HEADER + ",dataset_hash",
        "a,chest,0.9,2.0,0123456789abcdef",
        "b,chest,0.8,1.0,0123456789abcdef",
        "a,chest,0.5,2.0,0123456789ab0000",
        "a,skin,0.5,2.0,ffff",
    )
    loaded = load_result_set(twins)
    labels = experiment_labels(loaded.experiments)
    assert sorted(labels.values()) == ["chest (0123456789ab0)", "chest (0123456789abc)", "skin"]
    assert loaded.runs["dataset"].tolist() == ["chest", "chest", "chest", "skin"]
    # Energy is normalised in each: alone in its experiment, a run has no range to be placed in.
    assert score_runs(loaded.runs)["pepr"].tolist()[:2] == [0.45, 0.8]
