"""`pepr claims`: output, choice of claims, exit codes."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from pepr_utils.commands.claims import claims
from pepr_utils.errors import PeprError, UnknownNameError
from pepr_utils.ledger import load_claims


def _run(*arguments):
    return CliRunner().invoke(claims, arguments)


@pytest.fixture(scope="module")
def other_set(tmp_path_factory):
    path = tmp_path_factory.mktemp("claims") / "mine.csv"
    path.write_text("architecture,dataset,test_accuracy,energy_kwh\nmine,clinic,0.9,0.01\n")
    return str(path)


def test_each_as_recorded_is_exit_code_0(published):
    done = _run("published", "--section", "table 1", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)
    assert len(rows) == sum(claim.section == "table 1" for claim in load_claims())
    assert {"id", "where", "expected", "computed", "outcome"} <= set(rows[0])
    assert all(row["as_recorded"] for row in rows)
    row = next(row for row in rows if row["id"] == "scratch-vovnet-accuracy")
    assert row["reading"] == "after epoch 8 instead of 10"
    assert row["literal"] == "0.76361"


def test_the_published_set_is_the_default(published):
    done = _run("--section", "abstract", "--outcome", "not reproduced", "--notes")
    assert done.exit_code == 0
    assert "networks (abstract)" in done.output
    assert "expected 131; computed 130" in " ".join(done.output.split())
    assert "Two names stand for one network" in done.output
    assert "each as the ledger records" in done.output


def test_a_differing_outcome_is_exit_code_1_and_counted(other_set):
    done = _run(other_set, "--section", "abstract")
    assert done.exit_code == 1
    assert "the ledger records: reproduced" in done.output
    assert "missing: no finished run of derma" in done.output
    assert "differ from what the ledger records of the published set" in " ".join(
        done.output.split()
    )
    rows = json.loads(_run(other_set, "--section", "abstract", "--json").output)
    assert next(row for row in rows if row["id"] == "less-data")["computed"] is None


def test_outcomes_are_chosen_exactly_or_by_their_start(other_set):
    each = json.loads(_run(other_set, "--json", "--section", "2").output)
    exact = json.loads(
        _run(other_set, "--json", "--section", "2", "--outcome", "reproduced").output
    )
    assert 0 < len(exact) < len(each)
    assert {row["outcome"] for row in exact} == {"reproduced"}
    start = _run(other_set, "--json", "--section", "2", "--outcome", "reproduced under")
    assert {r["outcome"] for r in json.loads(start.output)} == {"reproduced under another reading"}


def test_the_exit_code_is_decided_before_outcomes_are_chosen(other_set):
    done = _run(other_set, "--section", "1", "--section", "abstract", "--outcome", "reproduced")
    assert done.exit_code == 1
    assert "the ledger records:" not in done.output  # none of those that differ is printed
    last = " ".join(done.output.split())
    assert " of them printed: " in last
    assert last.endswith("differ from what the ledger records of the published set")
    done = _run(other_set, "--section", "abstract", "--outcome", "not reproduced", "--json")
    assert done.exit_code == 1


def test_notes_on_the_published_data_are_not_printed_for_another_set(other_set):
    done = _run(other_set, "--section", "abstract", "--notes")
    assert "networks (abstract)" in done.output
    assert "Two names stand for one network" not in done.output  # though the outcome is the same
    rows = json.loads(_run(other_set, "--json").output)
    remarked = {row["id"] for row in rows if row["note"]}
    assert {"footnote-bounds", "never-below-start", "regions"} <= remarked  # of no run
    assert not {"networks", "total-energy", "largest-131"} & remarked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["published", "--outcome", "wrong"], "unknown outcome 'wrong'; allowed: reproduced,"),
        (["published", "--section", "7"], "unknown section '7'; allowed: abstract, 1, 2"),
        (["publishd"], "did you mean 'published'"),
    ],
)
def test_usage_errors(arguments, message):
    done = _run(*arguments)
    assert isinstance(done.exception, UnknownNameError)
    assert message in str(done.exception)


def test_claims_need_no_chart_library():
    code = (
        "import sys; sys.modules['altair'] = None\n"
        "from pepr_utils.cli import main; sys.argv = ['pepr', 'claims', '--json']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == len(load_claims())


def test_without_the_paper_one_line_names_where_claims_are_checked(monkeypatch):
    for name in ("paper", "paper.checks"):
        monkeypatch.setitem(sys.modules, name, None)
    done = _run()
    assert isinstance(done.exception, PeprError)
    assert "the claims are checked in a clone of the project" in str(done.exception)


def test_help_explains_the_exit_code():
    done = _run("--help")
    assert "--outcome chooses what is printed" in " ".join(done.output.split())
    assert "Example:" in done.output
    assert "The exit code is 1 if an outcome is not the one that the ledger records" in " ".join(
        done.output.split()
    )
