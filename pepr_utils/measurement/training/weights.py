"""Pretrained weights: from a folder where one is given, else by timm's own download.

A weight that is missing or does not fit is an error before anything is trained. timm silently
drops weights that do not fit once the number of classes differs, so the model is first made with
the weights' own classes, where every weight has to fit, and its head is replaced afterwards. For
some families, such as DLA, timm accepts missing weights; here they are an error for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pepr_utils.errors import DataUnavailableError, PeprError
from pepr_utils.measurement.architectures import Architecture, timm
from pepr_utils.paths import user_path

#: Where in the folder a file of weights is looked for.
_FORMS = ("{}.safetensors", "{}/model.safetensors", "{}.pth", "{}.pt", "{}.bin",
          "{}/pytorch_model.bin")  # fmt: skip
_FIX = (
    "connect, or give a folder that holds them with --weights, or train from scratch with --scratch"
)


class WeightsUnavailableError(DataUnavailableError):
    """Pretrained weights could not be loaded, or are not those of the model.

    `offline` is set where they are missing here and there is no network.
    """

    def __init__(self, tag: str, source: str | Path, reason: str, *, offline: bool = False) -> None:
        super().__init__(f"the weights {tag} could not be loaded from {source} ({reason}); {_FIX}")
        self.tag, self.offline = tag, offline


def in_one(errors: Iterable[PeprError]) -> list[PeprError]:
    """Join the errors on weights that are missing without a network into one."""
    errors = list(errors)
    missing = [e.tag for e in errors if isinstance(e, WeightsUnavailableError) and e.offline]
    if len(missing) < 2:
        return errors
    others = [e for e in errors if getattr(e, "tag", None) not in missing]
    return [
        *others,
        DataUnavailableError(
            f"no network, and the weights of {len(missing)} architectures are not on this "
            f"machine: {', '.join(missing)}; {_FIX}"
        ),
    ]


def local_weights(architecture: Architecture, folder: Path) -> Path:
    """Return the file of an architecture's pinned weights in a folder.

    Raises
    ------
    DataUnavailableError
        If there is none; the message names the files looked for, and how to get them.
    """
    tag = architecture.pinned_weights()
    for form in _FORMS:
        path = user_path(folder) / form.format(tag)
        if path.is_file():
            return path
    where = "" if user_path(folder).is_dir() else " (there is no such folder)"
    raise DataUnavailableError(
        f"no weights of {architecture.name} in {folder}{where}; expected "
        f"{_FORMS[0].format(tag)}, {_FORMS[1].format(tag)} or {_FORMS[2].format(tag)}; on a "
        f"machine with a network {_how_to_get(tag, folder)}"
    )


def _how_to_get(tag: str, folder: Path) -> str:
    """How to get weights by hand: from the hub, or from the address of the two that are not there.

    These are of the first squeeze-and-excitation networks.
    """
    try:
        known = timm().get_pretrained_cfg(tag)
    except PeprError:  # no timm on this machine, which only plans
        known = None
    if known is not None and known.url and not known.hf_hub_id:
        return f"download {known.url} and save it as {folder / f'{tag}.pth'}"
    repository = known.hf_hub_id if known is not None and known.hf_hub_id else "timm/"
    repository += tag if repository.endswith("/") else ""
    return f"`hf download {repository} --local-dir {folder / tag}` gets them"


@contextmanager
def every_weight_fits() -> Iterator[None]:
    """Refuse, within the block, weights that leave any value of a model as it was initialised.

    timm decides by family of models whether that is an error (``pretrained_strict``), and no
    argument of `timm.create_model` changes it. What else a file holds is ignored: the DLA
    networks' have layers that were never used. Weights from training without classes, as of
    ConvNeXt V2, have neither head nor normalisation before it: both are new.

    Raises
    ------
    DataUnavailableError
        Naming how many values are missing, and one of them.
    """
    import torch

    plain = torch.nn.Module.load_state_dict

    def load(model: torch.nn.Module, state_dict: Any, *arguments: Any, **options: Any) -> Any:
        result = plain(model, state_dict, *arguments, **options)
        headless = getattr(model, "num_classes", None) == 0
        missing = [k for k in result.missing_keys if not (headless and k.startswith("head."))]
        if missing:
            raise DataUnavailableError(
                f"missing: {len(missing)} of the model's {len(model.state_dict())} arrays, "
                f"such as {missing[0]!r}"
            )
        return result

    torch.nn.Module.load_state_dict = load
    try:
        yield
    finally:
        torch.nn.Module.load_state_dict = plain
