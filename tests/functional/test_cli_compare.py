"""Seeds, data sets, errors, notes and `pepr compare` on the command line."""

import json

import pytest

A = "model,accuracy,kwh\na,0.8,1\nb,0.9,2\nc,0.95,5\nd,0.6,4\nonly_a,0.5,3\n"
B = "model,accuracy,kwh\na,0.8,3\nb,0.9,2\nc,0.95,5\nd,0.6,1\nonly_b,0.5,3\n"
SEEDS = "model,seed,accuracy,kwh\na,1,0.8,1\na,2,0.84,3\nb,1,0.9,6\nb,2,0.9,6\n"
COLUMNS = ("--performance", "accuracy", "--cost", "kwh")


@pytest.fixture
def table(tmp_path):
    def write(content, name="models.csv"):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def test_compare_shows_who_moved(pepr, table):
    both = (table(A, "a.csv"), table(B, "b.csv"))
    (found,) = json.loads(pepr("compare", *both, *COLUMNS, "--json").out)
    rows = {row["model"]: row for row in found["models"]}
    # A: 0.8, 0.9 / 1.25, 0.475, 0.6 / 1.75; B: 0.8 / 1.5, 0.9 / 1.25, 0.475, 0.6.
    assert {m: (r["rank_a"], r["rank_b"], r["moved"]) for m, r in rows.items()} == {
        "a": (1, 3, -2), "b": (2, 1, 1), "c": (3, 4, -1), "d": (4, 2, 2),
    }  # fmt: skip
    assert list(rows) == ["a", "d", "b", "c"]
    assert (found["only_in_a"], found["only_in_b"]) == (["only_a"], ["only_b"])
    assert found["rank_correlation"]["spearman"] == pytest.approx(1 - 6 * 10 / (4 * 15))
    assert found["rank_correlation"]["kendall"] == pytest.approx(0.0)
    differences = [0.8 - 0.8 / 1.5, 0, 0, 0.6 / 1.75 - 0.6]
    assert found["tests"]["pepr"]["difference"] == pytest.approx(sum(differences) / 4)
    assert found["tests"]["performance"]["p_paired"] is None
    done = pepr("compare", *both, *COLUMNS, "--top", "1")
    assert (done.code, "4 of 4 models moved" in done.out) == (0, True)
    assert "1 only in A: only_a; 1 only in B: only_b" in " ".join(done.out.split())


def test_compare_of_a_set_with_itself_moves_nothing(pepr):
    found = json.loads(pepr("compare", "published", "published", "--json").out)
    assert len(found) == 8
    for group in found:
        assert group["rank_correlation"]["spearman"] == pytest.approx(1)
        assert {row["moved"] for row in group["models"]} == {0}


def test_one_name_of_several_models_is_pointed_out(pepr, table):
    sizes = "model,img_size,accuracy,kwh\na,224,0.8,1\na,384,0.9,3\nb,224,0.7,2\n"
    path = table(sizes)
    done = pepr("compare", path, path, *COLUMNS)
    assert done.err.count("1 name is that of several models, which differ in img_size") == 2
    assert "of several models of one name the best" in " ".join(done.out.split())


def test_compare_without_a_common_model_names_the_remedy(pepr, table):
    other = table("model,accuracy,kwh\nx,0.5,1\n", "b.csv")
    done = pepr("compare", table(A, "a.csv"), other, *COLUMNS)
    assert done.code == 2
    assert "no model is in both" in done.err
    assert "--label" in done.err


def test_seeds_are_averaged_with_their_spread_in_every_command(pepr, table):
    path = table(SEEDS)
    done = pepr("score", path, *COLUMNS, "--json")
    rows = {row["model"]: row for row in json.loads(done.out)}
    assert (rows["a"]["accuracy"], rows["a"]["n_runs"]) == (pytest.approx(0.82), 2)
    assert "4 rows are 2 models" in done.err
    assert "--each-row to keep them apart" in done.err
    assert len(json.loads(pepr("score", path, *COLUMNS, "--json", "--each-row").out)) == 4
    assert "95 %" in pepr("score", path, *COLUMNS).out.splitlines()[0]
    (found,) = json.loads(pepr("select", path, *COLUMNS, "--max", "kwh=2", "--json").out)
    assert [model["model"] for model in found["models"]] == ["a"]
    assert "2 of 2 models on the front" in pepr("pareto", path, *COLUMNS).out


