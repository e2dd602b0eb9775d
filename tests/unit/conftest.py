"""The authors' tables read by pandas alone, and a small set whose scores one can check by hand."""

import importlib.util
import io
from pathlib import Path

import pandas as pd
import pytest

from pepr_utils.results import Epoch, Record, load_result_set, write_record

LARGE_ABOVE = 24_600_000


@pytest.fixture(scope="session")
def names(released):
    """The authors' table of models, by name."""
    return pd.read_csv(io.BytesIO(released["model_names.csv"])).set_index("model")


@pytest.fixture(scope="session")
def raw(released, names):
    """The authors' table of results, with R, and the size of each model."""
    table = pd.read_csv(io.BytesIO(released["all_results.csv"]))
    energy = table.groupby("dataset")["energy"]
    low, high = energy.transform("min"), energy.transform("max")
    large = table["model"].map(names["num_param"]) > LARGE_ABOVE
    return table.assign(
        R=(table["energy"] - low) / (high - low),
        size=large.map({True: "large", False: "small"}),
    )


@pytest.fixture(scope="session")
def means(raw):
    """Mean accuracy, energy (Wh) and score of each model, from the authors' table."""

    def compute(average, alpha):
        rows = raw
        if average == "stated":
            rows = raw[raw["dataset"].isin(["derma_pt", "lidc", "pneumonia"])]
        rows = rows.assign(score=alpha * rows["test_09"] / (alpha + rows["R"]))
        rows = rows.assign(energy_wh=1000 * rows["energy"])
        return rows.groupby(["model", "size"])[["test_09", "energy_wh", "score"]].mean()

    return compute


#: Three models, two data sets. Fine-tuned on everything, R by min-max is, for small, large and
#: tiny: 0, 0.5, 1 on ward and 1, 0, 0.5 on clinic. Failed runs (accuracy
#: 0.99) count for nothing.
SMALL_SET = """\
dataset,pretrained,train_fraction,status,architecture,n_parameters,test_accuracy,energy_kwh,reserved_memory_gb
ward,true,1,done,small,2000000,0.8,1,5
ward,true,1,done,large,30000000,0.9,3,1
ward,true,1,done,tiny,1000000,0.6,5,3
clinic,true,1,done,small,2000000,0.5,4,2
clinic,true,1,done,large,30000000,0.7,2,2
clinic,true,1,done,tiny,1000000,0.9,3,2
ward,true,1,failed,small,2000000,0.99,9,9
clinic,true,1,failed,small,2000000,0.99,9,9
ward,false,1,done,small,2000000,0.4,1,1
ward,false,1,done,large,30000000,0.3,2,1
ward,false,1,done,tiny,1000000,0.2,3,1
ward,false,1,failed,tiny,1000000,0.99,9,1
ward,true,0.1,done,small,2000000,0.85,1,1
ward,true,0.1,done,large,30000000,0.5,2,1
ward,true,0.1,done,tiny,1000000,0.4,6,1
ward,true,0.1,failed,large,30000000,0.99,9,1
ward,true,0.01,done,small,2000000,0.1,1,1
ward,true,0.01,done,large,30000000,0.1,1,1
ward,true,0.01,done,tiny,1000000,0.1,1,1
ward,true,0.01,done,tiny,1000000,0.1,1,1
ward,false,0.1,done,small,2000000,0.05,1,1
ward,false,0.1,done,large,30000000,0.05,1,1
ward,false,0.1,done,tiny,1000000,0.05,1,1
"""


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    path = tmp_path_factory.mktemp("small_set") / "small.csv"
    path.write_text(SMALL_SET)
    return load_result_set(path)


@pytest.fixture(scope="session")
def epoch_set(tmp_path_factory):
    """Two models with three epochs each; `cheap` measured each epoch's energy, `dear` the total."""
    folder = tmp_path_factory.mktemp("epoch_set")
    for name, accuracies, energies, total in (
        ("cheap", (0.5, 0.8, 0.7), (1.0, 1.0, 2.0), 4.0),
        ("dear", (0.6, 0.85, 0.9), (None, None, None), 9.0),
    ):
        epochs = tuple(
            Epoch(epoch=i + 1, test_accuracy=a, energy_kwh=e)
            for i, (a, e) in enumerate(zip(accuracies, energies, strict=True))
        )
        write_record(
            Record(
                run_id=name,
                status="done",
                architecture=name,
                dataset="ward",
                pretrained=True,
                train_fraction=1.0,
                n_test=200,
                test_accuracy=accuracies[-1],
                energy_kwh=total,
                reserved_memory_gb=total / 2,
                n_parameters=2_000_000 if name == "cheap" else 30_000_000,
                epochs=epochs,
            ),
            folder,
        )
    return load_result_set(folder)


