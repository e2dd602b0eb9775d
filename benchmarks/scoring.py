"""How long scoring by group and the Pareto front take, and how much memory, at up to 10^7 rows.

    python benchmarks/scoring.py [--rows N] [--groups G ...] [--front N ...] [--repeats K]
        [--json FILE]

Times are processor time, so that other work on the machine counts for little (nothing here uses
more than one core): the best of a few runs after one to warm up; the per-group loop, which is the
slow one, runs once. Peak memory is what NumPy and pandas allocate during a call (tracemalloc),
result included, over the size of the input.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from common import machine, options, report

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


def bare(p: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Score one group in NumPy alone, without a check: as fast as it can be."""
    low, high = cost.min(), cost.max()
    return p / (1 + (cost - low) / (high - low))


def transform(frame: pd.DataFrame) -> pd.Series:
    """Score by group as someone who knows pandas would: vectorised."""
    cost = frame["cost"].groupby(frame["by"])
    low, high = cost.transform("min"), cost.transform("max")
    return frame["p"] / (1 + (frame["cost"] - low) / (high - low))


def ungrouped(rows: int, repeats: int) -> list[dict[str, Any]]:
    """One group, against NumPy without checks, in double and in single precision."""
    rng = np.random.default_rng(1)
    found = []
    for kind in ("float64", "float32"):
        p, cost = rng.random(rows).astype(kind), rng.lognormal(size=rows).astype(kind)
        took = seconds(lambda p=p, cost=cost: pepr(p, normalize(cost)), repeats)
        least = seconds(lambda p=p, cost=cost: bare(p, cost), repeats)
        found.append({"rows": rows, "type": kind, "s": took, "numpy_s": least,
                      "over_numpy": took / least})  # fmt: skip
    return found


def scoring_by_group(rows: int, groups: list[int], repeats: int) -> list[dict[str, Any]]:
    """Scores within groups, against a loop over them and against vectorised pandas."""
    rng = np.random.default_rng(1)
    p, cost = rng.random(rows), rng.lognormal(size=rows)
    found = []
    for n_groups in groups:
        whole = rng.integers(0, n_groups, rows)
        # Labels that are no run of whole numbers have to be looked up.
        labels = {"0, 1, 2, ...": whole, "any integers": whole * 1_000_003 + 17}
        frame = pd.DataFrame({"p": p, "cost": cost, "by": whole})
        begin = time.process_time()
        expected = score_in_a_loop(frame)
        loop = time.process_time() - begin
        for name, by in labels.items():
            frame["by"] = by
            np.testing.assert_allclose(score(p, cost, by), expected, rtol=1e-12)
            took = seconds(lambda by=by: score(p, cost, by), repeats)
            pandas_s = seconds(lambda frame=frame: transform(frame), repeats)
            peak = peak_bytes(lambda by=by: score(p, cost, by))
            found.append(
                {
                    "rows": rows,
                    "groups": n_groups,
                    "labels": name,
                    "s": took,
                    "loop_s": loop,
                    "pandas_s": pandas_s,
                    "loop_over_ours": loop / took,
                    "pandas_over_ours": pandas_s / took,
                    "peak_over_input": peak / (p.nbytes + cost.nbytes + by.nbytes),
                }
            )
    return found


def front(sizes: list[int], repeats: int) -> list[dict[str, Any]]:
    """Pareto fronts of few points, of all points, and with many ties."""
    rng = np.random.default_rng(2)
    found = []
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
            found.append(
                {
                    "points": size,
                    "case": name,
                    "on_front": int(pareto_front(p, x).sum()),
                    "s": took,
                    "peak_over_input": peak / (p.nbytes + x.nbytes),
                }
            )
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print three tables in Markdown, and write them as JSON where asked."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--groups", type=int, nargs="+", default=[8, 1_000, 100_000])
    parser.add_argument("--front", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(arguments)
    about = machine("numpy", "pandas") | {"n": asked.repeats, "time": "processor time, the best"}
    seconds_of = {"ours": "{s:.3f} s"}
    columns = {"rows": "{rows:,}", "type": "{type}", **seconds_of, "NumPy": "{numpy_s:.3f} s",
               "ours / NumPy": "{over_numpy:.2f}"}  # fmt: skip
    report("scoring", ungrouped(asked.rows, asked.repeats), columns, about, asked)
    columns = {
        "groups": "{groups:,}", "labels": "{labels}", **seconds_of, "pandas": "{pandas_s:.2f} s",
        "pandas / ours": "{pandas_over_ours:.1f}", "loop": "{loop_s:.2f} s",
        "loop / ours": "{loop_over_ours:.0f}", "peak / input": "{peak_over_input:.1f}",
    }  # fmt: skip
    rows = scoring_by_group(asked.rows, asked.groups, asked.repeats)
    report("scoring by group", rows, columns, about, asked)
    columns = {"points": "{points:,}, {case}", "on the front": "{on_front:,}",
               "time": "{s:.4f} s", "peak / input": "{peak_over_input:.1f}"}  # fmt: skip
    report("Pareto front", front(asked.front, asked.repeats), columns, about, asked)


if __name__ == "__main__":
    main()
