"""Pretrained weights: from a folder where one is given, else by timm's own download.

A missing or unfitting weight is an error before anything is trained. timm itself drops weights
that do not fit, quietly, once the number of classes differs; here the model is first made with
the weights' own classes, where every weight has to fit, and its head is replaced afterwards.
"""

from __future__ import annotations

from pathlib import Path

from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.architectures import Architecture

#: How a file of weights may be called below the folder.
_FORMS = ("{}.safetensors", "{}/model.safetensors", "{}.pth", "{}.pt", "{}.bin",
          "{}/pytorch_model.bin")  # fmt: skip


def local_weights(architecture: Architecture, folder: Path) -> Path:
    """Return the file of an architecture's pinned weights in a folder.

    Raises
    ------
    DataUnavailableError
        If there is none; the message says which names are looked for.
    """
    tag = architecture.pinned_weights()
    for form in _FORMS:
        path = folder.expanduser() / form.format(tag)
        if path.is_file():
            return path
    where = "" if folder.expanduser().is_dir() else " (there is no such folder)"
    raise DataUnavailableError(
        f"no weights of {architecture.name} in {folder}{where}; expected "
        f"{_FORMS[0].format(tag)}, {_FORMS[1].format(tag)} or {_FORMS[2].format(tag)}; on a "
        f"machine with a network `hf download timm/{tag} --local-dir {folder / tag}` brings them"
    )
