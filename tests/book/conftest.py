"""A browser that opens the built site, shared by the tests of the book."""

import functools
import http.server
import json
import os
import shutil
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
)
# What may be seen of a page: the site itself, what is in the page, and the test's own server.
_LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:")


@dataclass
class Visit:
    """A page that has been opened, and what was seen while it loaded."""

    driver: object
    requests: list[str]
    errors: list[str]

    def ask(self, script):
        """Return what a JavaScript expression gives on the page."""
        return self.driver.execute_script(f"return {script}")

    @property
    def foreign(self):
        """Requests that left the machine."""
        return [url for url in self.requests if not url.startswith(_LOCAL)]


@pytest.fixture(scope="session")
def addresses(site):
    """Where the site is, by scheme: opened from the disk, and served."""
    handler = functools.partial(_Quiet, directory=site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"file": site.as_uri(), "http": f"http://127.0.0.1:{server.server_port}"}
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def driver():
    """Headless Chromium; without one the test is skipped, in CI it fails."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if not (browser and chromedriver):
        missing = "no Chromium with chromedriver on the PATH (Debian: chromium, chromium-driver)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def visit(driver, addresses):
    """Open a page of the site: `visit("file", "book/index", width=375)`."""

    def open_page(scheme, docname, *, width=1280, query=""):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for log in ("performance", "browser"):
            driver.get_log(log)
        driver.get(f"{addresses[scheme]}/{docname}.html{query}")
        page = Visit(driver, [], [])
        _wait(page, _SETTLED)
        sent = [json.loads(e["message"])["message"] for e in driver.get_log("performance")]
        page.requests += [
            m["params"]["request"]["url"]
            for m in sent
            if m["method"] == "Network.requestWillBeSent"
        ]
        page.errors += [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]
        return page

    return open_page


#: What the tests ask of every page. A chart is drawn if it has marks; elements that lack something
#: are counted.
_FACTS = {
    "charts": "document.querySelectorAll('.pepr-chart').length",
    "marks": """[...document.querySelectorAll(".pepr-chart")].map(
        c => c.querySelectorAll("svg .mark-symbol path, svg .mark-rect path, svg .mark-line path, "
          + "svg .mark-area path, svg .mark-rule line, svg .mark-text text").length)""",
    "undrawn": "document.querySelectorAll('.pepr-chart > img:not([hidden])').length",
    "untypeset": "[...document.querySelectorAll('.math')].filter("
    "m => !m.querySelector('mjx-container')).length",
    "misset": "document.querySelectorAll('mjx-merror').length",
    "pictures_without_words": "[...document.images].filter(i => !i.alt.trim()).length",
    "labelled": "document.querySelectorAll("
    "'.pepr-live [role=graphics-document][aria-label]').length",
    "provenance": "document.querySelector('.pepr-provenance')?.textContent",
    "width": "document.documentElement.scrollWidth",
    "cut_equations": """[...document.querySelectorAll("mjx-container[display=true]")].filter(
        e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)""",
    "cut_titles": """[...document.querySelectorAll(
        ".pepr-live svg :is(.role-axis-title, .role-legend-label, .role-legend-title) text")]
        .filter(t => {
          const [b, s] = [t, t.closest("svg")].map(e => e.getBoundingClientRect());
          const beyond = b.left < s.left - 1 || b.right > s.right + 1;
          return b.width && (beyond || /…$/.test(t.textContent));
        }).map(t => t.textContent)""",
    "charts_too_wide": """[...document.querySelectorAll(".pepr-chart")].filter(
        c => c.scrollWidth > c.clientWidth + 1).map(c => c.dataset.name)""",
}


@pytest.fixture(scope="session")
def seen(visit):
    """What is on a page as it opens: each is visited once by scheme and width."""

    @functools.cache
    def look(scheme, docname, width):
        page = visit(scheme, docname, width=width)
        facts = {name: page.ask(script) for name, script in _FACTS.items()}
        return SimpleNamespace(**facts, foreign=page.foreign, errors=page.errors)

    return lambda scheme, docname, width=1280: look(scheme, docname, width)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


# Charts are drawn and formulas typeset, as far as the page has any.
_SETTLED = """(document.readyState === "complete"
  && [...document.querySelectorAll(".pepr-chart")].every(c => c.dataset.drawn)
  && (!document.querySelector(".math") || !!document.documentElement.dataset.typeset))"""


def _wait(page, condition, seconds=15):
    """Wait for a condition; where it stays false, the test's own assertion says what is wrong."""
    end = time.monotonic() + seconds
    while not page.ask(condition) and time.monotonic() < end:
        time.sleep(0.1)
