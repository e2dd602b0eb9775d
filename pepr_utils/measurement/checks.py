"""What can be wrong with runs, found before anything is trained, all of it at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from pepr_utils.errors import PeprError
from pepr_utils.measurement.datasets import describe_dataset, load_dataset, obtain_dataset
from pepr_utils.measurement.datasets.prepare import Images, prepare
from pepr_utils.measurement.datasets.source import Description
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import ResolvedRun, Run, resolve
from pepr_utils.measurement.store import check_device, check_writable
from pepr_utils.measurement.training import device as devices
from pepr_utils.measurement.training import model as models
from pepr_utils.measurement.training.loop import Task
from pepr_utils.measurement.training.weights import in_one


def check_runs(
    runs: Iterable[Run],
    folder: Path | str,
    *,
    device: str = "auto",
    weights_folder: Path | str | None = None,
    any_device: bool = False,
    progress: bool = False,
) -> tuple[list[PeprError], list[tuple[ResolvedRun, Images]]]:
    """Check device, folder, data, models and weights of runs, without training.

    Every image is decoded, every model made without its values and its weights compared with it,
    so weights are downloaded here. Nothing is written to the folder.

    Parameters
    ----------
    runs : iterable of Run
        What is to be measured.
    folder, device, weights_folder, any_device
        As in `measure`.
    progress : bool, default False
        Show the progress of downloads on stderr.

    Returns
    -------
    errors : list of PeprError
        What is wrong, each thing once; empty if the runs can begin.
    ready : list of (ResolvedRun, Images)
        The runs, each once, with their images: what `measure` takes. Empty if anything is wrong.
    """
    runs, errors = list(dict.fromkeys(runs)), {}
    collected = partial(_collected, errors)
    with collected():
        check_writable(Path(folder))
        name = devices.device_name(devices.choose_device(device))
        check_device(Path(folder), name, any_device=any_device)
    data: dict[tuple[str, str], tuple[Description, Images]] = {}
    for dataset, recipe in dict.fromkeys((run.dataset, run.protocol) for run in runs):
        with collected():
            size = protocol(recipe).image_size
            obtain_dataset(dataset, progress=progress)
            found = describe_dataset(dataset)
            data[dataset, recipe] = found, prepare(load_dataset(dataset, progress=progress), size)
    # Asked once: without a network, all missing weights are named, without a timeout for each.
    wanted = weights_folder is None and any(run.pretrained for run in runs)
    online = models.is_online() if wanted else None
    ready = []
    for run in runs:
        with collected():
            # The rest of a run is checked even if its data are missing.
            found, images = data.get((run.dataset, run.protocol), (Description("", ""), None))
            resolved = resolve(run, weights_folder, dataset=found)
            # Nothing is downloaded for runs that cannot begin.
            _check_model(resolved, images, load=not (errors and online), online=online)
            ready.append((resolved, images))
    return in_one(errors.values()), [] if errors else ready


@contextmanager
def _collected(errors: dict[str, PeprError]) -> Iterator[None]:
    """Add an error of the block to those found so far, each once."""
    try:
        yield
    except PeprError as error:
        errors.setdefault(str(error), error)


def _check_model(
    run: ResolvedRun, images: Images | None, *, load: bool, online: bool | None
) -> None:
    """Make the model of a run, and compare its weights with it."""
    make = partial(
        models.make_model,
        run.architecture,
        image_size=run.protocol.image_size,
        n_channels=images.source.n_channels if images else 3,
        n_outputs=Task.of(images.source, run.protocol).n_outputs if images else 2,
        weights=run.weights if load else None,
        weights_file=run.weights_file,
        online=online,
    )
    try:
        # Names and shapes only: neither memory nor random numbers. Torch warns of each weight that
        # it loads into such a model.
        with torch.device("meta"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter.*")
            make()
    except Exception:  # noqa: BLE001 - some models of timm cannot be made without values
        make()
