"""Where a recipe of bf16 uses it: on a GPU that has it; on a CPU, where a trial shows a gain."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from pepr_utils.measurement.protocols import Protocol

#: bf16 is used on a CPU if it is at least this many times as fast. Below that, noise could decide.
LEAST_GAIN = 1.2
#: A training of fewer steps is not worth a trial, which takes about six.
FEWEST_STEPS = 200
_ROUNDS = 2
_NOTE = "bf16 on the CPU: "
#: What a record says, by whether training and evaluation use bf16.
_NOTES = {
    (True, True): _NOTE + "training and evaluation",
    (True, False): _NOTE + "training alone",
    (False, True): _NOTE + "evaluation alone",
    (False, False): _NOTE + "nowhere",
}


@dataclass(frozen=True)
class Precision:
    """Whether training and evaluation use bf16, and the note about it, if it was a choice."""

    device: str
    training: bool = False
    evaluation: bool = False
    note: str | None = None

    def autocast(self, *, training: bool) -> AbstractContextManager:
        """Return the context of a forward pass."""
        if self.training if training else self.evaluation:
            return torch.autocast(self.device, dtype=torch.bfloat16)
        return nullcontext()


def choose_precision(
    model: torch.nn.Module,
    batch: Callable[[], torch.Tensor],
    recipe: Protocol,
    device: torch.device,
    *,
    n_steps: int,
    notes: str | None = None,
) -> Precision:
    """Return where a training uses bf16.

    Parameters
    ----------
    model : torch.nn.Module
        On the device, in its layout of memory. A trial leaves it as it was.
    batch : callable
        Returns images as the model will get them.
    recipe : Protocol
        Its precision; ``fp32`` has no bf16 anywhere.
    device : torch.device
        MPS has none either.
    n_steps : int
        Steps of the whole training.
    notes : str, optional
        Notes of the epochs before, where a training goes on: it keeps its precision.
    """
    if recipe.precision != "bf16" or device.type == "mps":
        return Precision(device.type)
    if device.type == "cuda":
        has_it = torch.cuda.is_bf16_supported()
        return Precision("cuda", has_it, has_it)
    kept = [choice for choice, note in _NOTES.items() if note in (notes or "")]
    if kept:
        choice = kept[0]
    elif n_steps < FEWEST_STEPS:
        choice = (False, False)
    else:
        choice = _tried(model, batch())
    return Precision("cpu", *choice, note=_NOTES[choice])


def _tried(model: torch.nn.Module, images: torch.Tensor) -> tuple[bool, bool]:
    """Time steps and forward passes in both precisions; leave the model as it was."""
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    mode = model.training
    with torch.random.fork_rng(devices=[]):
        train = gain(lambda: model.train()(images).float().sum().backward())
        with torch.inference_mode():
            evaluation = gain(lambda: model.eval()(images))
    model.train(mode)
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, value in model.named_buffers():
            value.copy_(buffers[name])
    return train >= LEAST_GAIN, evaluation >= LEAST_GAIN


def gain(work: Callable[[], object]) -> float:
    """Time of some work in fp32 over its time in bf16: the least of interleaved tries."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(1 + _ROUNDS):
        for bf16, taken in seconds.items():
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                started = time.perf_counter()
                work()
                taken.append(time.perf_counter() - started)
    return min(seconds[False][1:]) / min(seconds[True][1:])  # the first warms up