def test_averaged_rows_are_written_once_per_model(pepr, table, tmp_path):
    out = tmp_path / "out.csv"
    assert pepr("score", table(SEEDS), *COLUMNS, "-o", out).code == 0
    lines = out.read_text().splitlines()
    assert lines[0].startswith("model,seed,accuracy,kwh,resource,pepr,rank,n_runs,performance_sd")
    assert [line.split(",")[:2] for line in lines[1:]] == [["a", ""], ["b", ""]]


def test_a_column_of_data_sets_is_said_aloud(pepr, table):
    path = table("model,task,accuracy,kwh\na,x,0.8,1\nb,x,0.9,2\na,y,0.8,7\nb,y,0.9,9\n")
    done = pepr("score", path, *COLUMNS, "--json")
    assert {row["group"] for row in json.loads(done.out)} == {"x", "y"}
    assert "compared within each of 2 data sets (task); --together to pool them" in done.err
    pooled = pepr("score", path, *COLUMNS, "--json", "--together")
    assert {row["group"] for row in json.loads(pooled.out)} == {None}


def test_an_error_rate_in_percent_is_scored_and_limited_in_its_own_numbers(pepr, table):
    path = table("model,error,kwh\na,20,1\nb,10,2\nc,5,5\n")
    asked = (path, "--performance", "error", "--cost", "kwh", "--better", "low",
             "--performance-range", "0,100", "--json")  # fmt: skip
    rows = json.loads(pepr("score", *asked).out)
    assert [(row["error"], row["pepr"]) for row in rows] == [
        (20, 0.8), (10, pytest.approx(0.72)), (5, 0.475),
    ]  # fmt: skip
    (found,) = json.loads(pepr("select", *asked, "--max", "error=12").out)
    assert [model["model"] for model in found["models"]] == ["b", "c"]


def test_weights_that_do_not_sum_to_1_are_divided_by_their_sum(pepr, table):
    path = table("model,accuracy,kwh,gb\na,0.8,1,4\nb,0.9,2,3\nc,0.9,3,1\n")
    asked = ("score", path, *COLUMNS, "--cost", "gb", "--json")
    done = pepr(*asked, "--weights", "7,3")
    assert json.loads(done.out) == json.loads(pepr(*asked, "--weights", "0.7,0.3").out)
    assert "--weights 7,3 is taken as 0.7,0.3" in done.err


@pytest.mark.parametrize("command", ["score", "select"])
def test_notes_follow_the_table_and_leave_the_json_an_array(pepr, table, command):
    path = table("model,accuracy,kwh\nuseless,0.5,10\ngood,0.95,10.5\n")
    done = pepr(command, path, *COLUMNS, "--json", "--chance", "0.5")
    assert isinstance(json.loads(done.out), list)
    assert done.code == 0
    notes = [line for line in done.err.splitlines() if not line.startswith(" ")]
    assert len(notes) == 3
    assert notes[0].startswith("error: the leader useless")
    assert "0 for 1 of 2 models" in pepr("pareto", table(
        "model,accuracy,kwh\na,0.5,0\nb,0.95,10.5\n"), *COLUMNS).err  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--performance-range", "1"], "two numbers with a comma between"),
        (["--performance-range", "1,0"], "the smaller first"),
        (["--n-test", "0"], "range 1<=x"),
        (["--n-test", "50", "--performance-range", "0,7"], "no share of test images"),
        (["--better", "lower"], "'low'"),
    ],
)
def test_options_that_cannot_be(pepr, table, options, message):
    done = pepr("score", table(A), *COLUMNS, *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
