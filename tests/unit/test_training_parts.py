"""The parts of the training against values worked out by hand."""

import numpy as np
import pytest
import torch

from pepr_utils.measurement import protocols
from pepr_utils.measurement.datasets import phantom
from pepr_utils.measurement.predictions import Predictions, write_predictions
from pepr_utils.measurement.protocols import Protocol
from pepr_utils.measurement.training.batches import Batches
from pepr_utils.measurement.training.device import DeviceError, choose_device
from pepr_utils.measurement.training.loop import Splits, Task, TrainingFailedError, train
from pepr_utils.measurement.training.perform import is_shuffled, reason
from pepr_utils.measurement.training.precision import Precision
from pepr_utils.results.predictions import read_predictions

CPU = torch.device("cpu")


def _batches(n=7, size=2, smallest=1, on_device=True):
    pixels = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1) * 51 // 2
    recipe = Protocol("x", batch_size=size, smallest_batch=smallest, on_device=on_device)
    return Batches(pixels, np.arange(n), np.arange(n), recipe, CPU)


def _labels(batches):
    return [labels.tolist() for _, labels in batches]


def test_images_become_floats_between_0_and_1():
    pixels = np.array([[[[0, 51, 255]]]], np.uint8)
    batch = Batches(pixels, np.array([0]), np.array([0]), Protocol("x"), CPU)
    images, _ = next(batch.ordered())
    assert images.shape == (1, 3, 1, 1)
    assert images.ravel().tolist() == pytest.approx([0, 0.2, 1])


def test_a_last_batch_of_one_is_kept_or_left_out_as_the_recipe_says():
    assert _labels(_batches(smallest=1).epoch(1, seed=1, shuffled=False))[-1] == [6]
    assert _labels(_batches(smallest=2).epoch(1, seed=1, shuffled=False))[-1] == [4, 5]
    assert _labels(_batches(smallest=2).ordered())[-1] == [6]


@pytest.mark.parametrize(("free_bytes", "fits"), [(22, True), (21, False), (None, True)])
def test_images_that_do_not_fit_on_the_device_stay_on_the_host_with_a_note(
    free_bytes, fits, monkeypatch
):
    from pepr_utils.measurement.training import batches

    monkeypatch.setattr(batches, "_free_bytes", lambda _device: free_bytes)
    pixels, labels = np.zeros((7, 1, 1, 1), np.uint8), np.zeros(7, int)
    made = {
        name: Batches(pixels, labels, np.arange(n), Protocol("x"), torch.device("meta"))
        for name, n in (("train", 7), ("val", 2), ("test", 2))
    }
    assert (made["train"].note is None) is fits
    note = "train: 7e-09 GB of images are more than a third of the 2.1e-08 GB free on the device"
    found = Splits(**made).notes()
    assert found == ([] if fits else [f"{note}, and stay on the host"])
    on_cpu = Batches(pixels, labels, np.arange(7), Protocol("x"), CPU)
    assert on_cpu.note is None


def test_the_paper_shows_derma_in_the_order_of_the_file_by_any_name_of_it(tmp_path, monkeypatch):
    paper, fast = protocols.protocol("paper"), protocols.protocol("fast")
    for name in ("derma", "dermamnist", "dermamnist_224", "dermamnist_28"):
        assert not is_shuffled(name, paper)
        assert is_shuffled(name, fast)
    (tmp_path / "derma").mkdir()  # a stranger's own
    for name in ("lidc", "pneumonia", "bloodmnist_64", "phantom", str(tmp_path / "derma")):
        assert is_shuffled(name, paper)
    monkeypatch.chdir(tmp_path)
    assert is_shuffled("./derma", paper)


def test_order_is_the_files_or_shuffled_by_seed_and_epoch():
    unshuffled = _labels(_batches().epoch(2, seed=1, shuffled=False))
    assert unshuffled == [[0, 1], [2, 3], [4, 5], [6]]
    first = _labels(_batches().epoch(1, seed=1, shuffled=True))
    assert sorted(label for batch in first for label in batch) == list(range(7))
    assert first == _labels(_batches().epoch(1, seed=1, shuffled=True))
    assert first != _labels(_batches().epoch(2, seed=1, shuffled=True))
    assert first != _labels(_batches().epoch(1, seed=2, shuffled=True))


def _of(probabilities, labels):
    """Predictions of such probabilities of one of several classes."""
    return Predictions(np.log(np.array(probabilities)), np.array(labels))


