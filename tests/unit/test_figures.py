"""The figures' data against values computed by hand or another way, and their charts' structure."""

import altair as alt
import pandas as pd
import pytest

from pepr_utils.errors import InvalidTableError, UnknownNameError
from pepr_utils.reporting.figures import arms, by_size
from pepr_utils.results import ResultSet, load_result_set


@pytest.fixture(scope="module")
def frame(published):
    return by_size.data(published)


def test_means_are_over_the_three_fine_tuned_experiments(published, frame):
    runs = published.runs
    three = runs[
        runs["pretrained"] & (runs["train_fraction"] == 1.0) & (runs["architecture"] == "vgg13")
    ]
    assert len(three) == 3
    row = frame.set_index("architecture").loc["vgg13"]
    assert row["test_accuracy"] == pytest.approx(three["test_accuracy"].mean())
    assert row["energy_wh"] == pytest.approx(three["energy_kwh"].mean() * 1000)
    scores = [row[c] / (1 + row["R" + c[1:]]) for c in frame if c.startswith("P: ")]
    assert len(scores) == 3
    assert row["pepr"] == pytest.approx(sum(scores) / 3)


def test_released_variant_is_over_all_eight(published):
    frame = by_size.data(published, average="released")
    assert sum(c.startswith("P: ") for c in frame) == 8
    mean = published.runs.groupby("architecture")["test_accuracy"].mean()
    assert frame.set_index("architecture")["test_accuracy"].to_dict() == pytest.approx(
        mean.to_dict()
    )


def test_counts_of_the_model_space(frame):
    assert frame["size"].value_counts().to_dict() == {"large": 66, "small": 65}
    assert frame["type"].value_counts().to_dict() == {"CNN": 80, "Other": 51}
    assert frame["efficient"].value_counts().to_dict() == {"not efficient": 100, "efficient": 31}


def test_charts_are_valid_vega_lite(frame, published):
    for chart in (
        by_size.energy_chart(frame),
        by_size.accuracy_chart(frame),
        by_size.score_chart(frame, alpha=3),
        arms.chart(arms.pretraining_data(published), arms=arms.PRETRAINING_ARMS),
        arms.chart(arms.fraction_data(published), arms=arms.FRACTION_ARMS),
    ):
        assert isinstance(chart, alt.LayerChart)
        assert chart.to_dict(validate=True)["height"]


def test_slider_starts_at_the_alpha_of_the_page(frame):
    spec = by_size.score_chart(frame, alpha=3).to_dict()
    assert [p["value"] for p in spec["params"] if p["name"] == "alpha"] == [3]


def test_arms_have_every_model_once(published):
    tuned = arms.pretraining_data(published)
    assert tuned.groupby("arm").size().to_dict() == {"fine-tuned": 131, "from scratch": 131}
    assert set(tuned["datasets"]) == {"derma"}
    tenth = arms.fraction_data(published)
    assert tenth.groupby("arm").size().to_dict() == {"10 %": 131, "100 %": 131}
    assert set(tenth["datasets"]) == {"derma, lidc, pneumonia"}
    one = published.runs[
        (published.runs["architecture"] == "vgg13") & (published.runs["train_fraction"] == 0.1)
    ]
    mine = tenth[(tenth["architecture"] == "vgg13") & (tenth["arm"] == "10 %")]
    assert mine["test_accuracy"].item() == pytest.approx(one["test_accuracy"].mean())


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "architecture,dataset,test_accuracy,energy_kwh,n_parameters\n"
        "a,ward,0.9,2,1000\nb,ward,0.8,1,30000000\na,clinic,0.7,3,1000\n"
    )
    return load_result_set(path)


def test_a_set_without_an_arm_gives_an_empty_frame(own):
    assert arms.pretraining_data(own).empty
    assert arms.fraction_data(own).empty
    assert {"arm", "test_accuracy", "architecture"} <= set(arms.fraction_data(own))
    chart = arms.chart(arms.fraction_data(own), arms=arms.FRACTION_ARMS).to_dict()
    assert "no data set with both: 100 % and 10 %" in str(chart["datasets"])


def test_only_models_with_every_experiment_are_averaged(own):
    frame = by_size.data(own)
    assert frame["architecture"].tolist() == ["a"]
    assert frame["test_accuracy"].tolist() == [pytest.approx(0.8)]


def test_sets_that_cannot_be_averaged_say_why(own):
    runs = own.runs[
        own.runs["architecture"] != own.runs["dataset"].map({"ward": "a", "clinic": "b"})
    ]
    with pytest.raises(
        InvalidTableError, match="no architecture has a run in each of: ward, clinic"
    ):
        by_size.data(ResultSet("own", runs, own.epochs, "x"))
    nameless = own.runs.assign(n_parameters=pd.array([None] * 3, "Int64"))
    with pytest.raises(InvalidTableError, match="n_parameters"):
        by_size.data(ResultSet("own", nameless, own.epochs, "x"))
    with pytest.raises(
        UnknownNameError, match="unknown average 'median'; allowed: stated, released"
    ):
        by_size.data(own, average="median")


def test_models_that_the_paper_does_not_classify_are_drawn_in_a_colour_of_their_own(own):
    frame = by_size.data(own)
    assert frame["type"].tolist() == ["not classified"]
    spec = by_size.accuracy_chart(frame).to_dict()
    encoding = spec["layer"][-1]["encoding"]
    assert encoding["color"]["scale"]["domain"] == ["CNN", "Other", "not classified"]
    assert encoding["shape"]["scale"]["domain"][-1] == "not classified"


def test_the_legend_names_no_class_that_is_not_there(frame):
    encoding = by_size.accuracy_chart(frame).to_dict()["layer"][-1]["encoding"]
    assert encoding["color"]["scale"]["domain"] == ["CNN", "Other"]


def test_the_axis_of_scores_holds_them_at_every_alpha(frame, published):
    low, high = by_size.score_chart(frame).to_dict()["layer"][-1]["encoding"]["y"]["scale"][
        "domain"
    ]
    for alpha in (1, 20):
        scores = by_size.data(published, alpha=alpha)["pepr"]
        assert low < scores.min()
        assert scores.max() < high


def test_alternative_texts_are_computed(frame, own, published):
    text = by_size.describe(frame, "energy_wh", "Energy", digits=1)
    assert "131 models" in text
    assert f"{frame['energy_wh'].max():.1f}" in text
    assert "no data set with both" in arms.describe(
        arms.fraction_data(own), arms=arms.FRACTION_ARMS
    )
    tuned = arms.describe(arms.pretraining_data(published), arms=arms.PRETRAINING_ARMS)
    assert "fine-tuned: 131 models" in tuned
