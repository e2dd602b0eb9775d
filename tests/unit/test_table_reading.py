"""Tables as people and other tools write them: what is read, what is said, what is refused."""

import gzip
import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pepr_utils.errors import InvalidTableError, PeprError, UnknownNameError
from pepr_utils.printable import without_controls
from pepr_utils.results import load_result_set, read_table
from pepr_utils.results.export import SUFFIXES, write_table
from pepr_utils.results.table_reader import UserTable
from pepr_utils.results.user_table import load_user_table

PLAIN = "model,acc,kwh\na,0.871,1017\nb,0.862,8.1\n"


@pytest.fixture
def file(tmp_path):
    """Write a file and return its path."""

    def write(content, name="models.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def _numbers(path, **options):
    table = load_user_table(path, **options)
    names = [name for name in ("acc", "kwh") if name in table]
    return [table.numbers(name).tolist() for name in names], "; ".join(table.taken)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PLAIN, ""),
        ("model;acc;kwh\na;0,871;1017\nb;0,862;8,1\n", "semicolon; decimal comma (acc, kwh)"),
        ("model;acc;kwh\na;0,871;1.017\nb;0,862;8,1\n", "decimal comma and thousands (kwh)"),
        ('model,acc,kwh\na,0.871,"1,017"\nb,0.862,8.1\n', "decimal point and thousands (kwh)"),
        ("model;acc;kwh\na;0.871;1 017\nb;0.862;8.1\n", "thousands (kwh)"),
        ("model;acc;kwh\na;0.871;1'017\nb;0.862;8.1\n", "thousands (kwh)"),
        ("sep=|\nmodel|acc|kwh\na|0.871|1017\nb|0.862|8.1\n", "separator bar"),
        ("# by our logger; v2, x\n" + PLAIN, "1 comment line above the header"),
        ("\n\n" + PLAIN.replace("\n", "\r\n") + ",,\r\n", ""),
        ("# above\r" + PLAIN.replace("\n", "\r"), "1 comment line above the header"),
        (PLAIN.replace("\n", "\n# a remark\n"), ""),
        (PLAIN.replace("kwh", "kwh,,").replace("17\n", "17,,\n").replace("8.1", "8.1,,"), ""),
        (("\ufeff" + PLAIN.replace(",", "\t")).encode("utf-16-le"), "utf-16; separator tab"),
        (PLAIN.replace("model", "modèle").encode("cp1252"), "text in cp1252"),
        ("model,acc,kwh\na,87.1%,1017\nb,86.2 %,8.1\n", "percentages divided by 100 (acc)"),
        (gzip.compress(PLAIN.encode(), mtime=0), ""),
        ("|model|acc|kwh|\n|---|--:|---|\n| a\\|b | 0.871 | 1017 |\n| b | 0.862 | 8.1 |", "Markd"),
        ('[{"acc": 0.871, "kwh": 1017}, {"kwh": 8.1, "acc": 0.862}]', ""),
        ('{"acc": 0.871, "kwh": 1017}\n{"acc": 0.862, "kwh": 8.1}\n', "JSON lines"),
        ('{"acc": [0.871, 0.862], "kwh": [1017, 8.1]}', ""),
        ('{"acc": {"0": 0.871, "1": 0.862}, "kwh": {"0": 1017, "1": 8.1}}', ""),
    ],
)  # fmt: skip
def test_one_table_in_many_dialects(file, content, said):
    numbers, taken = _numbers(file(content))
    assert numbers == [[0.871, 0.862], [1017, 8.1]]
    assert said in taken
    assert bool(said) == bool(taken)


def test_a_spreadsheet_by_sheet(tmp_path):
    path = tmp_path / "models.xlsx"
    frame = pd.read_csv(io.StringIO(PLAIN))
    with pd.ExcelWriter(path, engine="xlsxwriter") as writer:
        pd.DataFrame().to_excel(writer, sheet_name="Notes", index=False)
        frame.to_excel(writer, sheet_name="Results", index=False)
        frame.assign(kwh=5).to_excel(writer, sheet_name="Old", index=False)
    assert _numbers(path) == ([[0.871, 0.862], [1017, 8.1]], "sheet 'Results' of 3")
    assert (
        _numbers(path, sheet="Old") == _numbers(path, sheet="3") == ([[0.871, 0.862], [5, 5]], "")
    )
    with pytest.raises(InvalidTableError, match="no sheet 'x'; allowed: 'Notes', 'Results', 'Old'"):
        _numbers(path, sheet="x")


