"""The `pepr` command: output, exit codes, errors in one line."""

import json

import pytest


def test_help_has_an_example_everywhere(pepr):
    for arguments in (
        [],
        ["data"],
        ["data", "verify"],
        ["data", "list"],
        ["data", "show"],
        ["audit"],
        ["run"],
    ):
        done = pepr(*arguments, "--help")
        assert done.code == 0
        assert "Example:" in done.out


def test_show_summarises_each_experiment(pepr, published):
    rows = json.loads(pepr("data", "show", "published", "--json").out)
    assert [row["runs"] for row in rows] == [131] * 8
    assert "1,048 runs, 10,480 epochs" in pepr("data", "show", "published").out


@pytest.fixture
def mirror(released, tmp_path):
    """A folder with the authors' files, as far as the embedded tables restore them."""
    for name, content in released.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


#: What is embedded of timm's results are three of the file's nine columns.
TIMM = {"file": "results-imagenet.csv", "row": None, "column": "SHA-256"}


def test_verify_compares_cell_by_cell(pepr, mirror, tmp_path):
    done = pepr("data", "verify", "--json", PEPR_DATA_MIRROR=str(mirror))
    assert [{k: d[k] for k in TIMM} for d in json.loads(done.out)] == [TIMM]
    table = (mirror / "model_names.csv").read_text()
    (mirror / "model_names.csv").write_text(table.replace("1301400", "1301401"))
    done = pepr("data", "verify", PEPR_DATA_MIRROR=str(mirror))
    assert done.code == 1
    line = next(line for line in done.out.splitlines() if line.startswith("model_names.csv, 2"))
    assert "SHA-256: " in line
    assert "row 2, num_param: 1301401, embedded: 1301400" in line
    assert done.out.endswith("2 files not as embedded\n")


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe no table", b"model,energy\na,1\n"])
def test_verify_reports_other_files_in_a_mirror(pepr, mirror, content):
    (mirror / "all_results.csv").write_bytes(content)
    done = pepr("data", "verify", PEPR_DATA_MIRROR=str(mirror))
    assert (done.code, done.err) == (1, "")
    assert "all_results.csv" in done.out


def test_verify_writes_nothing_from_other_files(pepr, mirror, tmp_path):
    done = pepr("data", "verify", "--write", str(tmp_path / "new"), PEPR_DATA_MIRROR=str(mirror))
    assert done.code == 2
    assert "results-imagenet.csv: not the authors' file, by its SHA-256" in done.err
    assert not (tmp_path / "new").exists()


def test_list_names_files_and_sets(pepr):
    rows = json.loads(pepr("data", "list", "--json").out)
    assert {"published", "all_results.csv"} <= {row["name"] for row in rows}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "show", "publishd"], "unknown result set 'publishd'; allowed: published"),
        (["data", "show", "bad.csv"], "row 1, column 'test_accuracy' is '91.5'"),
        (["dat"], "No such command 'dat'"),
        (["audit"], "no SET; name one, such as: pepr audit published"),
        (["audit", "bad.csv"], "row 1, column 'test_accuracy' is '91.5'"),
        (["audit", "publish"], "unknown result set 'publish'"),
        (["audit", "good.csv", "--check", "labls"], "did you mean 'labels'?"),
    ],
)
def test_errors_are_one_line_and_exit_two(pepr, arguments, message, tmp_path, monkeypatch):
    (tmp_path / "bad.csv").write_text("architecture,dataset,test_accuracy,energy_kwh\na,w,91.5,1\n")
    (tmp_path / "good.csv").write_text(CLEAN)
    monkeypatch.chdir(tmp_path)
    done = pepr(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["score", "x.csv", "--performance", "a", "--performance", "b"], "--performance"),
        (["score", "x.csv", "--weights", "1", "--weights=1"], "--weights"),
        (["pareto", "x.csv", "-o", "a.csv", "--output", "b.csv"], "--output"),
        (["select", "x.csv", "--alpha", "1", "--alpha", "2"], "--alpha"),
        (["run", "--data", "x", "--output", "y", "--scratch", "--pretrained"],
         "--pretrained/--scratch"),
        (["sweep", "demo", "--output", "a", "--output", "b"], "--output"),
        (["meter", "--pue", "1", "--pue", "2", "--", "true"], "--pue"),
    ],
)  # fmt: skip
def test_an_option_that_counts_once_is_refused_twice(pepr, arguments, name):
    done = pepr(*arguments)
    assert (done.code, done.out) == (2, "")
    assert f"Error: {name} is given 2 times; keep one" in done.err


