"""A Sphinx extension for what every page of the book has: provenance, numbered tables, charts.

- Each page ends with where it comes from: result set and content hash, parameters, commit.
- A captioned cell output of the class `pepr-table` is numbered as a table, not as a figure.
- The line under a figure links to the notebook that made it.
- The chart library is written into the site, and loaded by pages that have a chart.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.ext.glue.utils import PendingGlueReference
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import pepr_utils
from paper.site.build import describe_commit

_NOTEBOOK_LINK = re.compile(r'<span class="pepr-notebook" data-name="(?P<name>[^"]*)"></span>')

#: Licences that stand behind numbers of a result set, said on each page that shows some.
LICENCES = {
    "published": "Data: MIT (saintslab/PePR); accuracies on Derma derive from DermaMNIST, "
    "CC BY-NC 4.0, those on Pneumonia from PneumoniaMNIST, CC BY 4.0",
}
LICENCES["published-repaired"] = LICENCES["published"]


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
    """Note the commit that the site is built from, and where the chart library lies."""
    config.pepr_commit = config.pepr_commit or describe_commit(_root(app))
    config.html_static_path.append(str(_chart_library(Path(app.outdir).parent)))


def note_sources(app: Sphinx, doctree: nodes.document) -> None:
    """Note the chapters whose computed values a page quotes."""
    quoted = {node.refdoc for node in doctree.findall(PendingGlueReference)}
    app.env.metadata[app.env.docname]["pepr_sources"] = sorted({app.env.docname, *quoted})


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

    body = _NOTEBOOK_LINK.sub(link, context["body"])
    made = [made for name in sources if (made := _made(app.env.doc2path(name)))]
    context["body"] = body + _provenance(made, app.config.pepr_commit)


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
    app.add_config_value("pepr_commit", "", "html", types=[str])
    app.add_enumerable_node(
        CaptionedTable,
        "table",
        html=(lambda self, node: self.visit_figure(node), lambda self, n: self.depart_figure(n)),
    )
    app.add_transform(CaptionedTables)
    app.connect("config-inited", add_commit)
    app.connect("doctree-read", note_sources)
    app.connect("html-page-context", finish_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _root(app: Sphinx) -> Path:
    """The project's folder: sources are staged two levels below it."""
    return Path(app.srcdir).parents[1]


def _made(source: str) -> dict[str, Any]:
    """What a chapter was made from, as its execution noted; nothing for prose."""
    if not source.endswith(".ipynb"):
        return {}
    return json.loads(Path(source).read_text("utf-8"))["metadata"].get("pepr", {})


def _provenance(made: list[dict[str, Any]], commit: str) -> str:
    """Write the last line of a page, from what its own and the quoted chapters were made from."""
    sets = {_result_set(m): None for m in made if m.get("result_set")}
    given = made[0].get("parameters", {}) if len(made) == 1 else {}
    words = ", ".join(f"{k} = {v}" for k, v in given.items() if k != "result_set" and v != "")
    parts = list(sets) or (["Needs no result set"] if made else ["Prose"])
    parts += [f"parameters <code>{html.escape(words)}</code>"] if words else []
    parts += [LICENCES[name] for name in LICENCES if any(m.get("result_set") == name for m in made)]
    parts += [f"commit <code>{html.escape(commit)}</code>"]
    parts += [f"pepr-utils {html.escape(pepr_utils.__version__)}"]
    return f'\n<p class="pepr-provenance">{" · ".join(parts)}</p>\n'


def _result_set(made: dict[str, Any]) -> str:
    found = made.get("content_hash")
    state = f"content <code>{html.escape(found[:12])}</code>" if found else "not available"
    return f"Result set <code>{html.escape(str(made['result_set']))}</code>, {state}"


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
