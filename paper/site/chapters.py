"""Which chapters the book has, and what each of them depends on.

Chapters are listed in ``_toc.yml`` and nowhere else. A computing chapter is a jupytext notebook
whose front matter says under ``pepr`` what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pepr_utils.errors import PeprError, unknown_name

_HEADER_KEYS = ("result_set", "makes", "parameters", "files")


class BookError(PeprError):
    """The book's sources cannot be built."""


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
    files : tuple of str
        Machine-read files that it reads, relative to the project's folder; of a pattern with ``*``
        those that are there.
    makes : str or None
        The result set that it measures itself, where it does; `result_set` is None then.
    """

    docname: str
    source: Path
    is_notebook: bool = False
    result_set: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
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
        If a chapter has no text, or a header has an unknown entry.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    return [_read_chapter(root, docname) for docname in _docnames(toc)]


def dependencies(chapter: Chapter, root: Path) -> list[str]:
    """List the files whose change makes a notebook run again: text, data, lock, what executes it.

    The result set is not among them: it counts by its content hash. Nor is the code that the
    notebook imports: which it is, is noted when the notebook is executed.
    """
    lock = [p for p in [root / "requirements.lock"] if p.is_file()]
    executing = Path(__file__).with_name("execute.py")
    return [str(p) for p in [chapter.source, executing, *(root / f for f in chapter.files), *lock]]


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
    files: list[str] = []
    for name in needs.get("files", ()):
        if "*" in name:  # a pattern, of files that need not be there
            files += sorted(p.relative_to(root).as_posix() for p in root.glob(name))
        elif (root / name).is_file():
            files.append(name)
        else:
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
        files=tuple(files),
        makes=makes,
    )
