"""The figures' data against values computed by hand or another way, and their charts' structure."""

import re

import altair as alt
import pandas as pd
import pytest
import vl_convert

from paper.figures import arms, by_size
from pepr_utils.errors import InvalidTableError, UnknownNameError
from pepr_utils.results import ResultSet, load_result_set
from pepr_utils.results.groups import (
    FRACTION_ARMS,
    PRETRAINING_ARMS,
    by_architecture,
    fraction_arms,
    pretraining_arms,
)
from pepr_utils.scoring import pepr


@pytest.fixture(scope="module")
def frame(published):
    return by_architecture(published)


def test_charts_are_valid_vega_lite(frame, published):
    for chart in (
        by_size.energy_chart(frame),
        by_size.accuracy_chart(frame),
        by_size.score_chart(frame, alpha=3),
        arms.chart(pretraining_arms(published), arms=PRETRAINING_ARMS),
        arms.chart(fraction_arms(published), arms=FRACTION_ARMS),
    ):
        assert isinstance(chart, alt.LayerChart)
        assert chart.to_dict(validate=True)["height"]


def test_arms_have_every_model_once(published):
    tuned = pretraining_arms(published)
    assert tuned.groupby("arm").size().to_dict() == {"fine-tuned": 131, "from scratch": 131}
    assert set(tuned["datasets"]) == {"derma"}
    tenth = fraction_arms(published)
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
    assert pretraining_arms(own).empty
    assert fraction_arms(own).empty
    assert {"arm", "test_accuracy", "architecture"} <= set(fraction_arms(own))
    chart = arms.chart(fraction_arms(own), arms=FRACTION_ARMS).to_dict()
    assert "no data set with both: 100 % and 10 %" in str(chart["datasets"])


def test_only_models_with_every_experiment_are_averaged(own):
    frame = by_architecture(own)
    assert frame["architecture"].tolist() == ["a"]
    assert frame["test_accuracy"].tolist() == [pytest.approx(0.8)]


def test_sets_that_cannot_be_averaged_say_why(own):
    runs = own.runs[
        own.runs["architecture"] != own.runs["dataset"].map({"ward": "a", "clinic": "b"})
    ]
    with pytest.raises(
        InvalidTableError, match="no architecture has a run in each of: ward, clinic"
    ):
        by_architecture(ResultSet("own", runs, own.epochs, "x"))
    nameless = own.runs.assign(n_parameters=pd.array([None] * 3, "Int64"))
    with pytest.raises(InvalidTableError, match="n_parameters"):
        by_architecture(ResultSet("own", nameless, own.epochs, "x"))
    with pytest.raises(
        UnknownNameError, match="unknown average 'median'; allowed: stated, released"
    ):
        by_architecture(own, average="median")


def test_models_that_the_paper_does_not_classify_are_drawn_in_a_colour_of_their_own(own):
    frame = by_architecture(own)
    assert frame["type"].tolist() == ["not classified"]
    spec = by_size.accuracy_chart(frame).to_dict()
    encoding = spec["layer"][-1]["encoding"]
    assert encoding["color"]["scale"]["domain"] == ["CNN", "Other", "not classified"]
    assert encoding["shape"]["scale"]["domain"][-1] == "not classified"


def test_the_axis_of_scores_holds_them_at_every_alpha(frame, published):
    low, high = by_size.score_chart(frame).to_dict()["layer"][-1]["encoding"]["y"]["scale"][
        "domain"
    ]
    for alpha in (1, 20):
        scores = by_architecture(published, alpha=alpha)["pepr"]
        assert low < scores.min()
        assert scores.max() < high


def test_alternative_texts_are_computed(frame, own, published):
    text = by_size.describe(frame, "energy_wh", "Energy", digits=1)
    assert "131 models" in text
    assert f"{frame['energy_wh'].max():.1f}" in text
    assert "no data set with both" in arms.describe(fraction_arms(own), arms=FRACTION_ARMS)
    tuned = arms.describe(pretraining_arms(published), arms=PRETRAINING_ARMS)
    assert "of 131 models" in tuned
    assert "115 models are better fine-tuned" in tuned


