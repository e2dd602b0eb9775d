"""Which chapters the book has, and what each of them depends on.

Chapters are listed in ``_toc.yml`` and nowhere else. A computing chapter is a jupytext notebook
whose front matter says under ``pepr`` what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pepr_utils.errors import PeprError, unknown_name

ROOT = Path(__file__).resolve().parents[2]

#: Each part of the code with those beneath it, which it may import.
FLOORS = {
    "scoring": (),
    "results": ("scoring",),
    "audit": ("scoring", "results"),
    "statistics": ("scoring", "results", "audit"),
    "ledger": ("scoring", "results", "audit", "statistics"),
    "measurement": ("scoring", "results"),
    "paper": ("scoring", "results", "audit", "statistics", "ledger"),
}
_ALWAYS = ("__init__.py", "__init__.pyi", "errors.py", "paths.py")
_SHAPES_NOTEBOOKS = ("execute.py", "stub.py")
_HEADER_KEYS = ("result_set", "makes", "parameters", "uses", "files")


class BookError(PeprError):
    """The book's sources cannot be built as they stand."""


@dataclass(frozen=True)
class Chapter:
    """One page of the book.

    Attributes
    ----------
    docname : str
        Its name in ``_toc.yml``: the path without extension.
    source : pathlib.Path
        The text it is written in.
    is_notebook : bool
        Whether it computes.
    result_set : str or None
        The result set it is built from; None if it needs no data.
    parameters : dict
        What its parameters cell is given, the result set included.
    uses : tuple of str
        The package floors that it imports.
    files : tuple of str
        Machine-read files that it reads, relative to the project's folder.
    makes : str or None
        The result set that it measures itself, where it does; `result_set` is None then.
    """

    docname: str
    source: Path
    is_notebook: bool = False
    result_set: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    makes: str | None = None


def read_chapters(root: Path) -> list[Chapter]:
    """Read the book's chapters, in the order of ``_toc.yml``.

    Parameters
    ----------
    root : pathlib.Path
        The folder that holds ``_toc.yml``.

    Raises
    ------
    BookError
        If a chapter has no text, or a header says what is not understood.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    return [_read_chapter(root, docname) for docname in _docnames(toc)]


def dependencies(chapter: Chapter, root: Path) -> list[str]:
    """List the files whose change makes a notebook run again: text, code, data and lock.

    The result set is not among them: it counts by its content hash.

    Examples
    --------
    >>> chapter = Chapter("notebooks/a", Path("notebooks/a.md"), uses=("results",))
    >>> names = [Path(p).as_posix() for p in dependencies(chapter, Path("."))]
    >>> any(n.endswith("pepr_utils/scoring/score.py") for n in names)
    True
    """
    floors = {f for used in chapter.uses for f in (used, *FLOORS[used])}
    code = [p for floor in sorted(floors) for p in _modules(floor)]
    code += [ROOT / "pepr_utils" / name for name in _ALWAYS]
    code += [Path(__file__).parent / name for name in _SHAPES_NOTEBOOKS]
    lock = [p for p in [root / "requirements.lock"] if p.is_file()]
    return [str(p) for p in [chapter.source, *code, *(root / f for f in chapter.files), *lock]]


def front_matter(text: str) -> dict[str, Any]:
    """Return the YAML header of a MyST text; empty where it has none.

    Examples
    --------
    >>> front_matter("---\\nkernelspec: {name: python3}\\n---\\n# Title")
    {'kernelspec': {'name': 'python3'}}
    """
    if not text.startswith("---\n"):
        return {}
    return yaml.safe_load(text[4:].split("\n---", 1)[0]) or {}


def _docnames(entry: dict[str, Any]) -> Iterator[str]:
    for key in ("root", "file"):
        if key in entry:
            yield str(entry[key])
    for key in ("parts", "chapters", "sections"):
        for child in entry.get(key, ()):
            yield from _docnames(child)


def _read_chapter(root: Path, docname: str) -> Chapter:
    source = root / f"{docname}.md"
    if not source.is_file():
        raise BookError(
            f"_toc.yml lists {docname!r}, but there is no {docname}.md; add or unlist it"
        )
    try:
        header = front_matter(source.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise BookError(
            f"{docname}.md: its header is not YAML: {' '.join(str(error).split())}"
        ) from None
    if "kernelspec" not in header:
        return Chapter(docname, source)
    return _notebook(root, docname, header.get("pepr") or {})


def _notebook(root: Path, docname: str, needs: dict[str, Any]) -> Chapter:
    place = f"{docname}.md, `pepr:` in its header"
    for key in needs:
        if key not in _HEADER_KEYS:
            raise BookError(f"{place}: {unknown_name('key', key, _HEADER_KEYS)}")
    for floor in needs.get("uses", ()):
        if floor not in FLOORS:
            raise BookError(f"{place}: {unknown_name('package floor', floor, FLOORS)}")
    for name in needs.get("files", ()):
        if not (root / name).is_file():
            raise BookError(f"{place}: no file {name!r}; paths start at the project's folder")
    result_set, makes = needs.get("result_set"), needs.get("makes")
    if result_set and makes:
        raise BookError(f"{place}: has result_set and makes; a chapter reads a set or makes it")
    given = {"result_set": result_set or makes} if result_set or makes else {}
    return Chapter(
        docname,
        root / f"{docname}.md",
        is_notebook=True,
        result_set=result_set,
        parameters=given | needs.get("parameters", {}),
        uses=tuple(needs.get("uses", ())),
        files=tuple(needs.get("files", ())),
        makes=makes,
    )


#: What makes the site and is imported by no chapter.
_PIPELINE = ("build.py", "chapters.py", "execute.py", "sphinx_ext.py", "stub.py", "tasks.py")


@cache
def _modules(floor: str) -> list[Path]:
    """The modules of a part of the code, less the pipeline's own."""
    folder = ROOT / floor if floor == "paper" else ROOT / "pepr_utils" / floor
    pipeline = {Path(__file__).resolve().parent / name for name in _PIPELINE}
    found = [p for kind in ("*.py", "*.pyi") for p in folder.rglob(kind)]
    return sorted(p for p in found if p not in pipeline)
