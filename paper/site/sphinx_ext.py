"""A Sphinx extension for what every page of the book has: provenance, numbered tables, code.

- Each page ends with where it comes from: result set and content hash, parameters, commit, source.
- Each source file has a page. A computed number links to the line that computes it, a name in
  shown code to its definition, and an entry of the API pages to its source.
- A captioned cell output of the class `pepr-table` is numbered as a table, not as a figure.
- The line under a figure links to the notebook that made it.
- The chart library is written into the site, and loaded by pages that have a chart; pictures and
  tables are files beside the pages.
- Where the repository's address is known, pages have buttons that lead to it.
"""

from __future__ import annotations

import copy
import html
import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from myst_nb.ext.glue.roles import PasteTextRole
from myst_nb.ext.glue.utils import PendingGlueReference
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.index_entries import split_index_msg

import pepr_utils
from paper.site import code, site_files
from paper.site.build import describe_commit
from paper.site.repository import (
    clone_cell,
    launch_buttons,
    repository_address,
    substitutions,
    theme_options,
)

_CODE = re.compile(r'<div class="highlight-ipython3.*?</pre>', re.DOTALL)
_NOTEBOOK_LINK = re.compile(r'<span class="pepr-notebook" data-name="(?P<name>[^"]*)"></span>')

_SOURCE_PAGE = """\
<!doctype html>
<html lang="en" data-theme="light">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="stylesheet" href="{top}_static/pygments.css">
<link rel="stylesheet" href="{top}_static/pepr.css"></head>
<body class="pepr-source">
<p><a href="{top}book/index.html">PePR</a> · {title} · commit <code></code></p>
<div class="highlight"><pre>{lines}</pre></div>
</body></html>
"""

#: Licences of the data behind a result set, shown on each page that uses it.
LICENCES = {
    "published": "Data: MIT (saintslab/PePR); accuracies on Derma derive from DermaMNIST, "
    "CC BY-NC 4.0, those on Pneumonia from PneumoniaMNIST, CC BY 4.0",
}
LICENCES["published-repaired"] = LICENCES["published"]
LICENCES |= dict.fromkeys(
    ("race-xray", "xray", "xray-extra"),
    "Data: measured for this book on images of PneumoniaMNIST, CC BY 4.0; energy is an estimate",
)


#: Scripts that belong to one page: to the one that has the element.
PAGE_SCRIPTS = {"choose.js": 'id="choose-data"'}


class CaptionedTable(nodes.figure):
    """A cell's output with a caption, counted among the tables."""


class CaptionedTables(SphinxTransform):
    """Turn figures of the class `pepr-table` into numbered tables with the caption on top."""

    default_priority = 300

    def apply(self, **kwargs: Any) -> None:
        """Replace the nodes in place, before labels and numbers are collected."""
        for figure in list(self.document.findall(nodes.figure)):
            if "pepr-table" not in figure["classes"]:
                continue
            table = CaptionedTable("", *figure.children, **figure.attributes)
            table.source, table.line = figure.source, figure.line
            table.children.sort(key=lambda child: not isinstance(child, nodes.caption))
            figure.replace_self(table)
            self.document.ids.update(dict.fromkeys(table["ids"], table))


def add_commit(app: Sphinx, config: Any) -> None:
    """Note the commit that the site is built from, the repository, and the chart library."""
    given = yaml.safe_load((_root(app) / "_config.yml").read_text("utf-8")).get("repository", {})
    config.pepr_repository = repository_address(_root(app), given.get("url") or "")
    config.html_theme_options |= theme_options(config.pepr_repository)
    config.myst_substitutions = substitutions(config.pepr_repository)
    config.html_static_path.append(str(_chart_library(Path(app.outdir).parent)))
    # Jupyter Book loads every script on every page.
    config.html_js_files = [f for f in config.html_js_files if f not in list(PAGE_SCRIPTS)]


class Number(PasteTextRole):
    """A computed number, ``{glue:text}``, linked to the line that computes it."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Wrap what myst-nb puts in."""
        number, messages = super().run()
        if messages:
            return number, messages
        env = self.document.settings.env
        page, _, key = self.text.rpartition(":")[0].rpartition("::")
        docname = env.path2doc(env.relfn2path(page, env.docname)[1]) if page else env.docname
        root = _root(env.app)
        place = code.origin(root / f"{docname}.md", key)
        uri = code.address(place, env.docname, root)
        link = nodes.reference("", "", *number, internal=True, refuri=uri, classes=["pepr-number"])
        made = _made(env.doc2path(docname)).get("result_set")
        link["reftitle"] = " · ".join(
            [
                f"{key} = {code.expression(place, key)}",
                *([f"result set {made}"] if made else []),
                f"{code.name_of(place[0], root)}, line {place[1]}",
            ]
        )
        return [link], []


