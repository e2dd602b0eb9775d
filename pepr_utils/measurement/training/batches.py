"""From bytes in memory to batches of floats in [0, 1] on the device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from pepr_utils.measurement.protocols import Protocol

_STREAM = 12  # a stream of random numbers of its own


class Batches:
    """The images of one split with their labels, in batches.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8, n x size x size x channels.
    labels : numpy.ndarray
        int64, n or n x labels.
    indices : numpy.ndarray
        Which of them are used, in what order where it is not shuffled.
    recipe : Protocol
        Decides size of batches, where images are kept and their memory layout.
    device : torch.device
        Where the batches are needed.

    Attributes
    ----------
    note : str or None
        Why the images are not kept on the device, where the recipe wants them there.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        labels: np.ndarray,
        indices: np.ndarray,
        recipe: Protocol,
        device: torch.device,
    ) -> None:
        self.recipe, self.device = recipe, device
        self.labels = torch.from_numpy(labels[indices]).to(device)
        self.layout = memory_layout(recipe)
        self._pixels, self._indices = pixels, indices
        self._resident = self.note = None
        if recipe.on_device and device.type != "cpu":
            self.note = _too_large(len(indices) * int(np.prod(pixels.shape[1:])), device)
            if self.note is None:
                self._resident = torch.from_numpy(np.ascontiguousarray(pixels[indices])).to(device)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._indices)

    def ordered(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All images in their order: for evaluation, so a last batch of one is kept."""
        yield from self._batches(np.arange(len(self)), smallest=1)

    def epoch(self, number: int, *, seed: int, shuffled: bool) -> Iterator[tuple]:
        """The images of one epoch, from 1: shuffled by seed and epoch, or in their order."""
        order = np.arange(len(self))
        if shuffled:
            order = np.random.default_rng([seed, _STREAM, number]).permutation(len(self))
        yield from self._batches(order, smallest=self.recipe.smallest_batch)

    def _batches(self, order: np.ndarray, *, smallest: int) -> Iterator[tuple]:
        size = self.recipe.batch_size
        on_device = torch.from_numpy(order).to(self.device)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            if len(chosen) < smallest:
                return
            at = on_device[start : start + size]
            if self._resident is not None:
                images = self._resident[at]
            else:
                images = torch.from_numpy(self._pixels[self._indices[chosen]]).to(self.device)
            planes = images.permute(0, 3, 1, 2)
            # A copy into the layout: of one channel, `contiguous` would leave it as it is.
            floats = torch.empty(planes.shape, device=self.device, memory_format=self.layout)
            yield floats.copy_(planes).div_(255.0), self.labels[at]


def memory_layout(recipe: Protocol) -> torch.memory_format:
    """Order of images and weights in memory under a recipe."""
    return torch.channels_last if recipe.channels_last else torch.contiguous_format


def _too_large(n_bytes: int, device: torch.device) -> str | None:
    """Why images stay on the host: they take more than a third of the device's free memory."""
    free = _free_bytes(device)
    if free is None or n_bytes < free / 3:
        return None
    return (
        f"{n_bytes / 1e9:.3g} GB of images are more than a third of the {free / 1e9:.3g} GB free "
        "on the device, and stay on the host"
    )


def _free_bytes(device: torch.device) -> int | None:
    """Free memory of a device; None where it is not known."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
