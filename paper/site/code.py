"""Code on the site: a page for each source file, and where names and numbers come from."""

from __future__ import annotations

import ast
import html
import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

ROOT = Path(__file__).resolve().parents[2]

#: Characters of an expression that are shown where a number is pointed at.
MOST = 160

#: A line of a file.
Place = tuple[Path, int]

_CELL = re.compile(r"^```\{code-cell\}.*?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_CELL_HEADER = re.compile(r"\A(---\n.*?^---\n|(:\w+:[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
# What the page of claims appends to the name of a claim.
_SUFFIX = re.compile("(-(worded|printed|missing|short|detail|rest))+$")
# Tokens that have the text's own colour.
_PLAIN = re.compile(r'<span class="(?:nn?|p|w)">([^<]*)</span>')
# A dotted name in highlighted code, and what follows it.
_NAME = re.compile(
    r'(?:<span class="nn?">[\w.]+</span>(?:<span class="o">\.</span>)?)+'
    r'(?!<span class="o">=</span>)(?P<call>(?=<span class="p">\())?'
)


@cache
def files() -> dict[str, Path]:
    """Return the source files by the name of their module."""
    found = {}
    for path in sorted(p for room in ("paper", "pepr_utils") for p in (ROOT / room).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[module.removesuffix(".__init__")] = path
    return found


@cache
def find(name: str) -> Place | None:
    """Find where a dotted name is defined, through modules that only pass it on.

    Examples
    --------
    >>> find("pepr_utils.pepr")[0].name
    'score.py'
    >>> find("numpy.array") is None
    True
    """
    module, rest = name, ""
    while module and module not in files():
        module, _, last = module.rpartition(".")
        rest = f"{last}.{rest}".strip(".")
    if not module:
        return None
    if not rest:
        return files()[module], 1
    head, _, tail = rest.partition(".")
    if passed_on := _imports(module).get(head):
        return find(f"{passed_on}.{tail}".strip("."))
    lines = _definitions(module)
    line = lines.get(rest, lines.get(head))
    return (files()[module], line) if line else None


def bindings(code: str, package: str = "") -> dict[str, str]:
    """Map the names that code imports to what they stand for, as dotted names."""
    found = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name.split(".")[0]: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [package if node.level else "", node.module]))
            found |= {a.asname or a.name: f"{base}.{a.name}" for a in node.names}
    return found


@cache
def _imports(module: str) -> dict[str, str]:
    """What a module imports; for a package that loads its names lazily, by its stub file."""
    path = files()[module]
    stub = path.with_suffix(".pyi")
    return bindings((stub if stub.is_file() else path).read_text("utf-8"), module)


@cache
def _definitions(module: str) -> dict[str, int]:
    """Line of each function, class, method and constant of a module."""
    found = {}
    for node in ast.parse(files()[module].read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node.lineno
            inner = node.body if isinstance(node, ast.ClassDef) else []
            methods = [n for n in inner if isinstance(n, ast.FunctionDef)]
            found |= {f"{node.name}.{method.name}": method.lineno for method in methods}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            each = [n for t in targets for n in (t.elts if isinstance(t, ast.Tuple) else [t])]
            found |= {name.id: node.lineno for name in each if isinstance(name, ast.Name)}
    return found


def cells(notebook: Path) -> list[str]:
    """Return the code cells of a notebook's text, each after as many lines as stand before it."""
    text, found = notebook.read_text("utf-8"), []
    for cell in _CELL.finditer(text):
        code = _CELL_HEADER.sub(lambda header: "\n" * header[0].count("\n"), cell["code"])
        found.append("\n" * text.count("\n", 0, cell.start("code")) + code)
    return found


@cache
def code_of(notebook: Path) -> str:
    """Return the code cells of a notebook's text, each line in its place."""
    lines: list[str] = []
    for cell in cells(notebook):
        lines += cell.splitlines()[len(lines) :]
    return "\n".join(lines)


@cache
def origin(notebook: Path, key: str) -> Place:
    """Find the line that computes a number of a page: in its notebook, or in its module.

    The line is the one that has the number's name as the key of a dictionary, written out before
    f-strings; else any line with the name; else the one that glues the page's numbers. A claim's
    value is computed by its check.
    """
    if notebook.stem == "claims" and (claim := _checks().get(_SUFFIX.sub("", key))):
        return find(f"paper.checks.{claim}") or (notebook, 1)
    places = {notebook: code_of(notebook)}
    chapter = notebook.stem.removesuffix("_tables")  # a chapter and its tables share a module
    if module := files().get(f"paper.chapters.{chapter}"):
        places[module] = module.read_text("utf-8")
    found = [
        (is_key, fixed, -i, file, line)
        for i, (file, code) in enumerate(places.items())
        for line, pattern, fixed, is_key in _strings(code)
        if re.fullmatch(pattern, key)
    ]
    if found:
        *_, file, line = max(found, key=lambda place: place[:3])
        return file, line
    shown = [i for i, line in enumerate(code_of(notebook).splitlines(), 1) if "numbers(" in line]
    return notebook, shown[-1] if shown else 1


@cache
def expression(place: Place, key: str) -> str:
    """Return the code of a number's value at the line that computes it, in one line.

    Parameters
    ----------
    place : tuple
        What `origin` gives.
    key : str
        The number's name, which chooses where several are computed in one line.
    """
    file, line = place
    text = code_of(file) if file.suffix == ".md" else file.read_text("utf-8")
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict):
            items = zip(node.keys, node.values, strict=True)
            found |= {ast.unparse(k): v for k, v in items if k and k.lineno == line}
        elif isinstance(node, ast.Assign) and node.lineno == line:
            target = node.targets[0]
            found[ast.unparse(getattr(target, "slice", target))] = node.value
        elif isinstance(node, ast.FunctionDef) and node.lineno == line:
            return f"{node.name}({ast.unparse(node.args)})"
    value = found.get(repr(key), next(iter(found.values()), None))
    code = text.splitlines()[line - 1] if value is None else ast.unparse(value)
    return textwrap.shorten(code, MOST, placeholder=" …")


@cache
def _checks() -> dict[str, str]:
    """The function that computes each claim of the ledger."""
    from pepr_utils.ledger import load_claims  # takes longer than a page

    return {claim.id: claim.check for claim in load_claims() if claim.check}


@cache
def _strings(code: str) -> list[tuple[int, str, float, bool]]:
    """Of each string and f-string: line, pattern, length of its fixed text, whether it is a key."""
    found, keys, inner = [], set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Dict):
            keys |= set(node.keys)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            keys.add(node.slice)
        elif isinstance(node, ast.JoinedStr):
            inner |= set(node.values)
            fixed = [v.value if isinstance(v, ast.Constant) else None for v in node.values]
            if any(re.search(r"\w", text) for text in fixed if text):
                pattern = "".join(".+" if text is None else re.escape(text) for text in fixed)
                length = sum(len(text or "") for text in fixed)
                found.append((node.lineno, pattern, length, node in keys))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
            found.append((node.lineno, re.escape(node.value), math.inf, node in keys))
    return found


def name_of(file: Path, root: Path = ROOT) -> str:
    """Name a source file by its path in the project."""
    return file.relative_to(ROOT if file.is_relative_to(ROOT) else root).as_posix()


def address(place: Place, docname: str, root: Path = ROOT) -> str:
    """Return the address of a line, as seen from a page."""
    return f"{'../' * docname.count('/')}code/{name_of(place[0], root)}.html#L{place[1]}"


def link_names(body: str, names: dict[str, str], docname: str, *, calls: bool = False) -> str:
    """Link each name in highlighted code to its definition; `calls`: only imported or called."""

    def link(match: re.Match[str]) -> str:
        dotted = re.sub("<[^>]+>", "", match[0])
        head, _, rest = dotted.partition(".")
        full = names.get(head, dotted)
        if calls and match["call"] is None and "." not in dotted:
            return match[0]
        place = find(f"{full}.{rest}" if rest and full != dotted else full)
        return f'<a href="{address(place, docname)}">{match[0]}</a>' if place else match[0]

    return _NAME.sub(link, body)


def source_pages(notebooks: Iterable[Path], root: Path, site: Path) -> Iterator[tuple[str, str]]:
    """Yield each source file's name and its lines as HTML; modules only where they have no page."""
    for module, path in files().items():
        if (site / "code" / f"{name_of(path)}.html").is_file():
            continue
        own = {name: f"{module}.{name}" for name in _definitions(module)}
        yield _page(name_of(path), _highlighted(path.read_text("utf-8")), own | _imports(module))
    for path in notebooks:
        shown, text = _highlighted(code_of(path)).splitlines(), path.read_text("utf-8").splitlines()
        lines = [code or html.escape(prose) for code, prose in zip_longest(shown, text)]
        yield _page(name_of(path, root), "\n".join(lines), bindings(code_of(path)))


def _page(file: str, highlighted: str, names: dict[str, str]) -> tuple[str, str]:
    linked = link_names(highlighted, names, f"code/{file}", calls=file.endswith(".py"))
    linked = _PLAIN.sub(r"\1", linked)
    lines = [f'<span id="L{i}">{line}</span>' for i, line in enumerate(linked.splitlines(), 1)]
    return file, "\n".join(lines)


def _highlighted(code: str) -> str:
    return highlight(code, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
