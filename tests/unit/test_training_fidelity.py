"""What a recipe says of memory and arithmetic is what the model gets."""

import numpy as np
import pytest
import torch

from pepr_utils.measurement import protocols
from pepr_utils.measurement.architectures import find_architecture
from pepr_utils.measurement.training import precision
from pepr_utils.measurement.training.batches import Batches, memory_layout
from pepr_utils.measurement.training.model import make_model

CPU = torch.device("cpu")


def _pixels(n_channels, n=6):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (n, 32, 32, n_channels), dtype=np.uint8)


def _batch(pixels, recipe):
    batches = Batches(pixels, np.zeros(len(pixels), int), np.arange(len(pixels)), recipe, CPU)
    return next(batches.ordered())[0]


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("name", ["paper", "fast", "demo"])
def test_the_protocol_decides_the_layout_inside_the_first_layers(name, n_channels):
    recipe = protocols.protocol(name)
    model = make_model(
        find_architecture("test_resnet"), image_size=32, n_channels=n_channels, n_outputs=1
    )
    model.to(memory_format=memory_layout(recipe))
    inputs = []
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)][:4]
    for layer in convolutions:
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0].stride()))
    images = _batch(_pixels(n_channels), recipe)
    model(images)
    pixel_by_pixel = name == "fast"
    assert len(inputs) == 4
    for strides, layer in zip(inputs, convolutions, strict=True):
        # The stride from one channel to the next: 1 if they lie side by side.
        assert (strides[1] == 1) == pixel_by_pixel, strides
        side_by_side = layer.weight.stride()[1] == 1
        assert side_by_side == pixel_by_pixel, layer.weight.stride()


@pytest.mark.parametrize("n_channels", [1, 3])
def test_images_are_the_same_numbers_in_both_layouts(n_channels):
    pixels = _pixels(n_channels)
    expected = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    for name in ("paper", "fast"):
        assert np.array_equal(_batch(pixels, protocols.protocol(name)).numpy(), expected)


def test_a_trial_leaves_model_and_random_numbers_as_they_were(monkeypatch):
    recipe = protocols.protocol("fast")
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(), torch.nn.Flatten()
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    chosen = precision.choose_precision(
        model, lambda: _batch(_pixels(1), recipe), recipe, CPU, n_steps=10_000
    )
    assert torch.equal(torch.rand(3), expected)
    assert chosen.note.startswith("bf16 on the CPU: ")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("gains", "uses"),
    [((1.3, 1.3), (True, True)), ((0.5, 1.3), (False, True)), ((1.1, 1.1), (False, False))],
)
def test_bf16_is_used_on_a_cpu_where_the_trial_shows_a_gain(monkeypatch, gains, uses):
    measured = iter(gains)
    monkeypatch.setattr(precision, "gain", lambda work: next(measured))
    recipe, model = protocols.protocol("fast"), torch.nn.Conv2d(1, 1, 3)

    def chosen(notes=None, n_steps=10_000):
        return precision.choose_precision(
            model, lambda: torch.zeros(1, 1, 8, 8), recipe, CPU, n_steps=n_steps, notes=notes
        )

    first = chosen()
    assert (first.training, first.evaluation) == uses
    with first.autocast(training=True):
        dtype = model(torch.zeros(1, 1, 8, 8)).dtype
    assert dtype == (torch.bfloat16 if uses[0] else torch.float32)
    # Epochs that follow keep it without another trial, which would find no more gains here.
    assert chosen(notes=f"images in order; {first.note}") == first
    assert not chosen(n_steps=10).training


def test_other_recipes_know_no_bf16():
    for name in ("paper", "demo"):
        chosen = precision.choose_precision(
            torch.nn.Identity(), None, protocols.protocol(name), CPU, n_steps=10_000
        )
        assert chosen == precision.Precision("cpu")
