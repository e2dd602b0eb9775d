"""Figures 2b and 4a and the rank plots: their data by hand, their charts' structure."""

import altair as alt
import pandas as pd
import pytest
import vl_convert

from paper.chapters import curve as curve_numbers
from paper.chapters import pareto as front_numbers
from paper.figures import curves, front, integral, profile, ranking
from pepr_utils.errors import UnknownNameError
from pepr_utils.scoring import pareto_front
from pepr_utils.statistics import rank_stability


def _marks(spec):
    """Texts and mark counts of a chart as it is drawn."""
    return vl_convert.vegalite_to_svg(spec)


def test_optimum_of_each_measured_curve(epoch_set):
    frame = curve_numbers.pepr_curves(epoch_set)
    best = frame[frame["optimum"]]
    # cheap: 0.5, 0.711, 0.509; dear: 0.48, 0.523, 0.45
    assert best[["architecture", "epoch"]].to_numpy().tolist() == [["cheap", 2], ["dear", 2]]
    assert "epoch 2; after the last epoch it is 0.5091" in curves.describe(frame)


def test_a_large_alpha_moves_the_optimum_to_the_best_accuracy(epoch_set):
    frame = curve_numbers.pepr_curves(epoch_set, alpha=100.0)
    best = frame[frame["optimum"]].set_index("architecture")["epoch"].to_dict()
    assert best == {"cheap": 2, "dear": 3}


def test_the_menu_has_every_architecture_and_starts_with_the_papers(published):
    frame = curve_numbers.pepr_curves(published)
    spec = curves.chart(frame).to_dict(validate=True)
    menu = next(p for p in spec["params"] if p["name"] == "architecture")
    assert menu["value"] == "ese_vovnet19b_dw"
    assert len(menu["bind"]["options"]) == 131
    with pytest.raises(UnknownNameError, match="did you mean 'vgg13'"):
        curves.chart(frame, architecture="vgg_13")


def test_the_chart_computes_the_same_optimum_as_the_data(published):
    """One orange point, at the optimum that `pepr_optimum` finds."""
    frame = curve_numbers.pepr_curves(published)
    best = frame[frame["optimum"] & (frame["architecture"] == "ese_vovnet19b_dw")].iloc[0]
    svg = _marks(curves.chart(frame).properties(width=600).to_dict())
    stars = [part for part in svg.split("<path ") if "#e69f00" in part]
    assert len(stars) == 1
    assert f"{best['pepr']:.4f}" in stars[0]
    assert f"epoch: {best['epoch']}" in stars[0]


def test_front_and_knee_by_hand(epoch_set):
    frame = front_numbers.front_points(epoch_set)
    roles = frame.set_index(["architecture", "epoch"])["role"].to_dict()
    # by cost: 1 0.5, 2 0.8, 3 0.6, 4 0.7, 6 0.85, 9 0.9
    assert roles == {
        ("cheap", 1): "Pareto front",
        ("cheap", 2): "knee",
        ("dear", 1): "other",
        ("cheap", 3): "other",
        ("dear", 2): "Pareto front",
        ("dear", 3): "Pareto front",
    }
    assert front.corner(frame)["epoch"].tolist() == [1, 3, 1, 2, 2, 3]
    assert front_numbers.front_table(frame)[""].tolist() == ["", "knee", "", ""]


def test_figure_4a_on_the_published_data(published):
    frame = front_numbers.front_points(published)
    assert len(frame) == 1310
    on = frame[frame["role"] != "other"]
    assert (on["cost"].diff().dropna() > 0).all()
    assert (on["test_accuracy"].diff().dropna() > 0).all()
    for i, row in frame.iterrows():
        beaten = (
            (frame["test_accuracy"] >= row["test_accuracy"])
            & (frame["cost"] <= row["cost"])
            & ((frame["test_accuracy"] > row["test_accuracy"]) | (frame["cost"] < row["cost"]))
        )
        assert beaten.any() == (row["role"] == "other"), i
    assert len(front.corner(frame)) < len(frame)


@pytest.mark.slow
def test_numbers_of_the_curve_and_front_chapters(page_numbers, epoch_set):
    found = page_numbers("curve", result_set=epoch_set, architecture="cheap")
    assert found["optimum-epoch"] == "2"
    assert found["optimum-score"] == "0.7111"
    assert found["last-accuracy"] == "0.7000"
    assert found["n-first"] == "0"
    # on its own axis cheap scores 0.5, 0.6, 0.35 and dear 0.6, 0.567, 0.45
    assert found["n-first-own"] == "1"
    assert found["n-below-start"] == "1"
    assert found["cost-basis"].startswith("Energy was measured for each epoch of some runs")
    found = page_numbers("pareto", result_set=epoch_set)
    assert found["n-front"] == "4"
    assert found["knee"] == "cheap after epoch 2"
    assert found["best"] == "cheap after epoch 2"
    assert found["knee-says"] == "By score the knee is in place 1 of 6."
    assert (found["n-within"], found["chosen"]) == ("0", "n/a")  # 20 Wh: nothing is so cheap


def test_choice_at_20_wh_and_8_gb_by_pandas(published):
    table = front_numbers.models(published)
    found = front_numbers.choices(table, alpha=1.0)
    energy = table["energy_kwh"]
    score = table["test_accuracy"] / (1 + (energy - energy.min()) / (energy.max() - energy.min()))
    within = (energy <= 0.02) & (table["reserved_memory_gb"] <= 8)
    assert found["n-within"] == str(within.sum())
    assert found["chosen"] == score[within].idxmax()
    assert found["chosen-accurate"] == table["test_accuracy"][within].idxmax()


def test_ranks_over_alpha_by_hand():
    table = pd.DataFrame(
        {"test_accuracy": [0.9, 0.8, 0.1], "resource": [0.5, 0.0, 1.0]}, index=["a", "b", "c"]
    )
    frame = ranking.data(table, top=1)
    assert set(frame["architecture"]) == {"a", "b"}
    lead = frame[frame["rank"] == 1].set_index("alpha")["architecture"]
    assert (lead[lead.index < 4] == "b").all()
    assert (lead[lead.index > 4] == "a").all()
    leaders = ranking.leaders_table(table)
    assert leaders["leader"].tolist() == ["b", "a"]
    assert leaders["to alpha"].tolist() == ["4.00", "no limit"]
    assert "b from alpha = 1, a from alpha = 4" in ranking.describe(frame, leaders)


def test_charts_are_valid_vega_lite(published):
    scored = rank_stability.scored_experiments(published)
    table = scored["derma, pretrained"]
    found = rank_stability.intervals(table)
    for chart in (
        profile.chart(profile.data()),
        integral.convergence_chart(integral.convergence_data()),
        integral.explorer_chart(integral.explorer_data()),
        front.chart(front_numbers.front_points(published)),
        front.chart(front_numbers.front_points(published), enlarged=True),
        ranking.chart(ranking.data(table)),
        ranking.interval_chart(found),
    ):
        assert isinstance(chart, alt.LayerChart)
        assert chart.to_dict(validate=True)["layer"]


def test_the_pareto_front_holds_the_best_score_for_every_alpha(published):
    for table in rank_stability.scored_experiments(published).values():
        on = pareto_front(table["test_accuracy"], table["cost"])
        assert on[
            ranking.leaders_by_alpha(table["test_accuracy"], table["resource"])["model"]
        ].all()
