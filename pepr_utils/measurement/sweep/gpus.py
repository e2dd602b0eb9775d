"""Which GPUs a sweep uses: one slot each, by what NVML lists; and which a worker has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pepr_utils.measurement.metering.nvml import GpuInfo, Nvml, visible_gpus
from pepr_utils.measurement.sweep.state import SweepError


def find_gpus(
    wanted: int | Literal["auto"] | Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """Return the GPUs to use, each as CUDA_VISIBLE_DEVICES names it.

    A GPU that is divided (MIG) gives one slot: NVML has the energy of the whole GPU only, so its
    runs have none of the GPU, and side by side on its slices they would disturb each other. A GPU
    that cannot be read gives none.

    Parameters
    ----------
    wanted : int, "auto" or sequence of str
        How many; every one that is visible, none being fine; or their names, taken as they are.
    environment : mapping
        Whose CUDA_VISIBLE_DEVICES says what is visible.

    Raises
    ------
    SweepError
        If there are fewer than wanted, or it is not known which ones are meant.
    """
    if not isinstance(wanted, int | str):
        return list(wanted)
    if wanted == 0:
        return []
    nvml = Nvml.open()
    nvml.close()
    chosen = visible_gpus(nvml.gpus, environment)
    gpus = [gpu for gpu in chosen.gpus if gpu.error is None]
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    broken = [gpu.error for gpu in chosen.gpus if gpu.error]
    notes = [*chosen.notes, *broken, *filter(None, [nvml.reason])]
    if listed is not None:
        notes.append(f"CUDA_VISIBLE_DEVICES is {listed!r}")
    if chosen.ambiguous:
        raise SweepError("; ".join(chosen.notes))
    if wanted == "auto":
        return [_name(gpu, listed) for gpu in gpus]
    if isinstance(wanted, str) or wanted < 0:
        raise SweepError(f"gpus is {wanted!r}; allowed: a whole number from 0, or 'auto'")
    if len(gpus) < wanted:
        raise SweepError(
            f"{wanted} GPUs are asked for and {len(gpus) or 'none'} found"
            + (f" ({'; '.join(notes)})" if notes else "")
            + "; ask for as many as there are, or for 0 to measure on the processor"
        )
    return [_name(gpu, listed) for gpu in gpus[:wanted]]


def own_gpu(environment: Mapping[str, str]) -> str | None:
    """Return the one GPU that a worker's runs are on, as CUDA_VISIBLE_DEVICES names it.

    By its UUID, so that every worker of a machine calls it the same, whatever number it has for
    each of them; or by that of its slice (MIG), since slices may be used at the same time.

    Parameters
    ----------
    environment : mapping
        The worker's.

    Returns
    -------
    str or None
        None where no GPU is visible, without NVML, and where NVML cannot read the GPU.

    Raises
    ------
    SweepError
        If several GPUs are visible, or it is not known which one is meant.
    """
    nvml = Nvml.open()
    nvml.close()
    chosen = visible_gpus(nvml.gpus, environment)
    if chosen.ambiguous:
        raise SweepError("; ".join(chosen.notes))
    if len(chosen.gpus) > 1:
        raise SweepError(
            f"it sees {len(chosen.gpus)} GPUs ({', '.join(gpu.uuid for gpu in chosen.gpus)}), "
            "and runs are measured one at a time on each; start one worker per GPU with "
            "CUDA_VISIBLE_DEVICES naming it, or set it to '' to measure on the processor"
        )
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    names = [_name(gpu, listed) for gpu in chosen.gpus]
    return next((name for name in names if name.startswith(("GPU-", "MIG-"))), None)


def _name(gpu: GpuInfo, listed: str | None) -> str:
    """A GPU's name for CUDA: its UUID, or that of its first slice that may be used."""
    if not gpu.mig_uuids:
        return gpu.uuid
    parts = [part.strip() for part in (listed or "").split(",")]
    allowed = [m for m in gpu.mig_uuids if any(p and m.startswith(p) for p in parts)]
    older = [part for part in parts if part.startswith(f"MIG-{gpu.uuid}/")]
    return (allowed + older + list(gpu.mig_uuids))[0]
