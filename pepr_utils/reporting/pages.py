"""A report as a file: HTML and PDF for a colleague, Markdown and LaTeX for a text."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pepr_utils
from pepr_utils.errors import InvalidTableError, NotInstalledError, PeprError
from pepr_utils.printable import latex, markdown
from pepr_utils.reporting import drawing
from pepr_utils.reporting.content import MEANING, Content, compose, drawn, titles
from pepr_utils.results.ranking import Ranking, Scored
from pepr_utils.results.result_set import ResultSet

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".html", ".md", ".tex", ".pdf")
#: A page with more models than this has only the first of each group.
_MOST_ROWS = 2000
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def report(
    scored: Scored | Ranking,
    target: str | Path,
    *,
    name: str = "the table",
    maximum: Mapping[str, float] | None = None,
    minimum: Mapping[str, float] | None = None,
    audited: ResultSet | str = "no result set was given.",
    provenance: Mapping[str, str] | None = None,
    top: int = 20,
    chance: float | None = None,
) -> Path:
    """Write a page for a colleague: which model is worth its cost, how firm that is, and why.

    Parameters
    ----------
    scored : Scored or Ranking
        What `pepr_utils.score` returns.
    target : path
        The file, by its suffix HTML, Markdown (.md), LaTeX (.tex) or PDF, which needs Chromium.
    name : str
        Of the table, for the page.
    maximum, minimum : mapping of str to float, optional
        Budgets: the largest and smallest value allowed in a column.
    audited : ResultSet or str
        The result set, to be audited, or why there is none.
    provenance : mapping of str to str, optional
        What the table is, for the end of the page.
    top : int, default 20
        How many models of each group the ranking shows at first.
    chance : float, optional
        Accuracy of a constant answer, for the notes.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    PeprError
        If it cannot be written; an older file of that name is then unchanged.
    NotInstalledError
        If HTML or PDF is asked for, and jinja2 or vl-convert-python is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from pepr_utils import score
    >>> table = pd.DataFrame({"model": ["a", "b"], "auc": [0.9, 0.8], "kwh": [2.0, 1.0]})
    >>> target = Path(tempfile.mkdtemp()) / "report.md"
    >>> print(report(score(table, performance="auc", cost="kwh"), target).read_text()[:33])
    # Which model is worth its cost?
    """
    target = Path(target)
    check_report_target(target)
    ranking = scored if isinstance(scored, Ranking) else getattr(scored, "ranking", None)
    if ranking is None:
        raise InvalidTableError(
            f"scored is a {type(scored).__name__}; allowed: what pepr_utils.score returns"
        )
    made = f"{datetime.now(UTC):%d %B %Y}, with pepr-utils {pepr_utils.__version__}"
    content = compose(
        ranking, name=name, audited=audited, maximum=maximum or {}, minimum=minimum or {},
        chance=chance, provenance={**(provenance or {}), "Made": made},
    )  # fmt: skip
    suffix = target.suffix.lower()
    page = _text(content, top, _FORMS[suffix]) if suffix in _FORMS else _html(content, top)
    drawing.write(target, _printed(page) if suffix == ".pdf" else page, "report")
    return target


def check_report_target(target: Path) -> None:
    """Refuse a file that could not be written, before anything is computed.

    Raises
    ------
    PeprError, NotInstalledError
        If its suffix is none of `SUFFIXES`, its folder does not exist, or what its format needs is
        not installed.
    """
    drawing.check_target(target, SUFFIXES, "report")
    if target.suffix.lower() in (".html", ".pdf"):
        _template()
        drawing.vl_convert()
    if target.suffix.lower() == ".pdf":
        _browser()


def charts(
    ranking: Ranking, within: pd.Series | None = None, chosen: Mapping[Any, Any] | None = None
) -> list[dict[str, Any]]:
    """Draw a ranking: one chart for each group that has a scored model.

    Parameters
    ----------
    ranking : Ranking
        The models.
    within : pandas.Series of bool, optional
        Which of them meet the budgets.
    chosen : mapping, optional
        By group, the one that is chosen among these; by default the best by score.
    """
    found = []
    for label, rows in ranking.models.parts(ranking.order):
        if len(known := rows[ranking.models.known[rows]]):
            models = drawn(ranking, known, within, (chosen or {}).get(label))
            found.append(_chart(ranking, models, title=label))
    return found


def _chart(ranking: Ranking, models: pd.DataFrame, **how: Any) -> dict[str, Any]:
    performance, cost = titles(ranking.models)
    return drawing.chart(
        models, performance=performance, cost=cost, alpha=ranking.rule.alpha,
        log_cost=ranking.rule.method == "log" and len(ranking.models.costs) == 1,
        scale=ranking.models.scale, **how,
    )  # fmt: skip


def _template() -> Any:
    try:
        import jinja2
        import markupsafe
    except ImportError as error:
        raise NotInstalledError.of(error, "an HTML report", "report") from None

    def breakable(text: object) -> Any:
        """Let a browser break long names after an underscore."""
        return markupsafe.Markup(str(markupsafe.escape(text)).replace("_", "_<wbr>"))

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pepr_utils.reporting", ""), autoescape=True,
        trim_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["breakable"] = breakable
    return environment.get_template("page.html.j2")


def _html(content: Content, top: int) -> bytes:
    from markupsafe import Markup

    shown = []
    for section in content.sections:
        spec = _chart(content.ranking, section.models, colours=drawing.ON_A_PAGE)
        fluid = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
        svg = drawing.vl_convert().vegalite_to_svg(spec)  # which escapes the texts in it
        svg = re.sub(r"(?<=[(,]\d)(\d*\.\d\d)\d+(?=[,)])", r"\1", svg)  # places in fewer digits
        shown.append({"words": spec["description"], "svg": Markup(svg), "spec": spec | fluid})
    rows = sum(len(section.rows) for section in content.sections)
    live = [drawing.vl_convert().javascript_bundle(), [chart["spec"] for chart in shown]]
    packed = b64encode(gzip.compress(json.dumps(live).encode(), mtime=0)).decode()
    page = _template().render(
        content=content, charts=shown, top=top, all_rows=rows <= _MOST_ROWS, packed=packed
    )
    return page.encode()


def _printed(html: bytes) -> bytes:
    """Print a page by a browser that stays off the network."""
    with tempfile.TemporaryDirectory() as folder:
        page, printed = Path(folder, "report.html"), Path(folder, "report.pdf")
        page.write_bytes(html)
        command = [
            _browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
            "--disable-component-update", f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=180, check=True)
            return printed.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise PeprError(
                f"{command[0]} did not print the report ({error}); write .html, and print it"
            ) from None


def find_browser() -> str | None:
    """Path of Chromium or Chrome; None where neither is on the PATH."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def _browser() -> str:
    found = find_browser()
    if found is None:
        raise PeprError(
            "a PDF needs Chromium or Chrome on the PATH (Debian: apt install chromium); or write "
            ".html, and print it from a browser"
        )
    return found