def _numbers_of_all(path, options):
    table = load_user_table(path, **options)
    for name in table.columns:
        if name not in ("model", "a"):
            table.numbers(name)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("model;acc;kwh\na;1;1,017\n", {}, "row 1 is '1,017', which may be 1.017 or 1017"),
        ("model;acc;kwh;v\na;0,5;1.017;0.5\n", {}, "row 1 is '1.017', which may be"),
        ("model;acc;kwh\na;0,9;1\nb;0.8;1\n", {}, "row 2 is '0.8' and row 1 is '0,9'"),
        ("model;acc;kwh\na;0,9;1\n", {"decimal": "."}, "row 1 is '0,9', no number with"),
        ("model,acc,kwh\na,87%,1\nb,0.8,1\n", {}, "row 2 is '0.8' and others end in %"),
        ("a;b,c;acc;k,w\na;b,c;1;2,3\n", {}, "separated by comma or semicolon"),
        ("acc_%,kwh\n0.9,1\n", {}, "'acc_%' says percent, and none of its values is above 1"),
        (PLAIN, {"sep": "ab"}, "sep is 'ab'; allowed: comma, semicolon, tab"),
        (PLAIN, {"percent": ["accuracy"]}, "'accuracy'; allowed: model, acc, kwh"),
        (PLAIN, {"mapping": {"energy_kwh": "kwh g"}}, "cannot be made of 'g'; allowed units: J"),
        (PLAIN, {"mapping": {"acc": "kwh"}}, "has a column 'acc' already"),
        (PLAIN, {"sheet": "1"}, "no spreadsheet"),
        (PLAIN, {"on": "model"}, "--on needs --join FILE"),
        ('{"acc": 1, "acc": 2}', {}, "key 'acc' appears twice"),
        ("[1, 2]", {}, "no table in this JSON"),
        ('{"acc": ', {}, "not readable JSON"),
        (b"\x1f\x8b\x08broken", {}, "cannot be read"),
    ],
)  # fmt: skip
def test_what_may_be_read_in_two_ways_or_not_at_all_is_refused(file, content, options, message):
    with pytest.raises(PeprError) as caught:
        _numbers_of_all(file(content), options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_overrule_what_is_found(file):
    ambiguous = file("model;acc;kwh\na;1;1,017\n")
    assert _numbers(ambiguous, decimal=",")[0] == [[1], [1.017]]
    assert _numbers(ambiguous, decimal=".")[0] == [[1], [1017]]
    assert _numbers(file("x;y,acc,kwh\na,1,2\n", "a.csv"), sep=",")[0] == [[1], [2]]
    assert _numbers(file("acc_%,kwh\n90,1\n", "b.csv"), mapping={"acc": "acc_%"})[0][0] == [0.9]
    assert _numbers(file("top1,kwh\n90,1\n", "c.csv"), mapping={"acc": "top1%"})[0][0] == [0.9]
    assert _numbers(file("acc,kwh\n0.5,1\n", "d.csv"), percent=["acc"])[0][0] == [0.005]


@pytest.mark.parametrize(
    ("column", "value", "name", "expected"),
    [
        ("energy_wh", 20, "energy_kwh", 0.02),
        ("energy_j", 3.6e6, "energy_kwh", 1),
        ("Energy (Wh)", 20, "energy_kwh", 0.02),
        ("train_time_min", 2, "train_time_s", 120),
        ("time_min", 2, "train_time_s", 120),
        ("memory_mb", 1500, "peak_memory_gb", 1.5),
        ("co2_kg", 0.5, "co2eq_g", 500),
    ],
)
def test_a_unit_in_a_name_is_converted(file, column, value, name, expected):
    table = load_user_table(file(f"model,{column}\na,{value}\n"))
    assert table.numbers(name).tolist() == [expected]
    assert table.numbers(column).tolist() == [value]
    assert table.taken[0].startswith(f"{name} = {column} ")


@pytest.mark.parametrize(
    ("header", "row", "tool", "expected"),
    [
        (
            "timestamp,project_name,run_id,duration,emissions,energy_consumed,cpu_energy",
            "2024-05-01,net,1,60,0.002,0.004,0.003", "CodeCarbon's emissions.csv",
            {"energy_kwh": 0.004, "co2eq_g": 2, "duration_s": 60},
        ),
        (
            "model,img_size,top1,top1_err,top5,top5_err,param_count", "net,224,90,10,99,1,2.5",
            "timm's results", {"accuracy": 0.9, "n_parameters": 2.5e6},
        ),
        (
            "model,train_samples_per_sec,train_step_time,train_batch_size,param_count",
            "net,100,20.5,2,2.5", "timm's training benchmark", {"n_parameters": 2.5e6},
        ),
        (
            "Benchmark,Division,Organization,__System,median_throughput,median_energy_cost",
            "kws,closed,x,net,5,250", "MLPerf Tiny's summary", {"energy_per_inference_j": 2.5e-4},
        ),
        (
            "run_id,experiment_id,status,artifact_uri,metrics.acc,params.lr,tags.mlflow.runName",
            "1,0,FINISHED,x,0.9,0.1,net", "MLflow's runs", {"acc": 0.9, "lr": 0.1},
        ),
        (
            "Name,State,Notes,User,Tags,Created,Runtime,acc", "net,finished,,me,,2024,60,0.9",
            "Weights & Biases' runs", {"acc": 0.9, "duration_s": 60},
        ),
    ],
)  # fmt: skip
def test_files_of_other_tools_are_recognised(file, header, row, tool, expected):
    table = load_user_table(file(f"{header}\n{row}\n"))
    assert {name: table.numbers(name)[0] for name in expected} == pytest.approx(expected)
    assert tool in table.taken
    assert table.labels("model" if "model" in table else "Name").tolist() == ["net"]


def test_logs_of_carbontracker(tmp_path):
    log = (
        "2024-05-01 10:00:00 - CarbonTracker: \nPredicted consumption for 100 epoch(s):\n"
        "\tTime:\t1:00:00\n\tEnergy:\t1.5 kWh\n\tCO2eq:\t300.0 g\n"
        "2024-05-01 10:30:00 - CarbonTracker: \nActual consumption for 2 epoch(s):\n"
        "\tTime:\t0:01:30\n\tEnergy:\t0.004000000000 kWh\n\tCO2eq:\t0.8 g\n"
        "\tThis is equivalent to:\n\t0.1 km travelled by car\n"
    )
    (tmp_path / "logs").mkdir()
    for name in ("small", "large"):
        (tmp_path / "logs" / f"{name}_carbontracker_output.log").write_text(log)
    (tmp_path / "logs" / "small_carbontracker.log").write_text("Average power usage (W) for gpu: 3")
    table = load_user_table(tmp_path / "logs")
    assert table.rows.to_dict("list") == {
        "model": ["large", "small"], "energy_kwh": [0.004] * 2, "co2eq_g": [0.8] * 2,
        "duration_s": [90.0] * 2, "epochs": [2] * 2,
    }  # fmt: skip


def test_files_are_joined_and_what_did_not_match_is_listed(file):
    left = file("model;acc\na;0,9\nb;0,8\nc;0,7\n", "acc.csv")
    right = file("name,energy_wh,acc\nb,20,x\na,10,x\nd,5,x\n", "energies.csv")
    table = load_user_table(left, join=[right], on="model=name")
    assert table.numbers("acc").tolist() == [0.9, 0.8, 0.7]
    assert table.numbers("energy_kwh").tolist()[:2] == [0.01, 0.02]
    assert table.numbers("energy_kwh").isna().tolist() == [False, False, True]
    said = "; ".join(table.taken)
    for part in (
        "1 not in energies.csv: c",
        "1 not in acc.csv: d",
        "acc in both files: taken from",
    ):
        assert part in said


def test_weights_are_joined_by_their_architecture_where_nothing_else_matches(file):
    """As timm's results name weights and its benchmarks architectures."""
    left = file("model,acc\na.in1k,0.9\na.in22k,0.8\nb.in1k,0.7\n", "results.csv")
    right = file("model,ms\na,10\nb,20\n", "benchmark.csv")
    table = load_user_table(left, join=[right], on="model")
    assert table.numbers("ms").tolist() == [10, 10, 20]
    assert table.labels("model")[0] == "a.in1k"
    assert "model without what follows the point, as benchmark.csv has it" in table.taken


def test_repeated_keys_are_joined_from_many_to_one_only(file):
    many = file("model,acc\na,0.9\na,0.8\n", "many.csv")
    one = file("model,kwh\na,1\n", "one.csv")
    assert load_user_table(many, join=[one], on="model").numbers("kwh").tolist() == [1, 1]
    with pytest.raises(
        InvalidTableError, match="row 2, column 'model' repeats 'a'; allowed: each on"
    ):
        load_user_table(one, join=[many], on="model")
    with pytest.raises(InvalidTableError, match=r"nothing in column 'kwh'.*--on A=B"):
        load_user_table(many, join=[one], on="model=kwh")
    with pytest.raises(UnknownNameError, match=r"unknown --on column of one.csv: 'acc'"):
        load_user_table(many, join=[one], on="acc")


def test_only_the_columns_used_are_checked_and_the_first_bad_value_is_named(file):
    rows = "".join(f"m{i},0.5,{i},inf\n" for i in range(70_000))
    path = file(f"model,acc,kwh,other\n{rows}last,0.5,many,1\n")
    table = load_user_table(path)
    assert len(table.numbers("acc")) == 70_001
    with pytest.raises(InvalidTableError, match="row 70001, column 'kwh' is 'many'"):
        table.numbers("kwh")


def test_columns_of_parquet_that_are_no_text_or_infinite(tmp_path):
    path = tmp_path / "models.parquet"
    frame = pd.DataFrame(
        {"model": [b"\xff", b"b"], "acc": [0.9, 0.8], "kwh": [1, 2], "x": [float("inf"), 1.0]}
    )
    frame.to_parquet(path)
    assert _numbers(path)[0] == [[0.9, 0.8], [1, 2]]
    assert len(load_user_table(path).labels("model")) == 2
    with pytest.raises(InvalidTableError, match="row 1, column 'x' is 'inf'"):
        load_user_table(path).numbers("x")


def test_a_table_in_other_units_and_names_is_a_result_set(file):
    loaded = load_result_set(file("model,accuracy,energy_wh\na,87.1%,17\n", "clinic.csv"))
    row = loaded.runs.iloc[0]
    assert (row["architecture"], row["test_accuracy"], row["energy_kwh"]) == ("a", 0.871, 0.017)
    assert row["dataset"] == "clinic"
    assert "energy_kwh = energy_wh / 1,000" in loaded.taken
    frame = read_table(file("model;acc_%;kwh\na;87,1;1\n"), mapping={"acc": "acc_%"})
    assert frame.to_dict("list") == {"model": ["a"], "acc_%": [0.871], "kwh": [1.0], "acc": [0.871]}


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1
)


