"""Processors by RAPL: each domain once, wraps followed, and whose work it was; /sys is made up."""

import time

import pytest

from pepr_utils.measurement.metering import cpu, meter

pytestmark = pytest.mark.usefixtures("bare_machine")

RANGE = 262_143_328_850  # of most packages, in microjoules
QUICK = {"interval_s": 0.01, "idle_s": 0.0}


def test_packages_and_memory_are_summed_once(packages, monkeypatch, tmp_path):
    last = RANGE - 900
    folder = packages({
        "intel-rapl": ("intel-rapl", 0, 0), "intel-rapl:0": ("package-0", last, RANGE),
        "intel-rapl:0:0": ("core", 0, RANGE), "intel-rapl:0:1": ("dram", 0, RANGE),
        "intel-rapl:1": ("psys", 0, RANGE), "intel-rapl:2": ("package-1", 0, RANGE),
        "intel-rapl:2:0": ("dram", 0, RANGE), "intel-rapl-mmio:0": ("package-0", 0, RANGE),
    })  # fmt: skip
    with meter("cpu", interval_s=10, idle_s=0) as m, m.window("train", 1):
        for entry, energy in (("0", 40), ("2", 500), ("0:0", 30), ("0:1", 200), ("2:0", 7)):
            (folder / f"intel-rapl:{entry}" / "energy_uj").write_text(str(energy))
        for entry in ("intel-rapl:1", "intel-rapl-mmio:0"):
            (folder / entry / "energy_uj").write_text("900")
    assert [(p.kind, p.device) for p in m.components()] == [
        ("cpu", "package-0"), ("memory", "dram of package-0"),
        ("cpu", "package-1"), ("memory", "dram of package-1")]  # fmt: skip
    # package-0 went round: 900 to its end, 40 after it
    expected = [940e-6, 200e-6, 500e-6, 7e-6]
    assert [p.energy_j for p in m.components()] == pytest.approx(expected)
    assert m.it_energy_kwh() == pytest.approx(sum(expected) / 3.6e6)
    assert m.method() == "powercap: cpu rapl; powercap: memory rapl"
    assert any("whether others used the CPU is not known" in note for note in m.notes)


def test_packages_of_one_name_are_two(packages):
    folder = packages({f"intel-rapl:{i}": ("package-0", 0, RANGE) for i in (0, 1)})
    with meter("cpu", interval_s=10, idle_s=0) as m:
        (folder / "intel-rapl:0" / "energy_uj").write_text("1000000")
        (folder / "intel-rapl:1" / "energy_uj").write_text("5000000")
    found = [(p.device, p.energy_j) for p in m.components() if p.kind == "cpu"]
    assert found == [("package-0 (intel-rapl:0)", 1.0), ("package-0 (intel-rapl:1)", 5.0)]


def show(folder, joules):
    """Set counters of /sys, by their entry."""
    for entry, energy in joules.items():
        (folder / f"intel-rapl:{entry}" / "energy_uj").write_text(str(int(energy * 1e6)))


def test_one_counter_that_two_dies_show_is_counted_once(packages):
    folder = packages({
        "intel-rapl:0": ("package-0-die-0", 10**9, RANGE),
        "intel-rapl:0:0": ("dram", 7 * 10**8, RANGE),
        "intel-rapl:1": ("package-0-die-1", 10**9, RANGE),
        "intel-rapl:1:0": ("dram", 7 * 10**8, RANGE),
        "intel-rapl:2": ("package-1-die-0", 3 * 10**9, RANGE),
    })  # fmt: skip
    with meter("cpu", interval_s=10, idle_s=0) as m:
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
    said = "cpu: package-0-die-1: the same counter as package-0-die-0, counted once"
    assert said in m.notes


def test_a_counter_that_moves_between_two_readings_of_it_is_still_one(packages):
    folder = packages({f"intel-rapl:{i}": (f"package-0-die-{i}", 0, RANGE) for i in (0, 1)})
    with meter("cpu", interval_s=10, idle_s=0) as m:
        for epoch in range(1, 9):
            with m.window("train", epoch):
                late = 0.1 if epoch in (3, 8) else 0.0
                show(folder, {"0": 5 * epoch, "1": 5 * epoch + late})
    (package,) = (p for p in m.components("train") if p.kind == "cpu")
    assert package.energy_j == pytest.approx(40)


