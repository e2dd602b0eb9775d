"""What is not there, or fails: cards, the driver, carbontracker, the processor beside a card."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pynvml
import pytest

from pepr_utils.measurement.metering import carbontracker, memory, meter, nvml

pytestmark = pytest.mark.usefixtures("bare_machine")

QUICK = {"interval_s": 0.01, "idle_s": 0.0}


def _said(m, words):
    return any(words in note for note in m.notes)


def test_a_card_off_the_bus_is_missing_and_not_forgotten(monkeypatch, doubles):
    cards = [doubles.Gpu("GPU-a", 200.0), doubles.Gpu("GPU-b", 200.0)]
    cards[1].lost = True
    doubles.install(monkeypatch, cards)
    with meter(**QUICK) as m:
        time.sleep(0.15)
    assert [p.energy_j is None for p in m.components() if p.kind == "gpu"] == [False, True]
    assert m.it_energy_kwh() is None
    assert "gpu not measured" in m.method()
    assert _said(m, "GPU 1 cannot be read: NVML: GPU is lost")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")  # it is none of ours
    with meter(**QUICK) as m:
        time.sleep(0.15)
    assert m.it_energy_kwh() > 0


@pytest.mark.parametrize(
    ("error", "node", "visible", "wanted"),
    [
        ("LIB_RM_VERSION_MISMATCH", False, None, True),
        ("LIB_RM_VERSION_MISMATCH", False, "", False),
        ("LIBRARY_NOT_FOUND", False, None, False),
        ("LIBRARY_NOT_FOUND", True, None, True),
        ("LIBRARY_NOT_FOUND", True, "", False),
        ("DRIVER_NOT_LOADED", False, "0", False),
    ],
)
def test_a_driver_that_fails_leaves_no_energy_where_there_may_be_a_card(
    monkeypatch, doubles, tmp_path, error, node, visible, wanted
):
    broken = pynvml.NVMLError(getattr(pynvml, f"NVML_ERROR_{error}"))
    doubles.install(monkeypatch, [], broken=broken)
    monkeypatch.setattr(nvml, "DEV", tmp_path)
    if node:
        (tmp_path / "nvidia0").touch()
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with meter(**QUICK) as m:
        pass
    assert ("gpu not measured" in m.method()) == wanted
    assert (m.it_energy_kwh() is None) == wanted
    assert _said(m, "NVML: ")


@pytest.mark.parametrize("where", ["components", "close"])
def test_a_meter_that_breaks_at_its_end_leaves_the_block_alone(monkeypatch, doubles, where):
    from pepr_utils.measurement.metering.hardware import Hardware

    whole = getattr(Hardware, where)

    def broken(*arguments):
        whole(*arguments)  # no thread of this test goes on in the next
        raise RuntimeError("reading broke")

    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    monkeypatch.setattr(Hardware, where, broken)
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
    assert (m.energy_kwh() is None) == (where == "components")
    assert _said(m, "reading broke")
    with pytest.raises(ZeroDivisionError), meter("cuda", **QUICK) as m:
        assert 1 / 0
    assert m.duration_s() > 0


@pytest.mark.parametrize(
    "error", ["ImportError('numpy broke')", "ModuleNotFoundError('none', name='carbontracker')"]
)
def test_a_carbontracker_that_does_not_import_stops_no_block(error):
    code = f"""
import sys
class Finder:
    def find_spec(self, name, *_rest):
        if name.split(".")[0] == "carbontracker":
            raise {error}
sys.meta_path.insert(0, Finder())
from pepr_utils.measurement.metering import meter
with meter("cpu", idle_s=0) as m:
    print("done")
assert m.energy_kwh() is m.co2eq_g() is m.pue is None, m.as_dict()
assert any("no carbon intensity" in note for note in m.notes), m.notes
assert any("no PUE" in note for note in m.notes), m.notes
with meter("cpu", idle_s=0, pue=1.2, carbon_intensity=3) as m:
    pass
assert m.intensity.g_per_kwh == 3 and m.pue == 1.2
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_counters_are_read_where_nothing_can_be_sampled(monkeypatch, doubles):
    def broken(_handle):
        raise ImportError("numpy broke")

    monkeypatch.setattr(carbontracker, "gpu_power", broken)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
    part = m.components()[0]
    assert (part.method, part.polled_j) == ("counter", None)
    assert _said(m, "GPU power is not sampled: carbontracker did not start")