def test_accuracy_and_auc_by_hand():
    two = _of([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]], [0, 0, 1, 1])
    np.testing.assert_allclose(two.probabilities[1], [0.4, 0.6])
    assert two.accuracy() == 0.75
    assert two.auc() == 1.0
    # Of the four pairs of a positive and a negative, three are in order.
    other = _of([[0.9, 0.1], [0.25, 0.75], [0.3, 0.7], [0.2, 0.8]], [0, 0, 1, 1])
    assert other.auc() == 0.75
    # The odds of 9 to 1, 1 to 4, 3 to 2 and 7 to 3.
    several = Predictions(np.log([[9, 1 / 4], [3 / 2, 7 / 3]]), np.array([[1, 0], [0, 1]]))
    np.testing.assert_allclose(several.probabilities, [[0.9, 0.2], [0.6, 0.7]])
    assert several.accuracy() == 0.75
    assert several.auc() == 1.0
    assert _of([[0.9, 0.1]], [0]).auc() is None


def test_a_class_without_images_counts_for_nothing():
    assert _of([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], [0, 1]).auc() == 1.0


def test_very_sure_predictions_are_still_ranked():
    sure = np.array([18, 20, 25, 30], np.float32)  # all of them 1 as probabilities of float32
    labels = np.array([0, 0, 1, 1])
    assert Predictions(sure[:, None], labels).auc() == 1.0
    assert Predictions(sure[:, None] + 100, labels).auc() == 1.0
    assert Predictions(np.stack([0 * sure, sure + 100], axis=1), labels).auc() == 1.0
    several = np.stack([-sure, sure], axis=1) + 100
    assert Predictions(several, np.eye(2, dtype=int)[labels]).auc() == 1.0
    three = np.stack([-sure - 100, sure + 100, 0 * sure], axis=1)
    assert Predictions(three, np.array([0, 0, 1, 1])).auc() == 1.0


@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (2, 2), (5, 5), (3, 0)])
def test_accuracy_and_auc_follow_from_the_file_to_the_last_digit(tmp_path, outputs, classes):
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(300, outputs)) * 30).astype(np.float32)
    labels = rng.integers(0, classes or 2, (300,) if classes else (300, outputs))
    given = Predictions(logits, labels)
    write_predictions(tmp_path, "r", given)
    found = read_predictions(tmp_path, "r")
    again = Predictions(found["logits"], found["labels"])
    assert (again.accuracy(), again.auc()) == (given.accuracy(), given.auc())
    np.testing.assert_array_equal(found["probabilities"], given.probabilities)
    if classes:
        assert (found["predicted"] == found["labels"]).mean() == given.accuracy()
        np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1)


def test_predictions_of_an_earlier_version_can_be_read(tmp_path):
    (tmp_path / "predictions").mkdir()
    half = np.array([[0.25, 0.75]], np.float16)
    np.savez(tmp_path / "predictions" / "r.npz", probabilities=half, predicted=[1], labels=[1])
    found = read_predictions(tmp_path, "r")
    assert set(found) == {"probabilities", "predicted", "labels"}
    assert found["probabilities"].tolist() == [[0.25, 0.75]]


def test_two_classes_have_one_output_and_binary_cross_entropy():
    task = Task(2, multi_label=False, one_logit=True)
    assert task.n_outputs == 1
    logits, labels = torch.tensor([[0.0], [2.0]]), torch.tensor([1, 1])
    expected = (np.log(2) + np.log1p(np.exp(-2.0))) / 2
    assert task.loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)
    assert task.n_correct(logits, labels).item() == 1


def test_more_classes_have_cross_entropy_and_labels_are_apart():
    task = Task(4, multi_label=False, one_logit=False)
    assert task.loss(torch.zeros(1, 4), torch.tensor([2])).item() == pytest.approx(np.log(4))
    several = Task(3, multi_label=True, one_logit=False)
    logits, labels = torch.zeros(2, 3), torch.tensor([[1, 0, 1], [0, 0, 0]])
    assert several.loss(logits, labels).item() == pytest.approx(np.log(2))
    assert several.n_correct(logits, labels).item() == pytest.approx(1 / 3 + 1)


def test_the_task_follows_from_data_and_recipe():
    source = phantom.load()
    assert Task.of(source, Protocol("x")) == Task(3, False, False)
    two = type(source)(**{**vars(source), "class_names": ("a", "b")})
    assert Task.of(two, Protocol("x")).one_logit
    assert not Task.of(two, Protocol("x", binary_logits=2)).one_logit


class _Meter:
    """A meter that notes its windows."""

    def __init__(self):
        self.windows = []

    def window(self, kind, epoch):
        from contextlib import nullcontext

        self.windows.append((kind, epoch))
        return nullcontext()


