"""The chapter on races: its tables by hand, and a measured race told from its records."""

import json
from dataclasses import replace

import pytest

from paper.chapters import race as page
from paper.figures import race as figure
from pepr_utils.errors import NotAvailableError
from pepr_utils.results import Epoch, Record, load_result_set, write_record
from pepr_utils.results.load import of_records
from pepr_utils.statistics import race_fields, simulate_races


@pytest.fixture(scope="module")
def fields():
    return race_fields(load_result_set("published"))


def record(name, accuracies, *, cost, of=2, test=None):
    """A run that was trained for as many epochs as it has accuracies, of `of`."""
    epochs = tuple(
        Epoch(
            epoch=i, val_accuracy=p, test_accuracy=p, energy_kwh=cost / of, train_time_s=10 * cost
        )
        for i, p in enumerate(accuracies, 1)
    )
    return Record(
        run_id=name,
        architecture=name,
        dataset="x-rays",
        status="done",
        epochs=epochs,
        test_accuracy=accuracies[-1] if test is None else test,
        energy_kwh=cost * len(accuracies) / of,
        train_time_s=10 * cost * len(accuracies),
    )


# R = 0, 0.25 and 1. After the first epoch 0.6, 0.56 and 0.4; the first two go on.
RACED = [
    record("a", (0.6, 0.7), cost=1.0),
    record("b", (0.7, 0.95), cost=2.0),
    record("c", (0.8,), cost=5.0),
]
FULL = [
    record("a", (0.6, 0.7), cost=1.0),
    record("b", (0.7, 0.9), cost=2.0),
    record("c", (0.8, 0.99), cost=5.0),
]


def test_a_measured_race_is_told_from_its_records():
    told = page.measured_race(of_records(RACED, "race"), None)
    assert told.table["architecture"].tolist() == ["b", "a", "c"]
    assert told.table["epochs"].tolist() == [2, 2, 1]
    assert told.table["score"].tolist() == pytest.approx([0.95 / 1.25, 0.7, 0.4])
    assert told.table["out because"][2] == "score 0.4000 after epoch 1, the best has 0.6000"
    # 2 x 10 + 2 x 20 + 50 s; all would have taken 50 s more.
    assert "Of 3 candidates 2 were trained to the end; the race took 110 s" in told.sentence
    assert "0.69 of the 160 s" in told.sentence
    assert "The winner is b" in told.sentence


def test_a_measured_race_is_told_as_its_folder_says(tmp_path):
    for run in RACED:
        write_record(run, tmp_path)
    settings = {"rule": "halving", "cost": "time", "alpha": 2.0, "data": "x"}
    # By an expected cost of 200 s for the last, R is 0, 20 / 180 and 1.
    costs = {"a": 20.0, "b": 40.0, "c": 200.0}
    candidates = [{"name": name, "cost": cost} for name, cost in costs.items()]
    content = {"settings": settings, "winner": "a", "candidates": candidates}
    (tmp_path / "race.json").write_text(json.dumps(content))
    told = page.measured_race(load_result_set(tmp_path), None)
    scores = told.table.set_index("architecture")["score"]
    assert scores["b"] == pytest.approx(2 * 0.95 / (2 + 20 / 180))
    assert "weighs is the time of training. The winner is a." in told.sentence


def test_a_measured_race_is_compared_with_the_full_study():
    told = page.measured_race(of_records(RACED, "race"), of_records(FULL, "all"))
    assert told.table["rank, all trained"].tolist() == [1, 2, 3]
    assert "all 3 took 160 s as measured, of which the race spent 0.69" in told.sentence
    assert told.sentence.endswith("is the same.")
    lost = [*FULL[:1], record("b", (0.7, 0.8), cost=2.0), FULL[2]]
    told = page.measured_race(of_records(RACED, "race"), of_records(lost, "all"))
    # 0.8 / 1.25 = 0.64 against 0.7
    assert told.sentence.endswith("is a, and the race's winner is number 2, 0.0600 behind it.")


def test_without_records_of_a_race_the_page_says_so(monkeypatch):
    monkeypatch.setattr(page, "available_result_sets", dict)
    told = page.real_race()
    assert told.table.empty
    assert told.sentence.startswith("Not measured yet")


def test_a_race_that_is_not_decided_is_not_told():
    measured = of_records(RACED, "race")
    paused = replace(measured, runs=measured.runs.assign(status="paused"))
    told = page.measured_race(paused, None)
    assert told.table.empty
    assert "not decided" in told.sentence


def test_a_race_without_validation_accuracies_cannot_be_told():
    published = load_result_set("published")
    with pytest.raises(NotAvailableError, match="no validation accuracy"):
        page.measured_race(published, None)


def test_where_the_final_winner_stood(fields):
    found = simulate_races(fields, ["halving"])
    table = page.standings(load_result_set("published"), fields, found).set_index("experiment")
    worst = table.loc["pneumonia, pretrained, 10 %"]
    assert worst["final winner"] == "resnext50d_32x4d"
    # 80th of 131, of which 66 go on.
    assert worst["rank after 1"] == 80
    assert worst["regret"] == pytest.approx(0.0126, abs=5e-5)


def test_more_images_tell_more_models_from_the_best(fields):
    few, many = (page.within_noise(fields, n)["not told apart"] for n in (500, 50_000))
    assert (many <= few).all()
    assert many.sum() < few.sum() / 4


def test_the_figure_has_a_point_for_each_rule_set_and_alpha(fields):
    found = simulate_races(fields[:2], ["halving", "exact"]).assign(set="published", alpha=1.0)
    frame = figure.data(found)
    assert frame[["rule", "of"]].to_numpy().tolist() == [["halving", 2], ["exact", 2]]
    assert figure.chart(frame).to_dict(validate=True)["height"]
    assert "exact" in figure.describe(frame)
