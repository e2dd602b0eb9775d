"""Which model of device a folder's runs are measured on, found without torch."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pepr_utils.measurement.metering.nvml import Nvml, visible_gpus
from pepr_utils.measurement.store import MANIFEST


def device_of(folder: Path) -> str | None:
    """Return the device that a folder was begun on, else this machine's first visible GPU.

    None where neither is known: a processor's name says nothing of what it would take.
    """
    try:
        device = json.loads((Path(folder) / MANIFEST).read_bytes())["device"]
        if isinstance(device, str):
            return device
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no runs yet, or a damaged manifest, which the first run reports
    nvml = Nvml.open()
    try:
        gpus = visible_gpus(nvml.gpus, os.environ).gpus
        return gpus[0].name if gpus else None
    finally:
        nvml.close()
