"""NVML: the GPUs of this machine, and which of them CUDA_VISIBLE_DEVICES leaves to a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pepr_utils.errors import how_to_install

#: Where the system lists its devices.
DEV = Path("/dev")
#: Values of CUDA_VISIBLE_DEVICES that schedulers set for "none".
NONE = ("", "-1", "NoDevFiles")


@dataclass(frozen=True)
class GpuInfo:
    """A GPU of this machine, as NVML lists it.

    `index` is its order on the bus; `error` is why it cannot be read. Where it is divided into
    slices (MIG), `mig_uuids` are those visible from here, and NVML cannot tell their energy apart.
    """

    index: int
    uuid: str
    name: str
    mig_uuids: tuple[str, ...] = ()
    divided: bool = False
    error: str | None = None


@dataclass(frozen=True)
class VisibleGpus:
    """The GPUs that a process sees, in CUDA's order, and notes on what could not be resolved.

    Where it is not known which are meant, `ambiguous` is set and there are none.
    """

    gpus: tuple[GpuInfo, ...]
    notes: tuple[str, ...] = ()
    ambiguous: bool = False


def visible_gpus(gpus: Sequence[GpuInfo], environment: Mapping[str, str]) -> VisibleGpus:
    """Resolve CUDA_VISIBLE_DEVICES to GPUs.

    As in CUDA, the list ends at the first entry that names no GPU, and a GPU named twice leaves
    none. Numbers count in CUDA's order, which is the bus order only if all GPUs are of one model
    or CUDA_DEVICE_ORDER is PCI_BUS_ID; else it is not known which are meant, unless all are.

    Parameters
    ----------
    gpus : sequence of GpuInfo
        Those of the machine.
    environment : mapping
        Of the process that computes.

    Examples
    --------
    >>> two = [GpuInfo(0, "GPU-aa", "X"), GpuInfo(1, "GPU-bb", "X")]
    >>> [gpu.uuid for gpu in visible_gpus(two, {"CUDA_VISIBLE_DEVICES": "1"}).gpus]
    ['GPU-bb']
    >>> visible_gpus(two, {"CUDA_VISIBLE_DEVICES": ""}).gpus
    ()
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return VisibleGpus(tuple(gpus))
    if listed.strip() in NONE:
        return VisibleGpus(())
    by_entry: dict[str, GpuInfo] = {}
    notes: tuple[str, ...] = ()
    for entry in map(str.strip, listed.split(",")):
        gpu = _find(entry, gpus)
        if gpu is None:
            notes = (f"CUDA_VISIBLE_DEVICES names {entry!r}, which is no GPU here",)
            break
        is_slice = entry.startswith("MIG-")  # two slices of one GPU are no repetition
        if entry in by_entry or (gpu in by_entry.values() and not is_slice):
            return VisibleGpus((), (f"CUDA_VISIBLE_DEVICES={listed} names a GPU twice: none",))
        by_entry[entry] = replace(gpu, divided=True) if is_slice else gpu
    found = tuple(dict.fromkeys(by_entry.values()))
    n_models = len({gpu.name for gpu in gpus})
    in_bus_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or n_models < 2
    if any(map(_is_number, by_entry)) and not in_bus_order and len(found) < len(gpus):
        why = (
            f"which of {len(gpus)} GPUs of {n_models} models is meant by "
            f"CUDA_VISIBLE_DEVICES={listed} is not known; set CUDA_DEVICE_ORDER=PCI_BUS_ID, or "
            "name them by UUID"
        )
        return VisibleGpus((), (*notes, why), ambiguous=True)
    return VisibleGpus(found, notes)


