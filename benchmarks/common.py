"""Shared by the benchmarks: what machine it is, a printed table, and the file of all figures."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pepr_utils.measurement.metering.cpu import processor_name
from pepr_utils.results.atomic import write_whole

#: A column: its heading, and how a row is written in it.
Columns = dict[str, str]


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="also put the figures into this file")
    return parser


def machine(*packages: str) -> dict[str, Any]:
    """Say what the figures of one table were taken on."""
    versions = {name: version(name) for name in packages}
    return {
        "processor": processor_name() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version()} | versions,
    }


def report(
    name: str, rows: Sequence[dict[str, Any]], columns: Columns, about: dict[str, Any], asked: Any
) -> None:
    """Print rows as a table in Markdown, and put them into the file under their name.

    `columns` are format strings by heading, such as ``"{seconds:.2f} s"``.
    """
    print(f"\n{name}: {about}\n")
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join("---" for _ in columns) + " |")
    for row in rows:
        print("| " + " | ".join(form.format(**row) for form in columns.values()) + " |")
    if asked.json is None:
        return
    file = asked.json
    known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    known[name] = about | {"rows": list(rows)}
    write_whole(file, (json.dumps(known, indent=1, sort_keys=True) + "\n").encode())
