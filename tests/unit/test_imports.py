"""What importing costs: no torch on the scoring path, no pandas in `import pepr_utils`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest


def _loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join(sorted(m.split('.')[0] for m in sys.modules)))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import pepr_utils", {"numpy", "pandas", "torch", "pydantic"}),
        ("import pepr_utils.cli", {"numpy", "pandas", "torch", "pydantic"}),
        ("import pepr_utils.scoring", {"torch", "altair", "pydantic", "pandas", "scipy", "sympy"}),
        ("import pepr_utils.results", {"torch", "altair", "scipy", "requests"}),
        ("import pepr_utils.measurement", {"torch", "timm", "pandas", "altair"}),
        ("import pepr_utils.results", {"pandas", "pydantic"}),
        ("from pepr_utils.results import Record, write_record", {"pandas", "numpy"}),
        ("import pepr_utils.measurement.sweep.state", {"torch", "timm", "pandas", "distributed"}),
        ("import pepr_utils.measurement.sweep.engine", {"torch", "timm", "altair", "distributed"}),
        ("import pepr_utils.measurement.sweep.worker", {"torch", "timm", "pandas"}),
        (
            "from pepr_utils.measurement import Run, run_id\n"
            "run_id(Run('resnet18d', 'derma')); run_id(Run('vgg11', 'phantom', 'demo'))",
            {"torch", "timm", "torchvision", "altair"},
        ),
    ],
)
def test_is_light(statement, absent):
    assert not (_loaded_after(statement) & absent)


def test_parts_are_reachable_lazily():
    import pepr_utils

    assert pepr_utils.scoring.pepr(1.0, 1.0) == 0.5
    assert pepr_utils.__version__
    with pytest.raises(AttributeError, match="nothing"):
        pepr_utils.nothing  # noqa: B018


def _imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


PACKAGE = Path(__file__).parents[2] / "pepr_utils"


@pytest.mark.parametrize("floor", ["scoring", "results", "reporting"])
def test_lower_floors_and_the_book_know_nothing_of_measuring(floor):
    for path in (PACKAGE / floor).rglob("*.py"):
        found = {name for name in _imports(path) if name.startswith("pepr_utils.measurement")}
        assert not found, path


def test_only_measurement_knows_torch():
    for path in PACKAGE.rglob("*.py"):
        heads = {name.split(".")[0] for name in _imports(path)}
        if "measurement" not in path.parts:
            assert not heads & {"torch", "timm", "torchvision", "carbontracker"}, path
