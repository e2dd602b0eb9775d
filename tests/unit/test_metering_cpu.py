"""CPUs by RAPL: each counter once, wraps followed, resets refused, others' work not charged."""

import subprocess
import sys
import time

import pytest

from pepr_utils.measurement.metering import meter, readings
from pepr_utils.measurement.metering.cpu import load, others, own_processes
from pepr_utils.measurement.metering.readings import Load, Mark, Span

RANGE = 262_143_328_850  # of most packages, in microjoules
QUICK = {"interval_s": 0.01, "idle_s": 0.0}
AT_MARKS = {"interval_s": 10, "idle_s": 0}  # nothing is read between the windows' ends
ONE = {"intel-rapl:0": ("package-0", 0, RANGE)}


@pytest.fixture(autouse=True)
def _bare(bare_machine):
    pass


def _noted(m, text):
    return any(text in note for note in m.notes)


def show(folder, joules):
    """Set counters of /sys, by their entry."""
    for entry, energy in joules.items():
        (folder / f"intel-rapl:{entry}" / "energy_uj").write_text(str(int(energy * 1e6)))


def test_packages_and_memory_are_summed_once(packages):
    last = RANGE - 900
    folder = packages({
        "intel-rapl": ("intel-rapl", 0, 0), "intel-rapl:0": ("package-0", last, RANGE),
        "intel-rapl:0:0": ("core", 0, RANGE), "intel-rapl:0:1": ("dram", 0, RANGE),
        "intel-rapl:1": ("psys", 0, RANGE), "intel-rapl:2": ("package-1", 0, RANGE),
        "intel-rapl:2:0": ("dram", 0, RANGE), "intel-rapl-mmio:0": ("package-0", 0, RANGE),
    })  # fmt: skip
    with meter("cpu", **AT_MARKS) as m, m.window("train", 1):
        for entry, energy in (("0", 40), ("2", 500), ("0:0", 30), ("0:1", 200), ("2:0", 7)):
            (folder / f"intel-rapl:{entry}" / "energy_uj").write_text(str(energy))
        for entry in ("intel-rapl:1", "intel-rapl-mmio:0"):
            (folder / entry / "energy_uj").write_text("900")
    assert [(p.kind, p.device) for p in m.components()] == [
        ("cpu", "package-0"), ("memory", "dram of package-0"),
        ("cpu", "package-1"), ("memory", "dram of package-1")]  # fmt: skip
    # package-0 wrapped around: 900 to its end, 40 after it
    expected = [940e-6, 200e-6, 500e-6, 7e-6]
    assert [p.energy_j for p in m.components()] == pytest.approx(expected)
    assert m.it_energy_kwh() == pytest.approx(sum(expected) / 3.6e6)
    assert m.method() == "powercap: cpu rapl; powercap: memory rapl"
    assert _noted(m, "whether others used the CPU is not known")


def test_packages_of_one_name_are_two(packages):
    folder = packages({f"intel-rapl:{i}": ("package-0", 0, RANGE) for i in (0, 1)})
    with meter("cpu", **AT_MARKS) as m:
        show(folder, {"0": 1, "1": 5})
    assert [p.energy_j for p in m.components() if p.kind == "cpu"] == [1.0, 5.0]


def test_one_counter_that_two_dies_show_is_counted_once(packages):
    folder = packages({
        "intel-rapl:0": ("package-0-die-0", 10**9, RANGE),
        "intel-rapl:0:0": ("dram", 7 * 10**8, RANGE),
        "intel-rapl:1": ("package-0-die-1", 10**9, RANGE),
        "intel-rapl:1:0": ("dram", 7 * 10**8, RANGE),
        "intel-rapl:2": ("package-1-die-0", 3 * 10**9, RANGE),
    })  # fmt: skip
    with meter("cpu", **AT_MARKS) as m:
        for epoch in (1, 2):
            with m.window("train", epoch):
                own = 136 * epoch
                show(folder, {"0": 1000 + own, "1": 1000 + own, "0:0": 700 + 9 * epoch,
                              "1:0": 700 + 9 * epoch, "2": 3000 + own})  # fmt: skip
    parts = [(p.kind, p.device, p.energy_j) for p in m.components("train")]
    # package-1-die-0 moves as much as the others, and is another counter
    assert parts == [("cpu", "package-0-die-0", 272), ("memory", "dram of package-0-die-0", 18),
                     ("cpu", "package-1-die-0", 272)]  # fmt: skip
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(272 + 18 + 272)
    assert "cpu: package-0-die-1: the same counter as package-0-die-0, counted once" in m.notes


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # one counter, which sometimes moves between the two readings of it
        (range(5, 45, 5), [5, 10, 15.1, 20, 25, 30, 35, 40.1], [40]),
        # two counters that begin alike
        ([5, 9, 14, 18, 21], [5, 8, 11, 15, 19], [21, 19]),
    ],
)
def test_one_counter_differs_from_two_by_its_values(packages, first, second, expected):
    folder = packages({f"intel-rapl:{i}": (f"package-{i}", 0, RANGE) for i in (0, 1)})
    with meter("cpu", **AT_MARKS) as m:
        for epoch, (one, two) in enumerate(zip(first, second, strict=True), 1):
            with m.window("train", epoch):
                show(folder, {"0": one, "1": two})
    assert [p.energy_j for p in m.components() if p.kind == "cpu"] == pytest.approx(expected)


