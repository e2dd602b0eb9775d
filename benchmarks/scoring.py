"""How long scoring by group and the Pareto front take, and how much memory, at up to 10^7 rows.

    python benchmarks/scoring.py [--rows N] [--groups G ...] [--front N ...] [--repeats K]

Times are processor time, so that other work on the machine counts for little (nothing here uses
more than one core): the best of a few runs after one to warm up; the per-group loop, which is the
slow one, runs once. Peak memory is what NumPy and pandas allocate during a call (tracemalloc),
result included, over the size of the input.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd

from pepr_utils.scoring import normalize, pareto_front, pepr


def score(p: np.ndarray, cost: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Score what is to be measured: R within each group, then PePR."""
    return pepr(p, normalize(cost, by=by))


def score_in_a_loop(frame: pd.DataFrame) -> pd.Series:
    """Score group by group, as one would write it down without this package."""
    parts = []
    for _, group in frame.groupby("by"):
        cost = group["cost"]
        spread = cost.max() - cost.min()
        resource = (cost - cost.min()) / spread if spread > 0 else 0.0 * cost
        parts.append(group["p"] / (1 + resource))
    return pd.concat(parts).reindex(frame.index)


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Shortest processor time of `repeats` calls after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return min(times)


def peak_bytes(call: Callable[[], object]) -> int:
    """Most memory that is allocated at once during a call."""
    gc.collect()
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def one_pass(rows: int, repeats: int) -> float:
    """Time of one plain pass over memory: two columns read and added, one written."""
    rng = np.random.default_rng(0)
    first, second, out = rng.random(rows), rng.random(rows), np.empty(rows)
    return seconds(lambda: np.add(first, second, out=out), repeats)


def scoring_by_group(rows: int, groups: list[int], repeats: int) -> None:
    rng = np.random.default_rng(1)
    p, cost = rng.random(rows), rng.lognormal(size=rows)
    unit = one_pass(rows, repeats)
    print(f"One pass over memory at {rows:,} rows: {unit * 1e3:.0f} ms\n")
    print("| groups | labels | scoring | in passes | per-group loop | ratio | peak / input |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for n_groups in groups:
        whole = rng.integers(0, n_groups, rows)
        # Labels that are no run of whole numbers have to be looked up.
        labels = {"0, 1, 2, ...": whole, "any integers": whole * 1_000_003 + 17}
        frame = pd.DataFrame({"p": p, "cost": cost, "by": whole})
        begin = time.process_time()
        expected = score_in_a_loop(frame)
        loop = time.process_time() - begin
        del frame
        for name, by in labels.items():
            np.testing.assert_allclose(score(p, cost, by), expected, rtol=1e-12)
            took = seconds(lambda by=by: score(p, cost, by), repeats)
            peak = peak_bytes(lambda by=by: score(p, cost, by))
            share = peak / (p.nbytes + cost.nbytes + by.nbytes)
            print(
                f"| {n_groups:,} | {name} | {took:.3f} s | {took / unit:.0f} | {loop:.2f} s "
                f"| {loop / took:.0f} | {share:.1f} |",
                flush=True,
            )


def front(sizes: list[int], repeats: int) -> None:
    rng = np.random.default_rng(2)
    print("\n| points | on the front | time | time / (n log2 n) | peak / input |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for size in sizes:
        cost = rng.random(size)
        cases = {
            "random": rng.random(size),
            "all on the front": cost**0.5,
            "many ties": rng.integers(0, 100, size) / 100,
        }
        for name, p in cases.items():
            x = np.round(cost, 3) if name == "many ties" else cost
            took = seconds(lambda p=p, x=x: pareto_front(p, x), repeats)
            peak = peak_bytes(lambda p=p, x=x: pareto_front(p, x))
            per_step = took / (size * np.log2(size))
            print(
                f"| {size:,}, {name} | {pareto_front(p, x).sum():,} | {took:.4f} s "
                f"| {per_step * 1e9:.1f} ns | {peak / (p.nbytes + x.nbytes):.1f} |",
                flush=True,
            )


def main(arguments: list[str] | None = None) -> None:
    """Measure and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--groups", type=int, nargs="+", default=[8, 1_000, 100_000])
    parser.add_argument("--front", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(arguments)
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, pandas {pd.__version__}\n"
    )
    scoring_by_group(asked.rows, asked.groups, asked.repeats)
    front(asked.front, asked.repeats)


if __name__ == "__main__":
    main()
