"""The chapters on section 2: worked values, example curves, statements and their outcomes."""

import numpy as np
import pytest
import sympy

from paper.chapters import score as properties
from paper.chapters import statements
from paper.chapters.statements import CURVES, GRID, ExampleCurve
from paper.figures import integral, profile
from pepr_utils.scoring import pepr


def test_profile_covers_the_square_and_scores_the_middle_of_each_cell():
    frame = profile.data(alpha=2.0, low=0.5, high=1.0, reach=0.5)
    assert len(frame) == profile.CELLS**2
    assert frame["r_from"].min() == 0
    assert frame["r_to"].max() == 0.5
    assert frame["p_from"].min() == 0.5
    assert frame["p_to"].max() == 1
    row = frame.iloc[-1]
    assert row["pepr"] == pytest.approx(2 * row["performance"] / (2 + row["resource"]), abs=1e-6)


def test_isoclines_are_where_the_score_is_their_level():
    spec = profile.chart(profile.data()).to_dict()
    [line] = [t["calculate"] for t in spec["layer"][1]["transform"] if "calculate" in t]
    assert line == "datum.level * (alpha + datum.resource) / alpha"
    level, resource, alpha = sympy.symbols("level resource alpha", positive=True)
    on_line = sympy.sympify(line.replace("datum.", ""), locals={"alpha": alpha})
    assert (
        sympy.simplify(alpha * on_line / (alpha + resource) - level).subs(
            {sympy.Symbol("level"): level, sympy.Symbol("resource"): resource}
        )
        == 0
    )


def test_sensitivities_by_finite_differences():
    for row in properties.sensitivities().itertuples(index=False):
        step = 1e-6
        p, r = min(row.P, 1 - step), min(row.R, 1 - step)
        by_p = (pepr(p + step, r) - pepr(p, r)) / step
        by_r = (pepr(p, r + step) - pepr(p, r)) / step
        assert row[2] == pytest.approx(by_p, abs=1e-5)
        assert row[3] == pytest.approx(-by_r, abs=1e-5)
        assert row.ratio == pytest.approx(row.PePR)
    assert properties.ratio_is_the_score()


def test_the_papers_worked_values(page_numbers):
    found = page_numbers("score")
    assert found["score-most-expensive"] == "0.50"
    assert found["score-most-expensive-100"] == "0.99"
    assert found["single-score"] == "0.76"
    assert (found["two-cheap"], found["two-expensive"]) == ("0.80", "0.45")
    assert found["guess"] == "0.5"
    assert found["weighted"] == f"{0.9 / 1.3:.3f}"
    assert found["ratio-is-score"] == "0"


def test_rules_of_normalisation_by_hand():
    table = properties.rules().set_index("cost (Wh)")
    assert table.loc[40.0, "minmax"] == pytest.approx(30 / 390)
    assert table.loc[40.0, "max"] == pytest.approx(0.1)
    assert table.loc[40.0, "fixed"] == pytest.approx(0.4)
    assert table.loc[400.0, "fixed"] == 1
    assert table.loc[40.0, "log"] == pytest.approx(np.log10(4) / np.log10(40))
    low, high = np.quantile(properties.COSTS_WH, [0.05, 0.95])
    assert table.loc[40.0, "quantile"] == pytest.approx((40 - low) / (high - low))


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: c.name)
def test_example_curves_stay_in_range_and_have_the_slope_of_their_formula(curve):
    values = np.array([curve.performance(r) for r in GRID])
    assert values.min() >= 0
    assert values.max() <= 1
    for r in (0.13, 0.52, 0.91):
        numeric = (curve.performance(r + 1e-6) - curve.performance(r - 1e-6)) / 2e-6
        assert curve.slope(r) == pytest.approx(numeric, abs=1e-4)


def test_example_curves_are_of_every_kind():
    by_name = {c.name: c for c in CURVES}
    assert len(by_name) == len(CURVES) >= 10
    assert by_name["slow riser"].increasing
    assert not by_name["dip, then recovery"].increasing
    assert by_name["saturating"].concave
    assert not by_name["two steps"].concave