def _find(entry: str, gpus: Sequence[GpuInfo]) -> GpuInfo | None:
    """The one GPU that an entry names: by number, by UUID or its beginning, by a MIG slice."""
    if _is_number(entry):
        matches = [gpu for gpu in gpus if gpu.index == int(entry)]
    elif entry.startswith("MIG-GPU-"):  # the older form: MIG-<GPU>/<instance>/<instance>
        matches = [gpu for gpu in gpus if gpu.uuid == entry.removeprefix("MIG-").split("/")[0]]
    elif entry.startswith("MIG-"):
        matches = [gpu for gpu in gpus if any(m.startswith(entry) for m in gpu.mig_uuids)]
    else:
        matches = [g for g in gpus if entry.startswith("GPU-") and g.uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


def _is_number(entry: str) -> bool:
    return entry.isascii() and entry.isdecimal()


@dataclass
class Nvml:
    """An open NVML. What it cannot read is None; nothing raises.

    `gpus` are all GPUs of the machine; where there are none, `reason` says why. They are `hidden`
    where there seem to be some all the same: the driver is there and fails, or there is a device
    file of one.
    """

    gpus: tuple[GpuInfo, ...] = ()
    reason: str | None = None
    hidden: bool = False
    _library: Any = None
    _handles: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls) -> Nvml:
        """Open NVML and list the GPUs, each on its own: one may be lost and the others work."""
        device_files = any(DEV.glob("nvidia[0-9]*"))
        try:
            import pynvml
        except ImportError:
            why = f"nvidia-ml-py is not installed: {how_to_install('meter')}"
            return cls(reason=why, hidden=device_files)
        try:
            pynvml.nvmlInit()
            n_gpus = pynvml.nvmlDeviceGetCount()
        except Exception as error:  # noqa: BLE001 - a driver may fail in any way
            why = f"NVML: {error}; a GPU needs its driver, a container --gpus or --nv"
            none = getattr(error, "value", None) in (
                pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
                pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
            )
            return cls(reason=why, hidden=device_files or not none)
        opened = cls(_library=pynvml)
        opened.gpus = tuple(opened._info(index) for index in range(n_gpus))
        if not n_gpus:
            opened.reason, opened.hidden = "NVML lists no GPU", device_files
        return opened

    def close(self) -> None:
        """Close NVML."""
        if self._library is not None:
            self._ask(self._library.nvmlShutdown)

    def handle(self, gpu: GpuInfo) -> Any:
        """NVML's own handle of a GPU."""
        return self._handles.get(gpu.uuid)

    def energy_j(self, gpu: GpuInfo) -> float | None:
        """Energy counter (J since the driver was loaded)."""
        return self._thousandth(gpu, "nvmlDeviceGetTotalEnergyConsumption")

    def power_w(self, gpu: GpuInfo) -> float | None:
        """Power at this moment (W), as the driver averages it."""
        return self._thousandth(gpu, "nvmlDeviceGetPowerUsage")

    def power_limit_w(self, gpu: GpuInfo) -> float | None:
        """Enforced power limit (W)."""
        return self._thousandth(gpu, "nvmlDeviceGetEnforcedPowerLimit")

    def used_bytes(self, gpu: GpuInfo) -> int | None:
        """Memory in use, by every process."""
        memory = self._of(gpu, "nvmlDeviceGetMemoryInfo")
        return None if memory is None else int(memory.used)

    def processes(self, gpu: GpuInfo) -> set[int] | None:
        """Ids of the processes on a GPU."""
        compute = self._of(gpu, "nvmlDeviceGetComputeRunningProcesses")
        graphics = self._of(gpu, "nvmlDeviceGetGraphicsRunningProcesses")
        if compute is None or graphics is None:
            return None
        return {int(process.pid) for process in [*compute, *graphics]}

    def _thousandth(self, gpu: GpuInfo, name: str) -> float | None:
        value = self._of(gpu, name)
        return None if value is None else value / 1000

    def _of(self, gpu: GpuInfo, name: str) -> Any:
        function, handle = getattr(self._library, name, None), self._handles.get(gpu.uuid)
        return None if None in (function, handle) else self._ask(function, handle)

    def _ask(self, function: Callable, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception:  # noqa: BLE001 - not supported, not permitted, or the driver is gone
            return None

    def _info(self, index: int) -> GpuInfo:
        n = self._library
        try:
            handle = n.nvmlDeviceGetHandleByIndex(index)
            uuid, name = _text(n.nvmlDeviceGetUUID(handle)), _text(n.nvmlDeviceGetName(handle))
        except Exception as error:  # noqa: BLE001 - off the bus, or not permitted
            why = f"GPU {index} cannot be read: NVML: {error}"
            return GpuInfo(index, f"number {index}", "GPU", error=why)
        self._handles[uuid] = handle
        mode = self._ask(n.nvmlDeviceGetMigMode, handle)
        if not mode or not mode[0]:
            return GpuInfo(index, uuid, name)
        places = range(self._ask(n.nvmlDeviceGetMaxMigDeviceCount, handle) or 0)
        slices = [self._ask(n.nvmlDeviceGetMigDeviceHandleByIndex, handle, i) for i in places]
        uuids = [self._ask(n.nvmlDeviceGetUUID, slice_) for slice_ in slices if slice_ is not None]
        mig_uuids = tuple(_text(uuid) for uuid in uuids if uuid)
        return GpuInfo(index, uuid, name, mig_uuids, divided=True)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
