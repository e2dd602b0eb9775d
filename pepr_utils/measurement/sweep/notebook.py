"""The notebook that a sweep executes: read once, as far as it measures."""

from __future__ import annotations

from pathlib import Path

from pepr_utils.measurement.sweep.errors import SweepError

#: Tag of the cells that measure. What comes after the last of them, such as figures of the whole
#: result set, is not for a shard.
MEASURES = "measure"


def read_notebook(path: Path) -> str:
    """Return a notebook as ipynb's JSON, up to its last cell tagged ``measure``.

    Parameters
    ----------
    path : pathlib.Path
        Jupytext's ``.md`` or an ``.ipynb``; without the tag the whole of it is taken.

    Raises
    ------
    SweepError
        If it cannot be read, or has no cell tagged ``parameters``.
    """
    import jupytext
    import nbformat

    try:
        notebook = jupytext.read(path)
        found = [set(cell.metadata.get("tags", ())) for cell in notebook.cells]
    except (OSError, ValueError, AttributeError) as error:
        raise SweepError(
            f"the notebook {path} cannot be read ({error}); allowed: a jupytext .md or an .ipynb"
        ) from None
    if not any("parameters" in tags for tags in found):
        raise SweepError(
            f"the notebook {path} has no cell tagged 'parameters'; that is where a sweep says "
            "which runs to measure"
        )
    last = max((i for i, tags in enumerate(found) if MEASURES in tags), default=len(found) - 1)
    notebook.cells = notebook.cells[: last + 1]
    notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3"})
    notebook.metadata["kernelspec"].setdefault("language", "python")
    return nbformat.writes(notebook, version=4)
