"""What `pepr score` takes for a table of a million rows, against a script in pandas.

    python benchmarks/tables.py [--rows N] [--repeats K] [--json FILE]

Processor time and largest resident memory of the whole command, Python's start included: the best
of a few runs in which the two take turns. The rival reads the same three columns, computes resource
and score by min-max, ranks all rows, sorts them, and prints the first ten: no row of another length
found, no units, no values refused, no repeated models or groups found, no notes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import machine, options, report

SCRIPT = """
import sys, pandas as pd
name = sys.argv[1]
columns = ["model", "accuracy", "energy_kwh"]
if name.endswith(".csv"):
    frame = pd.read_csv(name, usecols=columns)
else:
    frame = pd.read_parquet(name, columns=columns)
cost = frame["energy_kwh"]
frame["resource"] = (cost - cost.min()) / (cost.max() - cost.min())
frame["pepr"] = frame["accuracy"] / (1 + frame["resource"])
frame["rank"] = frame["pepr"].rank(method="min", ascending=False)
print(frame.sort_values("rank").head(10).to_string())
"""


def taken(command: list[str]) -> dict[str, float]:
    """Run a command in a process of its own; return its processor time and largest memory."""
    inner = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    # Both with their modules compiled, as they are from their second use on.
    compiled = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", inner, *command],
        check=True, capture_output=True, text=True, env=compiled,
    )  # fmt: skip
    seconds, kilobytes = done.stdout.split()
    return {"s": float(seconds), "memory_mb": float(kilobytes) * 1024 / 1e6}


def best(commands: list[list[str]], repeats: int) -> list[dict[str, float]]:
    """Least time and memory of each command, of runs in which they take turns."""
    rounds = [[taken(command) for command in commands] for _ in range(repeats)]
    return [
        {key: min(one[key] for one in runs) for key in runs[0]}
        for runs in zip(*rounds, strict=True)
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table in Markdown; write it as JSON where asked."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args(arguments)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "model": [f"model-{i}" for i in range(asked.rows)],
            "accuracy": rng.uniform(0.5, 0.95, asked.rows).round(6),
            "energy_kwh": rng.lognormal(size=asked.rows).round(6),
            "note": "not read",
        }
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("csv", "parquet"):
            path = Path(folder) / f"table.{kind}"
            frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
            program = [
                str(Path(sys.executable).with_name("pepr")),
                "score",
                str(path),
                "--performance",
                "accuracy",
                "--top",
                "10",
            ]
            script = [sys.executable, "-c", SCRIPT, str(path)]
            ours, pandas = best([program, script], asked.repeats)
            rows.append(
                {"rows": asked.rows, "file": kind}
                | ours
                | {f"pandas_{name}": value for name, value in pandas.items()}
                | {
                    "time_over_pandas": ours["s"] / pandas["s"],
                    "memory_over_pandas": ours["memory_mb"] / pandas["memory_mb"],
                }
            )
    columns = {
        "rows": "{rows:,}", "file": "{file}", "pepr score": "{s:.1f} s",
        "pandas": "{pandas_s:.1f} s", "ratio": "{time_over_pandas:.1f}",
        "memory": "{memory_mb:.0f} MB", "ratio of memory": "{memory_over_pandas:.1f}",
    }  # fmt: skip
    about = machine("pandas") | {"n": asked.repeats, "time": "processor time, the best"}
    report("tables", rows, columns, about, asked)


if __name__ == "__main__":
    main()