def test_identity_on_the_example_curves():
    table = integral.data()
    assert len(table) == len(CURVES)
    assert table["largest difference"].max() < 1e-10
    assert set(table["proved"]) == {"yes"}
    root = table.set_index("curve").loc["square root"]
    assert root["gain"] == pytest.approx(0.45 * np.pi / 2, abs=1e-9)  # 0.9 arctan(1)
    assert root["optimum R"] == pytest.approx(1.0, abs=1e-6)
    kinked = table.set_index("curve").loc["kinked"]
    assert kinked["optimum R"] == pytest.approx(0.4, abs=1e-6)
    assert kinked["score there"] == pytest.approx(0.8 / 1.4)


def test_error_falls_with_the_square_of_the_step_where_the_slope_is_finite():
    frame = integral.convergence_data()
    assert frame["error of the score"].max() < 1e-12
    orders = integral.orders(frame)
    assert set(orders) == set(integral.CONVERGING)
    for name in ("saturating", "late riser", "oscillating"):
        assert orders[name] == pytest.approx(2.0, abs=0.05)
    assert orders["square root"] == pytest.approx(1.5, abs=0.05)


def test_explorer_says_what_the_score_does():
    frame = integral.explorer_data()
    for curve in CURVES:
        part = frame[frame["curve"] == curve.name]
        np.testing.assert_allclose(part["PePR"], part["f"] / (1 + part["R"]), atol=2e-6)
        inner = part[~part["R"].isin([*curve.kinks, 0.0, 1.0])]
        change = np.gradient(part["PePR"], part["R"])[inner.index - part.index[0]]
        clear = np.abs(change) > 0.02  # away from turning points
        says = np.where(inner["score"] == "rises", 1, -1)
        near_kink = (inner["R"] - 0.4).abs() < 0.005
        assert (np.sign(change)[clear & ~near_kink] == says[clear & ~near_kink]).all()


OUTCOMES = {
    "identity": statements.HOLDS,
    "weights": statements.HOLDS,
    "positive": statements.CONDITION,
    "never below": statements.FAILS,
    "rises": statements.HOLDS,
    "falls": statements.HOLDS,
    "footnote 5": statements.CONDITION,
    "maxima": statements.CONDITION,
}


@pytest.mark.parametrize("statement", statements.STATEMENTS, ids=lambda s: s.name)
def test_outcome_of_each_statement(statement):
    assert statement.check().outcome == OUTCOMES[statement.name]


class _Claimed(ExampleCurve):
    """A curve with a slope that is not its own: it contradicts whatever is said of slopes."""

    @property
    def slope(self):
        return lambda _: self.claimed


def _plant(monkeypatch, formula, slope=None):
    """Add a curve; with a slope, one that the formula does not have."""
    curve = ExampleCurve("planted", formula)
    if slope is not None:
        curve = _Claimed("planted", formula)
        object.__setattr__(curve, "claimed", slope)
    monkeypatch.setattr(statements, "CURVES", (*CURVES, curve))


@pytest.mark.parametrize(
    ("check", "formula", "slope"),
    [
        (statements.check_identity, "9/10 - r/2", 2.0),
        (statements.check_rises, "9/10 - r/2", 2.0),
        (statements.check_falls, "1/10 + 8*r/10", 0.0),
        (statements.check_positive_integrals, "1/10 + r/2", -1.0),
        (statements.check_maxima, "9/10 - 6*exp(-6*r)/10", 0.1),
    ],
)
def test_a_planted_contradiction_is_found(monkeypatch, check, formula, slope):
    _plant(monkeypatch, formula, slope)
    assert check().outcome == statements.FAILS


def test_without_a_counterexample_a_statement_stands(monkeypatch):
    keep = ("straight", "saturating", "power law", "hyperbola", "square root", "slow riser")
    rising = tuple(c for c in CURVES if c.name in keep)
    riser = ExampleCurve("slow riser", "1/10 + 8*r/10")  # gains enough: f(R) >= (1 + R) f(0)
    monkeypatch.setattr(statements, "CURVES", (*(c for c in rising if c.name != riser.name), riser))
    assert statements.check_never_below_start().outcome == statements.HOLDS


def test_statements_table_and_counts():
    tried = statements.table()
    assert tried["outcome"].value_counts().to_dict() == {
        statements.HOLDS: 4,
        statements.CONDITION: 3,
        statements.FAILS: 1,
    }
