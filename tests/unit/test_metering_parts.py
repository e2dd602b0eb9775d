"""The parts of the meter that need no hardware: which GPUs, integrals, counters, sums."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepr_utils.measurement.metering import gpu
from pepr_utils.measurement.metering.energy import Component, total
from pepr_utils.measurement.metering.gpu import Gpu
from pepr_utils.measurement.metering.nvml import GpuInfo, Nvml, visible_gpus
from pepr_utils.measurement.metering.readings import Counter, Mark, Samples, Span, energy_j

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
    assert [found.index for found in visible_gpus(ALIKE, environment).gpus] == indices


def test_whoever_names_a_slice_uses_no_whole_gpu():
    for name, divided in (("MIG-2", True), ("MIG-GPU-ab2/3/0", True), ("GPU-ab2", False)):
        (gpu_info,) = visible_gpus(ALIKE, {"CUDA_VISIBLE_DEVICES": name}).gpus
        assert gpu_info.divided == divided  # whatever the driver says of the GPU


def test_numbers_of_unlike_gpus_need_the_bus_order():
    chosen = visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "0"})
    assert (chosen.gpus, chosen.ambiguous) == ((), True)
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in chosen.notes[0]
    ordered = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert visible_gpus(MIXED, ordered).gpus == (MIXED[0],)
    assert len(visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "1,0"}).gpus) == 2
    assert visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "GPU-new"}).gpus == (MIXED[1],)


def test_a_name_that_is_no_gpu_is_noted():
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
    # where samples are taken rarely, a longer gap is none
    assert energy_j(Samples([0.0, 20.0], [5.0, 5.0]), 0.0, 20.0, interval_s=10.0) == 100.0


def _span(seconds):
    return Span("train", 1, Mark(0.0), Mark(seconds))


@pytest.mark.parametrize(
    ("found", "n", "note"),
    [
        (set(), 0, None),
        ({1}, 0, None),
        ({1, 5}, 1, "1 other process on the GPU: their energy"),
        ({5, 6}, 2, "2 other processes on the GPU: their energy"),
        ({5, 7}, None, "whether others use the GPU is not known"),
    ],
)
def test_processes_of_others_on_a_gpu_are_counted_where_they_can_be_seen(
    monkeypatch, tmp_path, found, n, note
):
    monkeypatch.setattr(gpu, "PROC", tmp_path)
    for pid in (1, 2, 5, 6):  # 7 has a number of the host
        (tmp_path / str(pid)).mkdir()
    device = Gpu(GpuInfo(0, "GPU-a", "X"), Nvml(), print)
    for time_s, listed in ((0.0, set()), (1.0, found), (2.0, None)):
        monkeypatch.setattr(Nvml, "processes", lambda _self, _card, listed=listed: listed)
        device.look(time_s, {1, 2})
    (part,) = device.components([_span(3.0)], 0.2, None)
    assert part.other_processes == n
    assert [text for text in part.notes if "GPU" in text] == ([] if note is None else [
        text for text in part.notes if text.startswith(note)])  # fmt: skip


def test_an_empty_list_of_processes_while_torch_computes_is_not_believed(monkeypatch):
    device = Gpu(GpuInfo(0, "GPU-a", "X"), Nvml(), print)
    monkeypatch.setattr(Nvml, "processes", lambda _self, _card: set())
    monkeypatch.setattr(gpu, "torch_in_use", object)
    device.look(1.0, {1})
    (part,) = device.components([_span(3.0)], 0.2, None)
    assert part.other_processes is None


def test_a_sum_is_null_where_a_part_is():
    part = Component("gpu", "H100", 2.0, "polled", 1.0, n_samples=3, polled_j=2.0, notes=("a",))
    lost = Component("gpu", "H100", None, None, 1.0, n_samples=0, notes=("a", "b"))
    whole = total([part, lost])
    assert (whole.energy_j, whole.method, whole.polled_j) == (None, None, None)
    assert (whole.duration_s, whole.n_samples, whole.notes) == (2.0, 3, ("a", "b"))


@pytest.mark.parametrize(("seconds", "apart"), [(9.0, None), (11.0, pytest.approx(1 / 11))])
def test_counter_and_samples_are_compared_in_long_windows(seconds, apart):
    part = Component("gpu", "H100", 110.0, "counter", seconds, counter_j=110.0, polled_j=100.0)
    assert part.disagreement == apart
    assert any("9.1 % apart" in doubt for doubt in part.doubts) == (apart is not None)


@pytest.mark.parametrize(
    ("values", "range_j", "expected", "why"),
    [
        ([(0, 5.0), (1, 15.0), (2, 40.0)], None, 35.0, None),
        ([(0, 5.0)], None, None, "both ends"),
        ([(0, 5.0), (1, 5.0)], None, None, "stood still"),
        ([(0, 5.0), (1, 4.0), (2, 9.0)], None, None, "went back"),
        ([(0, 262_100.0), (1, 50.0)], 262_143.0, 93.0, None),
        ([(0, 200.0), (0.2, 0.0), (0.4, 1.0)], 262_143.0, None, "step would be 1.31e+06"),
        ([(0, 5.0), (1, 9000.0)], None, None, "reset: its step would be"),
        ([(0, 5.0), (1e-6, 6.0), (1, 50.0)], None, 45.0, None),  # a step of the counter itself
        ([(0, 5.0), (60, 6.0)], 262_143.0, None, "for 60 s, and may wrap around in 52.4 s"),
        ([(0, 5.0), (50, 6.0), (100, 7.0)], 262_143.0, 2.0, None),
        ([(0, 5.0), (2000, 6.0)], None, 1.0, None),
    ],
)
def test_when_a_counter_is_believed(values, range_j, expected, why):
    times, joules = zip(*values, strict=True)
    counter = Counter(lambda: None, range_j, list(times), list(joules))
    found, reason = counter.energy_j(0, len(values) - 1 or None)
    assert found == (None if expected is None else pytest.approx(expected))
    assert (reason is None) == (why is None)
    assert why is None or why in reason
