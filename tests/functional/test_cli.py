"""The `pepr` command as a stranger would run it: output, exit codes, errors in one line."""

import json
import os
import subprocess
import sys

import pytest


def _pepr(*arguments, **environment):
    command = [
        sys.executable,
        "-c",
        "from pepr_utils.cli import main; main()",
        *map(str, arguments),
    ]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, check=False
    )


def test_help_has_an_example_everywhere():
    for arguments in ([], ["data"], ["data", "fetch"], ["data", "list"], ["data", "show"], ["run"]):
        done = _pepr(*arguments, "--help")
        assert done.returncode == 0
        assert "Example:" in done.stdout


def test_show_summarises_each_experiment(published):
    rows = json.loads(_pepr("data", "show", "published", "--json").stdout)
    assert [row["runs"] for row in rows] == [131] * 8
    assert "1,048 runs, 10,480 epochs" in _pepr("data", "show", "published").stdout


def test_fetch_fills_the_cache_from_a_mirror(published, tmp_path):
    from pepr_utils.results.download import cache_folder

    mirror = cache_folder()
    done = _pepr(
        "data",
        "fetch",
        "all_results.csv",
        PEPR_DATA_CACHE=str(tmp_path),
        PEPR_DATA_MIRROR=str(mirror),
    )
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.rglob("*.csv")] == ["all_results.csv"]


def test_list_names_files_and_sets():
    rows = json.loads(_pepr("data", "list", "--json").stdout)
    assert {"published", "all_results.csv"} <= {row["name"] for row in rows}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "show", "publishd"], "unknown result set 'publishd'; allowed: published"),
        (["data", "show", "bad.csv"], "row 1, column 'test_accuracy' is '91.5'"),
        (["data", "fetch", "all_result.csv"], "did you mean 'all_results.csv'?"),
        (["dat"], "No such command 'dat'"),
    ],
)
def test_errors_are_one_line_and_exit_two(arguments, message, tmp_path, monkeypatch):
    (tmp_path / "bad.csv").write_text("architecture,dataset,test_accuracy,energy_kwh\na,w,91.5,1\n")
    monkeypatch.chdir(tmp_path)
    done = _pepr(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_network_and_no_mirror(tmp_path):
    dead = "http://127.0.0.1:9"
    done = _pepr(
        "data", "fetch",
        PEPR_DATA_CACHE=str(tmp_path), PEPR_DATA_MIRROR="",
        HTTPS_PROXY=dead, https_proxy=dead, NO_PROXY="", no_proxy="",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "all_results.csv could not be had" in done.stderr
    assert "PEPR_DATA_MIRROR" in done.stderr
    assert not list(tmp_path.rglob("*.csv"))