def read_in_parallel(app: Sphinx, *_: Any) -> None:
    """Let pages be read by several processes, whatever an extension does not say about it."""
    for extension in app.extensions.values():
        if extension.parallel_read_safe is None:
            extension.parallel_read_safe = True


def note_sources(app: Sphinx, doctree: nodes.document) -> None:
    """Note the chapters whose computed values a page quotes: it is read again when they change."""
    quoted = {node.refdoc for node in doctree.findall(PendingGlueReference)}
    app.env.metadata[app.env.docname]["pepr_sources"] = sorted({app.env.docname, *quoted})
    for name in {app.env.docname, *quoted}:
        if text := _notebook(app, name):
            app.env.note_dependency(str(text))
            app.env.note_dependency(app.env.doc2path(name))


def changed_for_all(app: Sphinx, env: Any) -> list[str]:  # noqa: ARG001  Sphinx passes both
    """Return all pages where titles, numbers or targets changed, which any page may show."""
    now = [env.toc_secnumbers, env.toc_fignumbers, env.toctree_includes]
    now += [env.domaindata[name] for name in ("std", "math", "py")]
    cited = env.domaindata["cite"]["citations"]
    now += [[(c.citation_id, c.key, c.formatted_entry.label) for c in cited]]
    now += [{name: str(title) for name, title in env.titles.items()}]
    before, env.pepr_shared = getattr(env, "pepr_shared", None), copy.deepcopy(now)
    return [] if before == now else list(env.found_docs)


def complete_search(app: Sphinx) -> list[Any]:
    """Mend the search's index, as if all pages were new.

    Sphinx forgets the options of commands on pages that stay, and keeps words that no page has.
    """
    index = app.builder.indexer
    for docname, entries in sorted(app.env.domaindata["index"]["entries"].items()):
        index._index_entries.pop(docname, None)  # or their order were that of writing
        words = [
            (word, at or "", main)
            for kind, text, at, main, _ in entries
            for word in split_index_msg(kind, text)
        ]
        index._index_entries[docname] = sorted(set(words))
    for pages in (index._mapping, index._title_mapping):
        for word in [word for word, found in pages.items() if not found]:
            del pages[word]
    return []


def write_source_pages(app: Sphinx, failed: Exception | None) -> None:
    """Write the page of each source file, without the theme, which would take longest; tidy up."""
    if failed:
        return
    texts = {name: p for name in sorted(app.env.found_docs) if (p := _notebook(app, name))}
    site, first, written = Path(app.outdir), clone_cell(app.config.pepr_repository), []
    for name, text in texts.items():
        download = site / "_sources" / f"{name}.md"
        if download.read_bytes() == text.read_bytes():
            continue  # the page has not been written again
        written.append(text)
        shutil.copyfile(text, download)
        slim = site_files.slim_notebook(Path(app.env.doc2path(name)).read_text("utf-8"), first)
        download.with_suffix(".ipynb").write_text(slim, "utf-8")
    site_files.drop_unused(site)
    for file, lines in code.source_pages(written, _root(app), site):
        page = Path(app.outdir, "code", f"{file}.html")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(
            _SOURCE_PAGE.format(title=file, top="../" * (file.count("/") + 1), lines=lines),
            encoding="utf-8",
        )
    site_files.mend_pages(site, describe_commit(_root(app)))


def set_example(_: Sphinx, _context: Any, lines: list[str]) -> None:
    """Set the example in a command's help as code."""
    text = "\n".join(line.removeprefix("| ") for line in lines)
    lines[:] = [*text.replace("Example:\n", "Example::\n\n").splitlines(), ""]


def source_of(domain: str, info: dict[str, str]) -> str | None:
    """Return the address of an API entry's source, as seen from the API pages."""
    place = code.find(f"{info['module']}.{info['fullname']}") if domain == "py" else None
    return code.address(place, "book/api/page") if place else None


