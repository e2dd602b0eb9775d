"""Every page of the site, in a browser: from the disk and served, on a desk and on a phone."""

import time
from pathlib import Path

import pytest

from paper.site.chapters import read_chapters

DOCNAMES = [chapter.docname for chapter in read_chapters(Path(__file__).parents[2])]

pytestmark = [pytest.mark.book, pytest.mark.slow]

every_page = pytest.mark.parametrize("docname", DOCNAMES)
both_schemes = pytest.mark.parametrize("scheme", ["file", "http"])


@both_schemes
@every_page
def test_page_is_whole_and_needs_no_network(seen, scheme, docname):
    page = seen(scheme, docname)
    assert page.foreign == []
    assert page.errors == []
    assert all(n > 2 for n in page.marks)
    assert page.undrawn == 0
    assert page.untypeset == 0
    assert page.misset == 0


@every_page
def test_every_picture_has_words_and_every_page_its_provenance(seen, docname):
    page = seen("file", docname)
    assert page.pictures_without_words == 0
    assert page.labelled == page.charts
    assert "commit" in page.provenance
    assert "pepr-utils" in page.provenance


@pytest.mark.parametrize("width", [375, 1000, 1280])
@every_page
def test_no_page_scrolls_sideways(seen, docname, width):
    assert seen("file", docname, width).width <= width


@every_page
def test_a_phone_shows_charts_equations_and_titles_whole(seen, docname):
    page = seen("file", docname, 375)
    assert page.charts_too_wide == []
    assert page.cut_equations == []
    assert page.cut_titles == []


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


def test_charts_follow_the_theme(visit):
    page = visit("file", "notebooks/results")
    ink = "document.querySelector('.pepr-live .role-axis-title text').getAttribute('fill')"
    shades = []
    for theme in ("dark", "light"):
        page.ask(f"(document.documentElement.dataset.theme = '{theme}')")
        end = time.monotonic() + 10
        while page.ask(ink) in [None, *shades] and time.monotonic() < end:
            time.sleep(0.1)
        shades.append(page.ask(ink))
    dark, light = (int(shade[1:3], 16) for shade in shades)
    assert dark > 128 > light


@both_schemes
@pytest.mark.parametrize("query", ["accuracy", "dpn68b", "0.721"])
def test_the_search_finds_texts_and_tables_and_shows_them(visit, scheme, query):
    page = visit(scheme, "search", query=f"?q={query}")
    end = time.monotonic() + 10
    found = "document.querySelectorAll('#search-results p.context').length"
    while not page.ask(found) and time.monotonic() < end:
        time.sleep(0.1)
    assert page.ask(found) > 0
    assert page.foreign == []
    assert page.errors == []


def test_the_front_door_leads_to_the_book(visit):
    page = visit("file", "index")
    assert page.driver.current_url.endswith("book/index.html")
