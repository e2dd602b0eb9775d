"""One PDF of the book from the built site: `make pdf`.

The chapters are joined to one page of HTML, without code, and Chromium prints that. It is printed
twice: the first time says on which page each chapter begins, for the contents.
"""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urldefrag, urlsplit

import yaml
from bs4 import BeautifulSoup

from paper.site.chapters import BookError
from pepr_utils.reporting.pages import find_browser

#: Parts of the table of contents that are of no use on paper.
LEFT_OUT = ("Reference",)
#: What is on the site for the screen alone.
_SCREEN_ONLY = (
    ".cell_input, .pepr-links, .headerlink, script, details.hide, .pepr-filter, .pepr-provenance, "
    "button, noscript, .pepr-screen"
)
_STYLE = """
@page { size: A4; }
body { font-size: 9.5pt; }
article { break-before: page; max-width: none; }
figure { break-inside: avoid; margin: 0.6rem 0; }
figure.pepr-table { break-inside: auto; }
figure img, .pepr-chart img { max-width: 100%; max-height: 21cm; height: auto; }
h1, h2, h3, figcaption { break-after: avoid; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
mjx-container { max-width: 100%; }
.contents li { display: flex; gap: 0.5rem; list-style: none; margin: 0.2rem 0; }
.contents a { flex: 1; }
.cover { padding-top: 1cm; }
"""
_TYPESET = (
    "return [...document.querySelectorAll('.math')].every(m => m.querySelector('mjx-container'))"
)
_FOOTER = (
    '<div style="width:100%;font-size:8px;text-align:center;color:#555">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)


def make_pdf(root: Path) -> Path:
    """Print the built site to ``_build/html/pepr.pdf``, and let the site's button lead to it.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder, with a built site.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    BookError
        If there is no site yet, or no Chromium with its driver.
    """
    html = root / "_build" / "html"
    if not (html / "index.html").is_file():
        raise BookError("there is no site to print; run `make paper` first")
    pages = printed_pages(root)
    joined = html / "_print.html"
    try:
        joined.write_text(join(html, pages, {}), "utf-8")
        content = _print(joined)
        joined.write_text(join(html, pages, _first_pages(content, pages)), "utf-8")
        content = _print(joined)
    finally:
        joined.unlink(missing_ok=True)
    target = html / "pepr.pdf"
    target.write_bytes(content)
    offer(html)
    return target


def printed_pages(root: Path) -> list[str]:
    """The pages that are printed, in their order, as addresses below the site's folder."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    parts = [part for part in toc["parts"] if part.get("caption") not in LEFT_OUT]
    files = [toc["root"], *(chapter["file"] for part in parts for chapter in part["chapters"])]
    return [f"{name}.html" for name in files]


def join(html: Path, pages: Sequence[str], numbers: dict[str, int]) -> str:
    """Join pages to one, with contents; links between them lead within it.

    Parameters
    ----------
    html : pathlib.Path
        The site's folder.
    pages : sequence of str
        Addresses below it.
    numbers : dict
        Page of the PDF on which each begins, as far as it is known.
    """
    first = BeautifulSoup((html / pages[0]).read_text("utf-8"), "html.parser")
    titles, articles = {}, []
    for page in pages:
        soup = BeautifulSoup((html / page).read_text("utf-8"), "html.parser")
        article = soup.select_one("article.bd-article")
        if article is None:
            raise BookError(f"{page}: no article; the site is not one of this project's")
        for element in article.select(_SCREEN_ONLY):
            element.decompose()
        for image in article.select("img[hidden]"):
            del image["hidden"]
        heading = article.find("h1")
        titles[page] = heading.get_text(" ", strip=True) if heading else page
        _rewrite(article, page, pages)
        article["id"] = _name(page)
        articles.append(str(article))
    folder = PurePosixPath(pages[0]).parent
    styles = "".join(
        f'<link rel="stylesheet" href="{_resolve(folder, link["href"])}">'
        for link in first.select('link[rel="stylesheet"]')
    )
    maths = "".join(
        str(script).replace("../", "")
        for script in first.select("script")
        if "athjax" in str(script).lower()
    )
    rows = "".join(
        f'<li><a href="#{_name(page)}">{title}</a><span>{numbers.get(page, "")}</span></li>'
        for page, title in titles.items()
    )
    return (
        '<!doctype html><html lang="en" data-theme="light" data-mode="light">'
        f'<head><meta charset="utf-8"><title>{titles[pages[0]]}</title>{styles}'
        f"<style>{_STYLE}</style>{maths}</head><body>"
        f'<div class="cover"><h1>{titles[pages[0]]}</h1></div>'
        f'<nav class="contents"><h2>Contents</h2><ol>{rows}</ol></nav>{"".join(articles)}'
        "</body></html>"
    )


def offer(html: Path) -> None:
    """Let the theme's PDF button lead to the PDF of the book, on every page, if there is one."""
    if not (html / "pepr.pdf").is_file():
        return
    for page in html.rglob("*.html"):
        text = page.read_text("utf-8")
        up = "../" * (len(page.relative_to(html).parts) - 1)
        there = text.replace('onclick="window.print()"', f"onclick=\"location='{up}pepr.pdf'\"")
        if there != text:
            page.write_text(there, "utf-8")


def _name(page: str, anchor: str = "") -> str:
    return page.removesuffix(".html").replace("/", "-") + (f"--{anchor}" if anchor else "")


def _resolve(folder: PurePosixPath, address: str) -> str:
    """An address that a page in `folder` gives, as seen from the site's folder."""
    parts: list[str] = []
    for part in (folder / address).parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _rewrite(article, page: str, pages: Sequence[str]) -> None:
    folder = PurePosixPath(page).parent
    for element in article.select("[id]"):
        element["id"] = _name(page, element["id"])
    for image in article.select("img[src]"):
        if not urlsplit(image["src"]).scheme:
            image["src"] = _resolve(folder, image["src"])
    for link in article.select("a[href]"):
        address, anchor = urldefrag(link["href"])
        if urlsplit(address).scheme:
            continue
        target = _resolve(folder, address) if address else page
        if target in pages:
            link["href"] = "#" + _name(target, anchor)
        else:  # source code, data files: not in the PDF
            link.unwrap()


def _print(page: Path) -> bytes:
    browser = find_browser()
    driver = shutil.which("chromedriver")
    if not (browser and driver):
        raise BookError(
            "printing needs Chromium and its driver on the PATH (Debian: chromium, chromium-driver)"
        )
    from selenium import webdriver
    from selenium.webdriver.support.wait import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        window.get(page.as_uri())
        WebDriverWait(window, 120).until(lambda w: w.execute_script(_TYPESET))
        settings = {
            "printBackground": True,
            "preferCSSPageSize": True,
            "displayHeaderFooter": True,
            "headerTemplate": "<span></span>",
            "footerTemplate": _FOOTER,
            "generateDocumentOutline": True,
            "generateTaggedPDF": True,
            "marginTop": 0.6,
            "marginBottom": 0.7,
            "marginLeft": 0.6,
            "marginRight": 0.6,
        }
        return base64.b64decode(window.execute_cdp_cmd("Page.printToPDF", settings)["data"])
    finally:
        window.quit()


def _first_pages(content: bytes, pages: Sequence[str]) -> dict[str, int]:
    """The page on which each chapter begins, from the links of the contents."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    named = reader.named_destinations
    return {
        page: reader.get_destination_page_number(named[f"/{_name(page)}"]) + 1
        if f"/{_name(page)}" in named
        else reader.get_destination_page_number(named[_name(page)]) + 1
        for page in pages
        if f"/{_name(page)}" in named or _name(page) in named
    }
