"""The chapter on seeds by hand: variance, first places and agreement of records."""

import numpy as np
import pandas as pd
import pytest

from paper.chapters import seeds as page
from paper.figures import seeds as figure
from pepr_utils.errors import DataUnavailableError
from pepr_utils.measurement.predictions import Predictions, write_predictions
from pepr_utils.results import Record, load_result_set, write_record

N = 100
LABELS = np.arange(N) % 2


def add(folder, model, seed, n_correct, *, seconds, memory=1.0, pretrained=False):
    """A finished run that gets the first `n_correct` of 100 images right."""
    run_id = f"{model}-{seed}-{pretrained:d}"
    predicted = np.where(np.arange(N) < n_correct, LABELS, 1 - LABELS)
    logits = np.where(predicted == 1, 1.0, -1.0).astype(np.float32)[:, None]
    write_predictions(folder, run_id, Predictions(logits, LABELS))
    write_record(
        Record(
            run_id=run_id, architecture=model, dataset="clinic", status="done", seed=seed,
            pretrained=pretrained, train_fraction=1.0, n_test=N, n_train=50, n_classes=2,
            test_accuracy=n_correct / N, train_time_s=seconds, resident_memory_gb=memory,
            energy_kwh=seconds / 1000,
        ),
        folder,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for model, first, second, seconds in (
        ("a", 70, 74, 1.0),
        ("b", 80, 76, 2.0),
        ("c", 90, 94, 3.0),
    ):
        add(tmp_path, model, 1, first, seconds=seconds, memory=seconds)
        add(tmp_path, model, 2, second, seconds=seconds, memory=seconds)
    return tmp_path


@pytest.fixture
def found(folder):
    return page.field(load_result_set(folder))


def test_runs_are_laid_out_by_model_and_seed(found):
    assert found.models == ["a", "b", "c"]
    assert found.accuracy.tolist() == [[0.70, 0.74], [0.80, 0.76], [0.90, 0.94]]
    assert found.correct.mean(axis=2).tolist() == found.accuracy.tolist()
    assert found.values("PePR-T")[:, 0] == pytest.approx([0.70, 0.80 / 1.5, 0.90 / 2])


def test_variance_is_split_between_architectures_seeds_and_images(found):
    row = page.variance_split(found).set_index("measure").loc["accuracy"]
    # Of one image, by hand; a bootstrap sample of 100 has a hundredth of its variance.
    relative = found.correct - found.correct.mean(axis=(0, 1))
    images = relative.var(axis=2).mean() / N
    of_a_mean = relative.mean(axis=1).var(axis=1).mean() / N
    assert row["sd of test images"] ** 2 == pytest.approx(images, rel=0.1)
    # Within: each model's two seeds differ by 0.04. Between: means 0.72, 0.78 and 0.92.
    seeds = max(0.04**2 / 2 - 2 * (images - of_a_mean), 0)
    between = np.var([0.72, 0.78, 0.92], ddof=1) - of_a_mean - seeds / 2
    assert row["sd of seeds"] ** 2 == pytest.approx(seeds, abs=5e-5)
    assert row["sd of architectures"] ** 2 == pytest.approx(between, rel=0.01)
    total = between + seeds + images
    assert row["share of test images"] == pytest.approx(images / total, rel=0.1)


def test_variance_is_recovered_where_it_is_known():
    """200 models of sd 0.05, 4 seeds of sd 0.03, 400 images that each model meets anew."""
    rng = np.random.default_rng(0)
    truth = 0.7 + rng.normal(0, 0.05, (200, 1)) + rng.normal(0, 0.03, (200, 4))
    correct = rng.random((200, 4, 400)) < truth[..., None]
    field = page.Field(pd.DataFrame(), correct.mean(axis=2), {}, correct)
    row = page.variance_split(field).iloc[0]
    assert row["sd of architectures"] == pytest.approx(0.05, rel=0.15)
    assert row["sd of seeds"] == pytest.approx(0.03, rel=0.15)
    assert row["sd of test images"] == pytest.approx((0.7 * 0.3 / 400) ** 0.5, rel=0.1)


def test_first_places(found):
    first = page.first_places(found).set_index(["measure", "model"])
    assert first.loc[("accuracy", "c"), "first by seeds"] == 1.0
    assert first.loc[("PePR-T", "a"), "first by seeds"] == 1.0  # 0.70 beats 0.80 / 1.5
    sums = first.groupby("measure")[["first by seeds", "first by seeds and images"]].sum()
    assert sums.to_numpy() == pytest.approx(1.0)


def test_models_that_tie_share_the_first_place(tmp_path):
    for model in "abc":
        for seed in (1, 2):
            add(tmp_path, model, seed, 50 if model == "b" else 80, seconds=1.0)
    first = page.first_places(page.field(load_result_set(tmp_path)))
    by_accuracy = first[first["measure"] == "accuracy"].set_index("model")
    assert by_accuracy["first by seeds"].to_dict() == {"a": 0.5, "c": 0.5}


def test_runs_without_a_memory_are_counted(folder, found):
    assert page.memory_note(found) == "Every run has a memory of its own"
    add(folder, "a", 1, 70, seconds=1.0, memory=None)
    note = page.memory_note(page.field(load_result_set(folder)))
    assert note.startswith("1 of 6 runs have no memory of their own")


def test_seeds_agree_on_an_order(found):
    rows = page.seed_agreement(found).set_index("ranked by")
    assert rows.loc["accuracy", ["mean", "same order"]].tolist() == [1.0, 1.0]
    assert rows.loc["PePR-T, cost alone", "mean"] == 1.0


def test_a_pair_that_swaps_with_the_seed_counts_as_no_agreement(folder):
    add(folder, "d", 1, 75, seconds=4.0)
    add(folder, "d", 2, 73, seconds=4.0)  # above a by one seed, below it by the other
    rows = page.seed_agreement(page.field(load_result_set(folder))).set_index("ranked by")
    assert rows.loc["accuracy", "same order"] == pytest.approx(5 / 6)
    assert rows.loc["accuracy", "mean"] == pytest.approx(4 / 6)


def test_fine_tuning_is_paired_by_seed(folder):
    for seed, n in ((1, 80), (2, 88)):
        add(folder, "a", seed, n, seconds=1.0, pretrained=True)
    (row,) = page.fine_tuning(load_result_set(folder)).to_dict("records")
    assert (row["model"], row["seeds"]) == ("a", 2)
    assert row["difference"] == pytest.approx(0.12)  # 0.10 and 0.14
    assert row["to"] - row["difference"] == pytest.approx(12.7062 * 0.02, rel=1e-4)


def test_accuracies_stand_beside_the_most_common_class(folder):
    (row,) = page.standing(load_result_set(folder)).to_dict("records")
    assert (row["most common class"], row["lowest"], row["highest"]) == (0.5, 0.70, 0.94)
    assert (row["models"], row["models above it"]) == (3, 3)


def test_a_set_with_one_seed_has_no_such_page(tmp_path):
    for model in "abc":
        add(tmp_path, model, 1, 80, seconds=1.0)
    with pytest.raises(DataUnavailableError, match="no three models with two seeds"):
        page.field(load_result_set(tmp_path))


def test_the_figure_says_who_is_first(found):
    drawn = figure.data(found)
    assert figure.describe(drawn).startswith("PePR-T of 3 models with 2 seeds each. a has the")
    assert len(figure.chart(drawn).to_dict()["layer"]) == 2


@pytest.mark.parametrize(
    ("lows", "expected"),
    [
        ([0.1, 0.2], "All of these orders agree beyond chance"),
        ([-0.1, float("nan")], "None of these orders agrees beyond chance"),
        ([0.1, -0.2], "Agreement beyond chance: x. No agreement beyond chance: y"),
        ([], "Too few architectures are in both for a comparison"),
    ],
)
def test_what_carries_over_is_said_by_the_intervals(lows, expected):
    table = pd.DataFrame({"compared": ["x", "y"][: len(lows)], "from": lows})
    assert page.carried_over(table) == expected


def test_agreement_is_compared_with_that_of_the_cost(found):
    said = page.merit(page.seed_agreement(found))
    assert said.startswith(
        "Seeds agree on PePR-T at least as well as on time alone (tau 1.00 and 1.00)"
    )


def test_a_cost_that_one_seed_lacks_is_that_of_the_models_other_seeds(tmp_path):
    for model, memory in (("a", None), ("b", 2.0), ("c", 3.0)):
        add(tmp_path, model, 1, 80, seconds=1.0, memory=memory)
        add(tmp_path, model, 2, 80, seconds=1.0, memory=5.0)
    costs = page.field(load_result_set(tmp_path)).costs["M"]
    assert costs.tolist() == [[5.0, 5.0], [2.0, 5.0], [3.0, 5.0]]
