"""Each page's glued values are those that are frozen in `tests/frozen`."""

import importlib.util
import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.book, pytest.mark.slow]

FOLDER = Path(__file__).parents[1] / "frozen"

FROZEN = json.loads((FOLDER / "glued.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def glued(site):
    spec = importlib.util.spec_from_file_location("collect", FOLDER / "collect.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.glued()


@pytest.mark.parametrize("page", list(FROZEN))
def test_glued_values(glued, page):
    assert glued[page] == FROZEN[page]
