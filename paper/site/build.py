"""From executed chapters and prose to the web site: gather the sources, run Sphinx."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from paper.site.chapters import BookError, Chapter
from paper.site.missing_data import without_values_of

_ROOT = Path(__file__).resolve().parents[2]

#: `jupyter-book build`, which itself has no option for several processes.
_RUN = """
import sys
from pathlib import Path
from jupyter_book.sphinx import build_sphinx
source, html, jobs = sys.argv[1:]
sys.exit(bool(build_sphinx(
    Path(source), Path(html), noconfig=True, path_config=Path(source, "_config.yml"),
    confoverrides={
        "external_toc_path": str(Path(source, "_toc.yml")), "latex_individualpages": False,
        "nitpicky": True,
    },
    warningiserror=True, keep_going=True, quiet=True, jobs=int(jobs),
)))
"""


def prose_files(root: Path) -> list[Path]:
    """List what the site is made of besides the executed chapters."""
    book = sorted(p for p in (root / "book").rglob("*") if p.is_file())
    return [root / "_config.yml", root / "_toc.yml", *book]


def code_files() -> list[Path]:
    """List the code of the project, which has pages and is linked to, and its claims."""
    rooms = [_ROOT / "paper", _ROOT / "pepr_utils"]
    code = [p for room in rooms for p in room.rglob("*") if p.suffix in (".py", ".pyi")]
    return sorted([*code, *(_ROOT / "data").glob("claims.yaml")])


def stage(chapters: Iterable[Chapter], root: Path, executed: Path, source: Path) -> None:
    """Gather the sources of the site in a folder; files that are the same stay untouched.

    Parameters
    ----------
    chapters : iterable of Chapter
        All chapters of the book.
    root : pathlib.Path
        The project's folder.
    executed : pathlib.Path
        The folder of the executed chapters.
    source : pathlib.Path
        The folder to fill; what else it holds is removed.
    """
    prose = {*prose_files(root), *(c.source for c in chapters if not c.is_notebook)}
    staged = {_place(path.relative_to(root)): path.read_bytes() for path in prose}
    names = {c.docname: Path(f"{c.docname}.{'ipynb' if c.is_notebook else 'md'}") for c in chapters}
    made = {c.docname: names[c.docname] for c in chapters if c.is_notebook}
    staged |= {name: (executed / name).read_bytes() for name in made.values()}
    if missing := {docname for docname, name in made.items() if _is_missing(staged[name])}:
        for docname, name in names.items():
            text = without_values_of(staged[name].decode(), docname, missing)
            staged[name] = text.encode()
    for path in source.rglob("*"):
        if path.is_file() and path.relative_to(source) not in staged:
            path.unlink()
    for name, content in staged.items():
        path = source / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def build_site(root: Path, source: Path, build: Path) -> Path:
    """Run Jupyter Book on staged sources; any warning fails the build.

    Pages whose text and numbers are the same stay as they are, unless something changed that any
    page may show, such as code that it links to, or the last build did not end well.

    Returns
    -------
    pathlib.Path
        The page to open.

    Raises
    ------
    BookError
        With Sphinx's warnings and errors as its message.
    """
    html, finished = build / "html", build / "site.sha256"
    shared = _shared(root, source)
    if not finished.is_file() or finished.read_text("utf-8") != shared:
        for folder in ("html", ".doctrees", "jupyter_execute"):
            shutil.rmtree(build / folder, ignore_errors=True)
    finished.unlink(missing_ok=True)
    command = [sys.executable, "-c", _RUN, str(source), str(html), str(min(4, os.cpu_count() or 1))]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BookError(f"Jupyter Book reports:\n{_complaints(done.stderr or done.stdout, source)}")
    finished.write_text(shared, "utf-8")
    return html / "index.html"


def _shared(root: Path, source: Path) -> str:
    """Hash what any page may show: code, settings, which pages there are, all but their texts."""
    pages = [p for p in source.rglob("*") if p.suffix in (".md", ".ipynb")]
    others = [p for p in prose_files(root) if p.suffix != ".md"]
    lock = [p for p in [root / "requirements.lock"] if p.is_file()]
    state = hashlib.sha256("\n".join(sorted(map(str, pages))).encode())
    for path in [*code_files(), *others, *lock]:
        state.update(f"\n{path}\n".encode() + path.read_bytes())
    return state.hexdigest()


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


def _is_missing(notebook: bytes) -> bool:
    return json.loads(notebook)["metadata"]["pepr"].get("missing", False)


def _complaints(text: str, source: Path) -> str:
    """Sphinx's own lines, without its traceback and with the sources' folder left out."""
    lines = [line for line in re.sub("\x1b\\[[0-9;]*m", "", text).splitlines() if line.strip()]
    wanted = [x for x in lines if "WARNING:" in x or "ERROR:" in x] or lines[-20:]
    return "\n".join(dict.fromkeys(x.replace(f"{source}/", "") for x in wanted))