#: Scores of small, large and tiny on ward and on clinic, by hand: see SMALL_SET in conftest.py.
BY_HAND = {
    (4, "minmax", "E"): ([0.8, 3.6 / 4.5, 0.48], [0.4, 0.7, 0.8]),
    (1, "minmax", "E"): ([0.8, 0.6, 0.3], [0.25, 0.7, 0.6]),
    (1, "max", "E"): ([0.8 / 1.2, 0.9 / 1.6, 0.3], [0.25, 0.7 / 1.5, 0.9 / 1.75]),
    (4, "max", "E"): ([3.2 / 4.2, 3.6 / 4.6, 0.48], [0.4, 2.8 / 4.5, 3.6 / 4.75]),
    (1, "minmax", "M"): ([0.4, 0.9, 0.4], [0.5, 0.7, 0.9]),
}
MODELS = ["small", "large", "tiny"]


@pytest.mark.parametrize(("alpha", "method", "cost"), BY_HAND)
def test_mean_scores_by_hand(small_set, alpha, method, cost):
    frame = by_architecture(small_set, alpha=alpha, method=method, cost=cost)
    frame = frame.set_index("architecture").loc[MODELS]
    ward, clinic = BY_HAND[alpha, method, cost]
    expected = [(w + c) / 2 for w, c in zip(ward, clinic, strict=True)]
    assert frame["pepr"].tolist() == pytest.approx(expected)
    # the failed runs, with 0.99 for 9 kWh, are in neither mean
    assert frame["test_accuracy"].tolist() == pytest.approx([0.65, 0.8, 0.75])
    assert frame["energy_wh"].tolist() == pytest.approx([2500, 2500, 4000])
    assert frame["size"].tolist() == ["small", "large", "small"]


def test_the_score_is_by_energy_and_minmax_with_alpha_1_unless_said(small_set):
    stated = by_architecture(small_set, average="stated", alpha=1, method="minmax", cost="E")
    pd.testing.assert_frame_equal(by_architecture(small_set), stated)


@pytest.mark.parametrize("alpha", [1.0, 4.0])
@pytest.mark.parametrize("average", ["stated", "released"])
def test_each_model_against_the_authors_table(published, means, average, alpha):
    frame = by_architecture(published, average=average, alpha=alpha).set_index("architecture")
    expected = means(average, alpha).reset_index("size").loc[frame.index]
    assert frame["size"].tolist() == expected["size"].tolist()
    for ours, theirs in (
        ("test_accuracy", "test_09"),
        ("energy_wh", "energy_wh"),
        ("pepr", "score"),
    ):
        assert frame[ours].to_numpy() == pytest.approx(expected[theirs].to_numpy())


def _evaluate(expression, row, alpha):
    """Evaluate a Vega expression of numbers, `alpha` and `datum["column"]` for one row."""
    python = re.sub(r'datum\["([^"]*)"\]', lambda m: repr(float(row[m[1]])), expression)
    return eval(python, {"__builtins__": {}}, {"alpha": alpha})


@pytest.mark.parametrize("alpha", [1.0, 4.0, 20.0])
def test_the_slider_computes_the_score(small_set, published, alpha):
    for result_set in (small_set, published):
        frame = by_architecture(result_set)
        spec = by_size.score_chart(frame).to_dict()
        points = spec["layer"][-1]
        assert points["encoding"]["y"]["field"] == "score"
        (transform,) = points["transform"]
        assert transform["as"] == "score"
        names = [c.removeprefix("P: ") for c in frame if c.startswith("P: ")]
        at_alpha = by_architecture(result_set, alpha=alpha)["pepr"].tolist()
        for row, other in zip(spec["datasets"][points["data"]["name"]], at_alpha, strict=True):
            scores = [pepr(row[f"P: {n}"], row[f"R: {n}"], alpha=alpha) for n in names]
            drawn = _evaluate(transform["calculate"], row, alpha)
            assert drawn == pytest.approx(sum(scores) / len(scores))
            assert drawn == pytest.approx(other)


def test_the_red_line_is_at_the_median_size(frame, names):
    spec = by_size.energy_chart(frame).to_dict()
    (line,) = [layer for layer in spec["layer"] if layer["mark"]["type"] == "rule"]
    assert spec["datasets"][line["data"]["name"]] == [{"median": names["num_param"].median()}]
    assert names["num_param"].median() == 24_671_464


