"""Checkpoints: what a training needs to go on after one of its epochs, in one safetensors file.

A file holds the model's and the optimiser's tensors, the states of the random generators, and the
run's record so far. Nothing in it is pickled. The order of the images is no state: it follows from
seed and epoch. A recipe has no learning-rate schedule; one that had would be a function of the
epoch as well.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pepr_utils.errors import FolderError, RunError
from pepr_utils.measurement.protocols import Protocol
from pepr_utils.measurement.sweep_environment import wait_to_retry
from pepr_utils.results import Record
from pepr_utils.results.atomic import replacing
from pepr_utils.results.record_files import parse_record, record_text

_REMEDY = "remove it, and the run begins with its first epoch"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk that was found whole: the file, and the record of the epochs so far."""

    path: Path
    record: Record

    @property
    def epoch(self) -> int:
        """The last epoch that it has behind it."""
        return self.record.epochs_done

    def restore(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
    ) -> None:
        """Bring a model, its optimiser and the random generators to where they were.

        Raises
        ------
        RunError
            If the model has other tensors, as in another version of timm.
        """
        with safe_open(self.path, "pt") as file:
            names, metadata = set(file.keys()), file.metadata()
            target = {f"model.{name}": value for name, value in model.state_dict().items()}
            stored = {name for name in names if name.startswith("model.")}
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            shapes = {n: tuple(file.get_slice(n).get_shape()) for n in stored & target.keys()}
            if stored != target.keys() or any(s != target[n].shape for n, s in shapes.items()):
                raise RunError(f"{self.path} is of another version of the model; {_REMEDY}")
            for name, value in target.items():  # in place, in the model's own layout of memory
                value.copy_(file.get_tensor(name))
            for name in names - stored:
                kind, _, rest = name.partition(".")
                if kind == "optimizer":
                    number, _, key = rest.partition(".")
                    parameter, value = parameters[int(number)], file.get_tensor(name)
                    if value.shape == parameter.shape:
                        value = torch.empty_like(parameter).copy_(value)
                    optimizer.state[parameter][key] = value
            state = json.loads(metadata["random"])
            random.setstate((state["python"][0], tuple(state["python"][1]), state["python"][2]))
            np.random.set_state(  # noqa: NPY002 - the global generator is what a model may use
                ("MT19937", np.array(state["numpy"][0], np.uint32), *state["numpy"][1:])
            )
            torch.set_rng_state(file.get_tensor("random.torch"))
            if device.type == "cuda" and "random.cuda" in names:
                torch.cuda.set_rng_state(file.get_tensor("random.cuda"), device)
            if device.type == "mps" and "random.mps" in names:
                torch.mps.set_rng_state(file.get_tensor("random.mps"))


@dataclass(frozen=True)
class Part:
    """Which epochs of a run are trained now; by default all of them."""

    path: Path | None = None  #: file of its checkpoints; None for none
    start: Checkpoint | None = None  #: the one to go on from
    until_epoch: int | None = None  #: the last epoch to train; None for the recipe's last
    every_epoch: bool = False  #: whether there is a checkpoint after each, not the last alone

    @property
    def record(self) -> Record | None:
        """The record of the epochs before."""
        return self.start.record if self.start else None

    @property
    def first_epoch(self) -> int:
        """The first epoch that is trained now."""
        return 1 + (self.start.epoch if self.start else 0)

    def last_epoch(self, recipe: Protocol) -> int:
        """The last epoch that is trained now."""
        return min(self.until_epoch or recipe.epochs, recipe.epochs)

    def is_saved(self, epoch: int, recipe: Protocol) -> bool:
        """Whether there is to be a checkpoint after an epoch; after the recipe's last is none."""
        return epoch < recipe.epochs and (self.every_epoch or epoch == self.until_epoch)


def write_checkpoint(
    path: Path,
    record: Record,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> None:
    """Write a checkpoint, whole or not at all, in place of the run's last one.

    In a sweep a folder that takes no files is waited for.

    Parameters
    ----------
    path : pathlib.Path
        Its file.
    record : Record
        The run's record so far, paused after its last epoch.
    model, optimizer, device
        The training.

    Raises
    ------
    FolderError
        If it cannot be written.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for number, parameter in enumerate(parameters):
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{number}.{key}"] = value
    tensors["random.torch"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        tensors["random.mps"] = torch.mps.get_rng_state()
    # Copies: two names may share one tensor, which the format does not take.
    tensors = {n: t.detach().to("cpu", copy=True).contiguous() for n, t in tensors.items()}
    _, keys, *others = np.random.get_state()  # noqa: NPY002
    generators = {"python": random.getstate(), "numpy": [keys.tolist(), *others]}
    metadata = {"record": record_text(record), "random": json.dumps(generators)}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        _add(digest, name, tensors[name])
    metadata["sha256"] = _finish(digest, metadata)
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                save_file(tensors, temporary, metadata)
                temporary.chmod(0o644)  # else it is for its owner alone
            return
        except (OSError, SafetensorError) as error:
            if not wait_to_retry():
                raise FolderError(
                    f"the checkpoint {path} cannot be written ({_line(error)}); make room, and "
                    "run it again"
                ) from None


def read_checkpoint(path: Path, run_id: str, device: str) -> Checkpoint | None:
    """Find the checkpoint of a run, and check it; None where there is none.

    Parameters
    ----------
    path : pathlib.Path
        Its file.
    run_id, device : str
        The run, and the name of the device that is to go on with it.

    Raises
    ------
    RunError
        If it is damaged or no regular file, or that of another run or of another device.
    """
    if not path.exists():
        return None
    if not path.is_file():  # a pipe would be waited for
        raise RunError(f"the checkpoint {path} is not a regular file; {_REMEDY}")
    digest = hashlib.sha256()
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            for name in sorted(file.keys()):
                _add(digest, name, file.get_tensor(name))
        expected = metadata.pop("sha256", "")
        whole = expected == _finish(digest, metadata)
        record = parse_record("its record", metadata["record"].encode()) if whole else None
    except Exception as error:  # noqa: BLE001 - a damaged file can raise anything
        raise RunError(f"the checkpoint {path} is damaged ({_line(error)}); {_REMEDY}") from None
    if record is None:
        raise RunError(f"the checkpoint {path} is damaged: its SHA-256 differs; {_REMEDY}")
    if record.run_id != run_id:
        raise RunError(f"the checkpoint {path} is of another run, {record.run_id}; {_REMEDY}")
    if record.device != device:
        raise RunError(
            f"the checkpoint {path} was made on {record.device}, and this is {device}; "
            f"go on there, or {_REMEDY}"
        )
    return Checkpoint(path, record)


def _add(digest: hashlib._Hash, name: str, tensor: torch.Tensor) -> None:
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy())


def _finish(digest: hashlib._Hash, metadata: dict[str, str]) -> str:
    digest.update(json.dumps(metadata, sort_keys=True).encode())
    return digest.hexdigest()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
