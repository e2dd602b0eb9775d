"""The meter as a whole, the hardware faked at its boundary: NVML's functions, /sys and /proc."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
import torch

from pepr_utils.measurement import metering
from pepr_utils.measurement.metering import meter, readings

RANGE = 262_143_328_850  # of most packages, in microjoules
QUICK = {"interval_s": 0.01, "idle_s": 0.0}


pytestmark = pytest.mark.usefixtures("bare_machine")


def _windows(m, seconds=0.1):
    for epoch in (1, 2):
        with m.window("train", epoch):
            time.sleep(seconds)
        with m.window("eval", epoch):
            time.sleep(seconds / 2)


def _spent(m, kind=None):
    return sum(w.duration_s for w in m.windows if kind in (None, w.kind))


def test_an_estimate_says_that_it_is_one():
    with meter(torch.device("cpu"), pue=1.5, **QUICK) as m:
        _windows(m)
    assert m.method() == "carbontracker: cpu tdp-estimate"
    assert m.it_energy_kwh("train") == pytest.approx(60 * _spent(m, "train") / 3.6e6)
    assert m.it_energy_kwh("eval", 2) == pytest.approx(60 * m.windows[3].duration_s / 3.6e6)
    assert m.energy_kwh() == pytest.approx(1.5 * m.it_energy_kwh())
    assert m.n_samples() is None
    assert any("half of a list; not measured" in note for note in m.notes)
    assert any("no RAPL" in note for note in m.notes)


def test_a_block_without_windows_is_one(monkeypatch):
    with meter(**QUICK) as m:
        time.sleep(0.02)
    (window,) = m.windows
    assert (window.kind, window.duration_s >= 0.02) == ("block", True)
    assert m.energy_kwh() > 0
    assert m.memory.nvml_used_bytes is None


def test_two_cards_sum_and_the_counter_stands_beside_the_samples(monkeypatch, doubles):
    cards = [doubles.Gpu("GPU-a", 300.0), doubles.Gpu("GPU-b", 100.0, error=1.02)]
    doubles.install(monkeypatch, cards)
    with meter(**QUICK) as m:
        _windows(m, 0.2)
    first, second, cpu, _ = m.components()
    seconds = _spent(m)
    assert first.counter_j == pytest.approx(300 * seconds, rel=0.1)
    assert first.polled_j == pytest.approx(300 * seconds)
    assert second.energy_j == pytest.approx(102 * seconds, rel=0.1)
    assert (first.method, cpu.method) == ("counter", "tdp-estimate")
    assert "GPU-a" in first.device
    assert (first.power_limit_w, m.power_limit_w) == (300.0, 600.0)
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(462 * seconds, rel=0.1)
    assert m.method() == "nvml: gpu counter; carbontracker: cpu tdp-estimate"
    assert m.n_samples() == min(first.n_samples, second.n_samples) > 3
    assert m.memory.nvml_used_bytes == 4e9
    assert m.gpu_kwh("polled") == pytest.approx(400 * seconds / 3.6e6)
    assert m.disagreement is None  # too short to compare


@pytest.mark.parametrize(("device", "watts"), [("cuda", 300), ("cuda:1", 100), (None, 400)])
def test_only_the_card_that_computes_counts(monkeypatch, doubles, device, watts):
    cards = [
        doubles.Gpu("GPU-other", 999.0),
        doubles.Gpu("GPU-b", 100.0),
        doubles.Gpu("GPU-a", 300.0),
    ]
    doubles.install(monkeypatch, cards)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    with meter(device, **QUICK) as m:
        time.sleep(0.1)
    expected = (watts + 60) * _spent(m) / 3.6e6
    assert m.it_energy_kwh() == pytest.approx(expected, rel=0.1)
    assert cards[0].reads == 0  # carbontracker alone would have measured every card


def test_the_card_that_torch_names_is_surer_than_the_environment(monkeypatch, doubles):
    from pepr_utils.measurement.metering import hardware

    cards = [doubles.Gpu("GPU-a", name="Old"), doubles.Gpu("GPU-b", 200.0, name="New")]
    doubles.install(monkeypatch, cards)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # which of two models is not known
    with meter("cuda", **QUICK) as m:
        pass
    assert m.energy_kwh() is None
    monkeypatch.setattr(hardware, "torch_uuid", lambda index: "b" if index == 0 else None)
    with meter("cuda", **QUICK) as m:
        time.sleep(0.02)
    assert "GPU-b" in m.components()[0].device


def test_torch_waits_only_for_the_cards_that_it_uses(monkeypatch):
    from types import SimpleNamespace

    from pepr_utils.measurement.metering import memory

    waited = []
    cuda = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, device_count=lambda: 4,
        current_device=lambda: 1, memory_reserved=lambda i: 10 if i == 3 else 0,
        synchronize=waited.append,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    memory.synchronize()
    assert waited == [1, 3]


def test_memory_on_the_cards_is_that_of_a_block_that_uses_them(monkeypatch):
    from types import SimpleNamespace

    cuda = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, device_count=lambda: 2,
        current_device=lambda: 0, memory_reserved=lambda i: 0, synchronize=lambda i: None,
        reset_peak_memory_stats=lambda i: None,
        max_memory_allocated=lambda i: (3, 4)[i], max_memory_reserved=lambda i: (5, 6)[i],
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with meter("cuda", **QUICK) as on_card, meter("cpu", **QUICK) as on_processor:
        pass
    assert (on_card.memory.allocated_bytes, on_card.memory.reserved_bytes) == (7, 11)
    assert on_processor.memory.allocated_bytes is None
    assert on_processor.memory.reserved_bytes is None


def test_no_visible_card_is_no_card(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with meter(**QUICK) as m:
        pass
    assert [part.kind for part in m.components()] == ["cpu", "memory"]


def test_a_card_without_a_counter_is_polled_and_says_so(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 250.0, counter=False)])
    with meter("cuda", **QUICK) as m, m.window("train", 1):
        time.sleep(0.1)
    card = m.components()[0]
    assert (card.method, card.counter_j) == ("polled", None)
    assert card.energy_j == pytest.approx(250 * card.duration_s)
    assert any("no energy counter" in note for note in m.notes)
    assert any("fewer than 60 power samples in a window" in note for note in m.notes)
    assert m.method().startswith("carbontracker: gpu polled; ")


def test_a_replayed_trace_comes_out_as_its_integral(monkeypatch, doubles):
    # 200 W plus a wave of 100 W: from a to b it is 200 (b - a) plus the integral of the sine.
    turn = 2 * math.pi / 0.4
    card = doubles.Gpu("GPU-a", lambda t: 200 + 100 * math.sin(turn * t))
    card.energy = lambda t: 200 * t + 100 * (1 - math.cos(turn * t)) / turn
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.05)
        with m.window("train", 1):
            began = time.monotonic() - card.began
            time.sleep(1.0)
            ended = time.monotonic() - card.began
    known = card.energy(ended) - card.energy(began)
    part = m.components()[0]
    assert part.counter_j == pytest.approx(known, rel=0.1)
    assert part.polled_j == pytest.approx(known, rel=0.1)
    assert part.disagreement is None  # too short to compare


def test_figures_that_differ_in_a_long_window_are_flagged(monkeypatch, doubles):
    from pepr_utils.measurement.metering import energy

    monkeypatch.setattr(energy, "COMPARED_ABOVE_S", 0.15)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0, error=1.2)])
    with meter("cuda", **QUICK) as m:
        _windows(m, 0.2)
    assert m.disagreement == pytest.approx(0.2, abs=0.1)
    flagged = [w.kind for w in m.windows if "apart" in " ".join(w.components[0].notes)]
    assert flagged == ["train", "train"]  # not the short ones


def test_a_dropped_sample_is_counted_and_its_time_filled(monkeypatch, doubles):
    card = doubles.Gpu("GPU-a", counter=False)

    def power(_t):
        if card.reads % 3 == 0:
            raise RuntimeError("busy")
        return 200.0

    card.power = power
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.3)
    part = m.components()[0]
    assert part.n_dropped > 2
    assert part.energy_j == pytest.approx(200 * part.duration_s)
    assert any("samples dropped" in note for note in m.notes)


@pytest.mark.parametrize("counter", [True, False])
def test_a_card_that_is_lost_in_a_window_leaves_no_energy(monkeypatch, doubles, counter):
    card = doubles.Gpu("GPU-a", counter=counter)
    doubles.install(monkeypatch, [card])
    monkeypatch.setattr(readings, "MAX_GAP_S", 0.5)
    with meter("cuda", **QUICK) as m:
        with m.window("train", 1):
            time.sleep(0.1)
        with m.window("train", 2):
            card.fails = True
            time.sleep(0.7)
    assert m.energy_kwh("train") is None
    assert m.energy_kwh("train", 1) > 0
    assert any("no power samples, or too long a gap" in note for note in m.notes)
    assert "gpu not measured" in m.method()


def test_a_counter_that_fails_leaves_the_samples_for_all_windows(monkeypatch, doubles):
    card = doubles.Gpu("GPU-a", error=2.0)
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        _windows(m, 0.05)
        with m.window("train", 3):
            time.sleep(0.05)
            card.counter = False
    assert m.components()[0].method == "polled"
    assert m.components()[0].energy_j == pytest.approx(100 * _spent(m))


def test_a_card_that_is_asked_for_and_not_there_leaves_no_energy(monkeypatch, doubles):
    import pynvml

    missing = pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    doubles.install(monkeypatch, [], broken=missing)
    with meter("cuda", **QUICK) as m:
        pass
    assert m.energy_kwh() is None
    assert "gpu not measured" in m.method()
    assert any("Not Found" in note for note in m.notes)
    with meter(**QUICK) as m:  # nobody asked for a card
        pass
    assert m.energy_kwh() > 0


@pytest.mark.parametrize("slices", [("MIG-1", "MIG-2"), ("MIG-2",)])
def test_a_slice_has_not_the_energy_of_its_card(monkeypatch, doubles, slices):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", mig=slices)])  # all that may be seen here
    for named in ("MIG-2", "MIG-GPU-a/1/0", "0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        with meter("cuda", **QUICK) as m:
            time.sleep(0.02)
        assert m.energy_kwh() is None
        assert m.gpu_kwh("counter") is m.gpu_kwh("polled") is None
        assert any("a slice (MIG) of a GPU" in note for note in m.notes)


def test_other_processes_on_the_card_are_counted(monkeypatch, doubles):
    card = doubles.Gpu("GPU-a")
    card.pids = [1, os.getpid()]
    doubles.install(monkeypatch, [card])
    with meter("cuda", **QUICK) as m:
        pass
    assert m.components()[0].other_processes == 1
    assert any("1 other process on the GPU" in note for note in m.notes)


def test_idle_power_is_watched_once_and_not_subtracted(monkeypatch, doubles):
    card = doubles.Gpu("GPU-a", 70.0)
    doubles.install(monkeypatch, [card])
    for _ in range(2):
        with meter("cuda", interval_s=10, idle_s=0.1) as m:
            time.sleep(0.02)
    part = m.components()[0]
    assert part.idle_w == 70.0
    assert card.reads < 12
    assert part.energy_j == pytest.approx(70 * part.duration_s, rel=0.1)


def test_nothing_to_read_is_no_energy(monkeypatch):
    from pepr_utils.measurement.metering import carbontracker

    monkeypatch.setattr(carbontracker, "estimate", lambda: None)
    with meter("cpu", **QUICK) as m:
        pass
    assert m.energy_kwh() is None
    assert m.method() == "cpu not measured"
    assert m.as_dict()["components"][0]["energy_j"] is None


@pytest.mark.parametrize("where", ["__init__", "mark"])
def test_a_meter_that_breaks_does_not_stop_the_block(monkeypatch, where):
    from pepr_utils.measurement.metering.hardware import Hardware

    def broken(*_arguments, **_options):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(Hardware, where, broken)
    done = False
    with meter("cuda", **QUICK) as m, m.window("train", 1):
        done = True
    assert done
    assert m.energy_kwh() is None
    assert any("no such thing" in note for note in m.notes)


def test_an_error_of_the_block_passes_through_and_what_was_used_is_known(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    with pytest.raises(ZeroDivisionError), meter("cuda", **QUICK) as m, m.window("train", 1):
        assert time.sleep(0.05) or 1 / 0
    assert not m._hardware._sampler.is_alive()
    assert m.energy_kwh("train") > 0


def test_a_process_killed_in_a_window_is_just_gone(doubles, tmp_path):
    stopped = tmp_path / "stopped"
    code = f"""
