"""What a device says and the meter does not believe: null with a reason, never a silent 0."""

import time

import pytest

from pepr_utils.measurement.metering import cpu, energy, gpu, hardware, meter, readings
from pepr_utils.measurement.metering.readings import Counter

pytestmark = pytest.mark.usefixtures("bare_machine")

QUICK = {"interval_s": 0.01, "idle_s": 0.0}
RANGE = 262_143_328_850


def _said(m, words):
    return any(words in note for note in m.notes)


@pytest.mark.parametrize(
    ("values", "range_j", "expected", "why"),
    [
        ([(0, 5.0), (1, 15.0), (2, 40.0)], None, 35.0, None),
        ([(0, 5.0)], None, None, "both ends"),
        ([(0, 5.0), (1, 5.0)], None, None, "stood still"),
        ([(0, 5.0), (1, 4.0), (2, 9.0)], None, None, "went back"),
        ([(0, 262_100.0), (1, 50.0)], 262_143.0, 93.0, None),
        (
            [(0, 200.0), (0.2, 0.0), (0.4, 1.0)],
            262_143.0,
            None,
            "step would be 1.31e+06",
        ),
        ([(0, 5.0), (1, 9000.0)], None, None, "reset: its step would be"),
        ([(0, 5.0), (1e-6, 6.0), (1, 50.0)], None, 45.0, None),  # a step of the counter itself
        (
            [(0, 5.0), (60, 6.0)],
            262_143.0,
            None,
            "not read for 60 s, and may wrap around in 52.4 s",
        ),
        ([(0, 5.0), (50, 6.0), (100, 7.0)], 262_143.0, 2.0, None),
        ([(0, 5.0), (2000, 6.0)], None, 1.0, None),
    ],
)
def test_one_rule_says_what_a_counter_is_believed(values, range_j, expected, why):
    times, joules = zip(*values, strict=True)
    counter = Counter(lambda: None, range_j, list(times), list(joules))
    found, reason = counter.energy_j(0, len(values) - 1 or None)
    assert found == (None if expected is None else pytest.approx(expected))
    assert (reason is None) == (why is None)
    assert why is None or why in reason


def test_a_counter_that_stands_still_gives_way_to_the_samples(monkeypatch, doubles):
    card = doubles.Gpu("GPU-a", 200.0)
    card.energy = lambda _t: 1000.0
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.2)
    part = m.components()[0]
    assert (part.method, part.energy_j) == ("polled", pytest.approx(200 * part.duration_s))
    assert _said(m, "energy counter not used: it stood still")


def test_a_card_that_says_nothing_but_zero_has_no_energy(monkeypatch, doubles):
    for counter in (False, True):
        card = doubles.Gpu("GPU-a", 0.0, counter=counter)
        doubles.install(monkeypatch, [card])
        with meter("cuda", **QUICK) as m:
            time.sleep(0.2)
        part = m.components()[0]
        assert (part.energy_j, part.method, m.energy_kwh()) == (None, None, None)
        assert _said(m, "the driver gave 0 W throughout")
        assert _said(m, "stood still") == counter


def test_a_window_shorter_than_the_counters_step_is_sampled_and_has_no_say(monkeypatch, doubles):
    for module in (gpu, energy):  # a slow machine makes no window long by this
        monkeypatch.setattr(module, "COUNTER_STEP_S", 0.3)
    card = doubles.Gpu("GPU-a", 200.0)
    card.energy = lambda t: 200 * (int(t * 10) / 10)
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        with m.window("train", 1):
            time.sleep(0.5)
        with m.window("eval", 1):
            time.sleep(0.03)
    train, evaluation = (window.components[0] for window in m.windows)
    assert (train.method, evaluation.method) == ("counter", "polled")
    assert evaluation.energy_j == pytest.approx(200 * evaluation.duration_s)
    assert m.components()[0].method == "counter"
    assert _said(m, "too coarse for windows up to 0.3 s")
    card.power, card.counter = (lambda _t: 1 / 0), True
    with meter("cuda", **QUICK) as m:
        time.sleep(0.03)
    assert m.energy_kwh() is None  # no samples either


def test_a_counter_that_goes_back_is_not_believed(monkeypatch, doubles):
    card = doubles.Gpu("GPU-a", 200.0)
    lead = [1000.0]
    card.energy = lambda t: lead[0] + 200 * t
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
        lead[0] = 0.0
    part = m.components()[0]
    assert (part.method, part.counter_j) == ("polled", None)
    assert _said(m, "it went back")


def test_packages_and_memory_that_stand_still_have_no_energy(packages):
    domains = {"intel-rapl:0": ("package-0", 7, RANGE), "intel-rapl:0:0": ("dram", 7, RANGE)}
    folder = packages(domains)
    with meter("cpu", **QUICK) as m:
        time.sleep(0.1)
    assert [p.energy_j for p in m.components()] == [None, None]
    assert m.it_energy_kwh() is None
    assert m.method() == "cpu not measured; memory not measured"
    assert _said(m, "not measured by RAPL: it stood still")
    with meter("cpu", **QUICK) as m:
        (folder / "intel-rapl:0" / "energy_uj").write_text("5000007")
    assert [p.energy_j for p in m.components()] == [5.0, None]
    assert m.it_energy_kwh() == pytest.approx(5.0 / 3.6e6)
    assert m.covers == ("cpu",)
    assert m.method() == "powercap: cpu rapl; memory not measured"


