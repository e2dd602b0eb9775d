"""Every weight of a pretrained model has to come from its file, whatever timm thinks of it.

The models are made on torch's meta device: they have names and shapes, and no values.
"""

import pytest
import torch

from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.architectures import find_architecture, timm
from pepr_utils.measurement.training.model import make_model
from pepr_utils.measurement.training.weights import every_weight_fits, local_weights
from pepr_utils.results import load_timm_models

TABLE = load_timm_models()
#: timm loads the weights of these without minding what is missing.
DLA = TABLE.index[TABLE["module"] == "dla"].tolist()
ONE_OF_EACH_MODULE = TABLE.drop_duplicates("module").index.tolist()


def _state(name):
    """The names and shapes of an architecture's weights."""
    found = find_architecture(name)
    with torch.device("meta"):
        model = timm().create_model(
            found.weights or found.pinned_weights(), **found.size_arguments(256)
        )
    return model.state_dict()


def _without(state, *, count=1):
    """The same with so many arrays missing that are no head's: from the third weight on."""
    gone = [key for key in state if key.endswith("weight")][3 : 3 + count]
    return {key: value for key, value in state.items() if key not in gone}


def _make(name, folder, content, n_channels=3):
    found = find_architecture(name)
    tag = found.pinned_weights()
    torch.save(content, folder / f"{tag}.pth")
    with torch.device("meta"):
        return make_model(found, image_size=256, n_channels=n_channels, n_outputs=2,
                          weights=tag, weights_file=local_weights(found, folder))  # fmt: skip


def test_the_papers_dla_networks_are_nine():
    assert len(DLA) == 9


@pytest.mark.parametrize(
    "name", [DLA[0], *(pytest.param(name, marks=pytest.mark.slow) for name in DLA[1:])]
)
def test_no_dla_network_begins_with_weights_that_are_missing(name, tmp_path):
    state = _state(name)
    for content, at_least in ((_without(state), 1), ({}, len(state) // 2)):
        with pytest.raises(DataUnavailableError, match=r"missing: \d+ of the model's") as refused:
            _make(name, tmp_path, content)
        assert int(str(refused.value).partition("missing: ")[2].split()[0]) >= at_least
    # What the file has besides, such as layers that were never used, does no harm.
    assert _make(name, tmp_path, state | {"level3.project.1.weight": torch.zeros(1)}) is not None


@pytest.mark.parametrize(
    "name",
    ["regnetx_002", *(pytest.param(n, marks=pytest.mark.slow) for n in ONE_OF_EACH_MODULE)],
)
def test_a_file_without_one_weight_is_refused_and_a_whole_one_is_not(name, tmp_path):
    state = _state(name)
    with pytest.raises(DataUnavailableError, match="could not be loaded"):
        _make(name, tmp_path, _without(state))
    assert _make(name, tmp_path, state) is not None


def test_a_downloaded_file_has_to_fit_too(monkeypatch):
    from timm.models import _builder

    monkeypatch.setattr(_builder, "load_state_dict_from_hf", lambda *_a, **_k: {})
    with (
        torch.device("meta"),
        pytest.raises(DataUnavailableError, match=r"timm's download \(missing: "),
    ):
        make_model(find_architecture("dla46_c"), image_size=32, n_channels=1, n_outputs=2,
                   weights="dla46_c.in1k", online=True)  # fmt: skip


def test_without_a_network_all_missing_weights_are_named_after_one_try(tmp_path, monkeypatch):
    import requests
    from huggingface_hub import constants

    from pepr_utils.measurement import Run, check_runs

    tries = []

    def refused(*arguments, **_options):
        tries.append(arguments)
        raise requests.exceptions.ConnectionError

    monkeypatch.setattr(requests, "head", refused)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    names = ["test_resnet", "test_vit", "test_convnext", "no_such"]
    runs = [Run(name, "phantom", "demo", seed=seed) for name in names for seed in (1, 2)]
    errors, _ = check_runs(runs, tmp_path / "out")
    unknown, missing = map(str, errors)
    assert "unknown architecture 'no_such'" in unknown
    assert missing.startswith(
        "no network, and the weights of 3 architectures are not on this machine: "
        "test_resnet.r160_in1k, test_vit.r160_in1k, test_convnext.r160_in1k; connect, or give"
    )
    assert len(tries) == 1
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # as by the variable of that name
    (alone,), _ = check_runs(runs[:1], tmp_path / "out")
    assert str(alone).startswith(
        "the weights test_resnet.r160_in1k could not be loaded from timm's"
    )
    assert len(tries) == 1


def test_a_check_compares_weights_and_prints_nothing(tmp_path, recwarn):
    from pepr_utils.measurement import Run, check_runs

    name = "test_vit"
    found, run = find_architecture(name), Run(name, "phantom", "demo")
    file = tmp_path / f"{found.pinned_weights()}.pth"
    torch.save(timm().create_model(found.pinned_weights()).state_dict(), file)
    recwarn.clear()
    assert check_runs([run], tmp_path / "out", weights_folder=tmp_path)[0] == []
    assert not [str(w.message) for w in recwarn if "meta" in str(w.message)]
    torch.save(_without(torch.load(file)), file)
    (error,), _ = check_runs([run], tmp_path / "out", weights_folder=tmp_path)
    assert "could not be loaded from" in str(error)


def test_weights_that_have_no_classes_need_no_head(tmp_path):
    state = {k: v for k, v in _state("convnextv2_atto.fcmae").items() if k[:5] != "head."}
    assert _make("convnextv2_atto.fcmae", tmp_path, state).num_classes == 2
    with pytest.raises(DataUnavailableError, match="missing: 1 of"):
        _make("convnextv2_atto.fcmae", tmp_path, _without(state))


def test_torch_is_left_as_it_was():
    plain = torch.nn.Module.load_state_dict
    with pytest.raises(DataUnavailableError), every_weight_fits():
        torch.nn.Linear(1, 1).load_state_dict({}, strict=False)
    assert torch.nn.Module.load_state_dict is plain


def test_where_weights_come_from_by_hand(tmp_path):
    with pytest.raises(DataUnavailableError, match=r"`hf download timm/dla34\.in1k --local-dir"):
        local_weights(find_architecture("dla34"), tmp_path)
    # Two are not on the hub: their own address is named, and what the file is to be called.
    for name in ("legacy_seresnet50", "legacy_senet154"):
        with pytest.raises(DataUnavailableError) as refused:
            local_weights(find_architecture(name), tmp_path)
        assert "download https://" in str(refused.value)
        assert f"and save it as {tmp_path / f'{name}.in1k.pth'}" in str(refused.value)
        assert "hf download" not in str(refused.value)


def test_the_address_of_weights_needs_no_timm(tmp_path, monkeypatch):
    from pepr_utils.errors import TrainingUnavailableError
    from pepr_utils.measurement.training import weights

    def none():
        raise TrainingUnavailableError("no timm")

    monkeypatch.setattr(weights, "timm", none)
    with pytest.raises(DataUnavailableError, match=r"`hf download timm/dla34\.in1k"):
        local_weights(find_architecture("dla34"), tmp_path)
