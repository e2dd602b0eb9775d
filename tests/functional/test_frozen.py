"""Results that are frozen in `tests/frozen` are what the code gives today."""

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "frozen"


@pytest.fixture(scope="module")
def collect():
    spec = importlib.util.spec_from_file_location("collect", FOLDER / "collect.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def frozen(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def test_columns_of_a_record(collect):
    assert collect.columns() == frozen("columns")


def test_names_of_known_runs(collect):
    assert collect.run_ids() == frozen("run_ids")


@pytest.mark.parametrize("command", list(frozen("commands")))
def test_what_a_command_prints(collect, command, tmp_path):
    collect.example_tables(tmp_path)
    assert collect.pepr(command, tmp_path) == frozen("commands")[command]


@pytest.mark.parametrize("command", ["claims", "audit"])
def test_what_a_command_gives_as_json(collect, command, tmp_path):
    text = collect.pepr(f"{command} published --json", tmp_path)
    assert collect.shortened(json.loads(text.partition("\n")[2])) == frozen(command)
