"""What every process of a test session has alike, their order (the browser last), shared data."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no failure.
settings.register_profile("slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slow")

# One thread of torch: the models of the tests are too small to gain from more, and threads that
# share a core with another program wait for one another. Before any test imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# nohup, and a shell in what it starts in the background, leaves signals ignored, and every process
# that a test starts would ignore them too. A handler that does nothing is not inherited.
for _name, _handler in (
    ("SIGINT", signal.default_int_handler),
    ("SIGQUIT", lambda *_: None),
    ("SIGHUP", lambda *_: None),
):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

_TESTS = Path(__file__).parent
_ORDER = ("unit", "functional", "book")


def _rank(item: pytest.Item) -> tuple[int, bool]:
    """Sort by folder, slow tests last; the doctests of the package go with the unit tests."""
    folders = [_TESTS / name for name in _ORDER]
    place = next((i for i, folder in enumerate(folders) if folder in item.path.parents), 0)
    return place, item.get_closest_marker("slow") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


class Build:
    """The build of the site, as `make paper` does it, beside the tests that do not need it.

    One process of the session has it, every process may wait for it: by the files in its folder.
    """

    def __init__(self, folder):
        command = '"$0" -m doit >"$1/output" 2>&1; echo $? >"$1/ends"; mv "$1/ends" "$1/exit_code"'
        self._process = subprocess.Popen(
            ["sh", "-c", command, sys.executable, folder],
            cwd=_TESTS.parent, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def stop(self):
        """End it, where the tests have ended before it."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(20)


_BUILD = pytest.StashKey[Build]()
_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {}).get("site_build")
    config.stash[_FOLDER] = Path(given or tempfile.mkdtemp(prefix="pepr-site-build-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """Tell a worker of pytest-xdist where to wait for the build."""
    node.workerinput["site_build"] = str(node.config.stash[_FOLDER])


def _begin(config: pytest.Config, chosen: list[str]) -> None:
    """Begin the build at once, and once: it takes minutes, and most tests come before its own."""
    wanted = any(name.startswith("tests/book/") for name in chosen)
    if wanted and _BUILD not in config.stash and not config.option.collectonly:
        config.stash[_BUILD] = Build(config.stash[_FOLDER])


def pytest_collection_finish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        _begin(session.config, [item.nodeid for item in session.items])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids: list[str]) -> None:
    _begin(node.config, ids)


def pytest_unconfigure(config: pytest.Config) -> None:
    if build := config.stash.get(_BUILD, None):
        build.stop()
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


@pytest.fixture(scope="session")
def site(request):
    """The site, built as `make paper` builds it."""
    folder = request.config.stash[_FOLDER]
    while not (folder / "exit_code").exists():
        time.sleep(0.2)
    assert (folder / "exit_code").read_text() == "0\n", (folder / "output").read_text()
    return _TESTS.parent / "_build" / "html"


@pytest.fixture(scope="session")
def published():
    """The authors' released data as a result set."""
    from pepr_utils.results import load_result_set

    return load_result_set("published")


@pytest.fixture(scope="session")
def embedded():
    """The embedded tables, as text."""
    from pepr_utils.results import published

    return {name: published.read_text(name) for name in published.TABLES}


@pytest.fixture(scope="session")
def released(embedded):
    """The authors' files, restored: `test_release` holds them against the pinned SHA-256."""
    from pepr_utils.results.release import restore

    return restore(embedded)