def test_counters_that_begin_alike_are_two(packages):
    folder = packages({f"intel-rapl:{i}": (f"package-{i}", 0, RANGE) for i in (0, 1)})
    with meter("cpu", interval_s=10, idle_s=0) as m:
        for epoch, (one, two) in enumerate(((5, 5), (9, 8), (14, 11), (18, 15), (21, 19)), 1):
            with m.window("train", epoch):
                show(folder, {"0": one, "1": two})
    assert [p.energy_j for p in m.components() if p.kind == "cpu"] == [21, 19]


def test_a_counter_that_goes_round_is_followed_between_the_windows_ends(packages):
    size = 10**10  # 10 kJ
    folder = packages({"intel-rapl:0": ("package-0", 0, size)})
    with meter("cpu", interval_s=0.02, idle_s=0) as m:
        for energy in (0.9, 0.6, 0.3, 0.0):
            (folder / "intel-rapl:0" / "energy_uj").write_text(str(int(energy * size)))
            time.sleep(0.05)
    # kilojoules in a moment are too much for any processor
    assert m.components()[0].energy_j is None
    (folder / "intel-rapl:0" / "energy_uj").write_text(str(size - 10**7))
    with meter("cpu", interval_s=0.02, idle_s=0) as m:
        for energy in (40, 80, 120):
            time.sleep(0.1)
            (folder / "intel-rapl:0" / "energy_uj").write_text(str(energy * 10**6))
    assert m.components()[0].energy_j == pytest.approx(130)


def test_a_counter_that_goes_round_by_an_unknown_amount_is_no_energy_of_that_window(packages):
    folder = packages({"intel-rapl:0": ("package-0", 900, "")})
    with meter("cpu", interval_s=10, idle_s=0) as m:
        for epoch, energy in ((1, 5), (2, 9)):
            with m.window("train", epoch):
                (folder / "intel-rapl:0" / "energy_uj").write_text(str(energy))
    assert m.it_energy_kwh() is None
    assert m.it_energy_kwh("train", 2) == pytest.approx(4e-6 / 3.6e6)


def test_rapl_that_may_not_be_read_gives_way_to_the_estimate(packages):
    folder = packages({"intel-rapl:0": ("package-0", 0, RANGE)})
    (folder / "intel-rapl:0" / "energy_uj").unlink()
    with meter("cpu", **QUICK) as m:
        pass
    assert m.method() == "carbontracker: cpu tdp-estimate"
    assert any("sudo chmod a+r" in note for note in m.notes)


def test_on_a_shared_machine_the_processor_is_not_this_runs(
    packages, monkeypatch, doubles, tmp_path
):
    folder = packages({"intel-rapl:0": ("package-0", 0, RANGE)})
    doubles.install(monkeypatch, [doubles.Gpu("GPU-a")])
    stat = tmp_path / "stat"
    monkeypatch.setattr(cpu, "PROC_STAT", stat)
    stat.write_text("cpu 0 0 0 0 0 0 0 0\n")
    with meter("cuda", **QUICK) as m:
        time.sleep(0.15)
        (folder / "intel-rapl:0" / "energy_uj").write_text("9000000")
        stat.write_text("cpu 5000 0 0 0 0 0 0 0\n")  # 50 s of work, none of it ours
    package = m.components()[1]
    assert package.energy_j is None
    assert "RAPL counts the whole package" in package.notes[0]
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(
        m.components()[0].energy_j
    )  # the card alone, and
    assert m.method() == "nvml: gpu counter; cpu not measured"  # the key of the runs says so


def test_an_estimate_stays_on_a_busy_machine_and_says_so(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    monkeypatch.setattr(cpu, "PROC_STAT", stat)
    stat.write_text("cpu 0 0 0 0 0 0 0 0\n")
    with meter("cpu", **QUICK) as m:
        time.sleep(0.05)
        stat.write_text("cpu 5000 0 0 0 0 0 0 0\n")
    assert m.it_energy_kwh() * 3.6e6 == pytest.approx(60 * m.duration_s())
    assert m.method() == "carbontracker: cpu tdp-estimate"
    assert any("estimate: whole CPU charged; others kept" in note for note in m.notes)