@given(
    rows=st.lists(
        st.tuples(NAMES, st.floats(0, 1), st.floats(0, 1e9)), min_size=1, max_size=5
    ),
    suffix=st.sampled_from(SUFFIXES),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read_back_equal(tmp_path_factory, rows, suffix):
    path = tmp_path_factory.mktemp("out") / f"out{suffix}"
    frame = pd.DataFrame(rows, columns=["model", "acc", "kwh"])
    added = pd.DataFrame({"pepr": frame["acc"] / 2, "rank": range(1, len(frame) + 1)})
    write_table(UserTable("x", frame.astype({"model": "string"})), added, path)
    table = load_user_table(path)
    digits = 1e-15 if suffix == ".xlsx" else 0  # Excel keeps 16 digits
    for name in ("acc", "kwh"):
        assert table.numbers(name).tolist() == pytest.approx(
            frame[name].tolist(), rel=digits, abs=0
        )
    assert table.numbers("pepr").tolist() == pytest.approx(added["pepr"].tolist(), abs=6e-5)
    read = table.values("model").fillna("").astype(str).str.strip().tolist()
    assert read == [name.strip() for name in frame["model"]]


def test_no_cell_is_run_as_a_formula(tmp_path):
    frame = pd.DataFrame({"=x": ["=1+1", "+a", "-b", "@c", "-1.5e3", "d"]}, dtype="string")
    for suffix in (".csv", ".xlsx"):
        path = tmp_path / f"out{suffix}"
        write_table(UserTable("x", frame), pd.DataFrame({"pepr": [0.5] * 6}), path)
        assert load_user_table(path).values("=x").tolist() == frame["=x"].tolist()
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "'=x,pepr", "'=1+1,0.5", "'+a,0.5", "'-b,0.5", "'@c,0.5", "-1.5e3,0.5", "d,0.5",
    ]  # fmt: skip
    import zipfile

    sheet = zipfile.ZipFile(tmp_path / "out.xlsx").read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet


