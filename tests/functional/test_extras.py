"""Every command with the base install, with one extra alone, and with all but one.

What an install does not have is hidden from Python, in one process per install: every module of
the distributions that neither the base dependencies nor its extras bring, by their metadata.
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
    "report TABLE --performance accuracy --cost wh -o OUT.md": set(),
    "report TABLE --performance accuracy --cost wh -o OUT.html": {"report"},
    "score TABLE --performance accuracy --cost wh --chart OUT.svg": {"report"},
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

#: The published data are in the base install.
PUBLISHED = (
    "score published",
    "audit published",
    "select published --max energy_kwh=20Wh",
    "pareto published",
    "data show published-repaired",
)

#: Runs commands in one process, without the modules named; prints how each ended.
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
    names = {"TABLE": table, "SET": runs, "DIR": folder / "empty"}
    return names | {"OUT": folder / "out", "NEW": folder / "new"}


def _words(command, places):
    return [re.sub("|".join(places), lambda m: str(places[m[0]]), w) for w in command.split()]


ALL = sorted(EXTRAS)
INSTALLS = {
    "base": [],
    **{f"{extra} alone": [extra] for extra in ALL},
    "sweep and train": ["sweep", "train"],
    **{f"all but {extra}": [e for e in ALL if e != extra] for extra in ALL},
}
FAST = ("base", "meter alone", "parquet alone", "sweep alone", "train alone")


@pytest.mark.parametrize(
    "install",
    [pytest.param(i, marks=[] if i in FAST else pytest.mark.slow) for i in INSTALLS],
)
def test_every_command_works_or_names_its_extra(install, places):
    """With extras, the commands that need these or others; the rest run with the base install."""
    extras = set(INSTALLS[install])
    asked = {
        command: needed
        for command, needed in COMMANDS.items()
        if not extras or needed == extras or needed - extras or (len(extras) == 1 and needed)
    }
    if not {"sweep", "train"} <= extras:
        asked["sweep demo --output NEW"] = {"sweep", "train"}
        race = "race --data phantom --architectures dla46_c,resnet18d --protocol demo --scratch"
        asked[f"{race} --output NEW"] = {"sweep", "train"}
    if not extras:
        asked |= {command: set() for command in PUBLISHED}
    found = _run(extras, [_words(command, places) for command in asked])
    for (command, needed), (code, out, err) in zip(asked.items(), found, strict=True):
        shown = f"{install}: pepr {command}: {code}: {err}"
        assert "unexpected" not in err, shown
        assert "Traceback" not in f"{code}{err}", shown
        named = re.findall(r"pip install '\.\[([a-z,]+)\]'", err)
        if code == 2 and named:
            assert err.count("\n") == 1, shown
            assert named == [",".join(sorted(needed))], shown
            assert needed - extras, shown
        else:
            assert code in (0, 1) or "holds no runs" in err, shown
            assert out or command not in PUBLISHED, shown
    assert not list(places["NEW"].rglob("*.json"))  # no sweep begins without its packages


@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("from pepr_utils.measurement.metering import meter", "meter"),
        ("from pepr_utils.measurement.architectures import timm; timm()", "train"),
        ("import pepr_utils; pepr_utils.measure", "train"),
        ("import pepr_utils; pepr_utils.meter", "meter"),
    ],
)
def test_an_import_names_its_extra_too(statement, extra):
    code = DRIVER.partition("from pepr_utils.cli")[0] + statement
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps([_hidden([]), []]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert "Error: " in last
    assert f"which is not installed: pip install '.[{extra}]'" in last
