"""Recipes of training, named and immutable: a changed recipe is a new name.

The name of a protocol is part of every record and of the key by which runs are compared.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from pepr_utils.errors import unknown_name


@dataclass(frozen=True)
class Protocol:
    """A recipe of training.

    Attributes
    ----------
    name : str
        Its name.
    version : int
        Raised when a recipe changes under its name; see `label`. Version 2 puts images and weights
        in memory as the recipe says. In version 1 grey images were always pixel by pixel, and the
        model followed them; ``fast`` was plane by plane on a CPU.
    image_size : int
        Height and width (px) that images are resized to.
    epochs, batch_size, learning_rate : int, int, float
        The paper's: 10 epochs, batches of 32, 5e-4.
    optimizer : {"adam"}
        Adam with torch's defaults and no decay or schedule, as in the released loop.
    unshuffled : tuple of str
        Data sets whose training images are shown in the order of the file in every epoch, by any
        of their names and in any size; the record says so. The released loop does this for Derma,
        whose loader has no sampler. LIDC is shuffled.
    smallest_batch : int
        A last batch with fewer images is left out. The released loop keeps a last batch of one (of
        9,057 LIDC images), for which batch normalisation of a 1 x 1 map fails.
    stratified : bool
        Whether a share of the training images keeps the balance of classes. The authors drew
        theirs at random.
    binary_logits : {1, 2}
        Outputs of a model with two classes. The released loop has one, with binary cross-entropy.
    precision : {"fp32", "bf16"}
        Arithmetic of the forward pass; ``bf16`` is autocast. On a CPU it is used where a short
        trial of the model shows a gain, for training and evaluation apart; the record says where.
    tf32_convolutions : bool
        Whether convolutions of single precision may be computed in TF32 (NVIDIA GPUs since
        Ampere), which is PyTorch's default and so the authors'. Matrix products never are, by the
        same default.
    channels_last : bool
        Whether images and weights are in memory pixel by pixel (NHWC) or plane by plane (NCHW), on
        every device and for any number of channels.
    on_device : bool
        Whether all images are kept on the device as bytes and rescaled there.
    read_loss_every_step : bool
        Whether the loss is read after each step, which makes the device wait. The released loop
        does, to print it.
    cpu_threads : int or None
        Threads of one operation on the CPU; None for torch's default, one per core. The demo's
        operations are too short to share among threads; with one, it gives the same numbers on two
        cores as on twenty.
    evaluate_every : int
        Epochs between evaluations on validation and test images; the last is always evaluated.
    """

    name: str
    version: int = 2
    image_size: int = 256
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 5e-4
    optimizer: Literal["adam"] = "adam"
    unshuffled: tuple[str, ...] = ()
    smallest_batch: int = 2
    stratified: bool = True
    binary_logits: Literal[1, 2] = 1
    precision: Literal["fp32", "bf16"] = "fp32"
    tf32_convolutions: bool = True
    channels_last: bool = False
    on_device: bool = True
    read_loss_every_step: bool = False
    cpu_threads: int | None = None
    evaluate_every: int = 1

    @property
    def label(self) -> str:
        """Its name in records: with the version, but for the first."""
        return self.name if self.version == 1 else f"{self.name}-{self.version}"

    def definition(self) -> dict[str, Any]:
        """All fields, for the hash that names a run."""
        return asdict(self)


#: The recipes by name. Images are rescaled to [0, 1] and not normalised further in any of them,
#: as in the paper and in the released loop.
PROTOCOLS = MappingProxyType(
    {
        p.name: p
        for p in (
            Protocol(
                "paper",
                unshuffled=("derma",),
                smallest_batch=1,
                stratified=False,
                on_device=False,
                read_loss_every_step=True,
            ),
            Protocol("fast", precision="bf16", channels_last=True),
            Protocol("demo", image_size=32, epochs=4, batch_size=8, cpu_threads=1),
        )
    }
)


def protocol(name: str) -> Protocol:
    """Return a recipe by its name, or by its label in records.

    Raises
    ------
    UnknownNameError
        If there is no recipe of that name, or no longer of that version.

    Examples
    --------
    >>> protocol("paper").learning_rate, protocol("paper").label
    (0.0005, 'paper-2')
    """
    by_label = {recipe.label: recipe for recipe in PROTOCOLS.values()}
    found = PROTOCOLS.get(name) or by_label.get(name)
    if found is None:
        raise unknown_name("protocol", name, PROTOCOLS)
    return found