class _Forms(NamedTuple):
    """How a language of text writes things; a table by how its columns are aligned."""

    say: Callable[[object], str]
    page: str
    title: str
    heading: str
    strong: str
    item: str
    items: str
    row: tuple[str, str]
    table: str
    sides: tuple[str, str]


_FORMS = {
    ".md": _Forms(
        markdown, "%s\n", "# %s", "## %s", "**%s**", "- %s", "%s", (" | ", "| %s |"),
        "{head}\n{sides}|\n{rows}", ("| --: ", "| :-- "),
    ),
    ".tex": _Forms(
        latex,
        "\\documentclass[a4paper]{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,"
        "geometry,longtable,textcomp}\n\\begin{document}\n\n%s\n\n\\end{document}\n",
        "\\section*{%s}", "\\subsection*{%s}", "\\textbf{%s}",
        "\\item %s", "\\begin{itemize}\n%s\n\\end{itemize}", (" & ", "%s \\\\"),
        "{{\\small\n\\begin{{longtable}}{{{sides}}}\n\\toprule\n{head}\n\\midrule\n\\endhead\n"
        "{rows}\n\\bottomrule\n\\end{{longtable}}}}", ("r", "l"),
    ),
}  # fmt: skip


def _text(content: Content, top: int, forms: _Forms) -> bytes:
    """Write the report in a language of text."""
    say = forms.say
    parts = [forms.title % "Which model is worth its cost?", say(content.subtitle)]
    for section in content.sections:
        parts += [forms.heading % say(section.label)] if section.label is not None else []
        items = []
        for s in section.statements:
            model = forms.strong % say(s.model) + ", " if s.model else ""
            items.append(forms.item % f"{say(s.lead)}: {model}{say(s.text)}")
        parts.append(forms.items % "\n".join(items))
        join, line = forms.row
        head, *rows = [
            line % join.join(map(say, row)) for row in [section.headings, *section.rows[:top]]
        ]
        right, left = forms.sides
        sides = right + left + right * (len(section.headings) - 2)
        parts.append(forms.table.format(head=head, sides=sides, rows="\n".join(rows)))
        if len(section.rows) > top:
            parts.append(f"The first {top} of {len(section.rows):,} models.")
    found = [
        f"{f.severity.capitalize()} ({MEANING[f.severity]}), {f.check}: {f.meaning} "
        + "; ".join(f.evidence[:2])
        + (f"; and {len(f.evidence) - 2} more" if len(f.evidence) > 2 else "")
        for f in content.found
    ]
    for heading, paragraphs in (
        ("Before you rely on it", [str(note) for note in content.notes]),
        ("What the checks found", [content.audited, *found]),
        ("How to read it", content.reading),
        ("Where it comes from", [f"{k}: {value}" for k, value in content.provenance.items()]),
    ):
        parts += [forms.heading % heading, *map(say, paragraphs)] if paragraphs else []
    return (forms.page % "\n\n".join(parts)).encode()
