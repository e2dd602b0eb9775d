"""What a reader has to load: pages, the chart library and the whole site are light."""

import gzip

import pytest

pytestmark = [pytest.mark.book, pytest.mark.slow]


def test_pages_the_chart_library_and_the_site_are_light(site):
    files = {p.relative_to(site).as_posix(): p for p in site.rglob("*") if p.is_file()}
    pages = {n: p.stat().st_size for n, p in files.items() if n.endswith(".html")}
    # A report, which a chapter frames, has its chart library in itself.
    heavy = {n: b for n, b in pages.items() if b > 500_000 and not n.startswith("figures/")}
    assert heavy == {}
    assert len(gzip.compress(files["_static/pepr-vega.js"].read_bytes())) < 1_500_000
    assert sum(p.stat().st_size for p in files.values() if p.name != "pepr.pdf") < 30e6


def test_a_chart_is_drawn_within_a_second_of_its_scripts_time(visit):
    page = visit("file", "notebooks/results")
    page.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    page.driver.refresh()
    first = "document.querySelector('.pepr-chart[data-drawn]')"
    page.driver.set_script_timeout(30)
    page.driver.execute_async_script(
        "const done = arguments[0];"
        f"(function look() {{ {first} ? done() : setTimeout(look, 5) }})()"
    )
    found = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    assert next(m["value"] for m in found if m["name"] == "TaskDuration") < 1
