"""Files beside the pages: what a notebook's output carries in itself, and what nobody loads.

A notebook is whole: its charts hold their picture, their specification and their data. On the site
pictures, tables and framed pages are files of the folder ``figures``, so that a page opens at once.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, NavigableString, Tag

from paper.site.chapters import BookError

#: The folder of the site that holds them.
FOLDER = "figures"
#: A framed page with more characters than this is a file.
_LONG = 20_000

_PICTURE = re.compile(
    r'data-name="(?P<name>[^"]+)">\n<img src="(?P<data>data:image/(?P<kind>svg|png)[^,"]*;base64,'
    r'(?P<content>[^"]*))"'
)
_TABLE = re.compile(
    r'download="(?P<name>[^"]+)\.(?P<kind>csv)" href="(?P<data>data:text/csv;base64,'
    r'(?P<content>[^"]*))"'
)
_FRAME = re.compile(r'srcdoc="(?P<page>[^"]*)"')
_SPECIFICATION = re.compile(r'<script type="application/json">.*?</script>\n', re.DOTALL)
#: Of MathJax what `tex-chtml.js` loads; extensions of TeX only where a formula asks for one.
_MATHS = re.compile(r"tex-chtml\.js|output/chtml/fonts/woff-v2/.*|input/tex/extensions/\w+\.js")
#: What browsers take another form of, or only a debugger asks for.
_UNUSED = ("*.map", "*.ttf")


def take_out(body: str, top: str, page: str, site: Path) -> str:
    """Write what a page's fragments carry as files, and let the page name these.

    Parameters
    ----------
    body : str
        The page's HTML.
    top : str
        The way from the page to the site's folder: ``"../"`` for ``notebooks/score``.
    page : str
        The page's name, which its folder has.
    site : pathlib.Path
        The site's folder.

    Raises
    ------
    BookError
        If two figures or tables of one name differ.
    """
    folder = site / FOLDER / page
    shutil.rmtree(folder, ignore_errors=True)

    def write(name: str, content: bytes) -> str:
        file = folder / name
        if file.is_file() and file.read_bytes() != content:
            raise BookError(f"{page}: another figure or table is named {file.stem!r}; rename one")
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return f"{top}{FOLDER}/{page}/{name}"

    def name_file(match: re.Match[str]) -> str:
        name = f"{match['name']}.{match['kind']}"
        return match[0].replace(match["data"], write(name, base64.b64decode(match["content"])))

    def name_page(match: re.Match[str]) -> str:
        if len(match["page"]) < _LONG:
            return match[0]
        return f'src="{write("page.html", html.unescape(match["page"]).encode())}"'

    body = _PICTURE.sub(lambda match: f'{name_file(match)} loading="lazy"', body)
    return _FRAME.sub(name_page, _TABLE.sub(name_file, body))


def slim_notebook(text: str, first: str = "") -> str:
    """Leave out of an executed notebook what only a page uses: specifications and CSV links.

    Parameters
    ----------
    text : str
        The notebook as JSON.
    first : str
        Code to put in a cell before all others.
    """
    notebook = nbformat.reads(text, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if markup := output.get("data", {}).get("text/html"):
                markup = _SPECIFICATION.sub("", markup)
                output.data["text/html"] = re.sub(r'<p class="pepr-links">.*?</p>', "", markup)
    if first:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first, id="set-up"))
    return f"{nbformat.writes(notebook)}\n"


def drop_unused(site: Path) -> None:
    """Remove files of the theme and of MathJax that no page loads."""
    static, maths = site / "_static", site / "_static" / "mathjax"
    unused = [p for p in maths.rglob("*") if not _MATHS.fullmatch(p.relative_to(maths).as_posix())]
    unused += [p for pattern in _UNUSED for p in static.rglob(pattern)]
    for path in filter(Path.is_file, unused):
        path.unlink()
    shutil.rmtree(static / "locales", ignore_errors=True)


#: What every page of the theme loads for a search while typing, which this book does not have.
_SEARCH = re.compile(
    r'^ *<script src="[./]*(_static/(searchtools|language_data)|searchindex)\.js"></script>\n',
    re.MULTILINE,
)
#: Sphinx leaves all numbers out of what is searched for; readers look for those that a page shows.
_NUMBERS = (r"queryTerm.match(/^\d+$/)", r"queryTerm.match(/^\d{1,2}$/)")
#: What a reader of the theme's pages with a screen reader, or by voice, cannot name: what is seen,
#: and what it becomes.
_MENDED = {
    ' aria-label="Toggle hidden content"': "",
    'search-button-field search-button__button pst-js-only" title="Search" aria-label="Search"': (
        'search-button-field search-button__button pst-js-only" title="Search"'
    ),
    'data-mode="light" title="Light"': 'data-mode="light"',
    'data-mode="dark"  title="Dark"': 'data-mode="dark"',
    'data-mode="auto"  title="System Settings"': 'data-mode="auto"',
    '<summary><span class="toctree-toggle"': (
        '<summary aria-label="Show or hide its pages"><span class="toctree-toggle"'
    ),
    'class="sidebar-primary-items__start sidebar-primary__section">': (
        'class="sidebar-primary-items__start sidebar-primary__section" role="region" '
        'aria-label="Sidebar">'
    ),
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
}
_NOT_TEXT = {"cell_input", "headerlink", "pepr-links", "pepr-chart", "pepr-provenance"}
#: Where a page says its commit; a page that stays as it is gets the new one too.
_COMMIT = re.compile(r"commit <code>[^<]*</code>(?=[^\n]*</p>\n)")
_INLINE = ("a", "abbr", "code", "em", "span", "strong", "sub", "sup")
#: Without a server no page may read another: the search shows texts that are in a script.
_TEXTS = """\
const peprTexts = {texts};
if (location.protocol === "file:") {{
  window.fetch = async (page) => new Response(peprTexts[page.replace(/^(\\.\\/)+/, "")] ?? "");
}}
"""


#: What a page asks for by a checksum only where the site was there before.
_CHECKED = re.compile(r"(mystnb\.\w+\.css|tex-chtml\.js)\?v=\w+")


def mend_pages(site: Path, commit: str) -> None:
    """Mend the pages that have just been written, and let the search show what all pages say.

    What the theme gets wrong is put right, and what pages do not use is taken out.

    Parameters
    ----------
    site : pathlib.Path
        The site's folder.
    commit : str
        What every page says that it is built from.
    """
    search = site / "search-texts.js"
    before = _texts_of(search.read_text("utf-8")) if search.exists() else {}
    texts = {}
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        if name.startswith(("_static/", f"{FOLDER}/")):
            continue
        written = page.read_text("utf-8")
        text = _COMMIT.sub(f"commit <code>{html.escape(commit)}</code>", written)
        if not name.startswith("code/"):
            for seen, mended in _MENDED.items():
                text = text.replace(seen, mended)
        if name == "search.html":
            script = f'<script src="{search.name}"></script>\n</head>'
            text = _CHECKED.sub(r"\1", text if script in text else text.replace("</head>", script))
        elif _SEARCH.search(text):
            text = _CHECKED.sub(r"\1", _SEARCH.sub("", text))
            texts[name] = _text(text)
        elif name in before:
            texts[name] = before[name]
        if text != written:
            page.write_text(text, "utf-8")
    tools = site / "_static" / "searchtools.js"
    if tools.is_file():
        tools.write_text(tools.read_text("utf-8").replace(*_NUMBERS), "utf-8")
    script = _TEXTS.format(texts=json.dumps(texts, ensure_ascii=False, separators=(",", ":")))
    search.write_text(script, "utf-8")


def _texts_of(script: str) -> dict[str, str]:
    """What the pages said when a script of `_TEXTS` was written."""
    return json.loads(script.partition(" = ")[2].partition(";\n")[0])


def _text(page: str) -> str:
    """What a page says, with its sections, as the search looks them up."""
    _, start, rest = page.partition("<article")
    article = BeautifulSoup(start + rest.partition("</article>")[0], "html.parser")
    text = " ".join("".join(_words(article)).split())
    return f'<div role="main">{text}</div>' if start else ""


def _words(element: Tag) -> Iterator[str]:
    for child in element.children:
        if type(child) is NavigableString:
            yield html.escape(child, quote=False)
        elif (
            isinstance(child, Tag)
            and child.name not in ("script", "style")
            and _NOT_TEXT.isdisjoint(child.get("class", ()))
        ):
            section = child.name == "section"
            yield f'<section id="{html.escape(child.get("id", ""))}">' if section else ""
            yield from _words(child)
            yield "</section>" if section else "" if child.name in _INLINE else " "
