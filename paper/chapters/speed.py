"""What the chapter on speed shows: the figures that `make bench` left, as tables."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from paper.site.code import ROOT

RESULTS = ROOT / "benchmarks" / "results.json"
#: The rivals of our training, weakest first, by the column that holds their time over ours.
RIVALS = {
    "plain_over_ours": "plain loop",
    "timm_over_ours": "timm's step",
    "bare_over_ours": "bare step",
}


def figures() -> dict[str, dict[str, Any]]:
    """Read the figures by the name of their table."""
    return json.loads(RESULTS.read_text("utf-8"))


def rows(found: dict[str, dict[str, Any]], name: str) -> pd.DataFrame:
    """The rows of one table."""
    return pd.DataFrame(found[name]["rows"])


#: Headings of the columns that pages show.
HEADINGS = {
    "s": "ours (s)",
    "numpy_s": "NumPy (s)",
    "over_numpy": "ours / NumPy",
    "pandas_s": "pandas (s)",
    "pandas_over_ours": "pandas / ours",
    "loop_over_ours": "loop / ours",
    "peak_over_input": "peak memory / input",
    "time_over_pandas": "time / pandas'",
    "memory_mb": "memory (MB)",
    "memory_over_pandas": "memory / pandas'",
    "window_s": "window (s)",
    "start_s": "start (s)",
    "per_window_ms": "per window (ms)",
    "sampling_ms_per_s": "sampling (ms/s)",
    "share_percent": "share of the run (%)",
    "wall_s": "all (s)",
    "begin_s": "before the first (s)",
    "end_s": "after the last (s)",
    "per_run_s": "beyond a run (s)",
}


def shown(
    found: dict[str, dict[str, Any]], name: str, **formats: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The named columns of a table under their headings, and their formats likewise."""
    table = rows(found, name)[list(formats)].rename(columns=HEADINGS)
    return table, {HEADINGS.get(column, column): form for column, form in formats.items() if form}


def before_and_now(found: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Figures taken at an earlier commit, before what was slow was mended, beside today's."""
    compared = []
    for one in json.loads(RESULTS.with_name("before.json").read_text("utf-8"))["rows"]:
        table = rows(found, one["table"])
        for column, value in one.get("row", {}).items():
            table = table[table[column] == value]
        now = float(table[one["column"]].iloc[-1])
        compared.append({"what": one["what"], "unit": one["unit"], "before": one["before"],
                         "now": now, "now / before": now / one["before"]})  # fmt: skip
    return pd.DataFrame(compared)


def ratios(training: pd.DataFrame) -> pd.DataFrame:
    """One row per trained case and rival: the rival's time over ours."""
    keys = ["architecture", "protocol", "channels", "image_size"]
    long = training.melt(keys, list(RIVALS), var_name="rival", value_name="ratio")
    return long.assign(rival=long["rival"].map(RIVALS))


def summary(training: pd.DataFrame) -> pd.DataFrame:
    """Median, lowest and highest ratio by protocol and rival, over architectures and images."""
    by = ratios(training).groupby(["protocol", "rival"], sort=False)["ratio"]
    return by.agg(median="median", lowest="min", highest="max", cases="size").reset_index()


def numbers(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Format what the prose quotes."""
    table = summary(rows(found, "training")).set_index(["protocol", "rival"])
    fast = next(name for name, _ in table.index if name.startswith("fast"))
    plain, bare = table.loc[fast, "plain loop"], table.loc[fast, "bare step"]
    scoring, front = rows(found, "scoring"), rows(found, "Pareto front")
    by_group, tables = rows(found, "scoring by group"), rows(found, "tables").set_index("file")
    largest = front[front["points"] == front["points"].max()].set_index("case")["s"]
    about = found["training"]
    versions = {k: v for one in found.values() for k, v in one["versions"].items()}
    real, sweeps = rows(found, "meter, real"), rows(found, "sweep")
    return {
        "before-commit": json.loads(RESULTS.with_name("before.json").read_text("utf-8"))["commit"],
        "machine": f"{about['processor']}, {about['cores']} cores",
        "versions": ", ".join(f"{name} {v}" for name, v in sorted(versions.items())),
        "n": f"{about['n']}",
        "threads": "one thread" if about["threads"] == 1 else f"{about['threads']} threads",
        "scoring-n": f"{found['scoring']['n']}",
        "tables-n": f"{found['tables']['n']}",
        "n-cases": f"{int(plain['cases'])}",
        "fast-plain": fixed(plain["median"], 2),
        "fast-plain-low": fixed(plain["lowest"], 2),
        "fast-plain-high": fixed(plain["highest"], 2),
        "fast-bare": fixed(bare["median"], 2),
        "rows": f"{int(scoring['rows'].max()):,}",
        "over-numpy": fixed(scoring["over_numpy"][0], 2),
        "pandas-low": fixed(by_group["pandas_over_ours"].min(), 1),
        "pandas-high": fixed(by_group["pandas_over_ours"].max(), 1),
        "loop-low": fixed(by_group["loop_over_ours"].min(), 0),
        "loop-high": fixed(by_group["loop_over_ours"].max(), 0),
        "front-points": f"{int(front['points'].max()):,}",
        "front-random": fixed(largest["random"], 2),
        "front-all": fixed(largest["all on the front"], 2),
        "csv-s": fixed(tables.loc["csv", "s"], 1),
        "csv-ratio": fixed(tables.loc["csv", "time_over_pandas"], 1),
        "csv-memory": fixed(tables.loc["csv", "memory_over_pandas"], 1),
        "parquet-ratio": fixed(tables.loc["parquet", "time_over_pandas"], 1),
        "meter-start": fixed(real["start_s"].iloc[-1], 2),
        "meter-first-start": fixed(real["start_s"].iloc[0], 2),
        "meter-share": fixed(rows(found, "meter")["share_percent"].max(), 2),
        "meter-real-share": fixed(real["share_percent"].max(), 2),
        "sweep-begin": " to ".join(fixed(one, 1) for one in sorted(sweeps["begin_s"])),
        "sweep-runs": " and ".join(map(str, sweeps["runs"])),
        "sweep-per-run": " and ".join(fixed(one, 2) for one in sweeps["per_run_s"]),
        "sweep-real": fixed(rows(found, "sweep, real")["per_run_s"].iloc[-1], 1)
        if "sweep, real" in found
        else NOT_AVAILABLE,
    }
