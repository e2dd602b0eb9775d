"""Every page of the site, in a browser: from the disk and served, on a desk and on a phone."""

import time
from pathlib import Path

import pytest

from pepr_utils.reporting.book.chapters import read_chapters

DOCNAMES = [chapter.docname for chapter in read_chapters(Path(__file__).parents[2])]

pytestmark = [pytest.mark.book, pytest.mark.slow]

every_page = pytest.mark.parametrize("docname", DOCNAMES)
both_schemes = pytest.mark.parametrize("scheme", ["file", "http"])


@both_schemes
@every_page
def test_page_is_whole_and_needs_no_network(visit, scheme, docname):
    page = visit(scheme, docname)
    assert page.foreign == []
    assert page.errors == []
    marks = """[...document.querySelectorAll(".pepr-chart")].map(
        c => c.querySelectorAll("svg .mark-symbol path, svg .mark-rect path, svg .mark-line path, "
          + "svg .mark-area path, svg .mark-rule line, svg .mark-text text").length)"""
    assert all(n > 2 for n in page.ask(marks))
    assert page.ask("document.querySelectorAll('.pepr-chart > img:not([hidden])').length") == 0
    untypeset = (
        "[...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container'))"
    )
    assert page.ask(f"{untypeset}.length") == 0
    assert page.ask("document.querySelectorAll('mjx-merror').length") == 0


@every_page
def test_every_picture_has_words_and_every_page_its_provenance(visit, docname):
    page = visit("file", docname)
    assert page.ask("[...document.images].filter(i => !i.alt.trim()).length") == 0
    charts = "document.querySelectorAll('.pepr-chart').length"
    labelled = "document.querySelectorAll('.pepr-live [role=graphics-document][aria-label]').length"
    assert page.ask(labelled) == page.ask(charts)
    provenance = page.ask("document.querySelector('.pepr-provenance').textContent")
    assert "commit" in provenance
    assert "pepr-utils" in provenance


@pytest.mark.parametrize("width", [375, 800, 1000, 1199, 1280])
@every_page
def test_no_page_scrolls_sideways(visit, docname, width):
    page = visit("file", docname, width=width)
    assert page.ask("document.documentElement.scrollWidth") <= width


@every_page
def test_charts_follow_their_column(visit, docname):
    page = visit("file", docname, width=375)
    wide = """[...document.querySelectorAll(".pepr-chart")].filter(
        c => c.scrollWidth > c.clientWidth + 1).map(c => c.dataset.name)"""
    assert page.ask(wide) == []


@both_schemes
def test_a_slider_redraws_its_chart(visit, scheme):
    page = visit(scheme, "notebooks/results")
    slider = "document.querySelector('.vega-bind input[type=range]')"
    path = f"{slider}.closest('.pepr-chart').querySelector('svg').outerHTML"
    before = page.ask(path)
    page.ask(f"({slider}.value = {slider}.max, {slider}.dispatchEvent(new Event('input')))")
    end = time.monotonic() + 5
    while page.ask(path) == before and time.monotonic() < end:
        time.sleep(0.1)
    assert page.ask(path) != before


@pytest.mark.parametrize(
    ("docname", "control"),
    [
        ("notebooks/score", "input[type=range]"),
        ("notebooks/curve", "select"),
        ("notebooks/statements", "select"),
        ("notebooks/pareto", "[data-name=budget] input[type=range]"),
    ],
)
def test_every_kind_of_control_redraws_its_chart(visit, docname, control):
    page = visit("file", docname)
    found = f"document.querySelector('.pepr-chart {control}, {control}')"
    path = f"{found}.closest('.pepr-chart').querySelector('svg').outerHTML"
    before = page.ask(path)
    move = "c.tagName == 'SELECT' ? (c.selectedIndex = 0) : (c.value = c.min)"
    if docname == "notebooks/score":
        move = "c.value = c.max"
    page.ask(
        f"(c => {{ {move}; c.dispatchEvent(new Event('input')); "
        f"c.dispatchEvent(new Event('change')); }})({found})"
    )
    end = time.monotonic() + 5
    while page.ask(path) == before and time.monotonic() < end:
        time.sleep(0.1)
    assert page.ask(path) != before


@both_schemes
def test_the_search_works_without_a_network(visit, scheme):
    page = visit(scheme, "search", query="?q=accuracy")
    end = time.monotonic() + 10
    found = "document.querySelectorAll('#search-results a').length"
    while not page.ask(found) and time.monotonic() < end:
        time.sleep(0.1)
    assert page.ask(found) > 0
    assert page.foreign == []
    assert page.errors == []


def test_the_front_door_leads_to_the_book(visit):
    page = visit("file", "index")
    assert page.driver.current_url.endswith("book/index.html")