def test_no_option_lets_the_last_one_win():
    """Every command of every group, whatever options it gets: it refuses, or it takes several."""
    import click

    from pepr_utils.cli import pepr

    context = click.Context(pepr)
    tops = [pepr.get_command(context, name) for name in pepr.list_commands(context)]
    commands = [
        inner for top in tops for inner in (getattr(top, "commands", {}) or {"": top}).values()
    ]
    assert len(commands) > len(tops)
    for command in commands:
        for option in command.params:
            if isinstance(option, click.Option) and not option.is_flag and not option.multiple:
                parser = command.make_parser(click.Context(command))
                with pytest.raises(click.UsageError, match="is given 2 times; keep one"):
                    parser.parse_args([option.opts[0], "1", option.opts[-1], "2"])


def test_what_follows_the_command_of_meter_is_its_own(pepr):
    done = pepr("meter", "--simulate", "1", "--", "printf", "%s%s", "--pue", "--pue")
    assert (done.code, done.out) == (0, "--pue--pue")


CLEAN = """\
architecture,dataset,test_accuracy,energy_kwh,train_time_s,device
a,w,0.871,0.0170,150.1,NVIDIA GeForce RTX 3090
b,w,0.862,0.0255,225.3,NVIDIA GeForce RTX 3090
"""


def test_the_exit_code_of_audit_tells_whether_a_fault_was_found(pepr, tmp_path):
    (tmp_path / "clean.csv").write_text(CLEAN)
    (tmp_path / "hot.csv").write_text(CLEAN.replace("150.1", "15.01"))
    done = pepr("audit", tmp_path / "clean.csv")
    assert (done.code, done.err) == (0, "")
    assert "2 finished runs" in done.out
    assert "nothing found" in done.out
    assert "could not be checked" not in done.out
    assert json.loads(pepr("audit", tmp_path / "clean.csv", "--json").out) == []
    done = pepr("audit", tmp_path / "hot.csv", "--json")
    assert done.code == 1
    (finding,) = json.loads(done.out)
    assert (finding["check"], finding["severity"]) == ("impossible-power", "error")
    assert [row["architecture"] for row in finding["rows"]] == ["a"]
    assert finding["rows"][0]["experiment"].startswith("w/")
    assert finding["columns"] == ["energy_kwh", "train_time_s"]
    assert "4,077 W" in finding["evidence"]  # 0.0170 kWh in 15.01 s
    done = pepr("audit", tmp_path / "hot.csv")
    assert done.code == 1
    assert "1 error, 0 warnings, 0 notes" in done.out


def test_audit_counts_notes_as_no_fault(pepr, tmp_path):
    (tmp_path / "part.csv").write_text(CLEAN.replace("225.3", ""))
    done = pepr("audit", tmp_path / "part.csv")
    assert done.code == 0
    assert "0 errors, 0 warnings, 1 note" in done.out


def test_audit_counts_the_runs_that_it_could_not_check(pepr, tmp_path):
    (tmp_path / "odd.csv").write_text(CLEAN.replace("NVIDIA GeForce RTX 3090", "an abacus"))
    done = pepr("audit", tmp_path / "odd.csv")
    assert done.code == 0
    assert "power could not be checked in 2 of them" in done.out


def test_audit_lists_its_checks(pepr):
    done = pepr("audit", "--list")
    assert done.code == 0
    assert "impossible-power" in done.out


def test_the_repaired_set_shows_what_it_changed(pepr, published):
    assert "642 cells differ" in pepr("data", "show", "published-repaired").out
    rows = json.loads(pepr("data", "show", "published-repaired", "--changes", "--json").out)
    assert len(rows) == 642
    assert {"architecture", "column", "before", "after", "reason"} <= set(rows[0])
    text = pepr("data", "show", "published-repaired", "--changes").out
    assert "withdrawn" in text
    assert "published-repaired: 642 changed cells" in text


def test_no_network_and_no_mirror(pepr, tmp_path):
    dead = "http://127.0.0.1:9"
    done = pepr(
        "data", "verify",
        PEPR_DATA_CACHE=str(tmp_path), PEPR_DATA_MIRROR="",
        HTTPS_PROXY=dead, https_proxy=dead, NO_PROXY="", no_proxy="",
    )  # fmt: skip
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "all_results.csv could not be downloaded" in done.err
    assert "PEPR_DATA_MIRROR" in done.err
    assert not list(tmp_path.rglob("*.csv"))
