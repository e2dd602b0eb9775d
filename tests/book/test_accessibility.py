"""Every page as axe-core sees it, in both themes; and what a printer makes of it."""

import json
from importlib import resources
from pathlib import Path

import pytest

from paper.site.chapters import read_chapters

DOCNAMES = [chapter.docname for chapter in read_chapters(Path(__file__).parents[2])]

pytestmark = [pytest.mark.book, pytest.mark.slow]

every_page = pytest.mark.parametrize("docname", DOCNAMES)

#: Faults of the theme (sphinx-book-theme and pydata-sphinx-theme), by rule and by the elements that
#: they are allowed on: none of these is written by this project.
THEME = {
    "label-content-name-mismatch": (".btn", ".search-button", "summary[aria-label]"),
    "region": ("#pst-skip-link", ".skip-link", ".bd-header-article", ".header-article", ".tooltip"),
    "aria-allowed-role": (".docutils", "aside", "dl"),
    "aria-deprecated-role": ("[role='doc-biblioentry']", "[role='doc-backlink']"),
    "landmark-unique": ("nav",),
}

_RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(
  r => done(JSON.stringify(r.violations.map(v => ({
    id: v.id, nodes: v.nodes.map(n => n.target.join(" "))})))),
  e => done(JSON.stringify([{id: "axe failed: " + e, nodes: [""]}])));
"""


@pytest.fixture(scope="session")
def axe():
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
@every_page
def test_axe_finds_no_fault_of_ours(visit, axe, docname, theme):
    page = visit("file", docname)
    page.driver.execute_script(f"document.documentElement.dataset.theme = '{theme}'")
    page.driver.execute_script(axe)
    found = json.loads(page.driver.execute_async_script(_RUN))
    ours = [
        f"{fault['id']}: {node}"
        for fault in found
        for node in fault["nodes"]
        if not any(
            page.driver.execute_script(
                "return !!document.querySelector(arguments[0])?.matches(arguments[1])", node, known
            )
            for known in THEME.get(fault["id"], ())
        )
    ]
    assert ours == []


@every_page
def test_nothing_is_cut_off_on_paper(visit, docname):
    page = visit("file", docname, width=718)  # A4 less margins of 10 mm, at 96 dots per inch
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        cut = page.ask(
            """[...document.querySelectorAll('article *')].filter(e => {
              const s = getComputedStyle(e);
              return s.display !== 'none' && s.visibility !== 'hidden' && e.clientHeight > 0
                && ((/auto|scroll|hidden/.test(s.overflowY) && e.scrollHeight > e.clientHeight + 2)
                  || (/auto|scroll|hidden/.test(s.overflowX) && e.scrollWidth > e.clientWidth + 2));
            }).map(e => e.tagName + '.' + e.className + ' ' + (e.id || ''))"""
        )
        wide = page.ask(
            """[...document.querySelectorAll('article table')].filter(
              t => t.getBoundingClientRect().right > innerWidth + 2).map(t => t.className)"""
        )
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert (cut, wide) == ([], [])