@pytest.mark.parametrize(
    ("chart", "column"),
    [
        (by_size.energy_chart, "energy_wh"),
        (by_size.accuracy_chart, "test_accuracy"),
        (by_size.score_chart, "score"),
    ],
)
def test_each_class_has_its_colour_and_shape_in_every_figure(frame, own, chart, column):
    expected = {
        "color": {"CNN": "#0072b2", "Other": "#e69f00", "not classified": "#cc79a7"},
        "shape": {"efficient": "triangle-up", "not efficient": "circle"}
        | {"not classified": "square"},
    }
    fields = {"color": "type", "shape": "efficient"}
    for table, n in ((frame, 2), (by_architecture(own), 3)):
        encoding = chart(table).to_dict()["layer"][-1]["encoding"]
        assert encoding["y"]["field"] == column
        for channel, mapping in expected.items():
            assert encoding[channel]["field"] == fields[channel]
            scale = encoding[channel]["scale"]
            drawn = dict(zip(scale["domain"], scale["range"], strict=True))
            assert drawn == dict(list(mapping.items())[:n])


@pytest.mark.parametrize(
    ("data", "names", "colours", "first", "second"),
    [
        # failed runs, with 0.99, and every other arm are in neither
        (
            pretraining_arms,
            PRETRAINING_ARMS,
            {"fine-tuned": "#0072b2", "from scratch": "#d55e00"},
            [0.8, 0.9, 0.6],
            [0.4, 0.3, 0.2],
        ),
        (
            fraction_arms,
            FRACTION_ARMS,
            {"100 %": "#0072b2", "10 %": "#009e73"},
            [0.8, 0.9, 0.6],
            [0.85, 0.5, 0.4],
        ),
    ],
)
def test_arms_by_hand(small_set, data, names, colours, first, second):
    frame = data(small_set)
    wide = frame.pivot(index="architecture", columns="arm", values="test_accuracy").loc[MODELS]
    assert wide[names[0]].tolist() == pytest.approx(first)
    assert wide[names[1]].tolist() == pytest.approx(second)
    assert set(frame["datasets"]) == {"ward"}
    paired = arms.data(frame, arms=names).set_index("architecture").loc[MODELS, "difference"]
    differences = [a - b for a, b in zip(first, second, strict=True)]
    assert paired.tolist() == pytest.approx(differences)
    spec = arms.chart(frame, arms=names).to_dict()
    assert spec["layer"][1]["mark"]["color"] == colours[names[0]]
    (median,) = spec["datasets"][spec["layer"][-1]["data"]["name"]]
    assert median["difference"] == pytest.approx(sorted(differences)[1])


def test_arms_of_each_model_against_the_authors_table(published, raw):
    wide = raw.pivot(index="model", columns="dataset", values="test_09")
    expected = {
        "fine-tuned": wide["derma_pt"],
        "from scratch": wide["derma"],
        "100 %": wide[["derma_pt", "lidc", "pneumonia"]].mean(axis="columns"),
        "10 %": wide[["derma_small", "lidc_small", "pneumonia_small"]].mean(axis="columns"),
    }
    both = pd.concat([pretraining_arms(published), fraction_arms(published)])
    for arm, group in both.groupby("arm"):
        found = group.set_index("architecture")["test_accuracy"].to_dict()
        assert found == pytest.approx(expected.pop(arm).to_dict())
    assert not expected


def test_names_with_quotes_and_slashes_are_drawn(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "architecture,dataset,test_accuracy,energy_kwh,n_parameters\n"
        "a,St John's \\ 1/2,0.9,2,1000\nb,St John's \\ 1/2,0.8,1,30000000\n"
    )
    frame = by_architecture(load_result_set(path))
    assert "P: St John's \\ 1/2" in frame
    svg = vl_convert.vegalite_to_svg(by_size.score_chart(frame).to_dict())
    assert svg.count('aria-roledescription="point"') == 2
    assert ">a</text>" in svg  # either leads its size, and is named
    assert ">b</text>" in svg