def test_an_argument_that_cannot_be_is_said_before_the_block():
    from pepr_utils.measurement.metering import IntensityError

    for wrong, error in (({"carbon_intensity": "XX"}, IntensityError), ({"pue": "x"}, ValueError)):
        with pytest.raises(error), meter("cpu", **wrong, **QUICK):
            pytest.fail("the block began")


def test_a_sample_that_fails_ends_neither_the_process_nor_the_sampling(monkeypatch, doubles):
    from pepr_utils.measurement.metering.gpu import Gpu

    sample, calls = Gpu.sample, []

    def fail_once(self):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("the sampler broke")
        sample(self)

    monkeypatch.setattr(Gpu, "sample", fail_once)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0, counter=False)])
    with meter("cuda", **QUICK) as m:
        until = time.monotonic() + 10
        while len(calls) < 4 and time.monotonic() < until:
            time.sleep(0.01)
    part = m.components()[0]
    assert part.energy_j == pytest.approx(200 * part.duration_s)
    assert _said(m, "the sampler broke")


def test_a_card_without_its_processor_says_what_it_covers(monkeypatch, doubles):
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a", 200.0)])
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
    assert m.covers == ("gpu", "cpu")
    monkeypatch.setattr(carbontracker, "estimate", lambda: None)
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(m.components()[0].energy_j)
    assert m.covers == ("gpu",)
    assert sum("no CPU estimate" in note for note in m.notes) == 1
    assert "no CPU estimate" in "".join(m.components()[1].notes)
    assert m.method() == "nvml: gpu counter; cpu not measured"


def test_memory_without_a_counter_is_null_and_in_no_total():
    with meter("cpu", **QUICK) as m:
        time.sleep(0.02)
    cpu, ram = m.components()
    assert (ram.kind, ram.energy_j, ram.method, ram.notes) == ("memory", None, None, ())
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(cpu.energy_j)
    assert "memory" not in m.method()
    assert not _said(m, "memory:")


def test_windows_within_windows_are_said():
    with meter("cpu", **QUICK) as m, m.window("train", 1), m.window("eval", 1):
        pass
    assert _said(m, "the window eval began within another")


class _Torch:
    """torch.cuda at its boundary: what the meter asks of it, noted."""

    def __init__(self, current=0):
        self.waited, self.reset = [], []
        self.cuda = SimpleNamespace(
            is_available=lambda: True, is_initialized=lambda: True, device_count=lambda: 2,
            current_device=lambda: current, memory_reserved=lambda i: 0,
            synchronize=self.waited.append, reset_peak_memory_stats=self.reset.append,
            max_memory_allocated=lambda i: 1, max_memory_reserved=lambda i: 1,
            get_device_properties=lambda i: SimpleNamespace(uuid="ab"[i]),
        )  # fmt: skip


def test_cuda_is_the_card_that_torch_has_set(monkeypatch, doubles):
    monkeypatch.setitem(sys.modules, "torch", _Torch(current=1))
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a"), doubles.Gpu("GPU-b")])
    with meter("cuda", **QUICK) as m:
        pass
    assert [p.device for p in m.components() if p.kind == "gpu"] == ["Card GPU-b"]


def test_cards_finish_their_work_and_forget_their_peaks_first(monkeypatch, doubles, tmp_path):
    torch = _Torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(memory, "_SELF", tmp_path)
    card = doubles.Gpu("GPU-a")
    doubles.install(monkeypatch, [card])
    waits = []
    card.energy = lambda t: waits.append(len(torch.waited)) or 100 * t
    with meter("cuda", **QUICK) as m:
        assert torch.reset == [0]
        assert (tmp_path / "clear_refs").read_text() == "5"  # the kernel's word for VmHWM
        with m.window("train", 1):
            pass
    # One reading at the start and at both ends of the window, each after a wait of its own.
    assert waits == [1, 2, 3]


@pytest.mark.parametrize(("interval_s", "most"), [(10, 5e9), (0.01, 8e9)])
def test_memory_in_use_is_the_largest_seen(monkeypatch, doubles, interval_s, most):
    card = doubles.Gpu("GPU-a")
    doubles.install(monkeypatch, [card])
    with meter("cuda", interval_s=interval_s, idle_s=0) as m:
        time.sleep(0.1)  # the first sample is taken
        with m.window("train", 1):
            card.used = 5_000_000_000  # seen at the end of this window
        with m.window("eval", 1):
            card.used = 8_000_000_000  # between two marks: seen by the samples only
            time.sleep(0.1)
            card.used = 1_000_000_000
    assert m.memory.nvml_used_bytes == most
