"""Which differences the data show: what the page quotes of the tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.results import ResultSet
from pepr_utils.statistics import (
    AVERAGE,
    MARGIN,
    USUAL,
    Comparison,
    Tested,
    datasets_of,
    families,
    primary,
    primary_family,
)
from pepr_utils.statistics.comparisons import GROUPS, PERFORMANCES
from pepr_utils.statistics.tables import format_p, interval

All = Mapping[str, Tested | None]


#: Both groups of each factor, as sentences name them.
_GROUPS = {
    "pretraining": ("fine-tuned models", "models trained from scratch"),
    "fraction": ("models trained on all images", "those trained on a tenth"),
    "size": ("small models", "large ones"),
    "type": ("CNNs", "other models"),
    "efficient": ("efficient models", "others"),
}


def equal_or_undecided(equivalence: pd.DataFrame) -> dict[str, str]:
    """How many comparisons are equal within the margin, how many are not decided, and which."""
    if equivalence.empty:
        return dict.fromkeys(("equal-verdict", "equal-average"), "Nothing is compared.")
    equal = equivalence["verdict"] == f"equal within {MARGIN:g}"
    undecided = equivalence["verdict"] == "not decided"
    by_families = equal & (equivalence["by families"] == "within")
    average = equivalence[
        (equivalence["performance"] == PERFORMANCES["accuracy"])
        & (equivalence["on"] == "mean")
        & equivalence["factor"].isin(" against ".join(GROUPS[f]) for f in _BY_MODEL)
    ]
    words = [
        _VERDICTS.get(row["verdict"], "{} models differ").format(
            row["factor"].replace(" against ", " and ")
        )
        + f" (p {row[f'p, within {MARGIN:g}']})"
        for row in average.to_dict("records")
    ]
    return {
        "equal-verdict": f"Of {len(equivalence)} comparisons {equal.sum()} are equal within it, "
        f"{by_families.sum()} of them over resampled families too; {undecided.sum()} are not "
        "decided, since the data allow a difference of that size and none.",
        "equal-average": f"{'; '.join(words)}." if words else "nothing is compared.",
    }


_BY_MODEL = ("size", "efficient", "type")
_VERDICTS = {
    f"equal within {MARGIN:g}": "{} models are equal",
    "not decided": "for {} models it is not decided",
}


def changes(table: pd.DataFrame, moved: Iterable[bool], *extra: str) -> str:
    """Say in how many rows of a table the answer changes, and name them."""
    rows = table[list(moved)]
    if rows.empty:
        return f"No answer of {len(table)} changes." if len(table) else "Nothing is compared."
    change = "answers changes" if len(rows) == 1 else "answers change"
    return f"{len(rows)} of {len(table)} {change}: {named_rows(rows, *extra)}."


def largest_family(result_set: ResultSet) -> str:
    """Number of models in the largest family of architectures."""
    names = result_set.finished["architecture"].unique()
    counts = pd.Series(families(names)).value_counts()
    return f"{counts.iloc[0]}" if len(counts) else NOT_AVAILABLE


def named_rows(table: pd.DataFrame, *extra: str) -> str:
    """Name the rows of a table in one line."""
    words = []
    for row in table.to_dict("records"):
        where = f", {row['on']}" if "on" in row else ""
        more = "".join(f" ({row[name]})" for name in extra)
        words.append(f"{row['factor']} by {row['performance']}{where}{more}")
    return "; ".join(words) or "none"


def primary_family_in_words(result_set: ResultSet, tested: All) -> dict[str, str]:
    """Which tests of the primary family tell groups apart, and which only before adjustment."""
    table = primary_family(result_set, dict(tested))
    known = table[table["p"].notna()]
    significant = known[known["p_holm"] < USUAL]
    lost = known[(known["p"] < USUAL) & ~(known["p_holm"] < USUAL)]
    named = [
        f"{_sentence(row['factor'], row['performance'], [row['scope']], row['difference'] > 0)} "
        f"({format_p(row['p'])}, adjusted {format_p(row['p_holm'])})"
        for row in lost.to_dict("records")
    ]
    return {
        "n-primary": f"{len(table)}",
        "n-primary-tested": f"{len(known)}",
        "n-primary-significant": f"{len(significant)}",
        "primary-significant": " ".join(_sentences(significant)),
        "lost": f"Before the adjustment it would be {len(lost)} more: {'; '.join(named)}."
        if named
        else "The adjustment changes no answer.",
    }


def _sentences(significant: pd.DataFrame) -> list[str]:
    """Say of each factor and performance which group is higher and where, in one sentence each."""
    said = []
    for (factor, performance), part in significant.groupby(["factor", "performance"], sort=False):
        for conclusion, same in part.groupby("conclusion", sort=False):
            words = _sentence(factor, performance, same["scope"], conclusion == "first higher")
            said.append(f"{words[0].upper()}{words[1:]}.")
    return said


def _sentence(factor: str, performance: str, scopes: Iterable[str], first: bool) -> str:
    """Say that one group is higher: ``small models score higher by PePR-E than large ones``."""
    higher, other = _GROUPS[factor] if first else _GROUPS[factor][::-1]
    verb = "are more accurate" if performance == "accuracy" else "score higher by PePR-E"
    *others, last = ["average" if scope == AVERAGE else scope for scope in scopes]
    where = f"{', '.join(others)} and {last}" if others else last
    return f"{higher} {verb} than {other} on {where}"


def arms_of_figure_3(tested: All) -> dict[str, str]:
    """The differences of figures 3a and 3b with their tests."""
    found, highest = {}, []
    for factor in ("pretraining", "fraction"):
        one = tested.get(Comparison(factor, "accuracy", AVERAGE).name)
        p = {} if one is None else one.tests
        highest += [p.get(name, float("nan")) for name in ("paired t", "Student")]
        found |= {
            f"{factor}-difference": fixed(float("nan") if one is None else one.difference, 3),
            f"{factor}-interval": NOT_AVAILABLE
            if one is None
            else interval(one.difference_low, one.difference_high),
        }
    known = [p for p in highest if p == p]
    return found | {"arms-p": at_most(max(known)) if known else NOT_AVAILABLE}


def _on_each(result_set: ResultSet, tested: All, factor: str) -> list[Tested]:
    names = [Comparison(factor, "pepr_e", dataset).name for dataset in datasets_of(result_set)]
    return [one for name in names if (one := tested.get(name)) is not None]


def size(result_set: ResultSet, tested: All) -> dict[str, str]:
    """Small against large by score: how much of it is cost, and who is above the majority."""
    each = _on_each(result_set, tested, "size")
    shares = [one.cost_share for one in each]
    known = [one for one in each if one.above_a is not None]
    return {
        "size-share-lowest": _percent(shares, min),
        "size-share-highest": _percent(shares, max),
        "size-above": "; ".join(
            f"{one.above_a} of {one.n_a} small and {one.above_b} of {one.n_b} large models on "
            f"{one.comparison.scope}"
            for one in known
        )
        or NOT_AVAILABLE,
    }


def efficient(result_set: ResultSet, tested: All) -> dict[str, str]:
    """Efficient against not efficient by score: on how many data sets, and how much is cost."""
    each = _on_each(result_set, tested, "efficient")
    family = primary_family(result_set, dict(tested)).set_index("name")
    names = [n for n in primary(datasets_of(result_set)) if n.startswith("efficient-pepr_e")]
    adjusted = family.loc[names, "p_holm"].dropna()
    higher = (family.loc[names, "conclusion"] == "first higher").sum()
    return {
        "efficient-significant": f"{higher} of {len(adjusted)}",
        "efficient-sentence": f"efficient models score significantly higher on {higher} of "
        f"{len(adjusted)} data sets (adjusted p {at_most(adjusted.max())})."
        if len(adjusted)
        else "this set has no efficient models to compare.",
        "efficient-share-lowest": _percent([one.cost_share for one in each], min),
        "efficient-share-highest": _percent([one.cost_share for one in each], max),
    }


def at_most(p: float) -> str:
    """Write a bound of several *p*, rounded up.

    Examples
    --------
    >>> at_most(0.0004), at_most(0.0015), at_most(float("nan"))
    ('below 0.001', 'at most 0.002', 'n/a')
    """
    if pd.isna(p):
        return NOT_AVAILABLE
    return "below 0.001" if p < 0.001 else f"at most {math.ceil(round(p * 1000, 6)) / 1000:.3f}"


def _percent(values: Iterable[float | None], pick) -> str:
    known = [value for value in values if value is not None and value == value]
    return f"{100 * pick(known):.0f} %" if known else NOT_AVAILABLE


def gaps_in_words(gaps: pd.DataFrame) -> dict[str, str]:
    """The gaps of the figure of that name in words, and a sentence that their outcome chooses."""
    parts = {name: part.set_index("dataset") for name, part in gaps.groupby("measure")}
    names = {"gap-score": "PePR-E", "gap-alone": "cost alone", "gap-accuracy": "accuracy"}
    found = {
        key: ", ".join(f"{gap:.3f} on {dataset}" for dataset, gap in parts[name]["gap"].items())
        if name in parts
        else NOT_AVAILABLE
        for key, name in names.items()
    }
    if any(name not in parts for name in names.values()):
        return found | {
            "gap-verdict": "This result set has no small and large models to compare.",
            "gap-sentence": "So there is no gap to draw.",
        }
    score, alone, accuracy = (parts[name] for name in names.values())
    higher = score["low"] > 0
    cost = alone["gap"].reindex(score.index) >= score["gap"]
    same = (accuracy["low"] <= 0) & (accuracy["high"] >= 0)
    if higher.all() and cost.all() and same.all():
        verdict = (
            "Small models score higher because they cost less, not because they predict better."
        )
    elif higher.all():
        verdict = (
            f"Small models score higher on each data set; on {int(cost.sum())} of {len(cost)} "
            f"cost alone makes as wide a gap, and on {int(same.sum())} of {len(same)} the "
            "accuracies are not told apart."
        )
    else:
        verdict = f"Small models score higher on {int(higher.sum())} of {len(higher)} data sets."
    sentence = (
        f"On the {len(score)} data sets their median leads by {_span(score['gap'])} in PePR-E. "
        f"If every model were perfect it would lead by {_span(alone['gap'])}; in accuracy the "
        f"difference is {_span(accuracy['gap'])}."
    )
    return found | {"gap-verdict": verdict, "gap-sentence": sentence}


def _span(values: pd.Series) -> str:
    return f"{values.min():.3f} to {values.max():.3f}"
