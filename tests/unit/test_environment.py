"""pyproject.toml, requirements.lock, environment.yml, binder/ and the Makefile agree."""

import os
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
LOCK = (ROOT / "requirements.lock").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())

# What a conda environment needs beside the dependencies of the project.
CONDA_TOOLS = {"make", "pip", "python"}


def locked_extras() -> list[str]:
    """Return the extras that `make lock` covers."""
    return re.search(r"^LOCKED_EXTRAS := (.*)$", MAKEFILE, re.MULTILINE)[1].split()


def bounds(lines: Iterable[str]) -> dict[str, SpecifierSet]:
    """Return the bound of each requirement; one named twice must have one bound."""
    found: dict[str, SpecifierSet] = {}
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        assert found.setdefault(name, requirement.specifier) == requirement.specifier, name
    return found


def project_bounds() -> dict[str, SpecifierSet]:
    optional = PROJECT["optional-dependencies"]
    extras = (optional.get(extra, []) for extra in locked_extras())
    return bounds(chain(PROJECT["dependencies"], *extras))


def lock_entries() -> list[str]:
    """Return each entry of the lock as one line: the requirement, its marker, its hashes."""
    text = re.sub(r"#.*", "", LOCK).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def locked_versions() -> dict[str, list[str]]:
    """Return the versions of each name; there are several where a marker parts them."""
    found = defaultdict(list)
    for entry in lock_entries():
        match = re.match(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)", entry)
        assert match, f"not pinned to one version: {entry[:80]}"
        found[canonicalize_name(match["name"])].append(match["version"])
    return found


def conda_bounds() -> dict[str, SpecifierSet]:
    dependencies = CONDA["dependencies"]
    plain = [line for line in dependencies if isinstance(line, str)]
    (pip,) = (line["pip"] for line in dependencies if isinstance(line, dict))
    return bounds(chain(plain, (line for line in pip if not line.startswith("-"))))


def test_locked_extras_exist():
    assert set(locked_extras()) <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("name", sorted(project_bounds()))
def test_dependency_is_locked_within_its_bound(name):
    bound = project_bounds()[name]
    versions = locked_versions().get(name, [])
    assert versions, f"{name} is in pyproject.toml, not in requirements.lock: run `make lock`"
    outside = [version for version in versions if version not in bound]
    assert not outside, f"{name} is locked at {outside}, pyproject.toml asks for {bound}"


def test_build_system_is_locked():
    for name, bound in bounds(PYPROJECT["build-system"]["requires"]).items():
        assert project_bounds()[name] == bound
        assert name in locked_versions()


def test_every_lock_entry_has_hashes():
    assert lock_entries()
    without = [entry for entry in lock_entries() if "--hash=sha256:" not in entry]
    assert not without


@pytest.mark.parametrize("word", ["://", "file:", " @ ", "--index-url", "--find-links", "/simple"])
def test_lock_names_no_place(word):
    assert [line for line in LOCK.splitlines() if word in line] == []


def test_cpu_build_of_torch_leaves_out_what_is_for_nvidia_cards_and_nothing_else():
    script = (ROOT / "tools/setup_env.sh").read_text()
    replaced = re.search(r"replaced='([^']+)'", script)[1]
    names = set(locked_versions())
    left_out = {name for name in names if re.fullmatch(replaced, name)}
    assert {"torch", "triton", "nvidia-cudnn-cu13", "nvidia-nccl-cu13"} <= left_out
    for name in left_out:
        assert name.startswith(("torch", "triton", "nvidia-", "cuda-")), name
    # NVML's Python half, which carbontracker imports, stays.
    assert "nvidia-ml-py" in names - left_out
    assert not [n for n in names - left_out if n.startswith(("cuda-", "nvidia-cu"))]


def test_torch_and_torchvision_are_locked_once():
    versions = locked_versions()
    assert len(versions["torch"]) == len(versions["torchvision"]) == 1


def test_conda_environment_has_the_same_names_and_bounds():
    conda = conda_bounds()
    assert {name: conda.get(name) for name in conda if name not in CONDA_TOOLS} == project_bounds()


def test_conda_environment_installs_the_package():
    (pip,) = (line["pip"] for line in CONDA["dependencies"] if isinstance(line, dict))
    assert "-e ." in pip
    assert CONDA["channels"][0] == "conda-forge"


def test_python_version_agrees_everywhere():
    required = SpecifierSet(PROJECT["requires-python"])
    (floor,) = (bound.version for bound in required if bound.operator == ">=")
    assert conda_bounds()["python"] == required
    assert f"--python-version {floor} " in MAKEFILE
    major_minor = ", ".join(floor.split("."))
    assert f"sys.version_info < ({major_minor})" in (ROOT / "tools/setup_env.sh").read_text()
    binder = (ROOT / "binder/runtime.txt").read_text().strip()
    assert binder.removeprefix("python-") in required


def test_binder_installs_the_lock_and_the_package():
    assert (ROOT / "binder/requirements.txt").read_text() == "-r ../requirements.lock\n"
    post_build = ROOT / "binder/postBuild"
    assert os.access(post_build, os.X_OK)
    assert "pip install --no-deps --no-build-isolation" in post_build.read_text()


def test_the_version_is_the_same_wherever_it_is_said():
    version = PROJECT["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"version = {{{version}}}" in (ROOT / "book" / "cite.md").read_text()
    assert f"## [{version}] - " in (ROOT / "CHANGELOG.md").read_text()
