"""What can be wrong with runs, found before anything is trained, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pepr_utils.errors import PeprError
from pepr_utils.measurement.architectures import find_architecture
from pepr_utils.measurement.datasets.prepare import Images, prepare_dataset
from pepr_utils.measurement.protocols import protocol
from pepr_utils.measurement.run import Run
from pepr_utils.measurement.store import check_device, check_writable


def check_runs(
    runs: Iterable[Run],
    folder: Path | str,
    *,
    device: str = "auto",
    weights_folder: Path | str | None = None,
    any_device: bool = False,
    progress: bool = False,
) -> tuple[list[PeprError], dict[tuple[str, int], Images]]:
    """Try all that runs need short of training: device, folder, data, models, weights.

    Every image is decoded and every model made once, so weights are downloaded here. Nothing is
    left in the folder.

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
    images : dict
        The data sets, by name and image size (px).
    """
    from pepr_utils.measurement.training.device import choose_device, device_name
    from pepr_utils.measurement.training.model import is_online
    from pepr_utils.measurement.training.weights import in_one

    runs, folder = list(runs), Path(folder)
    errors: dict[str, PeprError] = {}
    images: dict[tuple[str, int], Images] = {}

    def attempt(action: Callable[[], None]) -> None:
        try:
            action()
        except PeprError as error:
            errors.setdefault(str(error), error)

    def place() -> None:
        check_writable(folder)
        check_device(folder, device_name(choose_device(device)), any_device=any_device)

    attempt(place)
    for name, recipe in dict.fromkeys((run.dataset, run.protocol) for run in runs):

        def data(name: str = name, recipe: str = recipe) -> None:
            size = protocol(recipe).image_size
            images[name, size] = prepare_dataset(name, size, show_download=progress)

        attempt(data)
    weights = None if weights_folder is None else Path(weights_folder)
    # Tried once: without a network, all weights that are missing are to be named, and soon.
    online = is_online() if weights is None and any(run.pretrained for run in runs) else None
    for run in dict.fromkeys(runs):
        # Nothing is downloaded for runs that cannot begin; names and sizes are checked still.
        wanted = run.pretrained and not (errors and online)

        def model(run: Run = run, wanted: bool = wanted) -> None:
            _make(run, images, weights, online=online, pretrained=wanted)

        attempt(model)
    return in_one(errors.values()), images


def _make(
    run: Run,
    images: dict[tuple[str, int], Images],
    weights: Path | None,
    *,
    online: bool | None,
    pretrained: bool,
) -> None:
    """Make the model of a run and discard it; without its data, at least its name is checked."""
    from pepr_utils.measurement.training.model import make_model
    from pepr_utils.measurement.training.task import Task

    architecture, recipe = find_architecture(run.architecture), protocol(run.protocol)
    found = images.get((run.dataset, recipe.image_size))
    make_model(
        architecture,
        image_size=recipe.image_size,
        n_channels=found.source.n_channels if found else 3,
        n_outputs=Task.of(found.source, recipe).n_outputs if found else 2,
        pretrained=pretrained,
        weights_folder=weights,
        online=online,
    )