def _clean_tables(n_models=14):
    """Runs and epochs in which no check finds anything: two wards, one of them on a tenth too."""
    import numpy as np

    random = np.random.default_rng(20240603)
    arms = (("ward", 1.0, 4000, 1100), ("ward", 0.1, 400, 1100), ("clinic", 1.0, 2000, 600))
    runs, epochs = [], []
    for number in range(n_models):
        step = 1.0 + 0.1 * number  # seconds per 1,000 images
        for dataset, fraction, n_train, n_test in arms:
            run_id = f"{dataset}-{fraction:g}-{number}"
            train = 5 * step * n_train / 1000 * random.uniform(0.99, 1.01)
            evaluation = 5 * step * n_test / 3000 * random.uniform(0.99, 1.01)
            energy = random.uniform(380, 420) * train / 3.6e6
            for epoch in range(1, 6):
                right = round(n_test * (0.7 + 0.03 * epoch)) + int(random.integers(-9, 10))
                seen = round(n_train * (0.7 + 0.04 * epoch)) + int(random.integers(-9, 10))
                epochs.append((run_id, epoch, seen / n_train, right / n_test))
            runs.append(
                {
                    "run_id": run_id,
                    "status": "done",
                    "architecture": f"net{'abcdefghijklmnopqrst'[number]}",
                    "dataset": dataset,
                    "image_size": 64,
                    "n_classes": 2,
                    "pretrained": True,
                    "train_fraction": fraction,
                    "n_train": n_train,
                    "n_test": n_test,
                    "seed": 1,
                    "protocol": "fast",
                    "n_parameters": 1_000_000 + 300_000 * number,
                    "n_parameters_of": "trained model",
                    "test_accuracy": right / n_test,
                    "energy_kwh": energy,
                    "energy_window": "train",
                    "pue": 1.0,
                    "co2eq_g": energy * 120,
                    "carbon_intensity_g_per_kwh": 120.0,
                    "train_time_s": train,
                    "eval_time_s": evaluation,
                    "peak_memory_gb": 1.234567 + 0.1 * number,
                    "reserved_memory_gb": 1.5 + 0.1 * number,
                    "energy_method": "nvml counter",
                    "device": "NVIDIA GeForce RTX 3090",
                    "n_power_samples": 200,
                }
            )
    columns = ["run_id", "epoch", "train_accuracy", "test_accuracy"]
    return pd.DataFrame(runs), pd.DataFrame(epochs, columns=columns)


@pytest.fixture(scope="session")
def make_set():
    """Make a result set from tables of runs and epochs, as the loader does."""
    from pepr_utils.results.load import _complete
    from pepr_utils.results.result_set import ResultSet

    def make(runs, epochs, name="planted"):
        return ResultSet(name, _complete(runs, "runs"), _complete(epochs, "epochs"), "0")

    return make


@pytest.fixture
def clean_tables():
    """Runs and epochs without a fault, for a test to plant one in."""
    return _clean_tables()


@pytest.fixture
def clean_set(make_set, clean_tables):
    """A result set in which the audit finds nothing."""
    return make_set(*clean_tables)


@pytest.fixture(scope="session")
def doubles():
    """The doubles of metering hardware: see metering_doubles.py."""
    path = Path(__file__).with_name("metering_doubles.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bare_machine(monkeypatch, tmp_path, doubles):
    """A machine with nothing to read, and a CPU that is estimated to draw 60 W."""
    import psutil

    from pepr_utils.measurement.metering import carbontracker, hardware, rapl

    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    doubles.install(monkeypatch, [])
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path / "none")
    monkeypatch.setattr(psutil, "cpu_times", lambda: None)  # nobody knows who uses the CPU
    guess = carbontracker.Estimate("Guess", 60.0, "a list")
    monkeypatch.setattr(carbontracker, "estimate", lambda *_: guess)
    hardware.idle_power_w.cache_clear()


@pytest.fixture
def packages(monkeypatch, tmp_path, doubles):
    """Set RAPL domains, as the kernel lists them."""
    from pepr_utils.measurement.metering import rapl

    def write(domains):
        folder = doubles.powercap(tmp_path / "powercap", domains)
        monkeypatch.setattr(rapl, "POWERCAP", folder)
        return folder

    return write


@pytest.fixture
def page_numbers(monkeypatch):
    """Run the cells of a page's notebook here, with parameters, and return the numbers it glues."""
    import myst_nb

    from paper.site import code
    from pepr_utils import results

    def run(page, **parameters):
        glued = {}
        monkeypatch.setattr(myst_nb, "glue", lambda name, value, **_: glued.update({name: value}))
        if isinstance(given := parameters.get("result_set"), results.ResultSet):
            monkeypatch.setattr(results, "load_result_set", lambda _: given)
        notebook, names = Path(__file__).parents[2] / "notebooks" / f"{page}.md", {}
        first, *others = code.cells(notebook)
        exec(first, names)
        names |= parameters
        for cell in others:
            exec(cell, names)
        return glued

    return run
