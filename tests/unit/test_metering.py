"""The meter, with carbontracker's readers of power replaced by ones that say what they are told."""

import time

import pytest
import torch
from carbontracker.components.cpu import generic, intel
from carbontracker.components.gpu import nvidia

from pepr_utils.measurement import metering

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(metering, "INTERVAL_S", 0.01)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def hardware(monkeypatch):
    """Set what each reader sees: watts per device, or None where there is none."""

    def reader(kind, watts, names=()):
        monkeypatch.setattr(kind, "available", lambda self: watts is not None)
        monkeypatch.setattr(kind, "init", lambda self: None)
        monkeypatch.setattr(kind, "shutdown", lambda self: None)
        monkeypatch.setattr(kind, "devices", lambda self: list(names or ["one"] * len(watts)))
        monkeypatch.setattr(kind, "power_usage", lambda self: list(watts))

    def set_up(*, gpu=None, rapl=None, estimate=None):
        reader(nvidia.NvidiaGPU, gpu)
        reader(intel.IntelCPU, rapl)
        reader(generic.GenericCPU, estimate)

    return set_up


def _measure(device, seconds=0.1, **options):
    started = time.perf_counter()
    with metering.meter(device, **options) as meter:
        with meter.window("train", 1):
            time.sleep(seconds)
        with meter.window("eval", 1):
            time.sleep(seconds / 2)
        with meter.window("train", 2):
            time.sleep(seconds)
    return meter, time.perf_counter() - started


def test_an_estimate_says_that_it_is_one(hardware):
    hardware(estimate=[36.0])
    meter, _ = _measure(CPU)
    assert meter.method == "carbontracker: cpu tdp-estimate"
    durations = meter._thread.epoch_times
    assert meter.it_energy_kwh("train") == pytest.approx(36 * (durations[0] + durations[2]) / 3.6e6)
    assert meter.it_energy_kwh("eval") == pytest.approx(36 * durations[1] / 3.6e6)
    assert meter.it_energy_kwh("train", 2) == pytest.approx(36 * durations[2] / 3.6e6)
    assert meter.energy_kwh("train") == pytest.approx(1.58 * meter.it_energy_kwh("train"))
    assert meter.n_samples() >= 3


def test_rapl_domains_are_summed_not_averaged(hardware):
    hardware(rapl=[40.0, 20.0], estimate=[1.0])
    meter, _ = _measure(CPU)
    total = sum(meter._thread.epoch_times[i] for i in (0, 2))
    assert meter.it_energy_kwh("train") == pytest.approx(60 * total / 3.6e6)
    assert meter.method == "carbontracker: cpu rapl"


def test_rapl_that_cannot_be_read_is_not_zero(hardware):
    hardware(rapl=[0.0], estimate=[1.0])
    meter, _ = _measure(CPU)
    assert meter.energy_kwh("train") is None
    assert meter.method == "carbontracker: cpu not measured"


def test_card_and_processor_add_up(hardware):
    hardware(gpu=[300.0], estimate=[60.0])
    meter, _ = _measure(GPU)
    total = sum(meter._thread.epoch_times[i] for i in (0, 2))
    assert meter.it_energy_kwh("train") == pytest.approx(360 * total / 3.6e6)
    assert meter.method == "carbontracker: gpu polled, cpu tdp-estimate"


def test_of_several_cards_only_the_one_that_computes_counts(hardware, monkeypatch):
    hardware(gpu=[300.0, 100.0], estimate=[60.0])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    meter, _ = _measure(torch.device("cuda:1"))
    total = sum(meter._thread.epoch_times[i] for i in (0, 2))
    assert meter.it_energy_kwh("train") == pytest.approx(160 * total / 3.6e6)


@pytest.mark.parametrize("visible", [None, "GPU-1234,GPU-5678"])
def test_a_card_that_cannot_be_told_from_others_is_not_measured(hardware, monkeypatch, visible):
    hardware(gpu=[300.0, 100.0], estimate=[60.0])
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    meter, _ = _measure(GPU)
    assert meter.energy_kwh("train") is None
    assert "gpu not measured: which of 2 devices is not known" in meter.method


def test_a_card_without_a_reader_leaves_no_energy(hardware):
    hardware(estimate=[60.0])
    meter, _ = _measure(GPU)
    assert "gpu not measured" in meter.method
    assert meter.energy_kwh("train") is None


def test_nothing_to_read_is_no_energy(hardware, monkeypatch):
    hardware()
    meter, _ = _measure(CPU)
    assert meter.energy_kwh("train") is None
    assert meter.n_samples() is None
    assert "cpu not measured" in meter.method


def test_a_reader_that_fails_ends_neither_block_nor_process(hardware, monkeypatch):
    hardware(estimate=[60.0])

    def broken(self):
        raise RuntimeError("gone")

    monkeypatch.setattr(generic.GenericCPU, "power_usage", broken)
    meter, _ = _measure(CPU)
    assert meter.energy_kwh("train") is None


def test_an_error_of_the_block_passes_through_and_stops_the_meter(hardware):
    hardware(estimate=[60.0])
    with pytest.raises(ZeroDivisionError), metering.meter(CPU) as meter, meter.window("train", 1):
        1 / 0  # noqa: B018
    assert not meter._thread.is_alive()


def test_no_address_is_asked_for_and_the_intensity_is_declared(hardware, monkeypatch):
    import socket

    hardware(estimate=[60.0])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("asked the network"))
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("connected"))
    meter, _ = _measure(CPU, carbon_intensity_g_per_kwh=20.0)
    assert meter.carbon_intensity_g_per_kwh == 20.0
    assert _measure(CPU)[0].carbon_intensity_g_per_kwh == 445.0
