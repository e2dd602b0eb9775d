"""`pepr score`, `pareto` and `select` on users' tables, against values computed by hand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

MODELS = """\
model,accuracy,energy_wh,memory_gb,site
small,0.8,10,2,x
middle,0.9,20,4,x
large,0.95,50,12,y
other,0.6,40,,y
"""
COLUMNS = ("--performance", "accuracy", "--cost", "energy_wh")
#: R by min-max: small 0, middle 10/40, large 40/40, other 30/40.
SCORES = {"small": 0.8, "middle": 0.9 / 1.25, "large": 0.95 / 2, "other": 0.6 / 1.75}


@pytest.fixture
def table(tmp_path):
    """Write a CSV file of this text, or these bytes, and return its path."""

    def write(content=MODELS, name="models.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def _shell(command, **environment):
    python = Path(sys.executable).parent
    path = f"{python}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False,
        env=os.environ | {"PATH": path} | environment,
    )  # fmt: skip


def _objects(done):
    assert done.code in (0, 1), done.err
    return json.loads(done.out)


def _scores(done):
    return {row["model"]: row["pepr"] for row in _objects(done)}


@pytest.mark.parametrize("command", ["score", "pareto", "select"])
def test_help_has_an_example(pepr, command):
    done = pepr(command, "--help")
    assert (done.code, "Example:" in done.out) == (0, True)


# --- score


def test_score_ranks_by_hand_computed_values(pepr, table):
    rows = _objects(pepr("score", table(), *COLUMNS, "--json"))
    assert [row["model"] for row in rows] == ["small", "middle", "large", "other"]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert {row["model"]: row["pepr"] for row in rows} == pytest.approx(SCORES)
    assert rows[1] == {
        "group": None, "model": "middle", "accuracy": 0.9, "energy_wh": 20.0,
        "resource": 0.25, "pepr": pytest.approx(0.72), "rank": 2,
    }  # fmt: skip


def test_score_on_the_terminal(pepr, table):
    done = pepr("score", table(), *COLUMNS)
    lines = done.out.splitlines()
    assert lines[0].split() == ["rank", "model", "accuracy", "energy_wh", "resource", "PePR"]
    assert lines[2].split() == ["2", "middle", "0.9000", "20", "0.2500", "0.7200"]
    assert lines[-1] == ("resource: energy_wh by min-max over 4 rows, energy_wh 10 to 50; alpha 1")
    assert done.err == ""
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--alpha", "4"], {"middle": 0.9 / (1 + 0.25 / 4)}),
        (["--normalize", "max"], {"small": 0.8 / 1.2, "middle": 0.9 / 1.4}),
        (["--normalize", "fixed", "--lower", "0", "--upper", "100"], {"large": 0.95 / 1.5}),
        (
            ["--normalize", "fixed", "--lower", "10", "--upper", "30", "--outside", "clip"],
            {"middle": 0.9 / 1.5, "large": 0.95 / 2, "other": 0.3},
        ),
        # quartiles of 10, 20, 40, 50 are 17.5 and 42.5
        (["--normalize", "quantile", "--lower", "0.25", "--upper", "0.75"], {"middle": 0.9 / 1.1}),
        (["--by", "site"], {"small": 0.8, "middle": 0.45, "other": 0.6, "large": 0.475}),
        (
            ["--by", "site", "--by", "model", "--label", "model"],
            {"small": 0.8, "middle": 0.9, "large": 0.95},
        ),
        (["--top", "1"], {"small": 0.8}),
        (["--label", "site", "--each-row", "--top", "1"], {"x": 0.8}),
    ],
)
def test_score_options(pepr, table, options, expected):
    found = _scores(pepr("score", table(), *COLUMNS, "--json", *options))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_score_weighs_several_costs(pepr, table):
    done = pepr(
        "score", table(), *COLUMNS, "--cost", "memory_gb", "--weights", "0.75,0.25", "--json"
    )
    rows = {row["model"]: row for row in _objects(done)}
    # Both bounds over the three models that have both costs: energy 10 to 50, memory 2 to 12.
    assert rows["middle"]["resource"] == pytest.approx(0.75 * 0.25 + 0.25 * 0.2)
    assert rows["middle"]["pepr"] == pytest.approx(0.9 / 1.2375)
    assert rows["middle"]["memory_gb"] == 4
    assert rows["other"]["pepr"] is None
    assert "note: 1 of 4 rows not scored: 1 without memory_gb (row 4)" in done.err


def test_a_row_without_a_value_is_listed_without_a_score_and_sets_no_bound(pepr, table):
    path = table("model,acc,kwh\na,0.8,1\nb,NaN,99\nc,0.7,\nd,0.9,NA\ne,0.5,3\n")
    done = pepr("score", path, "--performance", "acc", "--cost", "kwh", "--json")
    rows = _objects(done)
    assert [row["model"] for row in rows][:2] == ["a", "e"]
    assert [row["pepr"] for row in rows] == [0.8, 0.25, None, None, None]
    assert [row["rank"] for row in rows] == [1, 2, None, None, None]
    assert {row["model"]: row["acc"] for row in rows}["b"] is None
    assert "3 of 5 rows not scored: 1 without acc (row 2), 2 without kwh (the first in row 3)" in (
        done.err
    )


def test_ties_share_a_rank_the_cheaper_first(pepr, table):
    path = table("model,acc,kwh\ndear,0.8,1\ncheap,0.4,0\nworse,0.1,1\nalso,0.8,1\n")
    done = pepr("score", path, "--performance", "acc", "--cost", "kwh", "--json")
    rows = [(row["model"], row["rank"]) for row in _objects(done)]
    assert rows == [("cheap", 1), ("dear", 1), ("also", 1), ("worse", 4)]


def test_one_row_and_equal_costs_have_no_resource(pepr, table):
    done = pepr("score", table("m,acc,kwh\na,0.8,7\n"), "--performance", "acc", "--cost", "kwh")
    assert "0.8000    7    0.0000  0.8000" in done.out
    assert "over 1 row, kwh 7 in all" in done.out


def test_names_of_any_script_width_and_control_characters(pepr, table):
    long = "模型" * 60
    path = table(f"\ufeffmodel,acc,kwh\nnaïve,0.9,1\n{long},0.8,2\n\x1b[31mred,0.7,3\n")
    arguments = ("score", path, "--performance", "acc", "--cost", "kwh")
    done = pepr(*arguments)
    assert "naïve" in done.out
    assert "\x1b" not in done.out
    wide = next(line for line in done.out.splitlines() if "模" in line)
    assert "…" in wide
    assert len(wide) + wide.count("模") + wide.count("型") == 80
    assert long in {row["model"] for row in _objects(pepr(*arguments, "--json"))}


def test_the_weights_that_are_suggested_are_taken(pepr, table):
    path = table("model,acc,kwh,gb,s\na,0.9,1,2,3\nb,0.8,2,1,1\n")
    asked = ("score", path, "--performance", "acc", "--cost", "kwh", "--cost", "gb", "--cost", "s")
    suggested = re.search(r"such as (--weights) (\S+)", pepr(*asked).err).groups()
    assert suggested[1] == "0.33,0.33,0.34"
    assert pepr(*asked, *suggested).code == 0


# --- score: output


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_output_has_all_columns_and_rows_in_order(pepr, table, tmp_path, suffix):
    target = tmp_path / f"out.{suffix}"
    done = pepr("score", table(), *COLUMNS, "--top", "1", "-o", target)
    assert (done.code, f"wrote 4 rows to {target}" in done.err) == (0, True)
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[suffix]
    frame = read(target)
    assert list(frame) == [
        "model", "accuracy", "energy_wh", "memory_gb", "site", "resource", "pepr", "rank",
    ]  # fmt: skip
    assert frame["model"].tolist() == ["small", "middle", "large", "other"]
    assert frame["pepr"].tolist() == pytest.approx(list(SCORES.values()))
    assert frame["memory_gb"].isna().tolist() == [False, False, False, True]
    assert frame["rank"].tolist() == [1, 2, 3, 4]
    assert {path.name for path in tmp_path.iterdir()} == {"models.csv", target.name}


def test_output_keeps_text_of_a_csv_and_codes_with_leading_zeros(pepr, table, tmp_path):
    path = table("model,acc,kwh,code\na,0.80,1e0,007\n")
    for name in ("out.csv", "out.parquet"):
        pepr("score", path, "--performance", "acc", "--cost", "kwh", "-o", tmp_path / name)
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "a,0.80,1e0,007,0.0,0.8,1"
    typed = pd.read_parquet(tmp_path / "out.parquet")
    assert typed["code"].tolist() == ["007"]
    assert typed["acc"].tolist() == [0.8]


def test_parquet_in_is_csv_in(pepr, table, tmp_path):
    path = tmp_path / "models.parquet"
    pd.read_csv(table()).set_index("model").to_parquet(path)
    assert _scores(pepr("score", path, *COLUMNS, "--json")) == pytest.approx(SCORES)


def test_a_parquet_index_that_is_a_column_too(pepr, table, tmp_path):
    """As after `set_index("model", drop=False)`: the column is kept."""
    path = tmp_path / "models.parquet"
    pd.read_csv(table()).set_index("model", drop=False).to_parquet(path)
    assert _scores(pepr("score", path, *COLUMNS, "--json")) == pytest.approx(SCORES)


def test_the_line_that_excel_reads_before_the_header(pepr, table):
    done = pepr("score", table("sep=,\n" + MODELS), *COLUMNS, "--json")
    assert _scores(done) == pytest.approx(SCORES)


@pytest.mark.parametrize("word", ["<NA>", "#N/A", "-nan", "NaT", "", " n/a "])
def test_spellings_of_missing(pepr, table, word):
    done = pepr("score", table(f"model,acc,kwh\na,0.9,1\nb,0.8,{word}\n"),
                "--performance", "acc", "--cost", "kwh", "--json")  # fmt: skip
    assert _scores(done) == {"a": 0.9, "b": None}


def test_parquet_without_pyarrow_names_what_to_install(pepr, table, tmp_path, monkeypatch):
    monkeypatch.setattr("pepr_utils.results.table_files.find_spec", lambda name: None)
    done = pepr("score", table(), *COLUMNS, "-o", tmp_path / "out.parquet")
    assert done.code == 2
    assert "pip install '.[parquet]'" in done.err
    done = pepr("score", table(b"PAR1", name="in.parquet"), *COLUMNS)
    assert "pip install '.[parquet]'" in done.err


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("out.docx", "ends in '.docx'"),
        ("out", "ends in 'no suffix'"),
        ("models.csv", "is the table itself; name another file"),
        ("link.csv", "is the table itself; name another file"),
        ("nowhere/out.csv", "make it first"),
        ("folder.csv", "is a folder"),
    ],
)
def test_output_that_cannot_be_is_refused_before_anything(pepr, table, tmp_path, target, message):
    path = table()
    (tmp_path / "link.csv").symlink_to(path)
    (tmp_path / "folder.csv").mkdir()
    done = pepr("score", path, *COLUMNS, "-o", tmp_path / target)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert path.read_text() == MODELS


def test_a_failed_write_leaves_the_old_file_and_nothing_else(pepr, table, tmp_path, monkeypatch):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def full(self, path, **options):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    done = pepr("score", table(), *COLUMNS, "-o", target)
    assert (done.code, target.read_text()) == (2, "old")
    assert "cannot be written: No space left on device" in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"models.csv", "out.csv"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_output_to_a_read_only_folder(pepr, table, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    done = pepr("score", table(), *COLUMNS, "-o", folder / "out.csv")
    assert done.code == 2
    assert "cannot be written: Permission denied" in done.err


def test_a_column_named_like_one_of_the_output(pepr, table, tmp_path):
    path = table("model,acc,kwh,rank\na,0.8,1,5\nb,0.7,2,4\n")
    arguments = ("score", path, "--performance", "acc", "--cost")
    assert [r["rank"] for r in _objects(pepr(*arguments, "kwh", "--json"))] == [1, 2]
    done = pepr(*arguments, "kwh", "-o", tmp_path / "out.csv")
    assert "has a column 'rank' already, and the output adds one" in done.err
    assert "column 'rank' cannot be compared" in pepr(*arguments, "rank").err
    done = pepr("select", *arguments[1:], "kwh", "--max", "rank=4")
    assert "column 'rank' cannot be compared" in done.err


# --- errors: one line, exit code 2


HEAD = "model,acc,kwh\n"
BAD_TABLES = [
    (f"{HEAD}a,91.5,1\n", "models.csv: row 1, column 'acc' is '91.5'", "--percent 'acc'"),
    (f"{HEAD}a,0.9,1\nb,0.8,many\n", "row 2, column 'kwh' is 'many'", "a finite number"),
    (f"{HEAD}a,0.9,inf\n", "row 1, column 'kwh' is 'inf'", "a finite number of at least 0"),
    (f"{HEAD}a,0.9,-1\n", "row 1, column 'kwh' is '-1'", "at least 0"),
    (f"{HEAD}a,-0.1,1\n", "row 1, column 'acc' is '-0.1'", "from 0 to 1"),
    (f"{HEAD}a,true,1\n", "row 1, column 'acc' is 'true'", "from 0 to 1"),
    (f"{HEAD}a,,1\nb,0.9,\n", "no row has 'acc' and 'kwh'", "at least one is needed"),
    (HEAD, "no rows", "below the header"),
    ("", "the file is empty", "header"),
    ("model;acc;kwh\na;1;1,017\n", "'1,017', which may be 1.017 or 1017", "--decimal ,"),
    ("model;acc;kwh\na;0,9;1\nb;0.8;2\n", "row 2 is '0.8' and row 1 is '0,9'", "one decimal mark"),
    ("a;b,c;acc;k,w\na;b,c;1;2,3\n", "separated by comma or semicolon", "--sep comma"),
    (b"\x89PNG\x00\xff\xfe", "not a table", "CSV, a spreadsheet, Parquet or JSON"),
    ("model,acc,acc,kwh\na,1,1,1\n", "column 'acc' appears twice", "keep one"),
    (f"{HEAD}a,0.9,1,5\n", "row 1 has 4 values and the header 3", ""),
    (f"{HEAD}a,0.9,-\n", "row 1, column 'kwh' is '-'", "or empty"),
    (
        f"by our logger, v2\n{HEAD}a,0.9,1\n",
        "and the header 2 ('by our logger,v2')",
        "nothing above the header",
    ),
    ("model,accc,kwh\na,0.9,1\n", "unknown performance column", "did you mean 'accc'?"),
    ("model,acc,kWh\na,0.9,1\n", "'kwh'; allowed: acc, kWh", "did you mean 'kWh'?"),
]


@pytest.mark.parametrize(("content", "message", "fix"), BAD_TABLES)
@pytest.mark.parametrize("command", ["score", "select"])
def test_bad_tables(pepr, table, command, content, message, fix):
    done = pepr(command, table(content), "--performance", "acc", "--cost", "kwh")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert fix in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "FILE"], "--performance is needed, since models.csv has no column "
         "'test_accuracy'; its numeric columns: accuracy, energy_wh, memory_gb; one of another "
         "file: --join FILE --on COL"),
        (["score", "FILE", "--performance", "accuracy", "--cost", "C"], "unknown cost column"),
        (["score", "nope.csv"], "unknown file or result set 'nope.csv'; allowed: published"),
        (["score", "publishd"], "did you mean 'published'?"),
        (["score", "FILE", "--performance", "accuracy", "--cost", "accuracy"], "named twice"),
        (["score", *COLUMNS, "FILE", "--by", "nope"], "unknown group column of models.csv: 'nope'"),
        (["score", *COLUMNS, "FILE", "--label", "nope"], "unknown label column"),
        (["score", *COLUMNS, "FILE", "--by", "memory_gb"], "row 4, column 'memory_gb' is empty"),
        (["score", *COLUMNS, "FILE", "--alpha", "0.5"], "x>=1"),
        (["score", *COLUMNS, "FILE", "--alpha", "nan"], "alpha is nan"),
        (["score", *COLUMNS, "FILE", "--normalize", "lgo"], "'log'"),
        (["score", *COLUMNS, "FILE", "--normalize", "fixed"], "needs --lower and --upper"),
        (["score", *COLUMNS, "FILE", "--normalize", "fixed", "--lower", "5", "--upper", "1"],
         "lower below upper"),
        (["score", *COLUMNS, "FILE", "--normalize", "fixed", "--lower", "0", "--upper", "45"],
         "row 3, column 'energy_wh' is 50; allowed: 0 to 45; widen --lower and --upper, or add "
         "--outside clip"),
        (["score", *COLUMNS, "FILE", "--lower", "5"], "--lower has no effect"),
        (["score", *COLUMNS, "FILE", "--outside", "clip"], "--outside needs --normalize fixed"),
        (["score", *COLUMNS, "FILE", "--cost", "memory_gb"], "such as --weights 0.5,0.5"),
        (["select", *COLUMNS, "FILE", "--cost", "memory_gb"], "such as --weights 0.5,0.5"),
        (["select", *COLUMNS, "FILE", "--cost", "memory_gb", "--weights", "1"], "1 number for 2"),
        (["score", *COLUMNS, "FILE", "--cost", "memory_gb", "--weights", "1,-2"], "0 or more"),
        (["pareto", *COLUMNS, "FILE", "--cost", "energy_wh"], "'energy_wh' is named twice"),
        (["score", *COLUMNS, "FILE", "--weights", "0.5,0.5"], "2 numbers for 1 cost"),
        (["score", *COLUMNS, "FILE", "--weights", "all"], "numbers with commas between"),
        (["pareto", *COLUMNS, "FILE", "--better", "hi,low"], "allowed: high, low"),
        (["pareto", *COLUMNS, "FILE", "--better", "low,low,low"], "a pair of 'high'"),
        (["select", *COLUMNS, "FILE", "--max", "memory_gb"], "allowed: COL=VALUE"),
        (["select", *COLUMNS, "FILE", "--max", "memory=8"], "did you mean 'memory_gb'?"),
        (["select", *COLUMNS, "FILE", "--max", "memory_gb=8Wh"], "allowed units of memory: MB, GB"),
        (["select", *COLUMNS, "FILE", "--max", "memory_gb=8Gb"], "allowed units of memory"),
        (["select", *COLUMNS, "FILE", "--max", "energy_wh=9mJ"], "allowed units of energy"),
        (["select", *COLUMNS, "FILE", "--max", "site=9"], "row 1, column 'site' is 'x'"),
        (["select", *COLUMNS, "FILE", "--max", "accuracy=9 GB"], "that name ends in no unit"),
        (["select", *COLUMNS, "FILE", "--max", "memory_gb=few"], "allowed: a number"),
        (["select", *COLUMNS, "FILE", "--min", "accuracy=85"], "divide percentages by 100"),
        (["select", *COLUMNS, "FILE", "--max", "memory_gb=8", "--max", "memory_gb=9"], "twice"),
    ],
)  # fmt: skip
def test_bad_questions(pepr, table, arguments, message):
    path = table()
    done = pepr(*(path if a == "FILE" else a for a in arguments))
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_cost_of_zero_under_log(pepr, table):
    path = table(f"{HEAD}a,0.9,0\nb,0.8,10\n")
    done = pepr("score", path, "--performance", "acc", "--cost", "kwh", "--normalize", "log")
    assert "row 1, column 'kwh' is '0'; allowed: a finite number above 0" in done.err


@pytest.mark.parametrize("name", ["x.parquet", "x.xlsx", "x", "folder"])
def test_what_is_no_table(pepr, table, tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"\x00not a table")
    done = pepr("score", path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert any(w in done.err for w in ("not a table", "no records"))


# --- pareto


def test_pareto_sorts_the_front_by_cost_and_marks_the_knee(pepr, table):
    path = table()
    rows = _objects(pepr("pareto", path, *COLUMNS, "--json"))
    # other (0.6 at 40) is beaten by small; middle lies 0.1/0.15 - 10/40 above the line.
    assert [row["model"] for row in rows] == ["small", "middle", "large"]
    assert [row["knee"] for row in rows] == [False, True, False]
    everything = _objects(pepr("pareto", path, *COLUMNS, "--json", "--all"))
    assert [r["model"] for r in everything] == ["small", "middle", "other", "large"]
    assert [r["pareto"] for r in everything] == [True, True, False, True]
    text = pepr("pareto", path, *COLUMNS).out.splitlines()
    assert text[0] == "3 of 4 models on the front"
    assert text[3].split() == ["middle", "0.9000", "20", "knee"]


def test_pareto_takes_any_numbers_and_directions_by_group(pepr, table):
    path = table("model,loss,kwh,site\na,90,1,x\nb,50,-2,x\nc,40,5,y\nd,,1,y\n")
    arguments = (path, "--performance", "loss", "--cost", "kwh")
    done = pepr("pareto", *arguments, "--better", "low,low", "--by", "site", "--json")
    assert [(r["group"], r["model"]) for r in _objects(done)] == [("x", "b"), ("y", "c")]
    assert "1 of 4 rows not compared: 1 without loss (row 4)" in done.err
    text = pepr("pareto", *arguments, "--better", "low,low", "--by", "site").out
    assert "x: 1 of 2 models on the front, which has no knee" in text
    assert "low loss, low kwh" in text


JOINT = """\
model,accuracy,energy_wh,memory_gb
small,0.8,10,2
lean,0.8,40,1
beaten,0.7,20,3
"""


def test_pareto_over_several_costs(pepr, table, tmp_path):
    """Lean is off the front of energy alone; beaten loses to small in all three."""
    path, target = table(JOINT), tmp_path / "front.csv"
    asked = ("pareto", path, *COLUMNS, "--cost", "memory_gb")
    rows = _objects(pepr(*asked, "--json", "-o", target))
    assert [(row["model"], row["memory_gb"]) for row in rows] == [("small", 2), ("lean", 1)]
    assert [row["knee"] for row in rows] == [None, None]
    assert pd.read_csv(target)["pareto"].tolist() == [True, True, False]
    done = pepr(*asked)
    assert done.out.splitlines()[0] == "2 of 3 models on the front"
    assert "as good in all and better in one" in done.out
    assert "high accuracy, low energy_wh, low memory_gb" in done.out
    turned = pepr(*asked, "--better", "high,low,high", "--all", "--json")
    assert [(row["model"], row["pareto"]) for row in _objects(turned)] == [
        ("small", True), ("beaten", True), ("lean", False),
    ]  # fmt: skip


def test_pareto_writes_all_rows(pepr, table, tmp_path):
    target = tmp_path / "front.csv"
    pepr("pareto", table(), *COLUMNS, "-o", target)
    frame = pd.read_csv(target)
    assert frame["pareto"].tolist() == [True, True, True, False]
    assert frame["knee"].tolist() == [False, True, False, False]


# --- select


def test_select_keeps_within_every_budget(pepr, table):
    done = pepr("select", table(), *COLUMNS, "--max", "memory_gb=8GB", "--max", "energy_wh=0.02kWh")
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == "2 of 4 models within budget, 1 left out for a missing value"
    assert lines[2].split() == ["1", "small", "0.8000", "10", "2", "0.0000", "0.8000"]
    assert lines[3].split() == ["2", "middle", "0.9000", "20", "4", "0.2500", "0.7200"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["small", "middle", "large", "other"]),
        (["--objective", "performance"], ["large", "middle", "small", "other"]),
        (["--min", "accuracy=0.85"], ["middle", "large"]),
        (["--max", "memory_gb=4000MB"], ["small", "middle"]),
        (["--max", "memory_gb=3.8GiB", "--min", "memory_gb=3"], ["middle"]),
        (["--max", "energy_wh=72kJ"], ["small", "middle"]),  # 20 Wh, the limit included
        (["--max", "energy_wh=71.9 kj"], ["small"]),
        (["--top", "2"], ["small", "middle"]),
        # R as a share of 50: large 0.95 / 2, other 0.6 / 1.8; with alpha 100 P decides
        (["--normalize", "max", "--alpha", "100"], ["large", "middle", "small", "other"]),
    ],
)
def test_select_options(pepr, table, options, names):
    (found,) = _objects(pepr("select", table(), *COLUMNS, "--json", *options))
    # 3.8 GiB is 4.08 GB
    assert [model["model"] for model in found["models"]] == names
    assert found["feasible"] is True
    assert found["n_candidates"] == 4


def test_select_weighs_several_costs(pepr, table):
    """R as in `test_score_weighs_several_costs`: 0, 0.2375 and 1."""
    weighed = ("--cost", "memory_gb", "--weights", "0.75,0.25")
    (found,) = _objects(pepr("select", table(), *COLUMNS, *weighed, "--json"))
    assert [m["pepr"] for m in found["models"]] == pytest.approx([0.8, 0.9 / 1.2375, 0.475])
    assert found["n_candidates"] == 3
    told = " ".join(pepr("select", table(), *COLUMNS, *weighed).out.split())
    assert "resource: 0.75 x energy_wh + 0.25 x memory_gb, each by min-max over" in told


def test_an_infeasible_budget_is_a_finding(pepr, table):
    path = table()
    budget = ("--max", "memory_gb=1.5", "--min", "accuracy=0.7")
    done = pepr("select", path, *COLUMNS, *budget)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "no model meets every budget: memory_gb <= 1.5 is met by 0 of 4 (smallest is 2), "
        "accuracy >= 0.7 is met by 3 of 4; binding: memory_gb <= 1.5; "
        "nearest: small (memory_gb 2, accuracy 0.8); loosen the binding budgets\n"
    )
    done = pepr("select", path, *COLUMNS, *budget, "--json")
    (found,) = _objects(done)
    assert done.code == 1
    assert (found["feasible"], found["binding"]) == (False, ["memory_gb <= 1.5"])
    assert found["nearest"] == {"model": "small", "memory_gb": 2.0, "accuracy": 0.8}


def test_select_within_groups_shows_the_feasible_ones(pepr, table):
    path = table(MODELS + "broken,,1,1,z\n")
    budget = ("--by", "site", "--max", "energy_wh=20")
    done = pepr("select", path, *COLUMNS, *budget)
    assert done.code == 1
    assert "x: 2 of 2 models within budget" in done.out
    assert "y: no model meets every budget: energy_wh <= 20 is met by 0 of 2" in done.err
    assert "z: no model has every value needed" in done.err
    found = _objects(pepr("select", path, *COLUMNS, *budget, "--json"))
    assert [(f["group"], f["feasible"]) for f in found] == [("x", True), ("y", False), ("z", False)]


# --- result sets and tables with the columns of the data dictionary

DICTIONARY = """\
architecture,dataset,pretrained,status,test_accuracy,energy_kwh,reserved_memory_gb
a,ward,true,done,0.8,1,4
b,ward,true,done,0.9,3,2
c,ward,true,failed,0.99,9,1
a,ward,false,done,0.5,2,4
b,ward,false,done,0.6,6,2
"""


def test_a_table_of_the_data_dictionary_needs_no_option(pepr, table):
    path = table(DICTIONARY)
    done = pepr("score", path, "--json")
    found = {(r["group"], r["model"]): r["pepr"] for r in _objects(done)}
    assert found == {
        ("ward, pretrained", "a"): 0.8,
        ("ward, pretrained", "b"): 0.45,
        ("ward, pretrained", "c"): None,
        ("ward, from scratch", "a"): 0.5,
        ("ward, from scratch", "b"): 0.3,
    }
    assert "1 of 5 rows not scored: 1 failed run" in done.err
    memory = _objects(pepr("score", path, "--cost", "M", "--json"))
    assert {r["reserved_memory_gb"] for r in memory if r["resource"] == 0} == {2.0}


def test_experiments_are_mixed_only_on_request(pepr, table):
    path = table(DICTIONARY)
    done = pepr("score", path, "--by", "dataset")
    assert done.code == 2
    assert "group 'ward' of dataset mixes 2 experiments" in done.err
    assert "--together" in done.err
    mixed = _objects(pepr("score", path, "--together", "--json"))
    # One range of cost for all four, 1 to 6.
    assert mixed[0]["pepr"] == 0.8
    assert {r["group"] for r in mixed} == {None}
    grouped = _objects(pepr("score", path, "--by", "dataset", "--together", "--json"))
    assert {r["group"] for r in grouped} == {"ward"}
    assert [r["pepr"] for r in grouped] == [r["pepr"] for r in mixed]


def test_unused_columns_are_not_checked(pepr, table):
    done = pepr("score", table(DICTIONARY.replace("0.8,1,4", "0.8,1,four")), "--json")
    assert done.code == 0


def test_the_published_set(pepr, published, tmp_path):
    from pepr_utils.results import score_runs

    target = tmp_path / "scored.csv"
    rows = _objects(pepr("score", "published", "--json", "-o", target))
    expected = score_runs(published.runs)
    assert len(rows) == 1048
    written = pd.read_csv(target, low_memory=False)
    pd.testing.assert_series_equal(written["pepr"], expected["pepr"].reset_index(drop=True))
    best = max(
        (r for r in rows if r["group"] == "derma, pretrained, 100 %"), key=lambda r: r["pepr"]
    )
    assert (best["model"], best["rank"]) == ("ghostnet_100", 1)
    # What was written is a table of the data dictionary: the same groups again.
    again = _objects(pepr("score", target, "--json"))
    assert [(r["group"], r["model"]) for r in again] == [(r["group"], r["model"]) for r in rows]


def test_select_from_the_published_set(pepr, published):
    done = pepr(
        "select", "published", "--max", "energy_kwh=20Wh", "--max", "reserved_memory_gb=8", "--json"
    )
    found = _objects(done)
    assert len(found) == 8
    for group in found:
        assert group["n_candidates"] == 131
        for model in group["models"]:
            assert model["energy_kwh"] <= 0.02
            assert model["reserved_memory_gb"] <= 8
    runs = published.runs
    within = (runs["energy_kwh"] <= 0.02) & (runs["reserved_memory_gb"] <= 8)
    assert sum(group["n_feasible"] for group in found) == within.sum()


# --- as a stranger runs it


def test_readme_shows_what_the_commands_print(pepr, tmp_path, monkeypatch):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    section = readme.partition("## Use it")[2].replace("\\\n", "")
    content = re.search(r"results/models\.csv <<END\n(.*?)END\n", section, re.DOTALL)[1]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "models.csv").write_text(content)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^pepr (\w+ results/models\.csv .*)$", section, re.MULTILINE)
    assert [c.split()[0] for c in commands[:3]] == ["score", "select", "pareto"]
    printed = [pepr(*command.split()).out for command in commands]
    shown = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    assert shown[:2] == [printed[0], f"{printed[1]}\n{printed[2]}"]


@pytest.mark.slow
def test_from_a_shell(table, published, tmp_path):
    path = table()
    done = _shell(f"pepr select {path} {' '.join(COLUMNS)} --max memory_gb=1")
    assert done.returncode == 1
    assert "binding: memory_gb <= 1" in done.stderr
    done = _shell("pepr score published --json | head -c 1; echo ${PIPESTATUS[0]}")
    assert done.stdout.split() == ["[", "141"] or done.stdout == "[0\n"
    assert "Traceback" not in done.stderr
    done = _shell(f"pepr score {path} {' '.join(COLUMNS)}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0


def test_select_writes_the_table_with_those_within_budget_ranked(pepr, tmp_path):
    table, out = tmp_path / "models.csv", tmp_path / "chosen.csv"
    table.write_text("model,auc,kwh\na,0.9,3\nb,0.8,1\nc,0.7,2\n")
    done = pepr(
        "select", table, "--performance", "auc", "--cost", "kwh", "--max", "kwh=2", "-o", out
    )
    assert done.code == 0
    frame = pd.read_csv(out)
    assert frame["model"].tolist() == ["a", "b", "c"]
    assert frame["rank"].isna().tolist() == [True, False, False]
    assert frame["pepr"].tolist()[1:] == pytest.approx([0.8, 0.7 / 1.5])
    assert pepr("select", table, "--performance", "auc", "--cost", "kwh", "-o", table).code == 2


def test_pepr_d_takes_the_training_images(pepr, published):
    rows = _objects(pepr("score", "published", "--cost", "D", "--json"))
    full = [row for row in rows if row["pepr"] is not None]
    assert len(full) == 4 * 131
    assert all(row["resource"] == 0 for row in full)  # the same images for all models


def test_the_function_ranks_as_the_command_does(tmp_path, pepr, published):
    import pepr_utils as pu

    path = tmp_path / "models.csv"
    path.write_text("model,auc,kwh\na,0.9,2\nb,0.8,1\nc,0.8,1\nd,,3\ne,0.95,9\n")
    arguments = ["--performance", "auc", "--cost", "kwh", "--alpha", "3", "--normalize", "max"]
    rows = _objects(pepr("score", path, *arguments, "--json"))
    found = pu.score(
        pu.read_table(path), performance="auc", cost="kwh", alpha=3.0, method="max"
    ).set_index("model")
    assert list(found.index) == [row["model"] for row in rows]
    for row in rows:
        mine = found.loc[row["model"]]
        assert (None if mine.isna()["pepr"] else mine["pepr"]) == pytest.approx(row["pepr"])
        assert (None if mine.isna()["rank"] else mine["rank"]) == row["rank"]
    ranked = pu.score(pu.read_table("published"))
    assert (ranked["rank"] == 1).sum() == published.runs["experiment"].nunique()
    assert ranked["pepr"].is_monotonic_decreasing
    same = pd.DataFrame({"auc": [0.8, 0.9], "kwh": [1, 2]}, index=["x", "x"])
    twice = pu.score(same, performance="auc", cost="kwh")
    assert twice["auc"].tolist() == [0.8, 0.9]