@given(
    rows=st.lists(
        st.tuples(st.integers(1, 999), st.integers(1, 10**6)), min_size=2, max_size=8,
        unique_by=lambda row: row[1],
    ),
    seed=st.randoms(use_true_random=False),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_order_names_and_units_do_not_change_a_ranking(tmp_path_factory, rows, seed):
    from pepr_utils.scoring import normalize, pepr

    folder = tmp_path_factory.mktemp("tables")
    table = [(f"m{i}", acc / 1000, wh) for i, (acc, wh) in enumerate(rows)]
    shuffled = seed.sample(table, len(table))
    (folder / "a.json").write_text(
        json.dumps([{"model": m, "acc": acc, "energy_kwh": wh / 1000} for m, acc, wh in table])
    )
    (folder / "b.csv").write_text(
        "energy (J);top-1 %;name\n"
        + "".join(f"{wh * 3600};{acc * 100:.1f};{m}\n".replace(".", ",") for m, acc, wh in shuffled)
    )
    one = load_user_table(folder / "a.json")
    other = load_user_table(folder / "b.csv", decimal=",", mapping={"acc": "top-1 %"})
    ranked = []
    for read, name in ((one, "model"), (other, "name")):
        score = pepr(read.numbers("acc"), normalize(read.numbers("energy_kwh")))
        ranked.append(dict(zip(read.labels(name), score.round(9), strict=True)))
    assert ranked[0] == pytest.approx(ranked[1])


def test_text_stays_as_it_is_written_where_a_part_of_it_looks_like_numbers(file):
    """In files of more parts than one, as pandas reads them."""
    names = [*(f"00{i}" for i in range(40_000)), *(f"m{i}" for i in range(40_000)), "True", "1.50"]
    table = load_user_table(file("model,acc\n" + "".join(f"{name},0.5\n" for name in names)))
    table.read_numbers(["acc"], ["model"])
    assert table.values("model").tolist() == names
    assert table.numbers("acc").eq(0.5).all()


def test_columns_are_walked_through_equally_often_however_many_there_are(file):
    """Or 50,000 of them take the square of that."""

    class Counted(list):
        walks = 0

        def __iter__(self):
            Counted.walks += 1
            return super().__iter__()

    def walks(n):
        rows = [[f"c{i}" for i in range(n)], *([str(i % 7 + r) for i in range(n)] for r in (1, 2))]
        table = load_user_table(file("\n".join(map(",".join, rows)), f"{n}.csv"))
        table.columns, Counted.walks = Counted(table.columns), 0
        assert len(table.numeric_columns()) == n
        return Counted.walks

    assert walks(20) == walks(60)


@pytest.mark.parametrize("suffix", [".md", ".tex"])
def test_foreign_text_in_a_document_is_text_and_is_read_back(tmp_path, suffix):
    names = [
        "<!--<script>", "[x](javascript:1)", "a_b*c*", "`x`", "http://x", "&lt;", "$x$", "~x",
        "100%", "{b}", "a|b", "a\\|b", "a\\", "\\\\", "a\x1b[31mb",
    ]  # fmt: skip
    path = tmp_path / f"t{suffix}"
    frame = pd.DataFrame({"model": names, "top_1": 0.5, "kwh": range(1, len(names) + 1)})
    source = tmp_path / "t.csv"
    frame.to_csv(source, index=False)
    write_table(load_user_table(source), pd.DataFrame(index=frame.index), path)
    text = path.read_text("utf-8")
    assert all(line.isprintable() for line in text.splitlines())
    assert suffix == ".tex" or "<" not in text
    back = load_user_table(path)
    assert [*back.columns] == ["model", "top_1", "kwh"]
    assert back.rows["model"].tolist() == [without_controls(name) for name in names]


def test_text_in_parquet_that_is_not_utf_8_is_one_error(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    damaged = pyarrow.array([b"a", b"m\xff0"], pyarrow.binary()).view(pyarrow.string())
    path = tmp_path / "t.parquet"
    parquet.write_table(
        pyarrow.table({"model": damaged, "acc": [0.5, 0.6], "kwh": [1.0, 2.0]}), path
    )
    with pytest.raises(InvalidTableError, match=r"t\.parquet: not a readable Parquet file .*UTF8"):
        load_user_table(path)
