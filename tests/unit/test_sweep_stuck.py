"""Schedulers and workers that do not answer, and what Dask says: the sweep ends all the same."""

import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pepr_utils.measurement.sweep import SweepError, cluster
from pepr_utils.measurement.sweep.cluster import OwnWorkers, Slot, Workers, patiently, quiet

FOUND = {
    f"tcp://node:{i}": {"host": "node", "name": f"w{i}", "status": status}
    for i, status in enumerate(("running", "running", "closing_gracefully"))
}


@pytest.fixture
def stuck():
    """A call that does not return before the test has ended."""
    released = threading.Event()

    def call(*_arguments, **_options):
        released.wait(60)
        raise OSError("nobody")

    yield call
    released.set()


class Client:
    """A scheduler that answers as it is told."""

    def __init__(self, answer):
        self.answer, self.told = answer, []

    def sync(self, *_arguments, **_options):
        return self.answer()

    def run(self, *_arguments, workers, **_options):
        self.told.append(workers)
        return self.answer()

    def submit(self, *_arguments, **_options):
        return None


class Job:
    name = "t-1"


def test_who_does_not_answer_is_given_up(stuck):
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
        patiently(stuck, 0.2)
    with pytest.raises(TimeoutError):
        patiently(stuck, 60, hurried=lambda: True)
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 / 0, 60)


def test_a_scheduler_that_is_stuck_is_gone_unless_the_sweep_ends(stuck, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.2)
    workers = Workers(Client(lambda: {"workers": FOUND}), "tcp://node:8786")
    known = workers.slots()
    assert known == [Slot("tcp://node:0", "w0", 3), Slot("tcp://node:1", "w1", 3)]
    workers.client.answer = stuck
    with pytest.raises(SweepError, match="the scheduler at tcp://node:8786 is gone"):
        workers.slots()
    monkeypatch.setattr(cluster, "PATIENCE_S", 60)
    workers.hurried = lambda: True
    assert workers.slots() == known


def test_a_result_that_does_not_come_is_not_waited_for_at_the_end(stuck):
    workers = Workers(Client(None), "tcp://node:8786", hurried=lambda: True)

    class Future:
        result = staticmethod(stuck)

    assert workers.result(Future()) is None


def test_kernels_are_ended_on_workers_that_had_something_and_nobody_is_waited_for(
    stuck, monkeypatch
):
    monkeypatch.setattr(cluster, "END_S", 0.2)
    client = Client(lambda: {"workers": FOUND})
    workers = Workers(client, "tcp://node:8786")
    _, slot = workers.slots()
    workers.end_kernels("s")
    assert client.told == []
    workers.submit(Job, slot)
    workers.submit(Job, Slot("tcp://node:9", "gone", 1))
    client.answer = stuck
    workers.end_kernels("s")
    assert client.told == [["tcp://node:1"]]


@pytest.fixture
def page():
    """A scheduler's web server: a dashboard's address, whose page is there or not."""

    class Handler(BaseHTTPRequestHandler):
        code = 200

        def do_GET(self):
            self.send_response(Handler.code)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        Handler.link = f"http://127.0.0.1:{server.server_port}/status"
        yield Handler
        server.shutdown()
        thread.join()


def test_a_scheduler_without_a_dashboard_is_said_to_have_none(page):
    class Linked:
        dashboard_link = page.link

    assert Workers(Linked(), "tcp://node7:8786").dashboard() == page.link
    page.code = 404  # as of one that was started with --no-dashboard
    assert Workers(Linked(), "tcp://node7:8786").dashboard() is None
    Linked.dashboard_link = "http://127.0.0.1:1/status"  # not reached from here
    assert Workers(Linked(), "tcp://node7:8786").dashboard() == Linked.dashboard_link
    Linked.dashboard_link = "/user/ada/proxy/8787/status"  # as in a JupyterHub
    assert Workers(Linked(), "tcp://node7:8786").dashboard() == Linked.dashboard_link


def test_the_dashboard_of_another_scheduler_needs_no_bokeh_here(page, monkeypatch):
    class Linked:
        dashboard_link = page.link

    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _name: None)
    assert Workers(Linked(), "tcp://node7:8786").dashboard() == page.link
    assert OwnWorkers(Linked(), "this machine").dashboard() is None


def test_dask_is_quiet_as_long_as_it_is_used_and_speaks_again_afterwards():
    client = logging.getLogger("distributed.client")
    with quiet():
        assert not client.isEnabledFor(logging.ERROR)  # "Failed to reconnect to scheduler"
    assert client.isEnabledFor(logging.WARNING)