def test_a_wrap_between_the_windows_ends_is_followed(packages):
    folder = packages({"intel-rapl:0": ("package-0", 10**10 - 10**7, 10**10)})  # 10 kJ
    with meter("cpu", interval_s=0.02, idle_s=0) as m:
        for energy in (40, 80, 120):
            time.sleep(0.1)
            show(folder, {"0": energy})
    assert m.components()[0].energy_j == pytest.approx(130)


@pytest.mark.parametrize("size", [RANGE, ""])
def test_a_reset_is_no_wrap_and_spoils_only_its_own_window(packages, size):
    folder = packages({"intel-rapl:0": ("package-0", 200_000_000, size)})
    with meter("cpu", **QUICK) as m:
        for epoch, energy in ((1, 0), (2, 1)):
            with m.window("train", epoch):
                show(folder, {"0": energy})
                time.sleep(0.03)
    assert m.it_energy_kwh("train", 1) is m.it_energy_kwh("train") is None
    assert m.it_energy_kwh("train", 2) == pytest.approx(1.0 / 3.6e6)
    assert _noted(m, "it was reset")


def test_counters_that_stand_still_are_no_energy(packages):
    folder = packages(ONE | {"intel-rapl:0:0": ("dram", 7, RANGE)})
    with meter("cpu", **QUICK) as m:
        time.sleep(0.02)
    assert [p.energy_j for p in m.components()] == [None, None]
    assert m.it_energy_kwh() is None
    assert m.method() == "cpu not measured; memory not measured"
    assert _noted(m, "not measured by RAPL: it stood still")
    with meter("cpu", **QUICK) as m:
        show(folder, {"0": 5})
    assert [p.energy_j for p in m.components()] == [5.0, None]
    assert m.it_energy_kwh() == pytest.approx(5.0 / 3.6e6)
    assert m.covers == ("cpu",)
    assert m.method() == "powercap: cpu rapl; memory not measured"


def test_failed_readings_are_counted_and_a_long_gap_is_no_energy(packages, monkeypatch):
    folder = packages(ONE)

    def run():
        with meter("cpu", **QUICK) as m:
            (folder / "intel-rapl:0" / "energy_uj").unlink()
            time.sleep(0.15)
            show(folder, {"0": 5})
            time.sleep(0.03)
        show(folder, {"0": 0})
        return m

    whole = run()
    (part, _) = whole.components()
    assert part.energy_j == 5.0
    assert part.n_dropped > 2
    assert _noted(whole, "readings of RAPL failed")
    monkeypatch.setattr(readings, "MOST_W", RANGE / 1e6 / 0.1)  # wraps around in 0.1 s
    spoilt = run()
    assert spoilt.it_energy_kwh() is None
    assert _noted(spoilt, "and may wrap around in 0.1 s")


def test_rapl_that_may_not_be_read_gives_way_to_the_estimate(packages):
    (packages(ONE) / "intel-rapl:0" / "energy_uj").unlink()
    with meter("cpu", **QUICK) as m:
        pass
    assert m.method() == "carbontracker: cpu tdp-estimate"
    assert _noted(m, "sudo chmod a+r")


# -- other work on the CPU -------------------------------------------------------------------------


def test_on_a_shared_machine_the_cpu_has_no_energy_and_the_method_says_so(
    packages, monkeypatch, doubles
):
    folder = packages(ONE)
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    doubles.use_cpu(monkeypatch, 0)
    with meter("cuda", **QUICK) as m:
        time.sleep(0.12)
        show(folder, {"0": 9})
        doubles.use_cpu(monkeypatch, 50)  # seconds of work, none of it this process's
    gpu, package, _ = m.components()
    assert package.energy_j is None
    assert "RAPL counts the whole package" in package.notes[0]
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(gpu.energy_j)
    assert m.method() == "nvml: gpu counter; cpu not measured"


def test_an_estimate_stays_on_a_shared_machine_with_a_note(monkeypatch, doubles):
    doubles.use_cpu(monkeypatch, 0)
    with meter("cpu", **QUICK) as m:
        time.sleep(0.05)
        doubles.use_cpu(monkeypatch, 50)
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(60 * m.duration_s())
    assert m.method() == "carbontracker: cpu tdp-estimate"
    assert _noted(m, "estimate: whole CPU charged; others kept")


def test_one_short_window_does_not_spoil_the_run(packages, monkeypatch, doubles):
    folder = packages(ONE)
    doubles.use_cpu(monkeypatch, 0)
    with meter("cpu", **QUICK) as m:
        with m.window("train", 1):
            time.sleep(1.1)  # long enough to be judged alone
            show(folder, {"0": 1})
        with m.window("eval", 1):
            time.sleep(0.03)
            show(folder, {"0": 2})
            doubles.use_cpu(monkeypatch, 0.06)  # two cores of others, in this window alone
    assert m.it_energy_kwh("eval", 1) == pytest.approx(1.0 / 3.6e6)
    assert m.method() == "powercap: cpu rapl"


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
def test_when_a_machine_counts_as_shared(machine, own, cores, shared):
    assert others([_span(10.0, machine, own)]) == (pytest.approx(cores), shared)


def test_windows_are_judged_together_and_not_without_a_reading():
    half = [_span(10.0, 16.0, 10.0), _span(10.0, 10.0, 10.0, begin_s=20.0)]
    assert others(half) == (pytest.approx(0.3), False)
    assert others([*half, Span("train", 3, Mark(50.0), Mark(60.0))]) is None


def test_the_work_of_children_is_ones_own(monkeypatch, doubles):
    doubles.use_cpu(monkeypatch, 0)
    work = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
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
        assert found.own_s - before.own_s > 0.25
