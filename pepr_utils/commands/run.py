"""`pepr run`: train and meter architectures on a data set, one record each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pepr_utils.commands.intensity import intensity_option
from pepr_utils.commands.text_table import count, echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pepr_utils.measurement.datasets.prepare import Images
    from pepr_utils.measurement.datasets.report import Report
    from pepr_utils.measurement.run import ResolvedRun
    from pepr_utils.results import Record


def filled(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty text, as of a shell's variable that is not set: it would mean this folder."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty; name a folder, or . for this one")
    return value


keep_checkpoints_option = click.option(
    "--keep-checkpoints", is_flag=True,
    help="Write a checkpoint to DIR/checkpoints after each epoch, three times the size of the "
    "weights: if a run is killed, the same command goes on from there.",
)  # fmt: skip


@click.command()
@click.option("--data", "dataset", required=True, callback=filled, metavar="NAME|FOLDER|FILE.npz",
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
@click.option("--output", required=True, callback=filled, metavar="DIR",
              help="Folder of the result set; finished runs in it are not repeated.")  # fmt: skip
@click.option("--weights", callback=filled, metavar="DIR",
              help="Folder with pretrained weights, for machines without a network.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cuda, cuda:N, mps, cpu.")
@intensity_option
@click.option("--any-device", is_flag=True,
              help="Add to a result set that was measured on another device.")  # fmt: skip
@keep_checkpoints_option
@click.option("--until-epoch", type=click.IntRange(min=1), metavar="N",
              help="Pause runs after epoch N; without it the same command goes on.")  # fmt: skip
@click.option("--check", is_flag=True, help="Check everything and stop before training.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON array of the runs; with --check, what was found in the data.",
)
def run(dataset: str, architectures: str, where: str | None, output: str, **options: Any) -> None:
    """Train and meter ARCHITECTURES on a data set, one record each.

    Everything that can be wrong is looked for first: data, architectures, weights, device. Then
    each run writes its record to DIR/runs the moment it ends. Run the same command again to go on
    after an interruption; paused runs, of `pepr race` too, go on from their checkpoints. Two
    processes may work on one DIR: each does the runs that the other has not started. Exit code 0:
    all runs are done, or paused as asked; 1: some failed or are measured by another process; 2:
    nothing was started.

    \b
    Example:
      pepr run --data phantom --architectures dla46_c,resnet18d --protocol demo --scratch \\
        --output results/try
      pepr run --data ~/xrays --where 'n_parameters < 10e6' --output results/xrays
    """
    from pepr_utils.measurement import Run, select_architectures
    from pepr_utils.measurement.session import check_all, measure_all

    given = ("protocol", "pretrained", "train_fraction", "seed")
    settings = {name: options[name] for name in given}
    names = select_architectures(architectures, where)
    runs = [Run(name, dataset, **settings) for name in names]
    folder = Path(output)
    shared = {
        "say": lambda line: echo(line, err=True),
        "progress": sys.stderr.isatty(),
        "device": options["device"],
        "any_device": options["any_device"],
    }
    data, ready = check_all(runs, folder, weights_folder=options["weights"], **shared)
    if options["check"]:
        if options["as_json"]:
            echo(json.dumps(_checked(data, ready), indent=1))
        echo(f"{count(len(ready), 'run')} ready to start", err=True)
        return
    more = ("carbon_intensity", "until_epoch", "keep_checkpoints")
    records, not_measured = measure_all(
        ready, folder, **{name: options[name] for name in more}, **shared
    )
    _show(records, as_json=options["as_json"], output=folder)
    if not_measured or any(record.status == "failed" for record in records):
        sys.exit(1)


def _show(records: list[Record], *, as_json: bool, output: Path) -> None:
    """Print the runs with their scores among themselves."""
    from pepr_utils.results.record_files import data_warnings_path

    rows = _rows(records) if records else []
    if as_json:
        echo(json.dumps(rows, indent=1))
        return
    echo(f"{'architecture':<28} {'accuracy':>8} {'energy':>12} {'time':>9} {'PePR-E':>7}")
    for row in rows:
        energy, time, score = row["energy_kwh"], row["train_time_s"], row["pepr_e"]
        accuracy = row["test_accuracy"]
        echo(
            f"{row['architecture']:<28} {'-' if accuracy is None else f'{accuracy:.4f}':>8} "
            f"{'-' if energy is None else f'{energy * 1e3:.3f} Wh':>12} "
            f"{'-' if time is None else f'{time:.1f} s':>9} "
            f"{'-' if score is None else f'{score:.4f}':>7}"
            + ("" if row["status"] == "done" else f"  {row['status']}")
        )
    methods = sorted({r.energy_method for r in records if r.energy_method})
    echo(f"energy: {'; '.join(methods) or 'not measured'}")
    echo(f"records: {output / 'runs'}")
    for record in {r.data_warnings: r for r in records if r.data_warnings}.values():
        files = data_warnings_path(output, record.dataset, record.dataset_hash or "")
        named = f"; the files: {files}" if files.is_file() else ""
        echo(f"warning: {record.data_warnings}{named}")
    _show_notes(records)


def _show_notes(records: list[Record]) -> None:
    """Print what `pepr score` says below the same runs."""
    from pepr_utils.commands.comparison import show_notes
    from pepr_utils.results.load import of_records
    from pepr_utils.results.ranking import score

    done = [record for record in records if record.status == "done"]
    if any(r.energy_kwh is not None and r.test_accuracy is not None for r in done):
        show_notes(score(of_records(done, "these runs").runs).notes)


def _checked(data: Report, ready: Sequence[tuple[ResolvedRun, Images]]) -> dict[str, Any]:
    """What was found before training: the data set, its faults with their files, and the runs."""
    source = ready[0][1].source
    return {
        "dataset": source.name,
        "dataset_hash": source.content_hash,
        "classes": data.balance.to_dict("records"),
        "majority_accuracy": data.majority_accuracy,
        "warnings": list(data.warnings),
        "notes": list(data.notes),
        "files": data.files.to_dict("records"),
        "runs": [{"run_id": run.run_id, "architecture": run.run.architecture} for run, _ in ready],
    }


def _rows(records: list[Record]) -> list[dict[str, Any]]:
    import pandas as pd

    from pepr_utils.results import experiment_key, score_runs

    columns = ("run_id", "status", "failure_reason", "architecture", "test_accuracy", "test_auc",
               "energy_kwh", "energy_method", "train_time_s", "n_parameters",
               "data_warnings")  # fmt: skip
    table = pd.DataFrame([r.model_dump(include=set(columns)) for r in records])[list(columns)]
    table["experiment"] = [experiment_key(r.model_dump()) for r in records]
    if table["energy_kwh"].notna().any():
        table["pepr_e"] = score_runs(table)["pepr"]
    else:
        table["pepr_e"] = None
    rows = table.drop(columns="experiment").astype(object)
    return rows.where(rows.notna(), None).to_dict("records")
