"""Schedulers and workers that do not answer: the sweep ends all the same."""

import logging
import threading

import pytest

from pepr_utils.measurement.sweep import SweepError, cluster
from pepr_utils.measurement.sweep.cluster import OwnWorkers, Slot, Workers, answer_within, quiet

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
    """A scheduler whose answer is given."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def sync(self, *_arguments, **_options):
        return self.answer()

    def run(self, *_arguments, workers, **_options):
        self.asked.append(workers)
        return self.answer()

    def submit(self, *_arguments, **_options):
        return None


class Job:
    name = "t-1"


def test_a_call_without_an_answer_is_given_up(stuck):
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
        answer_within(0.2, stuck)
    with pytest.raises(TimeoutError):
        answer_within(60, stuck, stop_waiting=lambda: True)
    with pytest.raises(ZeroDivisionError):
        answer_within(60, lambda: 1 / 0)


def test_a_stuck_scheduler_is_an_error_unless_the_sweep_ends(stuck, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_S", 0.2)
    workers = Workers(Client(lambda: {"workers": FOUND}), "tcp://node:8786")
    known = workers.slots()
    assert known == [Slot("tcp://node:0", "w0", 3), Slot("tcp://node:1", "w1", 3)]
    workers.client.answer = stuck
    with pytest.raises(SweepError, match="the scheduler at tcp://node:8786 is gone"):
        workers.slots()
    monkeypatch.setattr(cluster, "ANSWER_S", 60)
    workers.stop_waiting = lambda: True
    assert workers.slots() == known


def test_a_missing_result_is_not_waited_for_at_the_end(stuck):
    workers = Workers(Client(None), "tcp://node:8786", stop_waiting=lambda: True)

    class Future:
        result = staticmethod(stuck)

    assert workers.result(Future()) is None


def test_kernels_are_ended_on_the_workers_of_the_sweep_without_waiting(stuck, monkeypatch):
    monkeypatch.setattr(cluster, "END_S", 0.2)
    client = Client(lambda: {"workers": FOUND})
    workers = Workers(client, "tcp://node:8786")
    _, slot = workers.slots()
    workers.end_kernels("s")
    assert client.asked == []
    workers.submit(Job, slot)
    workers.submit(Job, Slot("tcp://node:9", "gone", 1))
    client.answer = stuck
    workers.end_kernels("s")
    assert client.asked == [["tcp://node:1"]]


def test_only_a_scheduler_of_the_sweep_has_a_dashboard(monkeypatch):
    class Linked:
        dashboard_link = "http://127.0.0.1:8787/status"

    assert Workers(Linked(), "tcp://node7:8786").dashboard() is None
    assert OwnWorkers(Linked(), "this machine").dashboard() == Linked.dashboard_link
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _name: None)  # without Bokeh
    assert OwnWorkers(Linked(), "this machine").dashboard() is None


def test_dask_logs_nothing_during_a_sweep():
    client = logging.getLogger("distributed.client")
    with quiet():
        assert not client.isEnabledFor(logging.ERROR)  # "Failed to reconnect to scheduler"
    assert client.isEnabledFor(logging.WARNING)
