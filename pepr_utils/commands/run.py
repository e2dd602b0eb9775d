"""`pepr run`: train and meter architectures on a data set, one record each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.intensity import intensity_option
from pepr_utils.errors import PeprError

if TYPE_CHECKING:
    from pepr_utils.measurement import Run
    from pepr_utils.results import Record


def _filled(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty text, as of a shell's variable that is not set: it would mean this folder."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty; name a folder, or . for this one")
    return value


@click.command()
@click.option("--data", "dataset", required=True, callback=_filled, metavar="NAME|FOLDER|FILE.npz",
              help="phantom, derma, pneumonia, lidc, a MedMNIST flag such as bloodmnist_64, a "
              "folder of images, or a file in MedMNIST's layout.")  # fmt: skip
@click.option("--architectures", metavar="A,B", default="",
              help="Names, of the paper's 131 or any in timm.")  # fmt: skip
@click.option("--where", metavar="CONDITION",
              help="Choose from the paper's 131, such as 'n_parameters < 10e6', or from those "
              "of them that are named.")  # fmt: skip
@click.option("--protocol", default="fast", show_default=True, help="paper, fast or demo.")
@click.option("--pretrained/--scratch", default=True, show_default=True,
              help="From ImageNet-1k weights, or from random ones.")  # fmt: skip
@click.option("--train-fraction", default=1.0, show_default=True,
              help="Share of the training images to use.")  # fmt: skip
@click.option("--seed", default=1, show_default=True)
@click.option("--output", required=True, callback=_filled, metavar="DIR",
              help="Folder of the result set; finished runs in it are not repeated.")  # fmt: skip
@click.option("--weights", callback=_filled, metavar="DIR",
              help="Folder with pretrained weights, for machines without a network.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cuda, cuda:N, mps, cpu.")
@intensity_option
@click.option("--any-device", is_flag=True,
              help="Add to a result set that was measured on another device.")  # fmt: skip
@click.option("--check", is_flag=True, help="Check everything and stop before training.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of the runs.")
def run(dataset: str, architectures: str, where: str | None, output: str, **options: Any) -> None:
    """Train and meter ARCHITECTURES on a data set, one record each.

    Everything that can be wrong is looked for first: data, architectures, weights, device. Then
    each run writes its record to DIR/runs the moment it ends. Run the same command again to go on
    after an interruption. Two processes may work on one DIR: each does the runs that the other has
    not begun. Exit code 0: all runs are done; 1: some failed or are measured by another process;
    2: nothing was begun.

    \b
    Example:
      pepr run --data phantom --architectures dla46_c,resnet18d --protocol demo --scratch \\
        --output results/try
      pepr run --data ~/xrays --where 'n_parameters < 10e6' --output results/xrays
    """
    from pepr_utils.measurement import Run, check_runs, record_killed, select_architectures
    from pepr_utils.measurement.datasets.report import report, share_lines

    folder = Path(output)
    names = [name.strip() for name in architectures.split(",") if name.strip()]
    runs = [
        Run(name, dataset, options["protocol"], options["pretrained"],
            options["train_fraction"], options["seed"])
        for name in select_architectures(names, where)
    ]  # fmt: skip
    errors, images = check_runs(
        runs, folder, device=options["device"], weights_folder=options["weights"],
        any_device=options["any_device"], progress=sys.stderr.isatty(),
    )  # fmt: skip
    if errors:
        for error in errors:
            click.echo(f"Error: {error}", err=True)
        click.echo("nothing was trained", err=True)
        sys.exit(2)
    for found in images.values():
        click.echo("\n".join(report(found).lines() + share_lines(found, runs[0])), err=True)
    for record in record_killed(folder):
        click.echo(f"{record.architecture}: {record.failure_reason}", err=True)
    if options["check"]:
        click.echo(f"{len(runs)} runs can begin", err=True)
        return
    _write_asked(runs, folder, options["weights"])
    records, not_measured = [], []
    for one in runs:
        try:
            records.append(_measured(one, folder, options))
        except PeprError as error:  # such as another process that measures it: the others go on
            not_measured.append(error)
    _show(records, as_json=options["as_json"], output=folder)
    for error in not_measured:
        click.echo(f"not measured here: {error}", err=True)
    if not_measured or any(record.status == "failed" for record in records):
        sys.exit(1)


def _write_asked(runs: list[Run], folder: Path, weights: str | None) -> None:
    """Leave the list of runs for `pepr status`."""
    from pepr_utils.measurement import run_id
    from pepr_utils.measurement.files import folder_errors
    from pepr_utils.measurement.sweep.plan import write_asked

    place = Path(weights) if weights else None
    with folder_errors(folder):
        write_asked(folder, {run_id(run, place): run for run in runs})


def _measured(one: Run, output: Path, options: dict[str, Any]) -> Record:
    from pepr_utils.measurement import measure
    from pepr_utils.measurement.bars import Bar
    from pepr_utils.measurement.session import in_words

    with Bar(one.architecture, shown=sys.stderr.isatty()) as bar:
        record = measure(
            one, output, device=options["device"], weights_folder=options["weights"],
            carbon_intensity_g_per_kwh=options["carbon_intensity"],
            any_device=options["any_device"], watch=bar.update,
        )  # fmt: skip
    click.echo(in_words(record), err=True)
    return record


def _show(records: list[Record], *, as_json: bool, output: Path) -> None:
    """Print the runs with their scores among themselves."""
    rows = _rows(records) if records else []
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(f"{'architecture':<28} {'accuracy':>8} {'energy':>12} {'time':>9} {'PePR-E':>7}")
    for row in rows:
        energy, time, score = row["energy_kwh"], row["train_time_s"], row["pepr_e"]
        accuracy = row["test_accuracy"]
        click.echo(
            f"{row['architecture']:<28} {'-' if accuracy is None else f'{accuracy:.4f}':>8} "
            f"{'-' if energy is None else f'{energy * 1e3:.3f} Wh':>12} "
            f"{'-' if time is None else f'{time:.1f} s':>9} "
            f"{'-' if score is None else f'{score:.4f}':>7}"
            + ("" if row["status"] == "done" else "  failed")
        )
    methods = sorted({r.energy_method for r in records if r.energy_method})
    click.echo(f"energy: {'; '.join(methods) or 'not measured'}")
    click.echo(f"records: {output / 'runs'}")


def _rows(records: list[Record]) -> list[dict[str, Any]]:
    import pandas as pd

    from pepr_utils.results import experiment_key, score_runs

    columns = ("run_id", "status", "failure_reason", "architecture", "test_accuracy", "test_auc",
               "energy_kwh", "energy_method", "train_time_s", "n_parameters")  # fmt: skip
    table = pd.DataFrame([r.model_dump(include=set(columns)) for r in records])[list(columns)]
    table["experiment"] = [experiment_key(r.model_dump()) for r in records]
    if table["energy_kwh"].notna().any():
        table["pepr_e"] = score_runs(table)["pepr"]
    else:
        table["pepr_e"] = None
    rows = table.drop(columns="experiment").astype(object)
    return rows.where(rows.notna(), None).to_dict("records")