def test_a_reset_is_no_wrap_and_spoils_only_its_own_window(packages):
    folder = packages({"intel-rapl:0": ("package-0", 200_000_000, RANGE)})
    with meter("cpu", **QUICK) as m:
        for epoch, energy in ((1, 0), (2, 1_000_000)):
            with m.window("train", epoch):
                (folder / "intel-rapl:0" / "energy_uj").write_text(str(energy))
                time.sleep(0.05)
    assert m.it_energy_kwh("train", 1) is None
    assert m.it_energy_kwh("train", 2) == pytest.approx(1.0 / 3.6e6)
    assert _said(m, "it was reset")


def test_readings_of_rapl_that_fail_are_counted_and_a_long_gap_is_no_energy(packages, monkeypatch):
    folder = packages({"intel-rapl:0": ("package-0", 0, RANGE)})
    path = folder / "intel-rapl:0" / "energy_uj"

    def run():
        with meter("cpu", **QUICK) as m:
            path.unlink()
            time.sleep(0.3)
            path.write_text("5000000")
            time.sleep(0.05)
        path.write_text("0")
        return m

    whole = run()
    (part, _) = whole.components()
    assert part.energy_j == 5.0
    assert part.n_dropped > 2
    assert _said(whole, "readings of RAPL failed")
    monkeypatch.setattr(readings, "MOST_W", RANGE / 1e6 / 0.2)  # goes round in 0.2 s
    spoilt = run()
    assert spoilt.it_energy_kwh() is None
    assert _said(spoilt, "and may wrap around in 0.2 s")


def test_a_slow_interval_has_a_longer_gap(monkeypatch, doubles):
    monkeypatch.setattr(readings, "MAX_GAP_S", 0.1)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0, counter=False)])
    with meter("cuda", interval_s=0.5, idle_s=0) as m:
        time.sleep(0.8)
    part = m.components()[0]
    assert part.energy_j == pytest.approx(200 * part.duration_s)


def test_a_counter_beside_samples_of_nothing_is_all_apart(monkeypatch, doubles):
    monkeypatch.setattr(energy, "COMPARED_ABOVE_S", 0.1)
    card = doubles.Gpu("GPU-a", 0.0)
    card.energy = lambda t: 200 * t
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.2)
    assert (m.disagreement, m.components()[0].method) == (1.0, "counter")
    assert _said(m, "counter and samples are 100.0% apart")


def test_windows_with_few_samples_say_so_once_per_kind(monkeypatch, doubles):
    monkeypatch.setattr(energy, "FEW_SAMPLES", 8)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    with meter("cuda", **QUICK) as m:
        for epoch in (1, 2):
            with m.window("train", epoch):
                time.sleep(0.5)
            with m.window("eval", epoch):
                time.sleep(0.02)
    note = "fewer than 8 power samples in a window"
    assert [m.components(kind)[0].notes.count(note) for kind in ("train", "eval")] == [0, 1]
    assert m.notes.count(f"gpu: {note}") == 1
    assert m.n_samples("train") > 8
    assert m.n_samples("none such") is None


def test_one_short_window_does_not_spoil_the_run(packages, monkeypatch, tmp_path):
    folder = packages({"intel-rapl:0": ("package-0", 0, RANGE)})
    stat = tmp_path / "stat"
    monkeypatch.setattr(cpu, "PROC_STAT", stat)
    stat.write_text("cpu 0 0 0 0 0 0 0 0\n")
    with meter("cpu", **QUICK) as m:
        for kind, epoch in (("train", 1), ("train", 2), ("train", 3), ("eval", 4)):
            with m.window(kind, epoch):
                time.sleep(0.4 if kind == "train" else 0.03)
                (folder / "intel-rapl:0" / "energy_uj").write_text(str(epoch * 10**6))
                if kind == "eval":  # 0.06 s of others: two cores, in this window alone
                    stat.write_text("cpu 6 0 0 0 0 0 0 0\n")
    assert m.it_energy_kwh("eval", 4) == pytest.approx(1.0 / 3.6e6)
    assert m.method() == "powercap: cpu rapl"


def test_others_on_the_card_are_seen_in_mid_window(monkeypatch, doubles):
    import os

    monkeypatch.setattr(hardware, "LOOK_EVERY_S", 0.02)
    card = doubles.Gpu("GPU-a")
    doubles.install(monkeypatch, [card])
    card.pids = [os.getpid()]
    with meter("cuda", **QUICK) as m:
        card.pids = [1, os.getpid()]
        changed_s = time.monotonic()  # a look that began before the window is not the window's
        until = changed_s + 10
        while time.monotonic() < until and m._hardware.gpus[0].looks[-1][0] <= changed_s:
            time.sleep(0.01)
        card.pids = [os.getpid()]
    assert m.components()[0].other_processes == 1
    card.pids = [1]  # as for `pepr meter`, whose command is on the card at neither end
    with meter(**QUICK) as m:
        time.sleep(0.05)
    assert m.components()[0].other_processes == 1
    assert _said(m, "1 other process on the GPU")
    card.pids = [2**31 - 1]  # a number that cannot be seen from here, as in a container
    with meter(**QUICK) as m:
        time.sleep(0.05)
    assert m.components()[0].other_processes is None
    assert _said(m, "whether others use the GPU cannot be told from here")
