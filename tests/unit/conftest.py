"""The authors' tables read by pandas alone, and a small set whose scores one can check by hand."""

import pandas as pd
import pytest

from pepr_utils.results import Epoch, Record, load_result_set, write_record
from pepr_utils.results.download import fetch

LARGE_ABOVE = 24_600_000


@pytest.fixture(scope="session")
def names(obtain):
    """The authors' table of models, by name."""
    return pd.read_csv(obtain(fetch, "model_names.csv")).set_index("model")


@pytest.fixture(scope="session")
def raw(obtain, names):
    """The authors' table of results, with R, and the size of each model."""
    table = pd.read_csv(obtain(fetch, "all_results.csv"))
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
