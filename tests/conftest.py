"""The order in which tests run (fast ones first, the browser last) and the published data."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# One thread of torch: the models of the tests are too small to gain from more, and threads that
# share a core with another program wait for one another. Before any test imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A run that somebody meters on this machine at the same time is not this session's affair.
_METERS = tempfile.TemporaryDirectory(prefix="pepr-meters-")
os.environ["PEPR_METER_FOLDER"] = _METERS.name

# A shell ignores these in what it starts in the background, and the tests' own processes would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGQUIT") and signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)

_TESTS = Path(__file__).parent
_ORDER = ("unit", "functional", "book")


def _rank(item: pytest.Item) -> tuple[int, bool]:
    """Sort by folder, slow tests last; the doctests of the package go with the unit tests."""
    folders = [_TESTS / name for name in _ORDER]
    place = next((i for i, folder in enumerate(folders) if folder in item.path.parents), 0)
    return place, item.get_closest_marker("slow") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


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
