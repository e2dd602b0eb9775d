"""How fast the protocols train on this machine, against three rivals, as ratios in one run.

    python benchmarks/training.py [--architectures NAME ...] [--sizes PX ...] [--json FILE]

Per architecture, image size and grey or colour, four ways to take the same steps in turn:

- ours: the training windows of `train` under a protocol, its batches included;
- plain: a DataLoader and a loop that reads the loss after each step, as in the released code;
- timm: the same with timm's optimizer and channels-last order, as its train.py has them;
- bare: forward, backward and Adam step alone, on one batch that is ready, in the protocol's order.

A figure is the median, over rounds, of a rival's time over ours: above 1, ours is faster.
Processor time of all threads, so that other work on the machine counts for little. Evaluations are
left out, and the first epoch of each way, in which the optimiser makes its state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from statistics import median

import numpy as np
import torch
from common import machine, options, report
from torch.utils.data import DataLoader, TensorDataset

from pepr_utils.measurement import protocol
from pepr_utils.measurement.architectures import find_architecture, timm
from pepr_utils.measurement.training.batches import Batches, memory_layout
from pepr_utils.measurement.training.loop import Splits, Task, train
from pepr_utils.measurement.training.model import make_model
from pepr_utils.measurement.training.precision import Precision, choose_precision

ARCHITECTURES = (
    "resnet18d", "resnet14t", "mobilenetv2_050", "mnasnet_100", "ghostnet_100", "dla46_c",
    "convnext_atto", "pvt_v2_b0",
)  # fmt: skip
CPU = torch.device("cpu")
TASK = Task(2, multi_label=False, one_logit=True)


class Stopwatch:
    """Takes the place of the meter: the time of the last training window."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0

    @contextmanager
    def window(self, kind: str, _epoch: int) -> Iterator[None]:
        """Time a window."""
        begin = clock(self.device)
        yield
        if kind == "train":
            self.seconds = clock(self.device) - begin


def timed(epoch: Callable[[], None], device: torch.device) -> float:
    """Return the seconds that a rival's epoch takes."""
    watch = Stopwatch(device)
    with watch.window("train", 1):
        epoch()
    return watch.seconds


def ways(
    name: str, recipe, pixels: np.ndarray, labels: np.ndarray, device: torch.device = CPU
) -> tuple[dict[str, Callable[[], float]], Precision]:
    """Return one function per way, which takes the steps of one epoch and returns its seconds."""
    layout, size, n_channels = memory_layout(recipe), pixels.shape[1], pixels.shape[3]

    def model(order: torch.memory_format) -> torch.nn.Module:
        torch.manual_seed(0)
        made = make_model(
            find_architecture(name), image_size=size, n_channels=n_channels, n_outputs=1
        )
        return made.to(device, memory_format=order)

    ours, everything = model(layout), np.arange(len(labels))
    batches = Batches(pixels, labels, everything, recipe, device)
    one = Batches(pixels, labels, everything[:1], recipe, device)
    chosen = choose_precision(
        ours, lambda: next(batches.ordered())[0], recipe, device, n_steps=10_000
    )

    def by_us() -> float:
        watch = Stopwatch(device)
        train(
            ours, Splits(batches, one, one), TASK, replace(recipe, epochs=2), precision=chosen,
            seed=1, shuffled=True, meter=watch,
        )  # fmt: skip
        return watch.seconds

    floats = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255)
    planes = torch.empty(floats.shape).copy_(floats)  # of one channel, too
    loader = DataLoader(
        TensorDataset(planes, torch.from_numpy(labels)), recipe.batch_size, shuffle=True
    )

    def loop(order: torch.memory_format, optimizer_of: Callable) -> Callable:
        rival = model(order).train()
        optimizer = optimizer_of(rival)

        def epoch() -> None:
            for given, truth in loader:
                images = torch.empty(given.shape, memory_format=order, device=device).copy_(given)
                wanted = truth.to(device)
                optimizer.zero_grad()
                loss = TASK.loss(rival(images), wanted)
                loss.backward()
                optimizer.step()
                loss.item()

        return epoch

    rival = model(layout).train()
    fused = torch.optim.Adam(rival.parameters(), lr=recipe.learning_rate, fused=True)
    ready, wanted = next(batches.ordered())

    def bare() -> None:
        for _ in range(len(labels) // recipe.batch_size):
            fused.zero_grad(set_to_none=True)
            with chosen.autocast(training=True):
                logits = rival(ready)
            TASK.loss(logits.float(), wanted).backward()
            fused.step()

    timm()
    from timm.optim import create_optimizer_v2

    rate = recipe.learning_rate
    rivals = {
        "plain": loop(torch.contiguous_format, lambda m: torch.optim.Adam(m.parameters(), lr=rate)),
        "timm": loop(
            torch.channels_last,
            lambda m: create_optimizer_v2(m, opt="adam", lr=rate, weight_decay=0.0),
        ),
        "bare": bare,
    }
    found = {way: partial(timed, epoch, device) for way, epoch in rivals.items()}
    return {"ours": by_us, **found}, chosen


def clock(device: torch.device) -> float:
    """Processor time of all threads; on a GPU the time when it has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def measured(
    name: str,
    recipe,
    n_channels: int,
    size: int,
    rounds: int,
    steps: int,
    device: torch.device = CPU,
) -> dict:
    """Time all ways in turn; return images per second of ours, and the rivals' time over ours."""
    recipe = replace(recipe, image_size=size, epochs=1)
    n = steps * recipe.batch_size
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (n, size, size, n_channels), dtype=np.uint8)
    found, chosen = ways(name, recipe, pixels, np.arange(n) % 2, device)
    seconds = {way: [] for way in found}
    for _ in range(1 + rounds):
        for way, epoch in found.items():
            seconds[way].append(epoch())
    taken = {way: values[1:] for way, values in seconds.items()}  # the first warms up
    ratios = {
        f"{way}_over_ours": median(a / b for a, b in zip(taken[way], taken["ours"], strict=True))
        for way in taken
        if way != "ours"
    }
    return {
        "architecture": name,
        "protocol": recipe.label,
        "device": device.type,
        "channels": n_channels,
        "image_size": size,
        "images_per_s": n / median(taken["ours"]),
        "bf16_training": chosen.training,
        **ratios,
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table in Markdown; write it as JSON where asked."""
    parser = options(__doc__)
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--protocols", nargs="+", default=["paper", "fast", "demo"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    about = machine("torch", "timm") | {
        "threads": asked.threads, "n": asked.rounds, "steps": asked.steps,
        "time": "processor time, median of ratios",
    }  # fmt: skip
    rows = [
        measured(name, recipe, n_channels, size, asked.rounds, asked.steps)
        for name in asked.architectures
        for n_channels in asked.channels
        for size in asked.sizes
        for recipe in map(protocol, asked.protocols)
    ]
    columns = {
        "architecture": "{architecture}", "protocol": "{protocol}", "channels": "{channels}",
        "px": "{image_size}", "images/s": "{images_per_s:.0f}",
        "plain / ours": "{plain_over_ours:.2f}", "timm / ours": "{timm_over_ours:.2f}",
        "bare / ours": "{bare_over_ours:.2f}", "bf16": "{bf16_training}",
    }  # fmt: skip
    report("training", rows, columns, about, asked)


if __name__ == "__main__":
    main()
