"""The page to choose a model: what it is given, its default view, and the leaders over alpha."""

import json
import re

import numpy as np
import pytest

from paper.chapters import choose
from paper.figures import choose as figure
from pepr_utils.results import load_result_set
from pepr_utils.results.groups import by_architecture
from pepr_utils.scoring import leaders_by_alpha

ONE = "architecture,dataset,test_accuracy,energy_kwh,n_parameters,n_test\n"


@pytest.fixture
def one_experiment(tmp_path):
    """Three models of one experiment, the more accurate the more expensive."""
    rows = ["small,clinic,0.8,0.001,1000000,500", "middle,clinic,0.9,0.002,2000000,500"]
    rows += ["large,clinic,0.95,0.009,30000000,500"]
    (tmp_path / "mine.csv").write_text(ONE + "\n".join(rows))
    return load_result_set(tmp_path / "mine.csv")


def test_leaders_of_one_experiment_are_the_exact_ones(one_experiment):
    frame = by_architecture(one_experiment)
    found = choose.leaders(frame)
    name = next(c for c in frame if c.startswith("R: "))
    exact = leaders_by_alpha(frame["test_accuracy"], frame[name])
    assert list(found["model"]) == [frame["architecture"][i] for i in exact["model"]]
    assert np.allclose(found["from_alpha"], exact["from_alpha"])


def test_the_page_is_given_what_the_result_set_holds(one_experiment):
    table = choose.embedded(one_experiment)
    assert [c["id"] for c in table["columns"]] == ["energy", "parameters"]
    assert table["averages"] == []
    (experiment,) = table["experiments"]
    place = table["models"].index("middle")
    assert (experiment["performance"][place], experiment["energy"][place]) == (0.9, 2)
    assert experiment["n_test"] == 500


def test_what_two_sets_share_is_written_once_and_nothing_is_lost(published):
    repaired = load_result_set("published-repaired")
    text = choose.fragment([published, repaired])
    written = json.loads(re.search(r'id="choose-data">(.*)</script>', text)[1])
    first = {e["id"]: e for e in written[0]["experiments"]}
    restored = [first[e["id"]] | e for e in written[1]["experiments"]]
    assert restored == choose.embedded(repaired)["experiments"]
    assert len(text) < 120_000


def test_the_example_is_the_best_model_on_x_rays_within_10_wh(published):
    runs = published.finished
    runs = runs[runs["experiment"].str.startswith("pneumonia/pretrained/1/")]
    wh = runs["energy_kwh"] * 1e3
    score = runs["test_accuracy"] / (1 + (wh - wh.min()) / (wh.max() - wh.min()))
    found = choose.numbers(published, choose.default_view(published))
    assert found["example-within"] == str((wh <= 10).sum())
    assert found["example-best"] == runs.loc[score[wh <= 10].idxmax(), "architecture"]


def test_the_picture_for_readers_without_scripts_marks_both_winners(published):
    frame = figure.data(choose.default_view(published))
    spec = figure.chart(frame).to_dict()
    marks = next(layer for layer in spec["layer"] if layer["data"].get("name") == "marks")
    best = frame.loc[frame["score"].idxmax(), "model"]
    accurate = frame.loc[frame["y"].idxmax(), "model"]
    assert [row["model"] for row in marks["data"]["values"]] == [best, accurate]
    assert best in figure.describe(frame)
