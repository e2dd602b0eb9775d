"""The output of a sweep while it runs: a live table, or plain lines."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from pepr_utils.measurement.run import Run
from pepr_utils.measurement.sweep.state import Progress, Running, State
from pepr_utils.measurement.sweep.view import (
    View,
    counts,
    energy_of,
    failure,
    spent,
    table,
    time_left,
)
from pepr_utils.results import Epoch, Record

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def done(number, **changed):
    values = {
        "run_id": f"d{number}", "status": "done", "architecture": "vgg11", "dataset": "derma",
        "pretrained": True, "train_fraction": 0.1, "seed": number, "test_accuracy": 0.75,
        "train_time_s": 90.0, "eval_time_s": 10.0, "energy_kwh": 0.002, "energy_window": "train",
        "eval_energy_kwh": 0.001,
    }  # fmt: skip
    return Record(**values | changed)


def failed(number, attempt=1, reason="CUDA out of memory\nat line 3"):
    return Record(
        run_id=f"f{number}", status="failed", architecture="vgg13", dataset="derma",
        attempt=attempt, failure_reason=reason,
    )  # fmt: skip


def running(number, seconds=30):
    started = NOW - timedelta(seconds=seconds)
    return Running(f"r{number}", "dla34", "lidc", 1, 4000 + number, "node7", started)


def waiting(n):
    return tuple(Run("vgg11", "derma", seed=i) for i in range(n))


def progress(state, doing="running", *, ago=3600.0, slots=2, dashboard=None):
    return Progress(state, doing, NOW - timedelta(seconds=ago), slots, dashboard)


def test_counts_and_energy():
    state = State((done(1), done(2, energy_kwh=None)), (failed(1),), (running(1),), waiting(1200))
    assert counts(state) == "2 of 1,204 runs done, 1 running, 1 failed, 1,200 waiting"
    assert energy_of(state.done) == (pytest.approx(0.003), 1)
    assert spent(state) == "energy so far 3 Wh (1 run without)"
    assert energy_of([done(1, energy_window="train+eval")])[0] == pytest.approx(0.002)
    assert energy_of([done(1, energy_kwh=None)]) == (None, 1)
    assert spent(State((done(1, energy_kwh=None),))) == "energy so far -"


def test_the_table():
    state = State((done(1),), (failed(1, attempt=2),), (running(1), running(2, 90)), waiting(3))
    text = table(progress(state, dashboard="http://127.0.0.1:8787"), 5400.0, width=200, now=NOW)
    assert text == [
        "1 of 7 runs done, 2 running, 1 failed, 3 waiting",
        "  energy so far 3 Wh; to finish: about 1.5 h",
        "  for 60 min on 2 slots",
        "  dashboard http://127.0.0.1:8787",
        "  running   dla34 on lidc, 30 s (node7, process 4001)",
        "  running   dla34 on lidc, 1.5 min (node7, process 4002)",
        "  failed    vgg13 on derma, attempt 2: CUDA out of memory at line 3",
    ]


def test_a_narrow_terminal_and_a_long_list():
    state = State((), tuple(failed(i) for i in range(30)), tuple(running(i) for i in range(12)))
    text = table(progress(state), None, width=40, now=NOW)
    assert max(map(len, text)) == 39
    assert sum("running   dla34" in line for line in text) == 8
    assert "  running   and 4 more" in text
    assert "  failed    and 22 more" in text


def test_a_reason_cannot_move_the_cursor():
    state = State((), (failed(1, reason="\x1b[2Jgone\x07"),))
    assert not any("\x1b" in line or "\x07" in line for line in table(progress(state), 0.0))
    assert "\x1b" not in "".join(_output(state, State()))
    assert failure(failed(1, reason=None)) == "vgg13 on derma: no reason recorded"


@pytest.mark.parametrize("doing", ["finishing", "ended"])
def test_a_sweep_that_ends_early_forecasts_no_end(doing):
    state = State(running=(running(1),), waiting=waiting(3))
    text = " ".join(table(progress(state, doing), 60.0, width=200, now=NOW))
    assert "to finish" not in text
    assert "to finish" not in _output(state, doing=doing)


def _left(state, first, seconds, ago=1000.0):
    names = {f"r{i}": Run("dla34", "lidc", seed=i) for i in range(3)}
    return time_left(progress(state, ago=ago), first, seconds, names, now=NOW)


def test_time_left_before_anything_ended_is_forecast_over_slots():
    state = State(waiting=waiting(10))
    assert _left(state, state, lambda run: 60.0) == pytest.approx(300.0)
    # One has 30 of its 60 s behind it, another has taken longer than was forecast.
    some = State((done(1),), running=(running(1), running(2, 90)), waiting=waiting(10))
    assert _left(some, state, lambda run: 60.0) == pytest.approx((600 + 30) / 2)
    strange = State(running=(running(9),), waiting=waiting(10))
    assert _left(strange, state, lambda run: 60.0) is None


def test_time_left_by_the_pace_of_what_ended():
    # 4 runs of 100 s each, as recorded, in 1,000 s: start-up costs, and one slot stood idle.
    first = State(waiting=waiting(14))
    state = State(tuple(done(i) for i in range(4)), waiting=waiting(10))
    assert _left(state, first, lambda run: 200.0) == pytest.approx(2000 * 1000 / 400)
    assert _left(state, first, lambda run: None) == pytest.approx(10 * 1000 / 4)
    assert _left(state, state, lambda run: None) is None  # nothing ended since it began
    assert _left(State(state.done), first, lambda run: None) == 0.0


def test_time_left_is_none_without_forecast_and_pace():
    state = State((done(1),), waiting=waiting(3))
    assert _left(state, State(), lambda run: None) is None
    text = table(progress(state), None, width=200, now=NOW)[1]
    assert text.endswith("to finish: no forecast yet")


def _output(*states, live=False, clock=None, **options):
    stream = io.StringIO()
    moments = iter(clock or range(0, 10_000, 1))
    view = View(stream, lambda run: None, {}, live=live, clock=lambda: next(moments))
    for state in states:
        view.update(progress(state, **options))
    return stream.getvalue()


def test_plain_lines_report_ended_runs_and_a_summary():
    one = State(running=(running(1),), waiting=waiting(2))
    two = State((done(1),), running=(running(2),), waiting=waiting(1))
    three = State((done(1),), (failed(1),), waiting=waiting(1))
    text = _output(one, one, two, two, three, dashboard="http://127.0.0.1:8787")
    assert text.splitlines() == [
        "0 of 3 runs done, 1 running, 0 failed, 2 waiting; no energy yet; to finish: no forecast "
        "yet",
        "dashboard: http://127.0.0.1:8787",
        "done    vgg11 on derma pretrained 0.1 seed 1: accuracy 0.7500, 1.7 min, 3 Wh",
        "1 of 3 runs done, 1 running, 0 failed, 1 waiting; energy so far 3 Wh; to finish: no "
        "forecast yet",
        "failed  vgg13 on derma: CUDA out of memory at line 3",
        "1 of 3 runs done, 0 running, 1 failed, 1 waiting; energy so far 3 Wh; to finish: no "
        "forecast yet",
    ]
    assert "\x1b" not in text


def test_paused_runs_are_open_and_those_that_pause_are_reported():
    epochs = (Epoch(epoch=1, val_accuracy=0.5),)
    half = done(1, status="paused", test_accuracy=None, epochs=epochs)
    state = State(paused=(half,))
    assert counts(state) == "0 of 1 runs done, 0 running, 0 failed, 0 waiting, 1 paused"
    assert spent(state) == "energy so far 3 Wh"
    names = {half.run_id: Run("vgg11", "derma")}
    assert time_left(progress(state), State(), lambda _run: 100.0, names) == 50.0  # on two slots
    text = _output(State(waiting=waiting(1)), State((half,)))
    assert "paused  vgg11 on derma pretrained 0.1 seed 1: epoch 1, validation accuracy" in text
    further = half.model_copy(update={"epochs": (*epochs, Epoch(epoch=2, val_accuracy=0.6))})
    text = _output(State((half,)), State(paused=(half,)), State((further,)))
    assert text.count("paused  ") == 1
    assert ": epoch 2, validation accuracy 0.6000" in text


def test_what_a_race_says_is_above_the_live_table_which_stays_whole():
    view = View(io.StringIO(), None, {}, live=True)
    view.update(progress(State(running=(running(1),))))
    before = view.stream.getvalue()
    with view.above():
        view.stream.write("out: vgg11\n")
    up, said, drawn = view.stream.getvalue()[len(before) :].partition("out: vgg11\n")
    assert up == f"\x1b[{before.count(chr(10))}A\x1b[J"
    assert said
    assert drawn == before.removesuffix("\x1b[J")
    assert "to finish" not in before


def test_the_end_is_reported_by_the_command():
    state = State((done(1),))
    assert _output(state, doing="ended") == ""


def test_a_terminal_is_drawn_in_place():
    one = State(running=(running(1), running(2)), waiting=waiting(1))
    two = State((done(1),), waiting=waiting(1))
    first, second = _output(one, two, live=True).split("\x1b[J")[:2]
    assert first.count("\n") == 5
    assert second.startswith("\x1b[5A\r1 of 2 runs done")
    assert all(line.endswith("\x1b[K") for line in second.split("\n")[:-1])
