"""What the paper's web site is built from; run by `make paper` (or `doit`).

Each computing chapter is a task of its own, executed again only when its text, its parameters,
its data or the code that it uses has changed; the site is made of the executed chapters and the
prose. The logic is in `paper/site`.
"""

import os
import sys
from pathlib import Path

from paper.site.tasks import (
    Progress,
    chapter_tasks,
    pdf_task,
    say_interrupted,
    site_task,
)

ROOT = Path(__file__).resolve().parent
STATE = ROOT / "_build" / "doit.db"
STATE.parent.mkdir(exist_ok=True)
sys.excepthook = say_interrupted

DOIT_CONFIG = {
    "backend": "sqlite3",
    "continue": True,
    "default_tasks": ["chapter", "site"],
    "dep_file": str(STATE),
    "num_process": min(4, os.cpu_count() or 1),
    "par_type": "thread",
    "reporter": Progress,
    "verbosity": 2,
}


def task_chapter():
    """Execute each computing chapter."""
    yield from chapter_tasks(ROOT)


def task_site():
    """Build the web site."""
    return site_task(ROOT)


def task_pdf():
    """Print the web site to one PDF."""
    return pdf_task(ROOT)
