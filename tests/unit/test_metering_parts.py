"""The parts of the meter that need no hardware: which cards, integrals, sharing, sums."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.measurement.metering import gpu
from pepr_utils.measurement.metering.cpu import load, others, own_processes
from pepr_utils.measurement.metering.energy import Component, total
from pepr_utils.measurement.metering.gpu import Gpu
from pepr_utils.measurement.metering.nvml import GpuInfo, Nvml, visible_gpus
from pepr_utils.measurement.metering.readings import Load, Mark, Samples, Span, energy_j

ALIKE = [
    GpuInfo(0, "GPU-aa1", "X"),
    GpuInfo(1, "GPU-ab2", "X", ("MIG-1", "MIG-2")),
    GpuInfo(2, "GPU-c", "X"),
]
MIXED = [GpuInfo(0, "GPU-old", "Old"), GpuInfo(1, "GPU-new", "New")]


@pytest.mark.parametrize(
    ("listed", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2", [2]),
        ("2, 0", [2, 0]),
        ("0,7,2", [0]),  # CUDA stops at the first that is none
        ("0,-1,2", [0]),
        ("1,1", []),
        ("GPU-aa1", [0]),
        ("GPU-aa", [0]),
        ("GPU-a", []),  # the beginning of two
        ("GPU-c,GPU-aa1", [2, 0]),
        ("MIG-2", [1]),
        ("MIG-1,MIG-2", [1]),
        ("MIG-GPU-ab2/3/0", [1]),
        ("MIG-9", []),
        ("nonsense", []),
        ("²", []),  # a digit, and no number
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(listed, indices):
    environment = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    assert [card.index for card in visible_gpus(ALIKE, environment).gpus] == indices


def test_who_names_a_slice_uses_no_whole_card():
    for named, divided in (("MIG-2", True), ("MIG-GPU-ab2/3/0", True), ("GPU-ab2", False)):
        (card,) = visible_gpus(ALIKE, {"CUDA_VISIBLE_DEVICES": named}).gpus
        assert card.divided == divided  # whatever the driver says of the card


def test_numbers_of_unlike_cards_need_the_bus_order():
    chosen = visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "0"})
    assert (chosen.gpus, chosen.ambiguous) == ((), True)
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in chosen.notes[0]
    ordered = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert visible_gpus(MIXED, ordered).gpus == (MIXED[0],)
    assert len(visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "1,0"}).gpus) == 2
    assert visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "GPU-new"}).gpus == (MIXED[1],)


def test_a_name_that_is_no_card_is_said():
    assert "'9', which is no GPU" in visible_gpus(ALIKE, {"CUDA_VISIBLE_DEVICES": "9"}).notes[0]


def test_a_replayed_trace_has_its_integral_within_a_per_cent():
    # A minute at 5 Hz: 200 W plus a wave of 100 W and 7 s, whose integral is known.
    turn = 2 * math.pi / 7
    times = [0.2 * i for i in range(301)]
    samples = Samples(times, [200 + 100 * math.sin(turn * t) for t in times])
    for start, end in ((0.0, 60.0), (10.03, 31.77)):
        known = 200 * (end - start) + 100 * (math.cos(turn * start) - math.cos(turn * end)) / turn
        assert energy_j(samples, start, end) == pytest.approx(known, rel=0.01)
        # one sample in five is dropped: the mean of the others would do, their places may not
        kept = [i for i in range(301) if i % 5]
        fewer = Samples([times[i] for i in kept], [samples.watts[i] for i in kept])
        assert energy_j(fewer, start, end) == pytest.approx(known, rel=0.01)


def test_windows_add_up_and_the_short_ones_use_their_neighbours():
    samples = Samples([0.0, 1.0, 2.0, 3.0], [50.0, 150.0, 100.0, 0.0])
    parts = [energy_j(samples, a, b) for a, b in ((0.0, 1.2), (1.2, 1.4), (1.4, 3.0))]
    assert sum(parts) == pytest.approx(energy_j(samples, 0.0, 3.0)) == pytest.approx(275)
    assert parts[1] == pytest.approx(0.2 * 135)


@given(st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0.01, 50))
def test_constant_power_is_power_times_time(watts, start, length):
    samples = Samples([start + i * length / 20 for i in range(21)], [watts] * 21)
    assert energy_j(samples, start, start + length) == pytest.approx(watts * length)


@pytest.mark.parametrize(
    ("times", "window"),
    [([], (0, 1)), ([0.0], (0, 6)), ([0.0, 6.0], (0, 6)), ([3.0], (0, 9)), ([0.0, 20.0], (5, 11))],
)
def test_a_long_gap_leaves_no_energy(times, window):
    assert energy_j(Samples(times, [100.0] * len(times)), *window) is None


def test_a_gap_outside_the_window_does_not_matter():
    samples = Samples([0.0, 100.0, 101.0], [0.0, 100.0, 100.0])
    assert energy_j(samples, 100.0, 101.0) == 100.0


def _span(seconds, machine_s, own_s, begin_s=0.0):
    before, after = Load(100.0, 0.0), Load(100.0 + machine_s, own_s)
    return Span("train", 1, Mark(begin_s, {}, before), Mark(begin_s + seconds, {}, after))


@pytest.mark.parametrize(
    ("machine", "own", "cores", "shared"),
    [
        (10, 10, 0.0, False),
        (14, 10, 0.4, False),  # not half a core
        (16, 10, 0.6, True),
        (106, 100, 0.6, False),  # not a tenth of all CPU time
        (9.99, 10, 0.0, False),  # ticks that round down are no negative load
    ],
)
def test_the_rule_of_a_shared_machine(machine, own, cores, shared):
    assert others([_span(10.0, machine, own)]) == (pytest.approx(cores), shared)


def test_windows_are_judged_together_and_not_without_a_reading():
    half = [_span(10.0, 16.0, 10.0), _span(10.0, 10.0, 10.0, begin_s=20.0)]
    assert others(half) == (pytest.approx(0.3), False)
    assert others([*half, Span("train", 3, Mark(50.0), Mark(60.0))]) is None


@pytest.mark.parametrize(
    ("found", "n", "note"),
    [
        (set(), 0, None),
        ({1}, 0, None),
        ({1, 5}, 1, "1 other process on the GPU: their energy"),
        ({5, 6}, 2, "2 other processes on the GPU: their energy"),
        ({5, 7}, None, "whether others use the GPU cannot be told"),
    ],
)
def test_processes_on_a_gpu_are_told_apart_where_they_can_be_seen(
    monkeypatch, tmp_path, found, n, note
):
    monkeypatch.setattr(gpu, "PROC", tmp_path)
    for pid in (1, 2, 5, 6):  # 7 has a number of the host
        (tmp_path / str(pid)).mkdir()
    device = Gpu(GpuInfo(0, "GPU-a", "X"), Nvml(), print)
    for time_s, listed in ((0.0, set()), (1.0, found), (2.0, None)):
        monkeypatch.setattr(Nvml, "processes", lambda _self, _card, listed=listed: listed)
        device.look(time_s, {1, 2})
    (part,) = device.components([_span(3.0, 0.0, 0.0)], 0.2, None)
    assert part.other_processes == n
    assert [text for text in part.notes if "GPU" in text] == ([] if note is None else [
        text for text in part.notes if text.startswith(note)])  # fmt: skip


def test_an_empty_list_of_processes_while_torch_computes_is_not_believed(monkeypatch):
    device = Gpu(GpuInfo(0, "GPU-a", "X"), Nvml(), print)
    monkeypatch.setattr(Nvml, "processes", lambda _self, _card: set())
    monkeypatch.setattr(gpu, "torch_in_use", object)
    device.look(1.0, {1})
    (part,) = device.components([_span(3.0, 0.0, 0.0)], 0.2, None)
    assert part.other_processes is None


def test_a_sum_is_null_where_a_part_is():
    part = Component("gpu", "card", 2.0, "polled", 1.0, n_samples=3, polled_j=2.0, notes=("a",))
    lost = Component("gpu", "card", None, None, 1.0, n_samples=0, notes=("a", "b"))
    whole = total([part, lost])
    assert (whole.energy_j, whole.method, whole.polled_j) == (None, None, None)
    assert (whole.duration_s, whole.n_samples, whole.notes) == (2.0, 3, ("a", "b"))


@pytest.mark.parametrize(("seconds", "apart"), [(9.0, None), (11.0, pytest.approx(1 / 11))])
def test_counter_and_samples_are_compared_in_long_windows(seconds, apart):
    part = Component("gpu", "card", 110.0, "counter", seconds, counter_j=110.0, polled_j=100.0)
    assert part.disagreement == apart
    assert any("9.1% apart" in doubt for doubt in part.doubts) == (apart is not None)


def test_the_meter_brings_no_torch():
    code = (
        "import sys\nfrom pepr_utils.measurement.metering import meter\n"
        "with meter('cpu') as m: pass\n"
        "assert 'torch' not in sys.modules and m.windows"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_the_work_of_children_is_ones_own():
    work = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"
    before = load(own_processes())
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        child.stdout.readline()
        assert child.pid in own_processes()
        alive = load(own_processes())
        child.communicate("\n")
    after = load(own_processes())
    assert child.pid not in own_processes()
    for found in (alive, after):  # it counts while it lives, and when it has been waited for
        assert found.own_s - before.own_s > 0.45
