"""Doubles of the hardware at its boundary: NVML's functions, RAPL's files, the CPU's time."""

import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml

from pepr_utils.measurement.metering import nvml


class Gpu:
    """A GPU that follows a trace of power; time 0 of the trace is when it is made."""

    def __init__(self, uuid, watts=100.0, *, name="H100", counter=True, mig=(), error=1.0):
        self.uuid, self.name, self.counter, self.mig, self.error = uuid, name, counter, mig, error
        self.power = watts if callable(watts) else lambda _t: watts
        self.energy = None  # of the trace, joules up to a time; for a constant power by default
        self.began, self.fails, self.pids, self.reads = time.monotonic(), False, [], 0
        self.used, self.lost = 2_000_000_000, False

    def _age(self):
        if self.fails:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return time.monotonic() - self.began

    def watts_now(self):
        self.reads += 1
        return self.power(self._age())

    def joules_now(self):
        age = self._age()
        return self.error * (self.power(0) * age if self.energy is None else self.energy(age))


def install(monkeypatch, gpus, *, broken=None):
    """Replace NVML's GPUs; `broken` is the error that opening it gives."""

    def init():
        if broken:
            raise broken

    def unsupported(*_arguments):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def energy(gpu):
        return int(gpu.joules_now() * 1000) if gpu.counter else unsupported()

    def handle(index):
        if gpus[index].lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return gpus[index]

    def processes(gpu):
        return [SimpleNamespace(pid=pid) for pid in gpu.pids]

    doubles = {
        "nvmlInit": init,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(gpus),
        "nvmlDeviceGetHandleByIndex": handle,
        "nvmlDeviceGetUUID": lambda gpu: gpu if isinstance(gpu, str) else gpu.uuid,
        "nvmlDeviceGetName": lambda gpu: gpu.name,
        "nvmlDeviceGetMigMode": lambda gpu: [1, 1] if gpu.mig else unsupported(),
        "nvmlDeviceGetMaxMigDeviceCount": lambda gpu: len(gpu.mig),
        "nvmlDeviceGetMigDeviceHandleByIndex": lambda gpu, i: gpu.mig[i],
        "nvmlDeviceGetPowerUsage": lambda gpu: int(gpu.watts_now() * 1000),
        "nvmlDeviceGetTotalEnergyConsumption": energy,
        "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 300_000,
        "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(used=gpu.used),
        "nvmlDeviceGetComputeRunningProcesses": processes,
        "nvmlDeviceGetGraphicsRunningProcesses": lambda gpu: [],
    }
    for name, double in doubles.items():
        monkeypatch.setattr(pynvml, name, double)
    monkeypatch.setattr(nvml, "DEV", Path(__file__).with_name("no-dev"))


def powercap(folder, domains):
    """Write domains as the kernel shows them: name of the entry to (name, microjoules, range)."""
    for entry, (name, energy, size) in domains.items():
        (folder / entry).mkdir(parents=True, exist_ok=True)
        (folder / entry / "name").write_text(name + "\n")
        (folder / entry / "energy_uj").write_text(f"{energy}\n")
        (folder / entry / "max_energy_range_uj").write_text(f"{size}\n")
    return folder


def use_cpu(monkeypatch, seconds):
    """Set the CPU time that all processes of the machine have used since it was started."""
    times = SimpleNamespace(user=seconds, nice=0, system=0, irq=0, softirq=0)
    monkeypatch.setattr(psutil, "cpu_times", lambda: times)
