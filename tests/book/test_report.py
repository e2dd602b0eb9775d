"""A report in a real browser: what is seen at once, nothing foreign runs, nothing overlaps."""

import base64
import itertools

import pandas as pd
import pytest

import pepr_utils as pu
from tests.unit.test_report import HOSTILE

pytestmark = pytest.mark.book

_NAMES = """[...document.querySelectorAll(".live .mark-text text")].filter(
    t => +(t.getAttribute("opacity") ?? 1) && !t.getAttribute("stroke")).map(t => {
        const b = t.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory, published):
    folder = tmp_path_factory.mktemp("reports")
    foreign = pd.DataFrame(
        {"m": HOSTILE, "p": [0.5 + i / 50 for i in range(len(HOSTILE))], "c": range(len(HOSTILE))}
    )
    few = pd.DataFrame({"model": ["a", "b", "c"], "auc": [0.8, 0.9, 0.95], "wh": [10, 20, 90]})
    hostile = pu.score(foreign, performance="p", cost="c", label="m", each_row=True)
    return {
        "hostile": pu.report(hostile, folder / "hostile.html", name=HOSTILE[1]),
        "few": pu.report(pu.score(few, performance="auc", cost="wh"), folder / "few.html"),
        "published": pu.report(pu.score(published.runs), folder / "many.html", audited=published),
    }


@pytest.fixture
def look(driver, pages):
    """Open a report at a width, drawn, and return a function that evaluates JavaScript on it."""

    def open_page(name, width):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for log in ("performance", "browser"):
            driver.get_log(log)
        driver.get(pages[name].as_uri())
        driver.set_script_timeout(60)
        driver.execute_async_script(
            "const done = arguments[0]; const wait = () => [...document.querySelectorAll('figure')]"
            ".every(f => f.classList.contains('drawn')) ? done() : setTimeout(wait, 50); wait();"
        )
        return lambda script: driver.execute_script(f"return {script}")

    return open_page


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("name", ["few", "published", "hostile"])
def test_a_page_fits_its_window_and_no_name_overlaps_another(look, driver, name, width):
    ask = look(name, width)
    assert ask("document.documentElement.scrollWidth") <= width
    assert ask("document.querySelector('.answer, .summary').getBoundingClientRect().top") < 250
    for chart in range(ask("document.querySelectorAll('.live').length")):
        boxes = ask(_NAMES.replace("document.", f"document.querySelectorAll('.live')[{chart}].", 1)
                    .replace('".live .mark', '".mark'))  # fmt: skip
        assert boxes
        for one, other in itertools.combinations(boxes, 2):
            beside = one[2] <= other[0] + 2 or other[2] <= one[0] + 2
            assert beside or one[3] <= other[1] + 3 or other[3] <= one[1] + 3
    logged = [entry["message"] for entry in driver.get_log("browser")]
    assert not logged
    sent = driver.get_log("performance")
    assert "http" not in "".join(e["message"] for e in sent if "requestWillBeSent" in e["message"])


def test_foreign_names_are_seen_and_not_run(look):
    ask = look("hostile", 1280)
    assert ask("document.scripts.length") == 2
    assert ask("document.images.length") == 0
    cells = ask(
        "[...document.querySelectorAll('.ranking td:nth-child(2)')].map(c => c.textContent)"
    )
    assert set(HOSTILE[:10]) <= set(cells)


def test_a_printed_page_is_a4_with_one_chart(look, driver):
    look("few", 1280)
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    content = base64.b64decode(printed["data"])
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") <= 2
    assert b"/MediaBox [0 0 594" in content or b"/MediaBox [0 0 595" in content
