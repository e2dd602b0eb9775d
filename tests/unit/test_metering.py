"""The meter as a whole, with NVML replaced by doubles: what a block consumes, and what is null."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from types import SimpleNamespace

import pynvml
import pytest
import torch

from pepr_utils.measurement import metering
from pepr_utils.measurement.metering import (
    carbontracker,
    energy,
    gpu,
    hardware,
    memory,
    meter,
    nvml,
    readings,
)

QUICK = {"interval_s": 0.01, "idle_s": 0.0}

pytestmark = pytest.mark.usefixtures("bare_machine")


def _windows(m, seconds=0.05):
    for epoch in (1, 2):
        with m.window("train", epoch):
            time.sleep(seconds)
        with m.window("eval", epoch):
            time.sleep(seconds / 2)


def _spent(m, kind=None):
    return sum(w.duration_s for w in m.windows if kind in (None, w.kind))


def _noted(m, text):
    return any(text in note for note in m.notes)


def _gpus(m):
    return [part for part in m.components() if part.kind == "gpu"]


# -- the whole -------------------------------------------------------------------------------------


def test_an_estimate_is_assumed_power_times_time_and_marked_as_such():
    with meter(torch.device("cpu"), pue=1.5, **QUICK) as m:
        _windows(m)
    assert m.method() == "carbontracker: cpu tdp-estimate"
    assert m.it_energy_kwh("train") == pytest.approx(60 * _spent(m, "train") / 3.6e6)
    assert m.it_energy_kwh("eval", 2) == pytest.approx(60 * m.windows[3].duration_s / 3.6e6)
    assert m.energy_kwh() == pytest.approx(1.5 * m.it_energy_kwh())
    assert m.n_samples() is None
    assert _noted(m, "half of a list; not measured")
    assert _noted(m, "no RAPL")
    cpu, ram = m.components()  # memory without a counter is in no total
    assert (ram.kind, ram.energy_j, ram.method, ram.notes) == ("memory", None, None, ())
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(cpu.energy_j)


def test_a_block_without_windows_is_one():
    with meter(**QUICK) as m:
        time.sleep(0.02)
    (window,) = m.windows
    assert (window.kind, window.duration_s >= 0.02) == ("block", True)
    assert m.energy_kwh() > 0
    assert m.memory.nvml_used_bytes is None


def test_windows_within_windows_are_noted():
    with meter("cpu", **QUICK) as m, m.window("train", 1), m.window("eval", 1):
        pass
    assert _noted(m, "the window eval began within another")


def test_an_error_of_the_block_passes_through_and_its_energy_is_known(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    with pytest.raises(ZeroDivisionError), meter("cuda", **QUICK) as m, m.window("train", 1):
        assert time.sleep(0.15) or 1 / 0
    assert not m._hardware._sampler.is_alive()
    assert m.energy_kwh("train") > 0


@pytest.mark.parametrize("where", ["__init__", "mark", "components", "close"])
def test_a_meter_that_breaks_does_not_stop_the_block(monkeypatch, doubles, where):
    plain = getattr(hardware.Hardware, where)

    def broken(*arguments):
        if where in ("components", "close"):
            plain(*arguments)  # no thread of this test runs on in the next
        raise RuntimeError("no such thing")

    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    monkeypatch.setattr(hardware.Hardware, where, lambda *a, **_k: broken(*a))
    done = False
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
        done = True
    assert done
    assert m.duration_s() > 0
    assert (m.energy_kwh() is None) == (where in ("__init__", "components"))  # else by samples
    assert _noted(m, "no such thing")


@pytest.mark.parametrize(
    "error", ["ImportError('numpy broke')", "ModuleNotFoundError('none', name='carbontracker')"]
)
def test_a_carbontracker_that_does_not_import_stops_no_block(tmp_path, error):
    (tmp_path / "carbontracker").mkdir()
    (tmp_path / "carbontracker" / "__init__.py").write_text(f"raise {error}")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from pepr_utils.measurement.metering import meter
with meter("cpu", idle_s=0) as m:
    print("done")
assert m.energy_kwh() is m.co2eq_g() is m.pue is None, m.as_dict()
assert any("no carbon intensity" in note for note in m.notes), m.notes
with meter("cpu", idle_s=0, pue=1.2, carbon_intensity=3) as m:
    pass
assert m.intensity.g_per_kwh == 3 and m.pue == 1.2
assert 'torch' not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_clock_that_goes_backwards_changes_nothing(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    hours = iter(range(10**6, 0, -1))
    monkeypatch.setattr(time, "time", lambda: next(hours) * 3600.0)
    with meter("cuda", **QUICK) as m:
        time.sleep(0.05)
    assert 0.05 <= m.duration_s() < 5
    assert m.components()[0].polled_j == pytest.approx(100 * m.duration_s())


def test_no_network_is_asked_and_the_intensity_is_declared(monkeypatch):
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
        with pytest.raises(metering.IntensityError), meter("cpu", carbon_intensity=wrong):
            pytest.fail("the block began")
    with pytest.raises(ValueError, match="x"), meter("cpu", pue="x"):
        pytest.fail("the block began")


def test_a_component_fits_the_record(monkeypatch, doubles):
    from pepr_utils.results.schema import EnergyComponent

    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    with meter(**QUICK) as m:
        pass
    for part in m.components():
        stored = EnergyComponent(window="train", **asdict(part))
        assert stored.model_dump(exclude={"window"}) == asdict(part)


# -- which GPUs ------------------------------------------------------------------------------------


def test_two_gpus_sum_and_the_samples_are_kept_beside_the_counter(monkeypatch, doubles):
    gpus = [doubles.Gpu("GPU-a", 300.0), doubles.Gpu("GPU-b", 100.0, error=1.02)]
    doubles.install(monkeypatch, gpus)
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
    assert m.covers == ("gpu", "cpu")
    assert m.disagreement is None  # too short to compare


@pytest.mark.parametrize(("device", "watts"), [("cuda", 300), ("cuda:1", 100), (None, 400)])
def test_only_the_gpu_that_computes_counts(monkeypatch, doubles, device, watts):
    gpus = [doubles.Gpu("GPU-other", 999.0), doubles.Gpu("GPU-b"), doubles.Gpu("GPU-a", 300.0)]
    doubles.install(monkeypatch, gpus)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    with meter(device, **QUICK) as m:
        time.sleep(0.12)
    assert m.it_energy_kwh() == pytest.approx((watts + 60) * _spent(m) / 3.6e6, rel=0.1)
    assert gpus[0].reads == 0  # carbontracker alone would have measured every GPU


class _Torch:
    """torch.cuda at its boundary: what the meter asks of it, noted."""

    def __init__(self, current=0, held=()):
        self.waited, self.reset = [], []
        self.cuda = SimpleNamespace(
            is_available=lambda: True, is_initialized=lambda: True, device_count=lambda: 2,
            current_device=lambda: current, memory_reserved=lambda i: 10 * (i in held),
            synchronize=self.waited.append, reset_peak_memory_stats=self.reset.append,
            max_memory_allocated=lambda i: (3, 4)[i], max_memory_reserved=lambda i: (5, 6)[i],
            get_device_properties=lambda i: SimpleNamespace(uuid="ab"[i]),
        )  # fmt: skip


def test_the_gpu_that_torch_uses_is_surer_than_the_environment(monkeypatch, doubles):
    gpus = [doubles.Gpu("GPU-a", name="Old"), doubles.Gpu("GPU-b", name="New")]
    doubles.install(monkeypatch, gpus)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # which of two models is not known
    with meter("cuda", **QUICK) as m:
        pass
    assert m.energy_kwh() is None
    monkeypatch.setitem(sys.modules, "torch", _Torch(current=1))
    with meter("cuda", **QUICK) as m:
        pass
    assert [part.device for part in _gpus(m)] == ["New GPU-b"]


@pytest.mark.parametrize("slices", [("MIG-1", "MIG-2"), ("MIG-2",)])
def test_a_slice_does_not_have_the_energy_of_its_gpu(monkeypatch, doubles, slices):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", mig=slices)])  # all that is visible here
    for named in ("MIG-2", "MIG-GPU-a/1/0", "0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        with meter("cuda", **QUICK) as m:
            pass
        assert m.energy_kwh() is None
        assert m.gpu_kwh("counter") is m.gpu_kwh("polled") is None
        assert _noted(m, "a slice (MIG) of a GPU")


def test_a_lost_gpu_leaves_no_energy_unless_it_is_not_used(monkeypatch, doubles):
    gpus = [doubles.Gpu("GPU-a", 200.0), doubles.Gpu("GPU-b", 200.0)]
    gpus[1].lost = True
    doubles.install(monkeypatch, gpus)
    with meter(**QUICK) as m:
        time.sleep(0.12)
    assert [part.energy_j is None for part in _gpus(m)] == [False, True]
    assert m.it_energy_kwh() is None
    assert "gpu not measured" in m.method()
    assert _noted(m, "GPU 1 cannot be read: NVML: GPU is lost")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    with meter(**QUICK) as m:
        time.sleep(0.12)
    assert m.it_energy_kwh() > 0


@pytest.mark.parametrize(
    ("error", "device_file", "visible", "device", "wanted"),
    [
        ("LIB_RM_VERSION_MISMATCH", False, None, None, True),
        ("LIB_RM_VERSION_MISMATCH", False, "", None, False),
        ("LIBRARY_NOT_FOUND", False, None, None, False),
        ("LIBRARY_NOT_FOUND", False, None, "cuda", True),
        ("LIBRARY_NOT_FOUND", True, None, None, True),
        ("LIBRARY_NOT_FOUND", True, "", None, False),
        ("DRIVER_NOT_LOADED", False, "0", None, False),
    ],
)
def test_a_driver_that_fails_leaves_no_energy_where_there_may_be_a_gpu(
    monkeypatch, doubles, tmp_path, error, device_file, visible, device, wanted
):
    broken = pynvml.NVMLError(getattr(pynvml, f"NVML_ERROR_{error}"))
    doubles.install(monkeypatch, [], broken=broken)
    monkeypatch.setattr(nvml, "DEV", tmp_path)
    if device_file:
        (tmp_path / "nvidia0").touch()
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with meter(device, **QUICK) as m:
        pass
    assert ("gpu not measured" in m.method()) == wanted
    assert (m.it_energy_kwh() is None) == wanted
    assert _noted(m, "NVML: ")


def test_a_gpu_beside_an_unmeasured_cpu_is_covered_alone(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    monkeypatch.setattr(carbontracker, "estimate", lambda *_: None)
    with meter("cuda", **QUICK) as m:
        time.sleep(0.12)
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(m.components()[0].energy_j)
    assert m.covers == ("gpu",)
    assert m.method() == "nvml: gpu counter; cpu not measured"
    assert sum("no CPU estimate" in note for note in m.notes) == 1
    with meter("cpu", **QUICK) as m:  # and without a GPU there is nothing
        pass
    assert m.energy_kwh() is None
    assert m.method() == "cpu not measured"
    assert m.as_dict()["components"][0]["energy_j"] is None


# -- counter and samples ---------------------------------------------------------------------------


def test_a_gpu_without_a_counter_is_polled_and_failed_samples_are_filled(monkeypatch, doubles):
    polled = doubles.Gpu("GPU-a", counter=False)

    def power(_t):
        if polled.reads % 3 == 0:
            raise RuntimeError("busy")
        return 200.0

    polled.power = power
    doubles.install(monkeypatch, [polled])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.25)
    (part,) = _gpus(m)
    assert (part.method, part.counter_j) == ("polled", None)
    assert part.energy_j == pytest.approx(200 * part.duration_s)
    assert part.n_dropped > 2
    assert m.method().startswith("carbontracker: gpu polled; ")
    for note in ("no energy counter", "fewer than 60 power samples", "samples dropped"):
        assert _noted(m, note)


def test_a_sample_that_raises_ends_neither_the_process_nor_the_sampling(monkeypatch, doubles):
    sample, calls = gpu.Gpu.sample, []

    def fail_once(self):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("the sampler broke")
        sample(self)

    monkeypatch.setattr(gpu.Gpu, "sample", fail_once)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0, counter=False)])
    with meter("cuda", **QUICK) as m:
        until = time.monotonic() + 10
        while len(calls) < 4 and time.monotonic() < until:
            time.sleep(0.01)
    (part,) = _gpus(m)
    assert part.energy_j == pytest.approx(200 * part.duration_s)
    assert _noted(m, "the sampler broke")


def test_counters_are_read_where_nothing_can_be_sampled(monkeypatch, doubles):
    def broken(_handle):
        raise ImportError("numpy broke")

    monkeypatch.setattr(carbontracker, "gpu_power", broken)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.12)
    (part,) = _gpus(m)
    assert (part.method, part.polled_j) == ("counter", None)
    assert _noted(m, "GPU power is not sampled: carbontracker did not start")


@pytest.mark.parametrize("counter", [True, False])
def test_a_gpu_lost_in_a_window_leaves_no_energy_of_that_window(monkeypatch, doubles, counter):
    lost = doubles.Gpu("GPU-a", counter=counter)
    doubles.install(monkeypatch, [lost])
    monkeypatch.setattr(readings, "MAX_GAP_S", 0.2)
    with meter("cuda", **QUICK) as m:
        with m.window("train", 1):
            time.sleep(0.1)
        with m.window("train", 2):
            lost.fails = True
            time.sleep(0.3)
    assert m.energy_kwh("train") is None
    assert m.energy_kwh("train", 1) > 0
    assert _noted(m, "no power samples, or too long a gap")
    assert "gpu not measured" in m.method()


def test_a_counter_that_fails_once_gives_way_to_the_samples_in_all_windows(monkeypatch, doubles):
    failing = doubles.Gpu("GPU-a", error=2.0)
    doubles.install(monkeypatch, [failing])
    with meter("cuda", **QUICK) as m:
        _windows(m)
        with m.window("train", 3):
            time.sleep(0.05)
            failing.counter = False
    (part,) = _gpus(m)
    assert part.method == "polled"
    assert part.energy_j == pytest.approx(100 * _spent(m))


@pytest.mark.parametrize(
    ("joules", "note"),
    [(lambda _t: 1000.0, "it stood still"), (lambda t: 1000.0 - 200 * t, "it went back")],
)
def test_a_counter_that_cannot_be_right_gives_way_to_the_samples(
    monkeypatch, doubles, joules, note
):
    wrong = doubles.Gpu("GPU-a", 200.0)
    wrong.energy = joules
    doubles.install(monkeypatch, [wrong])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
    (part,) = _gpus(m)
    assert (part.method, part.energy_j) == ("polled", pytest.approx(200 * part.duration_s))
    assert _noted(m, f"energy counter not used: {note}")


@pytest.mark.parametrize("counter", [False, True])
def test_nothing_but_zeros_is_no_energy(monkeypatch, doubles, counter):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 0.0, counter=counter)])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.12)
    (part,) = _gpus(m)
    assert (part.energy_j, part.method, m.energy_kwh()) == (None, None, None)
    assert _noted(m, "the driver gave 0 W throughout")


def test_a_window_shorter_than_the_counters_step_is_sampled_and_decides_nothing(
    monkeypatch, doubles
):
    for module in (gpu, energy):  # a slow machine makes no window long by this
        monkeypatch.setattr(module, "COUNTER_STEP_S", 0.3)
    stepping = doubles.Gpu("GPU-a", 200.0)
    stepping.energy = lambda t: 200 * (int(t * 10) / 10)
    doubles.install(monkeypatch, [stepping])
    with meter("cuda", **QUICK) as m:
        with m.window("train", 1):
            time.sleep(0.5)
        with m.window("eval", 1):
            time.sleep(0.03)
    train, evaluation = (window.components[0] for window in m.windows)
    assert (train.method, evaluation.method) == ("counter", "polled")
    assert evaluation.energy_j == pytest.approx(200 * evaluation.duration_s)
    assert m.components()[0].method == "counter"
    assert _noted(m, "too coarse for windows up to 0.3 s")
    stepping.power, stepping.counter = (lambda _t: 1 / 0), True
    with meter("cuda", **QUICK) as m:
        time.sleep(0.03)
    assert m.energy_kwh() is None  # no samples either


@pytest.mark.parametrize(("watts", "error", "apart"), [(200.0, 1.2, 1 / 6), (0.0, 1.0, 1.0)])
def test_counter_and_samples_that_differ_in_a_long_window_are_flagged(
    monkeypatch, doubles, watts, error, apart
):
    monkeypatch.setattr(energy, "COMPARED_ABOVE_S", 0.15)
    unlike = doubles.Gpu("GPU-a", watts)
    unlike.energy = lambda t: error * 200 * t
    doubles.install(monkeypatch, [unlike])
    with meter("cuda", **QUICK) as m:
        _windows(m, 0.2)
    assert m.disagreement == pytest.approx(apart, abs=0.1)
    flagged = [w.kind for w in m.windows if "apart" in " ".join(w.components[0].notes)]
    assert flagged == ["train", "train"]  # not the short ones


def test_windows_with_few_samples_are_noted_once_per_kind(monkeypatch, doubles):
    monkeypatch.setattr(energy, "FEW_SAMPLES", 5)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    with meter("cuda", **QUICK) as m:
        for epoch in (1, 2):
            with m.window("train", epoch):
                time.sleep(0.25)
            with m.window("eval", epoch):
                time.sleep(0.02)
    note = "fewer than 5 power samples in a window"
    assert [m.components(kind)[0].notes.count(note) for kind in ("train", "eval")] == [0, 1]
    assert m.notes.count(f"gpu: {note}") == 1
    assert m.n_samples("train") > 5
    assert m.n_samples("none such") is None


def test_idle_power_is_watched_once_and_not_subtracted(monkeypatch, doubles):
    idle = doubles.Gpu("GPU-a", 70.0)
    doubles.install(monkeypatch, [idle])
    for _ in range(2):
        with meter("cuda", interval_s=10, idle_s=0.1) as m:
            time.sleep(0.02)
    (part,) = _gpus(m)
    assert part.idle_w == 70.0
    assert idle.reads < 12
    assert part.energy_j == pytest.approx(70 * part.duration_s, rel=0.1)


def test_other_processes_on_the_gpu_are_seen_in_mid_window_too(monkeypatch, doubles):
    monkeypatch.setattr(hardware, "LOOK_EVERY_S", 0.02)
    shared = doubles.Gpu("GPU-a")
    doubles.install(monkeypatch, [shared])
    shared.pids = [os.getpid()]
    with meter("cuda", **QUICK) as m:
        shared.pids = [1, os.getpid()]
        changed_s = time.monotonic()  # a look that began before the window is not the window's
        until = changed_s + 10
        while time.monotonic() < until and m._hardware.gpus[0].looks[-1][0] <= changed_s:
            time.sleep(0.01)
        shared.pids = [os.getpid()]
    assert _gpus(m)[0].other_processes == 1
    assert _noted(m, "1 other process on the GPU")
    shared.pids = [2**31 - 1]  # a number that cannot be seen from here, as in a container
    with meter(**QUICK) as m:
        time.sleep(0.02)
    assert _gpus(m)[0].other_processes is None
    assert _noted(m, "whether others use the GPU is not known")


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak can be reset on Linux")
def test_a_small_model_after_a_large_one_does_not_need_the_large_ones_memory():
    """Freed blocks below a kept one stay in the process until they are asked for."""
    code = (
        "import ctypes; from pepr_utils.measurement.metering import memory\n"
        "libc = ctypes.CDLL('libc.so.6'); libc.malloc.restype = ctypes.c_void_p\n"
        "blocks = [libc.malloc(100_000) for _ in range(2_000)]\n"
        "for block in blocks: ctypes.memset(ctypes.c_void_p(block), 1, 100_000)\n"
        "for block in blocks[:-1]: libc.free(ctypes.c_void_p(block))\n"
        "before = memory.resident_peak(); reset = memory.reset_peaks()\n"
        "print(reset, before - memory.resident_peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    reset, freed = done.stdout.split()
    if reset == "False":
        pytest.skip("this system does not let a process reset its peak")
    assert int(freed) > 150_000_000


def test_gpus_finish_their_work_before_each_reading_and_forget_their_peaks_first(
    monkeypatch, doubles, tmp_path
):
    fake = _Torch()
    monkeypatch.setitem(sys.modules, "torch", fake)
    monkeypatch.setattr(memory, "_SELF", tmp_path)
    counted = doubles.Gpu("GPU-a")
    doubles.install(monkeypatch, [counted])
    waits = []
    counted.energy = lambda t: waits.append(len(fake.waited)) or 100 * t
    with meter("cuda", **QUICK) as m:
        assert fake.reset == [0]
        assert (tmp_path / "clear_refs").read_text() == "5"  # the kernel's word for VmHWM
        with m.window("train", 1):
            pass
    # One reading at the start and at both ends of the window, each after a wait of its own.
    assert waits == [1, 2, 3]


def test_only_the_gpus_that_torch_uses_are_waited_for_and_their_memory_is_the_blocks(monkeypatch):
    fake = _Torch(current=1, held=(1,))  # to wait for another would take memory on it
    monkeypatch.setitem(sys.modules, "torch", fake)
    memory.synchronize()
    assert fake.waited == [1]
    with meter("cuda", **QUICK) as on_gpu, meter("cpu", **QUICK) as on_cpu:
        pass
    assert (on_gpu.memory.allocated_bytes, on_gpu.memory.reserved_bytes) == (7, 11)
    assert on_cpu.memory.allocated_bytes is on_cpu.memory.reserved_bytes is None


@pytest.mark.parametrize(("interval_s", "most"), [(10, 5e9), (0.01, 8e9)])
def test_memory_in_use_is_the_largest_seen(monkeypatch, doubles, interval_s, most):
    used = doubles.Gpu("GPU-a")
    doubles.install(monkeypatch, [used])
    with meter("cuda", interval_s=interval_s, idle_s=0) as m:
        time.sleep(0.05)  # the first sample is taken
        with m.window("train", 1):
            used.used = 5_000_000_000  # seen at the end of this window
        with m.window("eval", 1):
            used.used = 8_000_000_000  # between two marks: seen by the samples only
            time.sleep(0.05)
            used.used = 1_000_000_000
    assert m.memory.nvml_used_bytes == most
