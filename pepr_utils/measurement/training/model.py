"""Make the model of a run: through timm, from scratch or from pinned weights."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import torch

from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.architectures import (
    Architecture,
    ArchitectureError,
    check_size,
    timm,
)
from pepr_utils.measurement.training.weights import (
    WeightsUnavailableError,
    every_weight_fits,
)

_TIMEOUT_S = 10


def make_model(
    architecture: Architecture,
    *,
    image_size: int,
    n_channels: int,
    n_outputs: int,
    weights: str | None = None,
    weights_file: Path | None = None,
    online: bool | None = None,
) -> torch.nn.Module:
    """Return the model of a run, on the CPU, ready to be trained.

    Parameters
    ----------
    architecture : Architecture
        The architecture.
    image_size : int
        Height and width (px) of its images.
    n_channels : {1, 3}
        Channels of its images; pretrained weights of three are summed for one, as timm does.
    n_outputs : int
        Outputs of its head.
    weights : str, optional
        Tag of the pretrained weights; without it they are random.
    weights_file : pathlib.Path, optional
        Their file; without it timm downloads them.
    online : bool, optional
        Whether the server of the weights answers, where that is known; see `is_online`.

    Raises
    ------
    DataUnavailableError
        If the weights cannot be obtained, or are not those of the architecture.
    ArchitectureError
        If the architecture cannot be made for such images.
    """
    check_size(architecture, image_size)
    size = architecture.size_arguments(image_size)
    try:
        if weights is None:
            return timm().create_model(
                architecture.timm_name, num_classes=n_outputs, in_chans=n_channels, **size
            )
        model = _pretrained(weights, n_channels, size, weights_file, online)
        model.reset_classifier(n_outputs)
        return model
    except (AssertionError, TypeError, ValueError) as error:
        raise ArchitectureError(
            f"{architecture.name} cannot be made for images of {image_size} px with {n_channels} "
            f"channels ({' '.join(str(error).split()) or type(error).__name__}); "
            "choose another protocol or another architecture"
        ) from None


def _pretrained(
    tag: str, n_channels: int, size: dict[str, int], file: Path | None, online: bool | None
) -> torch.nn.Module:
    overlay = {} if file is None else {"file": str(file)}
    from huggingface_hub import constants

    if file is None and online is None:
        online = is_online()
    offline, timeout = constants.HF_HUB_OFFLINE, socket.getdefaulttimeout()
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)  # timm's and the hub's: what matters is in the error
    try:
        # Unreachable, the hub's client tries for minutes; offline, it uses what it has at once.
        constants.HF_HUB_OFFLINE = offline or not (file or online)
        socket.setdefaulttimeout(_TIMEOUT_S)  # for the few weights that are not on the hub
        with every_weight_fits():
            return timm().create_model(
                tag, pretrained=True, in_chans=n_channels, pretrained_cfg_overlay=overlay, **size
            )
    except (AssertionError, TypeError):
        raise
    except Exception as error:  # noqa: BLE001 - network, hub, file and shape errors have no common base
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        missing = not (file or online or isinstance(error, DataUnavailableError))
        source = file or "timm's download"
        raise WeightsUnavailableError(tag, source, reason, offline=missing) from None
    finally:
        constants.HF_HUB_OFFLINE = offline
        socket.setdefaulttimeout(timeout)
        logging.disable(disabled)


def is_online() -> bool:
    """Whether the server of the weights may be asked, and answers within a few seconds."""
    import requests
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        requests.head(constants.ENDPOINT, timeout=_TIMEOUT_S)
    except requests.exceptions.RequestException:
        return False
    return True


def count_parameters(model: torch.nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
