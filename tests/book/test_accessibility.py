"""axe-core on every page, in both themes: no violation, of the theme's own parts neither."""

import json
import time
from importlib.resources import files

import pytest

from tests.book.conftest import _SETTLED, _wait
from tests.book.test_pages import DOCNAMES

pytestmark = [pytest.mark.book, pytest.mark.slow]

AXE = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
_RUN = """const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"], iframes: false,
  rules: {"label-content-name-mismatch": {enabled: true}}}).then(
  (found) => done(JSON.stringify(found.violations.map(
    ({id, nodes}) => [id, nodes.map((n) => n.target.join(" ") + ": " + n.html.slice(0, 160))]))),
  (error) => done(JSON.stringify([["axe", [String(error)]]])));"""


@pytest.mark.parametrize("docname", [*DOCNAMES, "search", "genindex"])
def test_no_page_has_a_violation(visit, docname):
    page = visit("file", docname)
    page.driver.set_script_timeout(120)
    page.driver.execute_script(AXE)
    found = {}
    for theme in ("light", "dark"):
        page.driver.execute_script(
            "for (const k of ['theme', 'mode']) document.documentElement.dataset[k] = arguments[0]",
            theme,
        )
        time.sleep(0.2)  # the charts begin to be drawn anew
        _wait(page, _SETTLED)
        found[theme] = dict(json.loads(page.driver.execute_async_script(_RUN)))
    assert found == {"light": {}, "dark": {}}
