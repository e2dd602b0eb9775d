"""What importing costs: no torch on the scoring path, no pandas in `import pepr_utils`."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pepr_utils


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
        ("import pepr_utils.statistics, pepr_utils.ledger", {"torch", "altair"}),
        ("import paper.checks", {"torch", "altair"}),
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


def test_names_at_the_top_are_those_of_the_parts():
    import pepr_utils as pu
    from pepr_utils.measurement import measure
    from pepr_utils.measurement.metering import meter
    from pepr_utils.results import load_result_set

    assert pu.measure is measure
    assert pu.meter is meter
    assert pu.load_result_set is load_result_set
    assert pu.normalize([1.0, 3.0]).tolist() == [0.0, 1.0]
    assert pu.pareto_front([0.9, 0.8], [2.0, 1.0]).tolist() == [True, True]
    assert set(pu.__all__) <= set(dir(pu))


def test_the_audit_is_called_by_its_name_whatever_was_imported_before(published):
    import pepr_utils as pu
    from pepr_utils.audit import audit

    checks = ["bounds"] if "bounds" in pu.audit.CHECKS else list(pu.audit.CHECKS)[:1]
    assert pu.audit(published, checks) == audit(published, checks)


def test_parts_are_reachable_lazily():
    import pepr_utils

    assert pepr_utils.scoring.pepr(1.0, 1.0) == 0.5
    assert pepr_utils.__version__
    with pytest.raises(AttributeError, match="nothing"):
        pepr_utils.nothing  # noqa: B018


ROOT = Path(__file__).parents[2]
#: The parts of the project from the lowest up; each may import those before it.
LAYERS = (
    ("errors", "paths", "printable"),
    ("scoring",),
    ("results",),
    ("audit",),
    ("statistics",),
    ("ledger",),
    ("reporting",),
    ("measurement",),
    ("commands", "cli"),
    ("paper",),
)
#: What a part may not import although it is below.
APART = {
    "measurement": {"audit", "statistics", "ledger", "reporting"},
    "paper": {"commands", "cli"},
}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {_name(p): p for room in ("paper", "pepr_utils") for p in (ROOT / room).rglob("*.py")}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}


def _places(name: str) -> dict[str, str]:
    """The module of each name of a package that loads its names when they are used."""
    stub = FILES[name].with_suffix(".pyi")
    if stub.is_file():
        nodes = [
            n for n in ast.parse(stub.read_text("utf-8")).body if isinstance(n, ast.ImportFrom)
        ]
        return {a.name: f"{name}.{n.module}" for n in nodes if n.module for a in n.names}
    return {}


def _imports(name: str) -> set[str]:
    """Every module that a file imports, wherever in it; a name of a package as where it lies."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            places = _places(node.module) if node.module in FILES else {}
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in FILES else places.get(alias.name, node.module))
    return found


GRAPH = {name: _imports(name) for name in FILES}


def _part(name: str) -> str:
    """The part of the project that a module is of; none for the package's own `__init__`."""
    head, *rest = name.split(".")
    return head if head != "pepr_utils" else (rest[0] if rest else "")


def test_every_part_has_its_layer():
    parts = {_part(name) for name in FILES} - {""}
    assert parts == {part for layer in LAYERS for part in layer}


@pytest.mark.parametrize("layer", range(len(LAYERS)))
def test_nothing_imports_upwards(layer):
    above = {part for later in LAYERS[layer + 1 :] for part in later}
    wrong = [
        f"{name} imports {other}"
        for name in FILES
        if _part(name) in LAYERS[layer]
        for other in GRAPH[name] & FILES.keys()
        if _part(other) in above | APART.get(_part(name), set())
    ]
    assert not wrong


def _circles() -> list[tuple[str, ...]]:
    """Groups of files that import one another, directly or by way of others."""
    reached: dict[str, set[str]] = {}
    for start in FILES:
        seen, left = set(), [start]
        while left:
            new = (GRAPH[left.pop()] & FILES.keys()) - seen
            seen |= new
            left += new
        reached[start] = seen
    circles = {n: {o for o in reached[n] if n in reached[o]} for n in FILES if n in reached[n]}
    return sorted({tuple(sorted(circle)) for circle in circles.values()})


def test_no_circle_of_files():
    assert _circles() == []


@pytest.mark.parametrize(
    ("libraries", "parts"),
    [
        ({"torch", "timm", "torchvision", "carbontracker"}, {"measurement"}),
        ({"altair", "sphinx", "myst_nb"}, {"paper"}),
        ({"vl_convert"}, {"paper", "reporting"}),
    ],
)
def test_a_library_stays_in_its_part(libraries, parts):
    for name, imported in GRAPH.items():
        if _part(name) not in parts:
            assert not {other.split(".")[0] for other in imported} & libraries, name


@pytest.mark.parametrize("room", ["paper.chapters", "paper.checks"])
def test_what_computes_knows_nothing_of_drawing(room):
    for name, imported in GRAPH.items():
        if name.startswith(room):
            assert not {n for n in imported if n.startswith(("altair", "paper.figures"))}, name


@pytest.mark.parametrize("name", pepr_utils.__all__)
def test_a_name_at_the_top_is_documented_whole(name):
    described = getattr(pepr_utils, name)
    if isinstance(described, ModuleType):
        assert described.__doc__
        return
    for section in ("Parameters", "Returns|Yields", "Raises", "Examples"):
        assert re.search(rf"^({section})\n-+$", inspect.getdoc(described), re.MULTILINE), section
