"""Execute one computing chapter: text -> notebook -> papermill -> a file that appears whole.

Nothing is written before the notebook has run to its end.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from paper.site.chapters import BookError, Chapter
from paper.site.missing_data import without_results
from pepr_utils.errors import DataUnavailableError, PeprError, UnknownNameError


@cache
def look_up(result_set: str | None) -> str | PeprError:
    """Return the content hash of a result set, or why there is none; asked once per build.

    Parameters
    ----------
    result_set : str or None
        Name or path; None, for a chapter that needs no data, gives an empty string.

    Examples
    --------
    >>> look_up(None)
    ''
    """
    if result_set is None:
        return ""
    from pepr_utils import results

    try:
        return results.content_hash(result_set)
    except PeprError as error:
        return error


#: Printed by the kernel at the end: the files of the modules that it has loaded.
_LIST_MODULES = """
import json, sys
print(json.dumps([f for m in list(sys.modules.values()) if (f := getattr(m, "__file__", None))]))
"""
_CODE = Path(__file__).resolve().parents[2]


def build_chapter(chapter: Chapter, target: Path, root: Path) -> dict[str, Any]:
    """Execute a chapter into `target`; where its data are missing, write its text with the reason.

    Parameters
    ----------
    chapter : Chapter
        A computing chapter.
    target : pathlib.Path
        The notebook to write, ``.ipynb``.
    root : pathlib.Path
        The project's folder, in which the notebook runs.

    Returns
    -------
    dict
        ``missing``, whether data were; ``warnings``, what cells wrote to stderr; ``code``, the hash
        of each file of the project that the notebook imported, or None to execute it next time.

    Raises
    ------
    BookError
        If the result set cannot be read, or a cell fails; the message names chapter and error.
    """
    import jupytext

    notebook, found = jupytext.read(chapter.source), look_up(chapter.result_set)
    code: dict[str, str] | None = {}
    if missing := isinstance(found, DataUnavailableError | UnknownNameError):
        made = without_results(notebook, str(found))
    elif isinstance(found, PeprError):
        raise BookError(f"{chapter.docname}.md: {found}")
    else:
        try:
            made, code = _run(chapter, notebook, root)
        except DataUnavailableError as error:  # of other data than the result set
            made, code, missing = without_results(notebook, str(error)), None, True
    if chapter.makes:
        look_up.cache_clear()
        found = look_up(chapter.makes)
    if isinstance(found, PeprError) and not missing:
        raise BookError(f"{chapter.docname}.md: {found}")
    made.metadata["pepr"] = {
        "missing": missing,
        "result_set": chapter.result_set or chapter.makes,
        "content_hash": None if missing else found,
        "parameters": _defaults(notebook) | chapter.parameters,
    }
    warnings = _take_stderr(made)
    _write(made, target)
    return {"missing": missing, "warnings": warnings, "code": code}


def hashes(files: Iterable[str | Path]) -> dict[str, str]:
    """Return the hash of each file's content; empty for one that is not there."""
    contents = {str(f): Path(f).read_bytes() if Path(f).is_file() else b"" for f in files}
    return {name: hashlib.sha256(text).hexdigest() * bool(text) for name, text in contents.items()}


def _run(chapter: Chapter, notebook: Any, root: Path) -> tuple[Any, dict[str, str]]:
    """Execute a notebook in memory with the chapter's parameters; hash the code that it loaded."""
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from paper.site.kernels import ForkedKernelManager

    listing = nbformat.v4.new_code_cell(_LIST_MODULES)
    # Kernels inherit both: sets keep their order, and the platform's folders raise no warning.
    os.environ.update(PYTHONHASHSEED="0", JUPYTER_PLATFORM_DIRS="1")
    try:
        done = papermill.execute_notebook(
            nbformat.from_dict(notebook | {"cells": [*notebook.cells, listing]}),
            None,
            parameters=chapter.parameters,
            cwd=root,
            progress_bar=False,
            log_output=False,
            kernel_manager_class=ForkedKernelManager,
            extra_arguments=["--log-level=50"],  # the kernel's own chatter
        )
    except PapermillExecutionError as error:
        if error.ename == DataUnavailableError.__name__ and not chapter.makes:
            raise DataUnavailableError(error.evalue.strip()) from None
        line = _failing_line(error)
        raise BookError(
            f"{chapter.source.name}, code cell {error.exec_count}: {error.ename}: "
            f"{error.evalue.strip()}{line}"
        ) from None
    except DeadKernelError:
        raise BookError(
            f"{chapter.source.name}: its kernel died; most often the machine ran out of memory"
        ) from None
    loaded = [Path(name).resolve() for name in json.loads(done.cells.pop().outputs[0].text)]
    rooms = (_CODE / "paper", _CODE / "pepr_utils", root / "notebooks")
    mine = {p for p in loaded if any(p.is_relative_to(room) for room in rooms)}
    stubs = {stub for p in mine if (stub := p.with_suffix(".pyi")).is_file()}
    return _tidy(done), hashes(sorted(mine | stubs))


def _failing_line(error: Any) -> str:
    """The line of the cell that failed, where the traceback names it."""
    plain = [re.sub("\x1b\\[[0-9;]*m", "", text) for text in error.traceback]
    arrows = [line for text in plain for line in text.splitlines() if "-> " in line[:8]]
    return f"\n    {arrows[0].strip()}" if arrows else ""


def _defaults(notebook: Any) -> dict[str, Any]:
    """The values that a notebook's own parameters cell sets."""
    cell = _tagged(notebook, "parameters")
    return _literals(cell.source) if cell is not None else {}


def _literals(code: str) -> dict[str, Any]:
    """The literal values that lines of code assign to names."""
    values = {}
    for line in ast.parse(code).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            with suppress(ValueError):
                values[line.targets[0].id] = ast.literal_eval(line.value)
    return values


def _tagged(notebook: Any, tag: str) -> Any | None:
    return next((c for c in notebook.cells if tag in c.metadata.get("tags", ())), None)


def _tidy(notebook: Any) -> Any:
    """Show the parameters that were used, and keep no times or paths of the run."""
    given = _tagged(notebook, "injected-parameters")
    if given is not None:
        own, values = _tagged(notebook, "parameters"), _defaults(notebook)
        same = own is not None and _literals(given.source).items() <= values.items()
        tags = own.metadata["tags"] if own is not None else []
        shown = ["remove-cell"] if same else [t for t in tags if t != "parameters"]
        given.metadata["tags"] = ["injected-parameters", *shown]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
    notebook.metadata.pop("papermill", None)
    return notebook


def _take_stderr(notebook: Any) -> list[str]:
    """Take what cells wrote to stderr off the page; it is for whoever builds the site."""
    written = []
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        written += [o.text.strip() for o in outputs if o.get("name") == "stderr"]
        if outputs:
            cell.outputs = [o for o in outputs if o.get("name") != "stderr"]
    return written


def _write(notebook: Any, target: Path) -> None:
    """Write a notebook under a temporary name beside its place and move it there."""
    import nbformat

    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    temporary.replace(target)
