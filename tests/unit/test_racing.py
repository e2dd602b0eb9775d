"""Races: hand-computed fields, ties, and an exact rule that never misses the winner."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from pepr_utils.errors import ScoreInputError, UnknownNameError
from pepr_utils.scoring import (
    RaceRules,
    pepr,
    race_resources,
    race_step,
    resource_limit,
    weighted_resource,
)

NAN = float("nan")


def raced(performance, resource, rules, *, workers=1, failed=None, seen=None):
    """Train as a race asks for, some steps at a time; return the last step and what was seen."""
    curves = np.asarray(performance, dtype=float)
    seen = np.full(curves.shape, NAN) if seen is None else seen.copy()
    for _ in range(10 * curves.size):
        step = race_step(seen, resource, rules, failed=failed)
        if not step.to_train:
            return step, seen
        for candidate, epoch in step.to_train[:workers]:
            seen[candidate, :epoch] = curves[candidate, :epoch]
    raise AssertionError("the race does not end")


class RecordedScore(BaseEstimator):
    """An estimator whose score after so many epochs is looked up."""

    def __init__(self, scores=None, candidate=0, epochs=1):
        self.scores, self.candidate, self.epochs = scores, candidate, epochs

    def fit(self, X, y):  # noqa: N803
        return self

    def score(self, X, y):  # noqa: N803
        return self.scores[self.candidate, self.epochs - 1]


@st.composite
def fields(draw, n_costs=1):
    n, epochs = draw(st.integers(2, 8)), draw(st.integers(2, 5))
    # Few distinct values, so that ties are common.
    part = st.integers(0, 8).map(lambda v: v / 8)
    curves = [[draw(part) for _ in range(epochs)] for _ in range(n)]
    costs = [[draw(st.integers(1, 9)) for _ in range(n_costs)] for _ in range(n)]
    return np.array(curves), np.array(costs, dtype=float)


def test_halving_of_a_field_worked_out_by_hand():
    # R = 0, 1/4, 1/2, 1. Scores after epoch 1: 0.50, 0.48, 0.60, 0.45; after epoch 2 of the two
    # that go on: 0.55 and 0.60; the second of these is trained to the end.
    curves = [[0.50, 0.55, 0.6, 0.6], [0.60, 0.9, 0.9, 1.0], [0.90, 0.90, 0.9, 0.9], [0.9, 1, 1, 1]]
    resource = race_resources([10.0, 20.0, 30.0, 50.0]).resource
    step, seen = raced(curves, resource, RaceRules(epochs=4))
    assert resource.tolist() == [0.0, 0.25, 0.5, 1.0]
    assert [(e.candidate, e.epoch) for e in step.eliminated] == [(3, 1), (1, 1), (0, 2)]
    assert step.eliminated[1].score == pytest.approx(0.48)
    assert (~np.isnan(seen)).sum(axis=1).tolist() == [2, 1, 4, 1]
    assert step.leader == 2


def test_exact_stopping_of_a_field_worked_out_by_hand():
    # The first has 0.7, the second 0.9 / 1.1 = 0.818; the third could have 1 / 1.25 = 0.8 at most.
    step, seen = raced([[0.7], [0.9], [1.0], [1.0]], [0.0, 0.1, 0.25, 1.0], RaceRules(1, "exact"))
    assert step.leader == 1
    assert [e.candidate for e in step.eliminated] == [3, 2]
    assert step.eliminated[1].score == pytest.approx(0.8)
    assert np.isnan(seen[2:]).all()


def test_both_begins_no_candidate_that_cannot_reach_a_score_of_the_first_rung():
    # The third could reach 1 / 1.3 = 0.769; in the end the second has 0.95 / 1.05 = 0.905.
    curves = [[0.8, 0.9], [0.7, 0.95], [1.0, 1.0]]
    step, seen = raced(curves, [0.0, 0.05, 0.3], RaceRules(2, "both"))
    assert np.isnan(seen[2]).all()
    assert [(e.candidate, e.epoch, e.cannot_win) for e in step.eliminated] == [(2, 0, True)]
    assert step.leader == 1


@pytest.mark.parametrize("rule", ["halving", "exact", "both"])
def test_ties_go_to_the_cheaper(rule):
    # Scores of 0.5 everywhere; with alpha = 1 that of the last needs P = 0.75 at R = 0.5.
    curves = np.array([[0.75] * 4, [0.5] * 4, [0.625] * 4, [1.0] * 4])
    step, _ = raced(curves, [0.5, 0.0, 0.25, 1.0], RaceRules(4, rule))
    assert step.leader == 1


def test_of_candidates_that_cost_the_same_the_first_goes_on():
    step, _ = raced([[0.5, 0.5]] * 4, [0.0] * 4, RaceRules(2))
    assert step.leader == 0
    assert [e.candidate for e in step.eliminated] == [3, 2]


@pytest.mark.parametrize(("n", "eta", "epochs"), [(13, 2, 8), (11, 3, 9), (16, 2, 10)])
def test_halving_keeps_those_that_scikit_learns_halving_search_keeps(n, eta, epochs):
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    rng = np.random.default_rng(n)
    curves = np.sort(rng.uniform(size=(n, epochs)), axis=1)
    resource = race_resources(rng.uniform(1, 9, size=n)).resource
    rules = RaceRules(epochs, eta=eta)
    search = HalvingGridSearchCV(
        RecordedScore(pepr(curves, resource[:, None])),
        {"candidate": list(range(n))},
        resource="epochs",
        min_resources=1,
        max_resources=epochs,
        factor=eta,
        cv=[([0], [1])],
        refit=False,
    )
    search.fit(np.zeros((2, 1)), [0, 1])
    found = search.cv_results_
    _, seen = raced(curves, resource, rules)
    trained = (~np.isnan(seen)).sum(axis=1)
    for rung, epoch in enumerate(rules.rungs):
        theirs = {int(found["param_candidate"][i]) for i in np.flatnonzero(found["iter"] == rung)}
        assert theirs == set(np.flatnonzero(trained >= epoch))


@given(fields(), st.sampled_from([1.0, 1.5, 4.0]), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_exact_never_misses_the_winner(field, alpha, workers):
    curves, costs = field
    resource = race_resources(costs[:, 0]).resource
    step, seen = raced(
        curves, resource, RaceRules(curves.shape[1], "exact", alpha), workers=workers
    )
    final = pepr(curves[:, -1], resource, alpha=alpha)
    assert final[step.leader] == final.max()
    # Of equal scores the cheapest wins; those that were left out cost at least as much.
    assert resource[step.leader] == resource[final == final.max()].min()
    untrained = np.isnan(seen[:, -1])
    assert not untrained.any() or resource[untrained].min() >= resource[~untrained].max()


@given(fields(n_costs=3), st.sampled_from([1.0, 3.0]))
@settings(max_examples=75, deadline=None)
def test_exact_never_misses_the_winner_by_weighted_costs(field, alpha):
    curves, costs = field
    weights = [0.5, 0.25, 0.25]
    each = np.column_stack([race_resources(column).resource for column in costs.T])
    resource = weighted_resource(each, weights)
    step, _ = raced(curves, resource, RaceRules(curves.shape[1], "exact", alpha))
    final = pepr(curves[:, -1], resource, alpha=alpha)
    assert final[step.leader] == final.max()


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(1, 50), st.floats(0, 1))
def test_the_limit_of_the_resource_is_where_the_highest_score_is_the_best(
    best, ceiling, alpha, resource
):
    limit = resource_limit(best, alpha=alpha, ceiling=ceiling)
    highest = pepr(ceiling, resource, alpha=alpha)
    if abs(resource - limit) > 1e-9:
        assert (resource > limit) == (highest < best)


@given(fields(), st.sampled_from(["halving", "exact", "both"]), st.data())
@settings(max_examples=100, deadline=None)
def test_a_race_that_was_killed_goes_on_where_it_was(field, rule, data):
    curves, costs = field
    resource = race_resources(costs[:, 0]).resource
    rules = RaceRules(curves.shape[1], rule)
    whole, at_the_end = raced(curves, resource, rules)
    seen = np.full(curves.shape, NAN)
    for _ in range(data.draw(st.integers(0, 20))):
        for candidate, epoch in race_step(seen, resource, rules).to_train[:1]:
            seen[candidate, :epoch] = curves[candidate, :epoch]
    # Killed within a run, whose first epochs are known.
    for candidate, epoch in race_step(seen, resource, rules).to_train[:1]:
        done = data.draw(st.integers(0, epoch))
        seen[candidate, :done] = curves[candidate, :done]
    step, then = raced(curves, resource, rules, seen=seen)
    assert step.leader == whole.leader
    assert np.array_equal(then, at_the_end, equal_nan=True)


def test_a_cautious_race_keeps_what_the_noise_of_the_images_could_explain():
    curves = [[0.80, 0.8], [0.79, 0.8], [0.60, 0.6], [0.78, 0.8]]
    few, _ = raced(curves, [0.0] * 4, RaceRules(2, n_images=100))
    many, _ = raced(curves, [0.0] * 4, RaceRules(2, n_images=100_000))
    assert [e.candidate for e in few.eliminated] == [2]
    assert [e.candidate for e in many.eliminated] == [2, 3]
    # 1.96 sqrt((81/102 x 21/102 + 61/102 x 41/102) / 102)
    assert few.eliminated[0].noise == pytest.approx(0.1234, abs=1e-4)


def test_a_cautious_exact_race_stops_later_than_one_that_believes_each_performance():
    curves, resource = [[0.8], [0.7], [0.9]], [0.0, 0.3, 0.6]
    _, sure = raced(curves, resource, RaceRules(1, "exact"))
    _, cautious = raced(curves, resource, RaceRules(1, "exact", n_images=100))
    assert np.isnan(sure[:, 0]).tolist() == [False, True, True]
    # Wilson's interval of 80 of 100 begins at 0.711; R = 0.3 could score 0.769, R = 0.6 0.625.
    assert np.isnan(cautious[:, 0]).tolist() == [False, False, True]


def test_bounds_are_those_of_the_forecasts_until_a_measurement_breaks_them():
    forecast = [10.0, 20.0, 50.0]
    inside = race_resources(forecast, [12.0, 20.0, 40.0])
    assert (inside.lower, inside.upper, inside.restated) == (10.0, 50.0, False)
    broken = race_resources(forecast, [5.0, 20.0, 50.0])
    assert (broken.lower, broken.upper, broken.restated) == (5.0, 50.0, True)


def test_failed_candidates_take_no_part():
    curves = [[0.9, 0.9], [0.8, 0.8], [0.7, 0.7]]
    step, seen = raced(curves, [0.0, 0.5, 1.0], RaceRules(2), failed=[True, False, False])
    assert step.leader == 1
    assert np.isnan(seen[0]).all()
    none = race_step(np.full((2, 2), NAN), [0.0, 1.0], RaceRules(2), failed=[True, True])
    assert (none.to_train, none.leader) == ([], None)


def test_a_worker_that_would_wait_gets_a_candidate_whose_place_in_the_next_rung_is_certain():
    # Two of four go on. While two are unknown nobody's place is; with one unknown that of the best.
    resource, rules = [0.0, 0.1, 0.2, 1.0], RaceRules(2)
    two = race_step([[0.9, NAN], [0.5, NAN], [NAN, NAN], [NAN, NAN]], resource, rules)
    one = race_step([[0.9, NAN], [0.5, NAN], [0.6, NAN], [NAN, NAN]], resource, rules)
    assert two.to_train == [(2, 1), (3, 1)]
    assert one.to_train == [(3, 1), (0, 2)]
    going_on = race_step([[0.9, 0.9], [0.5, NAN], [0.6, NAN], [NAN, NAN]], resource, rules)
    assert going_on.to_train == [(3, 1)]


@given(fields(), st.integers(1, 4), st.data())
@settings(max_examples=100, deadline=None)
def test_several_workers_train_the_same_epochs_as_one(field, workers, data):
    curves, costs = field
    resource, rules = race_resources(costs[:, 0]).resource, RaceRules(curves.shape[1])
    _, alone = raced(curves, resource, rules)
    seen, running = np.full(curves.shape, NAN), []
    while to_train := race_step(seen, resource, rules).to_train:
        running += [each for each in to_train if each not in running][: workers - len(running)]
        candidate, epoch = running.pop(data.draw(st.integers(0, len(running) - 1)))
        seen[candidate, :epoch] = curves[candidate, :epoch]
    assert np.array_equal(seen, alone, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eta": 1}, "eta is 1"),
        ({"first_epochs": 0}, "first_epochs is 0"),
        ({"first_epochs": 6}, "first_epochs is 6"),
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"n_images": 0}, "n_images is 0"),
    ],
)
def test_rules_that_cannot_be_are_refused(change, words):
    with pytest.raises(ScoreInputError, match=words):
        RaceRules(epochs=10, **change)


def test_an_unknown_rule_is_refused():
    with pytest.raises(UnknownNameError, match="halving, exact, both"):
        RaceRules(10, "half")


def test_a_field_of_one_is_refused():
    with pytest.raises(ScoreInputError, match="two or more"):
        race_step([[NAN, NAN]], [0.0], RaceRules(2))
