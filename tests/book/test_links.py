"""Links, downloads and addresses in the built pages, read without a browser."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest

pytestmark = [pytest.mark.book, pytest.mark.slow]


class Page(HTMLParser):
    """The anchors, links and loaded addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.downloads = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given.get("id"), given.get("name")}
        if tag == "a" and "href" in given:
            (self.downloads if "download" in given else self.links).append(given["href"])
        if tag in ("script", "img", "iframe"):
            self.loads.append(given.get("src") or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(given.get("href") or "")


@pytest.fixture(scope="module")
def pages(site):
    files = [p for p in site.rglob("*.html") if "_static" not in p.parts]
    return {path: Page(path.read_text("utf-8")) for path in files}


def _is_inside(address):
    return not re.match(r"[a-z][a-z+.-]*:|//", address)


def test_internal_links_resolve(pages):
    broken = []
    for path, page in pages.items():
        inside = [a for a in [*page.links, *page.downloads, *page.loads] if a and _is_inside(a)]
        for address in inside:
            name, anchor = urldefrag(address)
            target = (path.parent / unquote(name.split("?")[0])).resolve() if name else path
            known = pages[target].ids if target in pages else None
            # `key=value` after the # is a view of the page that chooses a model, not a place.
            place = anchor if "=" not in anchor else ""
            if not target.exists() or (place and known is not None and place not in known):
                broken.append(f"{path.name}: {address}")
    assert broken == []


def test_nothing_is_loaded_from_another_host(pages):
    loads = {address for page in pages.values() for address in page.loads}
    assert [a for a in loads if re.match(r"(https?:)?//", a)] == []


def test_each_figure_offers_its_data_and_its_notebook(pages):
    for path, page in pages.items():
        if "code" in path.parts:
            continue
        figures = path.read_text("utf-8").count('class="pepr-links"')
        tables = [a for a in page.downloads if re.search(r"figures/[\w/-]+\.csv$", a)]
        notebooks = [a for a in page.downloads if a.endswith(".ipynb") and "_sources/" in a]
        assert len(tables) == figures, path.name
        assert len(notebooks) >= figures, path.name
        for address in tables:
            text = (path.parent / address).read_text("utf-8")
            assert text.count("\n") > 1, path.name


def test_each_chapters_notebook_and_text_can_be_downloaded(site):
    for page in (site / "notebooks").glob("*.html"):
        text = page.read_text("utf-8")
        for kind in ("md", "ipynb"):
            assert f"_sources/notebooks/{page.stem}.{kind}" in text
            assert (site / "_sources" / "notebooks" / f"{page.stem}.{kind}").is_file()


def test_no_chapter_wrote_to_stderr_or_names_this_machine(site):
    for notebook in (site / "_sources").rglob("*.ipynb"):
        text = notebook.read_text("utf-8")
        assert '"name": "stderr"' not in text
        assert str(site.parents[1]) not in text
