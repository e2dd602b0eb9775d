"""The 131 architectures in today's timm: names, parameters, and one step of training."""

import pandas as pd
import pytest

from pepr_utils.errors import UnknownNameError
from pepr_utils.measurement import select_architectures
from pepr_utils.measurement.architectures import (
    ArchitectureError,
    find_architecture,
    timm,
)
from pepr_utils.measurement.training.model import count_parameters, make_model
from pepr_utils.results import load_architectures, load_timm_models

PAPER = load_architectures().set_index("architecture")
#: Of each module of timm, where it is small enough to train a step in a moment.
SMALLEST_OF_EACH_MODULE = (
    PAPER.join(load_timm_models()["module"])
    .sort_values("n_parameters")
    .drop_duplicates("module")
    .query("n_parameters < 8e6")
    .index
)


def test_the_table_has_the_papers_architectures_in_their_order():
    assert load_timm_models().index.tolist() == PAPER.index.tolist()


def test_the_module_is_the_one_that_timm_makes_the_architecture_in():
    for row in load_timm_models().itertuples():
        made_in = timm().model_entrypoint(row.timm_name).__module__
        assert made_in == f"timm.models.{row.module}"


def test_weights_are_of_the_architecture_and_of_imagenet_1k_alone():
    others = ("in12k", "in21k", "in22k", "ft_", "laion", "swsl")
    for found in map(find_architecture, PAPER.index):
        arch, tag = found.weights.split(".", 1)
        assert arch == found.timm_name
        assert not any(other in tag for other in others), found.weights
        config = timm().get_pretrained_cfg(found.weights, allow_unregistered=False)
        assert config is not None, found.weights
        assert config.num_classes == 1000


@pytest.fixture
def no_random_weights(monkeypatch):
    """Begin with zeros: drawing the weights takes longer than a step of training."""
    import torch

    for name in ("normal_", "uniform_", "erfinv_"):
        monkeypatch.setattr(torch.Tensor, name, lambda self, *_a, **_k: self.zero_())


def _train_one_step(name):
    import torch

    found = find_architecture(name)
    size, channels = found.smallest_size, 1 if PAPER.index.get_loc(name) % 2 else 3
    torch.manual_seed(0)
    model = make_model(found, image_size=size, n_channels=channels, n_outputs=3)
    outputs = model.train()(torch.rand(2, channels, size, size))
    assert outputs.shape == (2, 3)
    torch.nn.functional.cross_entropy(outputs, torch.tensor([0, 2])).backward()
    with_gradient = [p for p in model.parameters() if p.grad is not None]
    assert len(with_gradient) > 0.9 * len(list(model.parameters()))


def _check_parameters(name):
    import torch

    with torch.device("meta"):
        found = find_architecture(name)
        model = timm().create_model(found.timm_name, **found.size_arguments(256))
    assert count_parameters(model) == PAPER.loc[name, "n_parameters"]


@pytest.mark.parametrize("name", SMALLEST_OF_EACH_MODULE)
def test_one_model_of_each_module_trains_and_has_the_papers_parameters(name, no_random_weights):
    _train_one_step(name)
    _check_parameters(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER.index)
def test_every_model_trains_at_its_smallest_size(name, no_random_weights):
    _train_one_step(name)


@pytest.mark.slow
def test_every_model_has_the_papers_parameters():
    for name in PAPER.index:
        _check_parameters(name)


def test_too_small_images_are_refused_with_the_size_that_is_needed():
    with pytest.raises(
        ArchitectureError, match="halonet26t does not take images of 32 px; it need"
    ):
        make_model(find_architecture("halonet26t"), image_size=32, n_channels=3, n_outputs=2)


def test_any_other_model_of_timm_works_by_name_and_by_weights():
    assert find_architecture("test_resnet").pinned_weights() == "test_resnet.r160_in1k"
    assert find_architecture("resnet50.a1_in1k").pinned_weights() == "resnet50.a1_in1k"
    assert find_architecture("test_vit").size_arguments(64) == {"img_size": 64}


@pytest.mark.parametrize("name", ["resnet18x", "resnet50.no_such_tag", "resnet18d."])
def test_an_unknown_architecture_is_named(name):
    with pytest.raises(UnknownNameError, match=f"unknown architecture '{name}'; allowed: one of"):
        find_architecture(name)


def test_no_weights_in_timm():
    with_weights = {tag.split(".")[0] for tag in timm().list_pretrained()}
    without = next(n for n in timm().list_models(include_tags=False) if n not in with_weights)
    with pytest.raises(ArchitectureError, match="no pretrained weights"):
        find_architecture(without).pinned_weights()


def test_conditions_choose():
    small = select_architectures(where="n_parameters < 10e6")
    assert small == PAPER.index[PAPER["n_parameters"] < 10e6].tolist()
    assert select_architectures(["vgg11", "dla34"], "size == 'large'") == ["vgg11"]
    assert (
        len(select_architectures(where="efficient and type == 'CNN'"))
        == (PAPER["efficient"] & (PAPER["type"] == "CNN")).sum()
    )


@pytest.mark.parametrize(
    "where",
    [
        "n_params < 10",
        "n_parameters <",
        "__import__('os')",
        "n_parameters",
        "type == CNN",
        "type = 'CNN'",
        "n_parameters < 'a'",
        "'CNN' == 'CNN'",
        "",
        "True",
        "(" * 1000,
        "\0",
        "n_parameters < 9**9**9",
        "n_parameters < 1 << 10**12",
    ],
)
def test_what_is_no_condition_is_refused(where):
    with pytest.raises(ArchitectureError, match="is not understood") as refused:
        select_architectures(where=where)
    assert "allowed: comparisons of architecture, n_parameters, type, efficient" in str(
        refused.value
    )


def test_a_condition_drops_no_name_that_it_cannot_judge():
    with pytest.raises(ArchitectureError) as refused:
        select_architectures(["dla46x_c", "dla64_c", "test_resnet"], "n_parameters < 20e6")
    assert str(refused.value).startswith(
        "a condition chooses among the paper's 131 architectures; not among them: dla64_c, "
        "test_resnet; leave them out, or name them without a condition; did you mean 'dla46_c'"
    )


def test_nothing_chosen_is_an_error_with_the_values_of_the_columns():
    message = (
        r"fits 'type == \"cnn\"'.*n_parameters is from 1,068,440 to 133,047,848; type is CNN or"
    )
    with pytest.raises(ArchitectureError, match=message):
        select_architectures(where='type == "cnn"')
    with pytest.raises(ArchitectureError, match="fits 'n_parameters < 10' among vgg11"):
        select_architectures(["vgg11"], "n_parameters < 10")
    with pytest.raises(ArchitectureError, match="no architecture named"):
        select_architectures()


def test_the_table_is_data_not_code():
    renamed = load_timm_models().query("timm_name != architecture")
    assert pd.Series(renamed["timm_name"]).to_dict()["gluon_resnet34_v1b"] == "resnet34"
    assert len(renamed) == 8
