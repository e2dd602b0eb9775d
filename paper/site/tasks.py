"""The build's tasks for doit, and what it prints: a line per chapter, the site at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from doit.exceptions import TaskFailed, UnmetDependency
from doit.reporter import ZeroReporter
from doit.tools import config_changed

from paper.site.build import build_site, code_files, describe_commit, prose_files, stage
from paper.site.chapters import BookError, Chapter, dependencies, read_chapters
from paper.site.execute import build_chapter, hashes, look_up
from pepr_utils.errors import PeprError


def chapter_tasks(root: Path) -> Iterator[dict[str, Any]]:
    """Yield one task per computing chapter: execute it into ``_build/chapters``.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.
    """
    notebooks = _notebooks(_chapters(root))
    for chapter in reversed(notebooks):  # the longest are in the appendix
        target = _executed(root, chapter)
        yield {
            "name": chapter.docname,
            "actions": [(_guarded, [build_chapter, chapter, target, root])],
            "file_dep": dependencies(chapter, root),
            "task_dep": [f"chapter:{c.docname}" for c in notebooks if _goes_before(c, chapter)],
            "targets": [str(target)],
            "uptodate": [
                config_changed({"parameters": chapter.parameters}),
                partial(_same_data, chapter),
                _same_code,
            ],
        }


def site_task(root: Path) -> dict[str, Any]:
    """Return the task that makes the site from the executed chapters and the prose.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.
    """
    build, chapters = root / "_build", _chapters(root)
    executed = [_executed(root, chapter) for chapter in _notebooks(chapters)]
    prose = sorted({*prose_files(root), *(c.source for c in chapters if not c.is_notebook)})
    lock = [p for p in [root / "requirements.lock"] if p.is_file()]

    def make_site() -> dict[str, Any]:
        stage(chapters, root, build / "chapters", build / "source")
        build_site(root, build / "source", build)
        return {}

    return {
        "actions": [(_guarded, [make_site])],
        "file_dep": [str(p) for p in [*executed, *prose, *code_files(), *lock]],
        "targets": [str(build / "html" / "index.html")],
        "uptodate": [config_changed({"commit": describe_commit(root)})],
        "meta": {"site": build / "html" / "index.html"},
    }


def pdf_task(root: Path) -> dict[str, Any]:
    """Return the task that prints the site to one PDF.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.
    """
    html = root / "_build" / "html"

    def print_site() -> dict[str, Any]:
        from paper.site.pdf import make_pdf  # only a print needs its parser

        make_pdf(root)
        return {}

    return {
        "actions": [(_guarded, [print_site])],
        "file_dep": [str(html / "index.html")],
        "targets": [str(html / "pepr.pdf")],
        "meta": {"site": html / "pepr.pdf"},
    }


class Progress(ZeroReporter):
    """Reports what took long, what failed and where the site is."""

    def initialize(self, tasks: dict[str, Any], selected_tasks: Any) -> None:
        """Note which tasks there are; called before the first one runs."""
        self.tasks, self.started, self.done = tasks, {}, 0

    def execute_task(self, task: Any) -> None:
        """Note when a task starts."""
        self.started[task.name] = time.monotonic()

    def skip_uptodate(self, task: Any) -> None:
        """Note what was asked for and is there."""
        self.started[task.name] = time.monotonic()

    def add_success(self, task: Any) -> None:
        """Print one line for what was made."""
        if not task.actions:
            return
        self.done += 1
        seconds = time.monotonic() - self.started[task.name]
        done = "built" if task.meta else "executed"
        if task.values.get("missing"):
            done = "not executed, its data are missing"
        self.write(f"{_name(task):<32} {done}, {seconds:.1f} s\n")
        self.write("".join(f"  warning: {text}\n" for text in task.values.get("warnings", ())))
        self.outstream.flush()

    def add_failure(self, task: Any, fail_info: Any) -> None:
        """Print what failed and why, without doit's own output."""
        if isinstance(fail_info, UnmetDependency):
            return
        self.failures.append(task.name)
        self.write(f"{_name(task):<32} FAILED\n  {fail_info.get_msg().strip()}\n")
        self.outstream.flush()

    def complete_run(self) -> None:
        """Print where the site is, or that there is none."""
        sites = [t.meta["site"] for t in self.tasks.values() if t.meta and t.name in self.started]
        site = sites[-1] if sites else None
        address = site.resolve().as_uri() if site else "the site"
        if self.failures:
            self.write(f"not built: {', '.join(n.split(':')[-1] for n in self.failures)} failed\n")
        elif self.done and site and site.is_file():
            self.write(f"the paper is at {address}\n")
        elif self.done:
            self.write("the site is not built yet: make paper\n")
        else:
            self.write(f"nothing to do: {address} is up to date\n")


def _chapters(root: Path) -> list[Chapter]:
    """The chapters, or the end of the build with the one line that says what is wrong."""
    try:
        return read_chapters(root)
    except BookError as error:
        raise SystemExit(f"error: {error}") from None


def _notebooks(chapters: list[Chapter]) -> list[Chapter]:
    return [c for c in chapters if c.is_notebook]


def _executed(root: Path, chapter: Chapter) -> Path:
    return root / "_build" / "chapters" / f"{chapter.docname}.ipynb"


def _goes_before(first: Chapter, second: Chapter) -> bool:
    """Whether a chapter has to be done before another begins.

    A set is made before it is read. And it is made while nothing else runs: what it costs is
    measured.
    """
    if second.makes:
        return not first.makes and second.makes not in (first.result_set, *first.also)
    return first.makes is not None and first.makes in (second.result_set, *second.also)


def _same_data(chapter: Chapter, task: Any, values: dict[str, Any]) -> bool:
    """Whether the result set's content is what it was when the chapter was last executed."""

    def state() -> str:
        found = [look_up(name) for name in (chapter.result_set or chapter.makes, *chapter.also)]
        return " ".join(f if isinstance(f, str) else f"unavailable: {f}" for f in found)

    before = state()
    # A chapter that makes its set has changed it by the time that this is saved.
    task.value_savers.append(lambda: {"data": state() if chapter.makes else before})
    return values.get("data") == before


def _same_code(task: Any, values: dict[str, Any]) -> bool:  # noqa: ARG001  doit passes both
    """Whether the code that a chapter imported when it was last executed is what it was."""
    noted = values.get("code")
    return noted is not None and hashes(noted) == noted


def _guarded(make: Callable[..., dict], *arguments: Any) -> dict[str, Any] | TaskFailed:
    """Run an action; an error of ours becomes a message without a traceback."""
    try:
        return make(*arguments)
    except PeprError as error:
        return TaskFailed(str(error))


def _name(task: Any) -> str:
    return task.name.split(":", 1)[-1]


def say_interrupted(kind: type, error: BaseException, trace: Any) -> None:
    """Print one line for Ctrl-C, and any other exception as Python does: a `sys.excepthook`."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("\ninterrupted; what is finished is kept: run make paper again\n")
    else:
        sys.__excepthook__(kind, error, trace)
