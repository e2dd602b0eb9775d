"""Recipes that may not change under their name, and the name of a run, made of all of it."""

import hashlib
import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from pepr_utils.errors import RunError, UnknownNameError
from pepr_utils.measurement import Run, protocols, run_id

BASE = Run("resnet18d", "phantom", protocol="demo", pretrained=False)


@pytest.mark.parametrize(
    ("name", "digest"),
    [("paper", "4cd6e31ab723"), ("fast", "40a1b5775f7b"), ("demo", "b7a1b5f49a9a")],
)
def test_a_changed_recipe_needs_a_new_name(name, digest):
    text = json.dumps(protocols.protocol(name).definition(), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == digest


def test_the_paper_recipe_is_what_the_paper_and_its_loop_say():
    paper = protocols.protocol("paper")
    assert (paper.image_size, paper.epochs, paper.batch_size) == (256, 10, 32)
    assert (paper.optimizer, paper.learning_rate, paper.precision) == ("adam", 5e-4, "fp32")
    assert paper.unshuffled == ("derma",)
    assert paper.smallest_batch == 1
    assert not paper.stratified
    assert not paper.channels_last
    assert paper.tf32_convolutions  # PyTorch's default when the authors ran


def test_fast_is_the_same_schedule():
    paper, fast = protocols.protocol("paper"), protocols.protocol("fast")
    for field in ("image_size", "epochs", "batch_size", "learning_rate", "optimizer"):
        assert getattr(paper, field) == getattr(fast, field)


def test_only_the_demo_fixes_the_threads():
    threads = {name: recipe.cpu_threads for name, recipe in protocols.PROTOCOLS.items()}
    assert threads == {"paper": None, "fast": None, "demo": 1}


def test_recipes_and_runs_are_frozen():
    with pytest.raises(FrozenInstanceError):
        protocols.protocol("paper").epochs = 1
    with pytest.raises(TypeError):
        protocols.PROTOCOLS["paper"] = None
    with pytest.raises(FrozenInstanceError):
        BASE.seed = 2


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "resnet34d"},
        {"dataset": "dermamnist_28"},
        {"protocol": "fast"},
        {"pretrained": True},
        {"train_fraction": 0.1},
        {"seed": 2},
    ],
)
def test_whatever_defines_a_run_changes_its_name(changes):
    assert run_id(replace(BASE, **changes)) != run_id(BASE)
    assert run_id(BASE) == run_id(replace(BASE))


def test_a_changed_recipe_changes_the_name_of_its_runs(monkeypatch):
    before = run_id(BASE)
    changed = replace(protocols.protocol("demo"), epochs=5)
    monkeypatch.setattr(protocols, "PROTOCOLS", {"demo": changed})
    assert run_id(BASE) != before


def test_local_weights_count_by_their_content(tmp_path):
    run = replace(BASE, architecture="test_resnet", pretrained=True)
    path = tmp_path / "test_resnet.r160_in1k.pth"
    path.write_bytes(b"some")
    some = run_id(run, tmp_path)
    path.write_bytes(b"others")
    assert len({some, run_id(run, tmp_path), run_id(run)}) == 3
    assert run_id(BASE, tmp_path) == run_id(BASE)  # from scratch


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan"), "a tenth", None])
def test_a_share_out_of_range_is_refused(fraction):
    with pytest.raises(RunError, match=r"train_fraction is .*allowed: above 0 and at most 1"):
        Run("resnet18d", "phantom", train_fraction=fraction)


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None])
def test_an_invalid_seed_is_refused(seed):
    with pytest.raises(RunError, match=f"seed is {seed!r}; allowed: a whole number"):
        Run("resnet18d", "phantom", seed=seed)


def test_a_run_of_a_tables_row_has_the_same_name():
    of_numpy = {"pretrained": np.False_, "train_fraction": np.float64(0.1), "seed": np.int64(2)}
    of_python = {name: value.item() for name, value in of_numpy.items()}
    assert run_id(replace(BASE, **of_numpy)) == run_id(replace(BASE, **of_python))


def test_pretrained_as_text_is_refused():
    with pytest.raises(RunError, match="pretrained is 'no'; allowed: True or False"):
        Run("resnet18d", "phantom", pretrained="no")


@pytest.mark.parametrize(
    ("name", "value"),
    [("dataset", 3), ("where", 3), ("result_set", 2024), ("result_set", None), ("device", 0),
     ("weights", 3)],
)  # fmt: skip
def test_a_notebook_parameter_of_a_wrong_type_is_named(tmp_path, name, value):
    from pepr_utils.measurement.session import fine_tune

    asked = {"dataset": "phantom", "result_set": str(tmp_path), name: value}
    with pytest.raises(RunError, match=f"{name} is {value}; allowed: text"):
        fine_tune(architectures="resnet18d", **asked)


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'papr'.*did you mean 'paper'"):
        run_id(replace(BASE, protocol="papr"))
    with pytest.raises(UnknownNameError, match=r"unknown data set 'phantm'.*did you mean"):
        run_id(replace(BASE, dataset="phantm"))