def _train(recipe, pixels, labels, model=None, **options):
    everything = np.arange(len(labels))
    batches = Batches(pixels, labels, everything, recipe, CPU)
    model = model or torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(2))
    torch.manual_seed(0)
    meter = _Meter()
    task = Task(2, multi_label=False, one_logit=False)
    trained = train(
        model, Splits(batches, batches, batches), task, recipe, precision=Precision("cpu"),
        seed=1, shuffled=True, meter=meter, **options,
    )  # fmt: skip
    return trained, meter


def _separable(n=40):
    labels = np.arange(n) % 2
    return (labels * 200 + 20).astype(np.uint8).reshape(n, 1, 1, 1), labels


def test_loss_falls_windows_are_apart_and_the_last_epoch_is_evaluated():
    recipe = Protocol("x", epochs=5, batch_size=8, learning_rate=0.1, evaluate_every=2)
    seen = []
    trained, meter = _train(recipe, *_separable(), tick=lambda *step: seen.append(step))
    losses = [e.train_loss for e in trained.epochs]
    assert losses == sorted(losses, reverse=True)
    assert trained.test.accuracy() == 1.0
    assert [e.test_accuracy is None for e in trained.epochs] == [True, False, True, False, False]
    assert meter.windows.count(("train", 3)) == 1
    assert [w for w in meter.windows if w[0] == "eval"] == [("eval", 2), ("eval", 4), ("eval", 5)]
    assert seen[-1] == (5, 40, 40)


@pytest.mark.parametrize("every_step", [True, False])
def test_a_loss_that_is_not_finite_ends_the_training(every_step):
    recipe = Protocol("x", epochs=3, batch_size=8, learning_rate=float("inf"),
                      read_loss_every_step=every_step)  # fmt: skip
    with pytest.raises(TrainingFailedError, match="the loss is nan"):
        _train(recipe, *_separable())


class _NotFiniteOnceEvaluated(torch.nn.Linear):
    """Trains as any other, and gives no numbers in its second evaluation."""

    evaluations = 0

    def eval(self):
        self.evaluations += 1
        return super().eval()

    def forward(self, images):
        outputs = super().forward(images.flatten(1))
        return outputs if self.training or self.evaluations < 3 else outputs * float("nan")


@pytest.mark.parametrize("labels", [_separable()[1], np.zeros(40, int)])
def test_outputs_that_are_not_finite_end_the_training(labels):
    recipe = Protocol("x", epochs=3, batch_size=8)
    with pytest.raises(TrainingFailedError) as failed:
        _train(recipe, _separable()[0], labels, _NotFiniteOnceEvaluated(1, 2))
    assert str(failed.value) == (
        "after epoch 2 the model's outputs are not finite for 40 of 40 validation images"
    )


def test_images_that_fill_no_batch_are_a_failure():
    with pytest.raises(TrainingFailedError, match="do not fill the smallest batch"):
        _train(Protocol("x", smallest_batch=50), *_separable())


def test_a_failed_training_keeps_its_reason():
    assert reason(TrainingFailedError("the loss is nan"), CPU) == "the loss is nan"
    memory = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
    assert reason(memory, torch.device("cuda")).startswith("out of memory on cuda: CUDA out of")
    host = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    assert reason(host, CPU).startswith("out of memory on cpu")
    assert reason(ValueError("Expected more than 1 value per channel"), CPU) == (
        "ValueError: Expected more than 1 value per channel"
    )
    assert reason(OSError("disk full"), CPU) == "OSError: disk full"
    assert reason(KeyError("weight"), CPU) == "KeyError: 'weight'"
    assert reason(KeyboardInterrupt(), CPU) is None


def test_arithmetic_is_as_the_recipe_says_and_left_as_it_was():
    from pepr_utils.measurement.training.device import deterministic

    before = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    for allowed in (True, False):
        with deterministic(1, tf32_convolutions=allowed):
            assert torch.backends.cudnn.allow_tf32 is allowed
            assert not torch.backends.cuda.matmul.allow_tf32
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


def test_threads_are_as_many_as_the_recipe_says_and_then_as_before():
    from pepr_utils.measurement.training.device import deterministic

    before = torch.get_num_threads()
    with deterministic(1, cpu_threads=before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with deterministic(1):
        assert torch.get_num_threads() == before


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cuda", "mps", "cpu")
    with pytest.raises(KeyError, match="unknown device 'gpu'; allowed: auto, cuda, mps, cpu"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match=r"device 'cuda' is not there; .* have cpu"):
            choose_device("cuda")
