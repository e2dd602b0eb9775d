"""Rankings under other rules, comparisons and alphas: by hand and against naive loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from pepr_utils.errors import ScoreInputError, UnknownNameError
from pepr_utils.scoring import (
    agreement,
    compare_normalizations,
    equivalent_alpha,
    leaders_by_alpha,
    leave_one_out,
    normalize,
    pepr,
    ranks,
)

COARSE = st.integers(0, 6).map(lambda i: i / 6)
FINE = st.floats(0, 1)
MODELS = st.lists(st.tuples(COARSE, COARSE) | st.tuples(FINE, FINE), min_size=1, max_size=9)


def test_ranks_by_hand():
    found = ranks(pd.Series([0.7, 0.9, 0.7, 0.1], index=list("wxyz")))
    assert found.to_dict() == {"w": 2, "x": 1, "y": 2, "z": 4}
    assert (found.name, found.dtype.kind) == ("rank", "i")


@given(st.lists(COARSE, min_size=1, max_size=10))
def test_a_rank_is_one_more_than_the_number_of_higher_scores(scores):
    assert ranks(scores).tolist() == [1 + sum(t > s for t in scores) for s in scores]


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ([0.5, np.nan], "score at position 1 is nan"),
        (0.5, r"score has shape \(\)"),
        ([[0.5]], r"score has shape \(1, 1\)"),
        ([], "score is empty"),
    ],
)
def test_ranks_refuse(score, message):
    with pytest.raises(ScoreInputError, match=message):
        ranks(score)


def test_rules_compared_by_hand():
    """Scores by min-max: .45, .533, .5; by max: .45, .491, .45; by log: .45, .456, .5."""
    p, c = pd.Series([0.9, 0.6, 0.5], index=list("abc")), [9.0, 2.0, 1.0]
    table = compare_normalizations(p, c)
    assert list(table) == ["minmax", "max", "quantile", "log"]
    assert table.index.tolist() == ["a", "b", "c"]
    assert table["minmax"].tolist() == [3, 1, 2]
    assert table["max"].tolist() == ranks(p / (1 + np.array([1, 2 / 9, 1 / 9]))).tolist()
    assert table["log"].tolist() == [3, 2, 1]
    assert compare_normalizations(p, c, methods=["minmax"], alpha=1e6)["minmax"].tolist() == [
        1,
        2,
        3,
    ]


def test_a_rule_that_needs_bounds_is_refused():
    with pytest.raises(ScoreInputError, match="needs both"):
        compare_normalizations([0.5], [1.0], methods=["fixed"])
    with pytest.raises(UnknownNameError, match="normalisation 'mean'"):
        compare_normalizations([0.5], [1.0], methods=["mean"])


def test_agreement_by_hand():
    """Of 6 pairs, those of 1-2 and 3-4 are in disorder: tau (4 - 2) / 6."""
    found = agreement([1, 2, 3, 4], [2, 1, 4, 3], top=3)
    assert found == {"kendall_tau": pytest.approx(1 / 3), "top_shared": 2, "largest_shift": 1}
    assert agreement([1, 2, 3], [3, 2, 1])["kendall_tau"] == -1
    assert agreement([1, 2, 3], [3, 2, 1], top=1) == {
        "kendall_tau": -1,
        "top_shared": 0,
        "largest_shift": 2,
    }
    assert agreement([2, 3, 1], [1, 2, 3])["largest_shift"] == 2
    assert agreement([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])["top_shared"] == 5


@pytest.mark.parametrize("pair", [([1], [1]), ([1, 1], [1, 2]), ([1, 2], [1, 1])])
def test_no_order_no_tau(pair):
    assert np.isnan(agreement(*pair)["kendall_tau"])


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        ([1, 2], [1], {}, "allowed: one length"),
        ([[1, 2]], [[1, 2]], {}, "allowed: one length"),
        ([], [], {}, "rank is empty"),
        ([1, 2], [1, 2], {"top": 0}, "top is 0; allowed: 1 or more"),
        (pd.Series([1], index=["a"]), pd.Series([1], index=["b"]), {}, "different indexes"),
    ],
)
def test_agreement_refuses(first, second, options, message):
    with pytest.raises(ScoreInputError, match=message):
        agreement(first, second, **options)


def _naive_leave_one_out(p, c, alpha, method, top):
    """Every model removed in turn, scores by the formula, ranks by counting."""
    rows = []
    for i in range(len(p)):
        keep = [j for j in range(len(p)) if j != i]
        old_r, new_r = normalize(c, method=method)[keep], normalize(c[keep], method=method)
        old, new = p[keep] / (1 + old_r / alpha), p[keep] / (1 + new_r / alpha)
        old_rank, new_rank = ([1 + sum(t > s for t in v) for s in v] for v in (old, new))
        constant = len(set(old_rank)) < 2 or len(set(new_rank)) < 2
        rows.append(
            {
                "moves_bounds": any(a != b for a, b in zip(old_r, new_r, strict=True)),
                "largest_score_change": max(abs(a - b) for a, b in zip(old, new, strict=True)),
                "kendall_tau": np.nan if constant else kendalltau(old_rank, new_rank).statistic,
                "top_shared": sum(
                    a <= top and b <= top for a, b in zip(old_rank, new_rank, strict=True)
                ),
                "largest_shift": max(abs(a - b) for a, b in zip(old_rank, new_rank, strict=True)),
                "leader": min(keep, key=lambda j: (-new[keep.index(j)], c[j], j)),
            }
        )
    return pd.DataFrame(rows)


@given(
    st.lists(st.tuples(COARSE, st.integers(1, 9).map(float)), min_size=2, max_size=7),
    st.sampled_from([1.0, 3.0]),
    st.sampled_from(["minmax", "max", "log"]),
    st.integers(1, 3),
)
def test_leave_one_out_is_the_naive_loop(models, alpha, method, top):
    p, c = np.array(models).T
    found = leave_one_out(p, c, alpha=alpha, method=method, top=top)
    pd.testing.assert_frame_equal(found, _naive_leave_one_out(p, c, alpha, method, top))


def test_leave_one_out_by_hand():
    """Without the most expensive one, z and y have R 0 and 1: 0.7, 0.4; 0.7, 0.72 before."""
    p, c = pd.Series([0.9, 0.8, 0.7], index=list("xyz")), [10.0, 2.0, 1.0]
    found = leave_one_out(p, c)
    assert found.index.tolist() == ["x", "y", "z"]
    assert found["moves_bounds"].tolist() == [True, False, True]
    assert found["leader"].tolist() == ["z", "z", "y"]
    assert found.loc["x", "largest_score_change"] == pytest.approx(0.8 / (1 + 1 / 9) - 0.4)
    assert (found.loc["x", "kendall_tau"], found.loc["x", "largest_shift"]) == (-1, 1)
    assert found.loc["y", "largest_score_change"] == 0


def test_of_tied_leaders_the_cheaper_one_is_named():
    """Without the last R is 1 and 0, and both of the others score 0.4."""
    assert leave_one_out([0.8, 0.4, 0.1], [2.0, 1.0, 9.0])["leader"].iloc[2] == 1


@pytest.mark.parametrize("models", [([0.5], [1.0]), ([0.5, 0.6], [1.0]), (0.5, 1.0)])
def test_leave_one_out_needs_two_models(models):
    with pytest.raises(ScoreInputError, match="at least two models"):
        leave_one_out(*models)


@given(
    st.lists(st.tuples(FINE, st.floats(1, 5)), min_size=1, max_size=9),
    st.floats(1.01, 1e4),
    st.floats(1, 100),
)
def test_equivalent_alpha_gives_the_scores_of_another_maximum(models, maximum, alpha):
    """A more expensive model joins costs from 1 to 5: the others score as with a larger alpha."""
    p, c = np.array([*models, (0.5, 1.0), (0.5, 5.0)]).T
    joined = np.append(c, 5 * maximum)
    other = equivalent_alpha((1.0, 5.0), (1.0, joined.max()), alpha=alpha)
    assert other > alpha
    np.testing.assert_allclose(
        pepr(p, normalize(c), alpha=other), pepr(p, normalize(joined)[:-1], alpha=alpha), rtol=1e-9
    )


def test_equivalent_alpha_by_hand():
    assert equivalent_alpha((1.0, 5.0), (1.0, 9.0)) == 2.0
    assert equivalent_alpha((1.0, 5.0), (1.0, 9.0), alpha=3) == 6.0
    assert equivalent_alpha((0.0, 4.0), (0.0, 1.0)) == 0.25


@pytest.mark.parametrize(
    ("old", "new", "alpha", "message"),
    [
        ((1, 5), (2, 9), 1, "with the same smallest one"),
        ((5, 1), (5, 9), 1, "allowed: two pairs of smallest and largest"),
        ((1, 5), (1, 5, 9), 1, "allowed: two pairs"),
        ((1, 1), (1, 5), 1, "a range is empty"),
        ((1, 5), (1, 1), 1, "a range is empty"),
        ((1, 5), (1, 0.5), 1, "a range is empty"),
        ((1, np.inf), (1, 5), 1, "bound at position 1 is inf"),
        ((1, 5), (1, 9), 0.5, "alpha is 0.5; allowed: 1 or more"),
    ],
)
def test_equivalent_alpha_refuses(old, new, alpha, message):
    with pytest.raises(ScoreInputError, match=message):
        equivalent_alpha(old, new, alpha=alpha)


def test_leaders_by_hand():
    """B leads until 0.9 (a + 0) = 0.8 (a + 0.5), a = 4; c is nowhere the best."""
    p = pd.Series([0.9, 0.8, 0.81], index=["a", "b", "c"])
    found = leaders_by_alpha(p, pd.Series([0.5, 0.0, 0.4], index=p.index))
    assert found["model"].tolist() == ["b", "a"]
    assert found["from_alpha"].tolist() == [1.0, pytest.approx(4.0)]
    assert found["to_alpha"].tolist() == [pytest.approx(4.0), np.inf]
    assert found["performance"].tolist() == [0.8, 0.9]
    assert found["resource"].tolist() == [0.0, 0.5]


def test_one_leader_for_every_alpha():
    found = leaders_by_alpha([0.5, 0.9, 0.9], [0.5, 0.2, 0.2])
    assert found.values.tolist() == [[1, 1.0, np.inf, 0.9, 0.2]]


def test_tied_leaders():
    """At alpha 1 (0.6, 0.2) and (0.9, 0.8) both score 0.5; from there on the second leads."""
    found = leaders_by_alpha([0.6, 0.9], [0.2, 0.8])
    assert found["model"].iloc[-1] == 1
    assert found["to_alpha"].iloc[:-1].tolist() == pytest.approx([1.0] * (len(found) - 1))
    # three cross in one point, alpha = 4: the one in the middle never leads alone
    found = leaders_by_alpha([0.8, 0.85, 0.9], [0.0, 0.25, 0.5])
    assert found["model"].tolist()[0] == 0
    assert found["model"].tolist()[-1] == 2
    lasting = found[found["to_alpha"] > found["from_alpha"] * (1 + 1e-9)]
    assert lasting["model"].tolist() == [0, 2]
    assert leaders_by_alpha([0.5, 0.5], [1e-300, 0.0])["model"].tolist() == [1]
    # 0.5 and 1 / 2: of no length, so that only the second leads
    assert leaders_by_alpha([0.5, 1.0], [0.0, 1.0])["model"].tolist() == [1]


@pytest.mark.parametrize("resource", [0.5, np.nextafter(0.5, 1)])
def test_scores_that_tie_by_rounding_alone(resource):
    """The second model is better by one bit and costs as much, or one bit more."""
    first = next(
        p
        for p in np.linspace(0.6, 0.9, 1000)
        if pepr(p, 0.5) == pepr(np.nextafter(p, 1), 0.5) == pepr(np.nextafter(p, 1), resource)
    )
    second = np.nextafter(first, 1)
    found = leaders_by_alpha([first, second], [0.5, resource])
    assert found.to_numpy().tolist() == [[1, 1.0, np.inf, second, resource]]


@given(MODELS)
def test_leaders_against_a_dense_grid_of_alphas(models):
    p, r = np.array(models).T
    if not (p > 0).any():
        with pytest.raises(ScoreInputError, match="at least one value above 0"):
            leaders_by_alpha(p, r)
        return
    found = leaders_by_alpha(p, r)
    assert found["from_alpha"].iloc[0] == 1
    assert found["to_alpha"].iloc[-1] == np.inf
    assert found["from_alpha"].iloc[1:].tolist() == found["to_alpha"].iloc[:-1].tolist()
    assert (found["to_alpha"] > found["from_alpha"]).all()
    assert (np.diff(found["performance"]) > 0).all()
    last = found.iloc[-1]
    assert last["performance"] == p.max()
    assert last["resource"] == r[p == p.max()].min()
    ends = found["to_alpha"].to_numpy()
    at = found["model"].to_numpy()
    assert (p[at].tolist(), r[at].tolist()) == (list(found["performance"]), list(found["resource"]))
    alphas = np.concatenate((np.geomspace(1, 1e4, 60), ends[np.isfinite(ends)]))
    leader = at[np.searchsorted(ends, alphas)]
    scores = pepr(p, r, alpha=alphas[:, None])
    np.testing.assert_allclose(pepr(p[leader], r[leader], alpha=alphas), scores.max(axis=1), 1e-12)


def test_leaders_refuse():
    with pytest.raises(ScoreInputError, match="at least one value above 0"):
        leaders_by_alpha([0.0, 0.0], [0.1, 0.2])
    with pytest.raises(ScoreInputError, match=r"performance has shape \(\)"):
        leaders_by_alpha(0.5, 0.5)
    with pytest.raises(ScoreInputError, match="resource at position 0 is 3"):
        leaders_by_alpha([0.5], [3])
