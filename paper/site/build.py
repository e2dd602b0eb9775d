"""From executed chapters and prose to the web site: gather the sources, run Sphinx."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from paper.site.chapters import BookError, Chapter
from paper.site.missing_data import without_values_of


def prose_files(root: Path) -> list[Path]:
    """List what the site is made of besides the executed chapters."""
    book = sorted(p for p in (root / "book").rglob("*") if p.is_file())
    return [root / "_config.yml", root / "_toc.yml", *book]


def stage(chapters: Iterable[Chapter], root: Path, executed: Path, source: Path) -> None:
    """Gather the sources of the site in a fresh folder.

    Parameters
    ----------
    chapters : iterable of Chapter
        All chapters of the book.
    root : pathlib.Path
        The project's folder.
    executed : pathlib.Path
        The folder of the executed chapters.
    source : pathlib.Path
        The folder to fill; what it held before is removed.
    """
    shutil.rmtree(source, ignore_errors=True)
    for path in {*prose_files(root), *(c.source for c in chapters if not c.is_notebook)}:
        _copy(path, source / _place(path.relative_to(root)))
    names = {c.docname: f"{c.docname}.{'ipynb' if c.is_notebook else 'md'}" for c in chapters}
    made = {c.docname: executed / names[c.docname] for c in chapters if c.is_notebook}
    for docname, path in made.items():
        _copy(path, source / names[docname])
    if missing := {docname for docname, path in made.items() if _is_missing(path)}:
        for docname, name in names.items():
            page = source / name
            text = without_values_of(page.read_text("utf-8"), docname, missing)
            page.write_text(text, "utf-8")


def build_site(root: Path, source: Path, build: Path) -> Path:
    """Run Jupyter Book on staged sources; any warning fails the build.

    Returns
    -------
    pathlib.Path
        The page to open.

    Raises
    ------
    BookError
        With Sphinx's warnings and errors as its message.
    """
    html = build / "html"
    shutil.rmtree(html, ignore_errors=True)
    shutil.rmtree(build / ".doctrees", ignore_errors=True)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += [str(source), "--path-output", str(build.parent), "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BookError(f"Jupyter Book reports:\n{_complaints(done.stderr or done.stdout, source)}")
    return html / "index.html"


def describe_commit(root: Path) -> str:
    """Return the short commit of a checkout, and whether anything in it is not committed.

    Returns
    -------
    str
        Such as ``"1a2b3c4"`` or ``"1a2b3c4 + uncommitted changes"``; ``"unknown"`` outside git.
    """
    top = run_git(root, "rev-parse", "--show-toplevel")
    commit = run_git(root, "rev-parse", "--short", "HEAD")
    if not commit or Path(top).resolve() != root.resolve():
        return "unknown"
    return f"{commit} + uncommitted changes" if run_git(root, "status", "--porcelain") else commit


def run_git(root: Path, *arguments: str) -> str:
    """Return what a git command prints; empty where it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _place(path: Path) -> Path:
    """Where a source file goes: Sphinx needs the static files at the top."""
    return Path(*path.parts[1:]) if path.parts[:2] == ("book", "_static") else path


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _is_missing(notebook: Path) -> bool:
    return json.loads(notebook.read_text("utf-8"))["metadata"]["pepr"].get("missing", False)


def _complaints(text: str, source: Path) -> str:
    """Sphinx's own lines, without its traceback and with the sources' folder left out."""
    lines = [line for line in re.sub("\x1b\\[[0-9;]*m", "", text).splitlines() if line.strip()]
    wanted = [x for x in lines if "WARNING:" in x or "ERROR:" in x] or lines[-20:]
    return "\n".join(dict.fromkeys(x.replace(f"{source}/", "") for x in wanted))
