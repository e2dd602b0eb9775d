"""What `pepr score` takes for a table of a million rows, against a script in pandas.

    python benchmarks/tables.py [--rows N] [--json FILE]

Processor time and largest resident memory of the whole command, Python's start included. The rival
reads two columns, scores by min-max, sorts, and prints the first ten rows: no units, no checks, no
groups found, no notes.
"""

from __future__ import annotations

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
    done = subprocess.run(
        [sys.executable, "-c", inner, *command], check=True, capture_output=True, text=True
    )
    seconds, kilobytes = done.stdout.split()
    return {"s": float(seconds), "memory_mb": float(kilobytes) * 1024 / 1e6}


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table in Markdown; write it as JSON where asked."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
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
            ours, pandas = taken(program), taken([sys.executable, "-c", SCRIPT, str(path)])
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
    report("tables", rows, columns, machine("pandas") | {"n": 1, "time": "processor time"}, asked)


if __name__ == "__main__":
    main()
