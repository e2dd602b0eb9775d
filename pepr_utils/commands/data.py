"""`pepr data`: fetch the pinned downloads, list result sets, check and summarise one."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

    from pepr_utils.results import ResultSet


_DERIVED = {
    "published-repaired": "published, with copied energies replaced; see `pepr data show --changes`"
}


@click.group()
def data() -> None:
    """Fetch the published data; look into result sets.

    \b
    Example:
      pepr data fetch
      pepr data show my_results.csv
    """


@data.command()
@click.argument("files", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of file and path.")
def fetch(files: tuple[str, ...], as_json: bool) -> None:
    """Download the authors' released FILES (default: all), checked by SHA-256.

    The cache is looked at first, then the folder or URL in PEPR_DATA_MIRROR, then the pinned
    upstream address. PEPR_DATA_CACHE moves the cache.

    \b
    Example:
      pepr data fetch
      PEPR_DATA_MIRROR=/media/usb/pepr pepr data fetch all_results.csv
    """
    from pepr_utils.results.download import fetch as fetch_file
    from pepr_utils.results.download import registry

    names = files or tuple(registry()["published"].sha256)
    paths = {name: fetch_file(name, progress=sys.stderr.isatty()) for name in names}
    if as_json:
        click.echo(json.dumps([{"file": n, "path": str(p)} for n, p in paths.items()], indent=1))
        return
    for path in paths.values():
        click.echo(path)


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(as_json: bool) -> None:
    """List the pinned files with their licence and the named result sets.

    \b
    Example:
      pepr data list
    """
    from pepr_utils.results import available_result_sets
    from pepr_utils.results.download import cache_folder, is_cached, registry

    rows = [
        {
            "kind": "file",
            "name": file,
            "where": str(cache_folder(group) / file)
            if is_cached(file, group=group)
            else "not fetched",
            "what": f"{pinned.what[file]} ({pinned.repository}, {pinned.license})",
        }
        for group, pinned in registry().items()
        for file in pinned.sha256
    ]
    rows += [
        {
            "kind": "result set",
            "name": name,
            "where": str(folder or "downloaded files"),
            "what": _DERIVED.get(name, ""),
        }
        for name, folder in available_result_sets().items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo(f"{row['kind']:<11} {row['name']:<28} {row['where']}")
        if row["what"]:
            click.echo(f"{'':<11} {row['what']}")


@data.command()
@click.argument("result_set", metavar="SET")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON array, one object per experiment."
)
@click.option("--changes", is_flag=True, help="List the cells that a derived set changes, instead.")
def show(result_set: str, as_json: bool, changes: bool) -> None:
    """Check a result set and summarise it by experiment.

    SET is a name (see `pepr data list`), a folder of records or a CSV file with at least
    architecture, dataset, test_accuracy and energy_kwh. Every value is checked.

    \b
    Example:
      pepr data show published
      pepr data show my_results.csv
      pepr data show published-repaired --changes
    """
    from pepr_utils.results import experiment_labels, load_result_set

    loaded = load_result_set(result_set)
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
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(
        f"{loaded.name}: {len(loaded.runs):,} runs, {len(loaded.epochs):,} epochs, "
        f"content {loaded.content_hash[:12]}"
    )
    click.echo(
        f"{'experiment':<44} {'runs':>5} {'failed':>6} {'models':>6} {'accuracy':>9} {'energy':>10}"
    )
    for row in rows:
        accuracy, energy = row["median_test_accuracy"], row["median_energy_wh"]
        click.echo(
            f"{row['experiment']:<44} {row['runs']:>5} {row['failed']:>6} "
            f"{row['architectures']:>6} "
            f"{'-' if accuracy is None else f'{accuracy:.4f}':>9} "
            f"{'-' if energy is None else f'{energy:.2f} Wh':>10}"
        )
    click.echo("accuracy and energy are medians over the finished runs of an experiment")
    if len(loaded.changes):
        click.echo(f"{len(loaded.changes):,} cells differ from the source: add --changes")


def _show_changes(loaded: ResultSet, as_json: bool) -> None:
    """Print each changed cell of a derived set with its reason."""
    from pepr_utils.results import experiment_labels

    if as_json:
        rows = [
            {name: None if value != value else value for name, value in row.items()}
            for row in loaded.changes.to_dict("records")
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    labels = experiment_labels(loaded.experiments)
    for row in loaded.changes.itertuples(index=False):
        after = "empty" if math.isnan(row.after) else f"{row.after:.6g}"
        click.echo(f"{row.architecture:<26} {row.column:<22} {row.before:.6g} -> {after}")
        click.echo(f"{'':<26} {labels[row.experiment]}: {row.reason}")
    click.echo(f"{loaded.name}: {len(loaded.changes):,} changed cells")


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
