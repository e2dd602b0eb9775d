"""Every command with the base install, with one extra alone, and with all but one.

What an install does not have is hidden from Python in a process of its own: every module of the
distributions that neither the base dependencies nor the extras at hand bring, by their metadata.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

#: What each command needs beside the base install. TABLE and SET are files of the test.
COMMANDS = {
    "score TABLE --performance accuracy --cost wh": set(),
    "pareto TABLE --performance accuracy --cost wh": set(),
    "select TABLE --performance accuracy --cost wh --max wh=20": set(),
    "score TABLE --performance accuracy --cost wh -o OUT.parquet": {"parquet"},
    "audit SET": set(),
    "data list": set(),
    "data show SET": set(),
    "claims SET --section abstract": {"book"},
    "status DIR": set(),
    "sweep demo --output OUT --dry-run": {"sweep", "train"},
    "run --data phantom --architectures dla46_c --protocol demo --scratch --output OUT --check": {
        "train"
    },
    "meter --check": {"meter"},
    "meter -- true": {"meter"},
}

#: Runs commands in one process, without the modules named; prints what came of each.
DRIVER = """
import contextlib, io, json, sys, traceback
hidden, commands = json.load(sys.stdin)
before = set(sys.modules)  # what the environment itself loads

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in hidden:
            return self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
hidden = set(hidden)
from pepr_utils.cli import main
found = []
for command in commands:
    sys.argv = ["pepr", *command]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as exit:
            code = exit.code or 0
        except BaseException:
            code = traceback.format_exc()
    found.append([code, out.getvalue(), err.getvalue()])
loaded = sorted(hidden & {name.partition(".")[0] for name in set(sys.modules) - before})
json.dump([found, loaded], sys.stdout)
"""


def _brought(extras) -> set[str]:
    """Names of all distributions that come with the base install and these extras."""
    found: set[tuple[str, str]] = set()
    to_do = [
        Requirement(line)
        for line in [*PROJECT["dependencies"], *(r for e in extras for r in EXTRAS[e])]
    ]
    while to_do:
        asked = to_do.pop()
        for extra in ["", *asked.extras]:
            key = (canonicalize_name(asked.name), extra)
            if key in found or (asked.marker and not asked.marker.evaluate({"extra": ""})):
                continue
            found.add(key)
            try:
                lines = metadata.requires(asked.name) or []
            except metadata.PackageNotFoundError:  # for another system
                continue
            for one in map(Requirement, lines):
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    one.marker = None
                    to_do.append(one)
    return {name for name, _ in found} | {"pepr-utils"}


_owners = cache(metadata.packages_distributions)


def _hidden(extras) -> list[str]:
    """Modules that an install with these extras does not have."""
    at_hand = _brought(extras)
    return sorted(
        module
        for module, owners in _owners().items()
        if not at_hand & set(map(canonicalize_name, owners))
    )


def _run(extras, commands, **environment):
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([_hidden(extras), commands]),
        capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, loaded = json.loads(done.stdout)
    assert loaded == []  # the test hides what it means to hide
    return found


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extras")
    table, runs = folder / "models.csv", folder / "runs.csv"
    table.write_text("model,accuracy,wh\na,0.9,20\nb,0.8,10\n")
    runs.write_text("architecture,dataset,test_accuracy,energy_kwh\na,w,0.87,0.017\n")
    (folder / "empty").mkdir()
    return {"TABLE": table, "SET": runs, "DIR": folder / "empty", "OUT": folder / "out"}


def _words(command, places):
    return [re.sub("|".join(places), lambda m: str(places[m[0]]), w) for w in command.split()]


ALL = sorted(EXTRAS)
INSTALLS = {
    "base": [],
    **{f"{extra} alone": [extra] for extra in ALL},
    "sweep and train": ["sweep", "train"],
    **{f"all but {extra}": [e for e in ALL if e != extra] for extra in ALL},
}


@pytest.mark.parametrize("install", INSTALLS)
def test_every_command_works_or_names_its_extra(install, places):
    """With several extras, the commands that need these or another; the rest have been run."""
    extras = INSTALLS[install]
    asked = {
        command: needed
        for command, needed in COMMANDS.items()
        if len(extras) < 2 or needed == set(extras) or needed - set(extras)
    }
    found = _run(extras, [_words(command, places) for command in asked])
    for (command, needed), (code, _, err) in zip(asked.items(), found, strict=True):
        told = f"{install}: pepr {command}: {code}: {err}"
        assert "unexpected" not in err, told
        assert "Traceback" not in f"{code}{err}", told
        named = re.findall(r"pip install '\.\[([a-z,]+)\]'", err)
        if code == 2 and named:
            assert err.count("\n") == 1, told
            assert named == [",".join(sorted(needed))], told
            assert needed - set(extras), told
        else:
            assert code in (0, 1) or "holds no runs" in err, told


def test_the_published_data_need_the_base_install_only(published, places):
    commands = ["score published", "audit published", "select published --max energy_kwh=20Wh",
                "pareto published", "data show published-repaired"]  # fmt: skip
    found = _run([], [command.split() for command in commands])
    for command, (code, out, err) in zip(commands, found, strict=True):
        assert code in (0, 1), f"{command}: {err}"
        assert out


def test_a_sweep_without_its_packages_begins_nothing(tmp_path):
    for extras in ([], ["train"], ["sweep"]):
        ((code, out, err),) = _run(extras, [["sweep", "demo", "--output", str(tmp_path / "o")]])
        assert (code, out) == (2, "")
        assert "pip install '.[sweep,train]'" in err
        assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("from pepr_utils.measurement.metering import meter", "meter"),
        ("from pepr_utils.measurement.architectures import timm; timm()", "train"),
    ],
)
def test_python_is_told_the_extra_too(statement, extra):
    code = DRIVER.partition("from pepr_utils.cli")[0] + statement
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps([_hidden([]), []]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert "Error: " in last
    assert f"which is not installed: pip install '.[{extra}]'" in last
