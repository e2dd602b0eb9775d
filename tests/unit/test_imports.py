"""What importing costs: no torch on the scoring path, no pandas in `import pepr_utils`."""

import subprocess
import sys

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