import pathlib, runpy, time
doubles = runpy.run_path({doubles.__file__!r})
class Set: setattr = staticmethod(setattr)
card = doubles["Gpu"]("GPU-a")
doubles["install"](Set, [card])
import pynvml
pynvml.nvmlShutdown = pathlib.Path({str(stopped)!r}).touch
from pepr_utils.measurement.metering import meter
with meter("cuda", interval_s=0.01, idle_s=0) as m, m.window("train", 1):
    while card.reads < 5:  # it is being sampled
        time.sleep(0.01)
    print("in", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    assert process.wait(10) == -signal.SIGKILL
    assert not stopped.exists()
    with meter("cpu", **QUICK) as m:  # and what it left behind disturbs nobody
        time.sleep(0.02)
    assert m.it_energy_kwh() > 0


def test_a_clock_that_goes_backwards_changes_nothing(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    hours = iter(range(10**6, 0, -1))
    monkeypatch.setattr(time, "time", lambda: next(hours) * 3600.0)
    with meter("cuda", **QUICK) as m:
        time.sleep(0.05)
    assert 0.05 <= m.duration_s() < 5
    assert m.components()[0].polled_j == pytest.approx(100 * m.duration_s())


def test_no_address_is_asked_for_and_the_intensity_is_declared(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("asked the network"))
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("connected"))
    with meter("cpu", carbon_intensity=20.0, **QUICK) as m:
        pass
    assert m.co2eq_g() == pytest.approx(20 * m.energy_kwh())
    with meter("cpu", **QUICK) as m:
        pass
    assert (m.intensity.g_per_kwh, m.pue) == (445.0, 1.58)
    assert "world, mean of 2024" in m.intensity.source


def test_an_intensity_is_a_number_or_a_country_of_the_table():
    by_two, by_three = (metering.carbon_intensity(code) for code in ("dk", "DNK"))
    assert by_two == by_three
    assert 50 < by_two.g_per_kwh < 300
    assert "Denmark, mean of 20" in by_two.source
    for wrong in ("XX", "nan", -1.0):
        with pytest.raises(metering.IntensityError, match="allowed"):
            metering.carbon_intensity(wrong)


def test_a_component_fits_the_record(monkeypatch, doubles):
    from pepr_utils.results.schema import EnergyComponent

    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    with meter(**QUICK) as m:
        pass
    for part in m.components():
        stored = EnergyComponent(window="train", **asdict(part))
        assert stored.model_dump(exclude={"window"}) == asdict(part)