def add_buttons(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add what opens a notebook elsewhere to the buttons of the page's head."""
    if doctree is not None and _notebook(app, pagename):
        context["header_buttons"] += launch_buttons(app.config.pepr_repository, pagename)


def finish_page(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the provenance to a page's end and the notebook's address to its figures."""
    if doctree is None or "body" not in context:
        return
    sources = app.env.metadata[pagename].get("pepr_sources", [pagename])

    def link(place: re.Match[str]) -> str:
        maker = _maker(app, place["name"], [pagename, *sources])
        address = context["pathto"](f"_sources/{maker}.ipynb", 1)
        return f' · <a download href="{address}">Notebook (ipynb)</a>' if maker else ""

    top = "../" * pagename.count("/")
    body = site_files.take_out(context["body"], top, pagename, Path(app.outdir))
    body = _NOTEBOOK_LINK.sub(link, body)
    for script, mark in PAGE_SCRIPTS.items():
        if mark in body:
            app.add_js_file(script, loading_method="defer")
    if notebook := _notebook(app, pagename):
        # What is edited is the text; the theme offers both to download.
        context |= {"page_source_suffix": ".md", "ipynb_source": f"{pagename}.ipynb"}
        context["sourcename"] = f"{pagename}.md"
        names = code.bindings(code.code_of(notebook))
        body = _CODE.sub(lambda block: code.link_names(block[0], names, pagename), body)
    made = [made for name in sources if (made := _made(app.env.doc2path(name)))]
    parts = [*_made_from(made), *_links_to_code(app, pagename)]
    context["body"] = f'{body}\n<p class="pepr-provenance">{" · ".join(parts)}</p>\n'


def _maker(app: Sphinx, name: str, docnames: list[str]) -> str | None:
    """The first of the pages whose notebook made the figure or table of that name."""
    mark = json.dumps(f'class="pepr-notebook" data-name="{name}"')[1:-1]
    for docname in docnames:
        path = Path(app.env.doc2path(docname))
        if path.suffix == ".ipynb" and mark in path.read_text("utf-8"):
            return docname
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("pepr_repository", "", "html", types=[str])
    app.add_enumerable_node(
        CaptionedTable,
        "table",
        html=(lambda self, node: self.visit_figure(node), lambda self, n: self.depart_figure(n)),
    )
    app.add_transform(CaptionedTables)
    app.add_role_to_domain("glue", "text", Number(), override=True)
    app.connect("config-inited", add_commit)
    app.connect("env-before-read-docs", read_in_parallel)
    app.connect("doctree-read", note_sources)
    app.connect("env-get-updated", changed_for_all, priority=900)  # after figures are numbered
    app.connect("html-collect-pages", complete_search)
    app.connect("build-finished", write_source_pages)
    app.connect("sphinx-click-process-description", set_example)
    app.config.linkcode_resolve = source_of
    app.setup_extension("sphinx.ext.linkcode")
    app.connect("html-page-context", finish_page)
    app.connect("html-page-context", add_buttons, priority=502)  # after the theme's own
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _root(app: Sphinx) -> Path:
    """The project's folder: sources are staged two levels below it."""
    return Path(app.srcdir).parents[1]


@cache
def _made(source: str) -> dict[str, Any]:
    """What a chapter was made from, as its execution noted; nothing for prose."""
    if not source.endswith(".ipynb"):
        return {}
    return json.loads(Path(source).read_text("utf-8"))["metadata"].get("pepr", {})


def _notebook(app: Sphinx, docname: str) -> Path | None:
    """Return the text of a page's notebook; none for prose."""
    is_notebook = app.env.doc2path(docname).endswith(".ipynb")
    return _root(app) / f"{docname}.md" if is_notebook else None


def _links_to_code(app: Sphinx, docname: str) -> list[str]:
    """Link a computing page to its notebook's source and to the module of its numbers."""
    notebook = _notebook(app, docname)
    module = notebook and code.files().get(f"paper.chapters.{notebook.stem}")
    return [
        f'<a href="{code.address((file, 1), docname, _root(app))}">'
        f"{code.name_of(file, _root(app))}</a>"
        for file in (notebook, module)
        if file
    ]


def _made_from(made: list[dict[str, Any]]) -> list[str]:
    """Say what a page and the chapters that it quotes were made from."""
    sets = {_result_set(m): None for m in made if m.get("result_set")}
    given = made[0].get("parameters", {}) if len(made) == 1 else {}
    words = ", ".join(f"{k} = {v}" for k, v in given.items() if k != "result_set" and v != "")
    parts = list(sets) or (["Needs no result set"] if made else ["Prose"])
    parts += [f"parameters <code>{html.escape(words)}</code>"] if words else []
    names = [str(m["result_set"]) for m in made if m.get("result_set")]
    parts += dict.fromkeys(LICENCES[name] for name in names if name in LICENCES)
    return [*parts, "commit <code></code>", f"pepr-utils {html.escape(pepr_utils.__version__)}"]


def _result_set(made: dict[str, Any]) -> str:
    name, content = html.escape(str(made["result_set"])), made["content_hash"]
    state = f"content <code>{html.escape(content[:12])}</code>" if content else "not available"
    return f"Result set <code>{name}</code>, {state}"


def _chart_library(build: Path) -> Path:
    """Write Vega, Vega-Lite and Vega-Embed as one script; once per version, since it takes 2 s."""
    import vl_convert

    folder = build / f"vega-{vl_convert.__version__}"
    script = folder / "pepr-vega.js"
    if not script.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = script.with_suffix(".tmp")
        bundle = vl_convert.javascript_bundle()
        # In a function, or its one-letter names become globals of the page.
        temporary.write_text(f"(function () {{\n{bundle}\n}})();\n", encoding="utf-8")
        temporary.replace(script)
    return folder
