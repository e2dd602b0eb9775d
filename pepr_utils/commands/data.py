"""`pepr data`: list result sets, check and summarise one, verify the embedded release."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.table_options import reading_options, say_how_read
from pepr_utils.commands.text_table import echo

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results import ResultSet


_EMBEDDED = {
    "published": "what the authors released",
    "published-repaired": "published with copied energies replaced; `pepr data show --changes`",
}
#: Differences of each file that `verify` prints; `--json` has all.
SHOWN = 3


@click.group()
def data() -> None:
    """Look into result sets; compare the embedded data with the authors' files.

    \b
    Example:
      pepr data show my_results.csv
      pepr data verify
    """


@data.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of differences.")
@click.option(
    "--write",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the tables that follow from the authors' files into this folder, instead.",
)
def verify(as_json: bool, target: Path | None) -> None:
    """Compare the embedded tables with the authors' released files, cell by cell.

    The files are read from the folder or URL in PEPR_DATA_MIRROR, else downloaded from the pinned
    commit. Exit code 1: something differs, or a file's SHA-256 is not the pinned one.

    \b
    Example:
      pepr data verify
      PEPR_DATA_MIRROR=/media/usb/pepr pepr data verify --json
    """
    from pepr_utils.errors import InvalidTableError
    from pepr_utils.results import published, release
    from pepr_utils.results.download import fetch
    from pepr_utils.results.download import release as pinned

    sums = pinned().sha256
    files = {name: fetch(name, progress=sys.stderr.isatty()) for name in sums}
    actual = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if target:
        other = [name for name in files if actual[name] != sums[name]]
        if other:
            raise InvalidTableError(
                f"{', '.join(other)}: not the authors' file, by its SHA-256; nothing was written"
            )
        target.mkdir(parents=True, exist_ok=True)
        release.write_tables(release.embed(files), target)
        echo(f"written: {', '.join(published.TABLES)} in {target}")
        return
    found = release.differences(
        files, {name: published.read_text(name) for name in published.TABLES}
    )
    found = [
        {
            "file": name,
            "row": None,
            "column": "SHA-256",
            "released": actual[name],
            "embedded": sums[name],
        }
        for name in files
        if actual[name] != sums[name]
    ] + found
    if as_json:
        echo(json.dumps(found, indent=1))
    else:
        _show_differences(found, files)
    sys.exit(1 if found else 0)


def _show_differences(found: list[dict[str, object]], files: dict[str, bytes]) -> None:
    """One line for each file: how many differences, and the first of them."""
    from pepr_utils.commands.text_table import count

    if not found:
        echo(f"{len(files)} files: every released value is embedded as it is")
        return
    by_file: dict[object, list[str]] = {}
    for one in found:
        place = ", ".join(f"{w}{one[k]}" for k, w in (("row", "row "), ("column", "")) if one[k])
        text = f"{one['released']}, embedded: {one['embedded']}"
        by_file.setdefault(one["file"], []).append(f"{place}: {text}" if place else text)
    for file, texts in by_file.items():
        more = f"; {len(texts) - SHOWN:,} more (--json has all)" if len(texts) > SHOWN else ""
        echo(f"{file}, {count(len(texts), 'difference')}: {'; '.join(texts[:SHOWN])}{more}")
    echo(f"{count(len(by_file), 'file')} not as embedded")


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(as_json: bool) -> None:
    """List the named result sets, and the authors' files that are embedded.

    \b
    Example:
      pepr data list
    """
    from pepr_utils.paths import data_dir
    from pepr_utils.results import available_result_sets
    from pepr_utils.results.download import release

    pinned = release()
    rows = [
        {
            "kind": "result set",
            "name": name,
            "where": str(folder or data_dir() / "published"),
            "what": _EMBEDDED.get(name, ""),
        }
        for name, folder in available_result_sets().items()
    ] + [
        {
            "kind": "file",
            "name": file,
            "where": f"{pinned.repository} at {pinned.commit[:12]}",
            "what": what,
        }
        for file, what in pinned.what.items()
    ]
    if as_json:
        echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        echo(f"{row['kind']:<11} {row['name']:<28} {row['where']}")
        if row["what"]:
            echo(f"{'':<11} {row['what']}")


@data.command()
@click.argument("result_set", metavar="SET")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON array, one object per experiment."
)
@click.option("--changes", is_flag=True, help="List the cells that a derived set changes, instead.")
@reading_options
def show(result_set: str, as_json: bool, changes: bool, reading: dict[str, Any]) -> None:
    """Check a result set and summarise it by experiment.

    SET is a name (see `pepr data list`), a folder of records or a table with at least
    architecture, dataset, test_accuracy and energy_kwh (or energy_wh ...). Every value is checked.

    \b
    Example:
      pepr data show published
      pepr data show my_results.csv
      pepr data show published-repaired --changes
    """
    from pepr_utils.results import experiment_labels, load_result_set
    from pepr_utils.results.power import energy_basis

    loaded = load_result_set(result_set, **reading)
    say_how_read(loaded.name, loaded.taken)
    if changes:
        _show_changes(loaded, as_json)
        return
    labels = experiment_labels(loaded.experiments)
    finished = dict(list(loaded.finished.groupby("experiment")))
    rows = [
        _summary(labels[key], part, finished.get(key, part.iloc[:0]))
        for key, part in loaded.runs.groupby("experiment", sort=False)
    ]
    if as_json:
        echo(json.dumps(rows, indent=1))
        return
    echo(
        f"{loaded.name}: {len(loaded.runs):,} runs, {len(loaded.epochs):,} epochs, "
        f"content {loaded.content_hash[:12]}"
    )
    echo(
        f"{'experiment':<44} {'runs':>5} {'failed':>6} {'models':>6} {'accuracy':>9} {'energy':>10}"
    )
    for row in rows:
        accuracy, energy = row["median_test_accuracy"], row["median_energy_wh"]
        echo(
            f"{row['experiment']:<44} {row['runs']:>5} {row['failed']:>6} "
            f"{row['architectures']:>6} "
            f"{'-' if accuracy is None else f'{accuracy:.4f}':>9} "
            f"{'-' if energy is None else f'{energy:.2f} Wh':>10}"
        )
    paused = int((loaded.runs["status"] == "paused").sum())
    echo(
        "accuracy and energy are medians over the finished runs of an experiment"
        + (f"; {paused:,} paused" if paused else "")
    )
    if basis := energy_basis(loaded):
        echo(basis)
    if len(loaded.changes):
        echo(f"{len(loaded.changes):,} cells differ from the source: add --changes")


def _show_changes(loaded: ResultSet, as_json: bool) -> None:
    """Print each changed cell of a derived set with its reason."""
    from pepr_utils.results import experiment_labels

    if as_json:
        rows = [
            {name: None if value != value else value for name, value in row.items()}
            for row in loaded.changes.to_dict("records")
        ]
        echo(json.dumps(rows, indent=1))
        return
    labels = experiment_labels(loaded.experiments)
    for row in loaded.changes.itertuples(index=False):
        after = "empty" if math.isnan(row.after) else f"{row.after:.6g}"
        echo(f"{row.architecture:<26} {row.column:<22} {row.before:.6g} -> {after}")
        echo(f"{'':<26} {labels[row.experiment]}: {row.reason}")
    echo(f"{loaded.name}: {len(loaded.changes):,} changed cells")


def _summary(label: str, runs: pd.DataFrame, finished: pd.DataFrame) -> dict[str, object]:
    return {
        "experiment": label,
        "runs": len(runs),
        "failed": int((runs["status"] == "failed").sum()),
        "architectures": int(runs["architecture"].nunique()),
        "median_test_accuracy": _number(finished["test_accuracy"].median()),
        "median_energy_wh": _number(float(finished["energy_kwh"].median()) * 1e3),
    }


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
