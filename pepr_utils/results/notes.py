"""What a reader should know before believing a ranking: doubtful numbers, fragile leaders.

Each kind of note follows from the table alone, and names the option or the step that answers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.results.accuracies import majority_share
from pepr_utils.results.models import Models, is_accuracy
from pepr_utils.results.units import UNITS, unit_of
from pepr_utils.scoring import pepr
from pepr_utils.scoring.normalization import group_bounds

#: How many notes are shown.
SHOWN = 3
SEVERITIES = ("error", "warning", "note")
#: Scores that differ by less are equal.
EQUAL = 1e-12
#: A server of eight H100 draws 10.2 kW (NVIDIA DGX H100), 16 kW with carbontracker's PUE of 1.58:
#: more is a fault of units rather than a measurement of one machine.
MOST_POWER_W = 20_000.0
#: A factor of 1,000 between units turns the 10 to 1,000 W of a computer that trains into less.
LEAST_POWER_W = 1.0
#: Units of one kind that are mixed up are 1,000 apart. Models whose costs truly are seldom leave
#: a gap as wide as this between two neighbours.
MIXED_GAP, MIXED_FACTOR = 100.0, 1000.0
#: Two ways of metering one run differ by about 5 %; costs that differ by less than twice that are
#: not known to differ.
STRETCH = 0.10
#: Without the number of test images, an accuracy this near to a constant answer's is no better.
NO_BETTER = 0.01
#: A leader that errs on one case in five more than the best is seldom what is wanted.
FAR = 0.20
#: Under another rule a leader may trail by as much as counts as no difference in a score
#: (`pepr_utils.statistics.comparisons.MARGIN`).
TRAILS = 0.02
#: How alike two models are in which test images they get right (correlation). Trained models agree
#: far beyond their accuracies: Mania et al. (2019), "Model similarity mitigates test set overuse".
SAME_IMAGES = 0.5
#: A lead has one direction: a one-sided test at 5 % asks for this share of a 95 % interval's half.
#: In simulated tables of 4 to 29 models and 624 to 10,000 images it then asks in 39 %, where the
#: two intervals of models that share no images ask in 54 %, and the leader is wrong in 10 %.
ONE_SIDED = 1.644854 / 1.959964
#: Times and energies of a part of the run, which do not belong to each other.
_PARTIAL = re.compile(
    r"released|latency|infer|eval|per|step|batch|image|sample|epoch", re.IGNORECASE
)
#: Columns that tell how well a constant answer does.
_TELLING = ("n_test", "dataset", "n_classes")


@dataclass(frozen=True)
class Note:
    """Something to know before believing a ranking.

    Attributes
    ----------
    kind : str
        What was found, such as ``"stretch"``.
    severity : {"error", "warning", "note"}
        A false number; a conclusion that the table does not support; what it depends on.
    text : str
        One sentence.
    option : str
        The option or the step that follows from it.
    """

    kind: str
    severity: str
    text: str
    option: str

    def __str__(self) -> str:
        return f"{self.text}; {self.option}"


def notes(ranking: Any, *, chance: float | None = None, among: Any = None) -> list[Note]:
    """What to know before believing a ranking, the gravest first.

    Parameters
    ----------
    ranking : Ranking
        What `pepr_utils.results.ranking.rank` returns.
    chance : float, optional
        Performance of always giving one answer, P in [0, 1]; by default the share of the largest
        class where the data set's is known, one over ``n_classes``, or 0.5 of an AUC.
    among : index, optional
        Rows among which the leader is looked for, such as those within a budget.

    Returns
    -------
    list of Note
        At most one of each kind.
    """
    found = [*_of_numbers(ranking.models), *_of_ranking(Ranked(ranking, among), chance)]
    return sorted(found, key=lambda note: SEVERITIES.index(note.severity))


def notes_on_numbers(models: Models) -> list[Note]:
    """The notes that need no score: on units, zeros, copies and groups."""
    return sorted(_of_numbers(models), key=lambda note: SEVERITIES.index(note.severity))


def _of_numbers(models: Models) -> Iterator[Note]:
    yield from _power(models)
    for cost in models.costs:
        yield from _mixed_units(models, cost)
        yield from _zeros(models, cost)
    if models.n_copies:
        n = models.n_copies
        apart = models.runs is None
        yield Note(
            "duplicates", "warning",
            f"{n:,} row{' is an exact copy' if n == 1 else 's are exact copies'} of another, "
            + ("ranked as a model of its own" if apart else "counted as a repeated run"),
            "delete the copies",
        )  # fmt: skip
    if models.groups is not None:
        sizes = models.groups[models.known].value_counts()
        if (alone := int((sizes == 1).sum())) and len(sizes) > 1:
            yield Note(
                "groups-of-one", "warning",
                f"{alone:,} of {len(sizes):,} groups ({models.grouped_by}) have one model, with "
                "nothing to compare it with: its score is its performance",
                "--together, or --by a coarser column",
            )  # fmt: skip


def _power(models: Models) -> Iterator[Note]:
    """Energies and times whose units are known by name and do not go together."""
    columns = [c for c in models.table.columns if not _PARTIAL.search(c)]
    units = {c: unit for c in columns if (unit := unit_of(c))}
    energies = {c: unit for c, (kind, unit) in units.items() if kind == "energy"}
    times = {c: unit for c, (kind, unit) in units.items() if kind == "time"}
    if not (energies and times):
        return
    # The longest of several times: the one that the energy may be of.
    each = [_numbers(models, c) * UNITS["time"][unit] for c, unit in times.items()]
    seconds = pd.concat(each, axis=1).max(axis=1)
    for column, unit in energies.items():
        watts = (_numbers(models, column) * UNITS["energy"][unit] / seconds).where(seconds > 0)
        training = any("train" in c.lower() for c in times)
        middle, most = watts[watts > 0].median(), watts.max()
        option = f"check the unit of {column}: are its numbers {unit}?"
        if middle > MOST_POWER_W:
            shown = f"{middle:,.0f} W, more than a computer draws"
        elif most > MOST_POWER_W:
            name = min(models.model[watts.index[watts == most]].astype(str))
            shown = f"{most:,.0f} W for {name}, more than a computer draws"
            option = "check that row; `pepr audit` looks for more of them"
        elif training and middle < LEAST_POWER_W:
            shown = f"{middle:.2g} W, less than a computer draws"
        else:
            continue
        per = "time" if len(times) > 1 else next(iter(times))
        yield Note("power", "error", f"{column} over {per} is {shown}", option)
        return


def _numbers(models: Models, column: str) -> pd.Series:
    try:
        return models.table.numbers(column).where(models.known)
    except InvalidTableError:  # of a column that is not compared
        return pd.Series(np.nan, index=models.known.index)


def _mixed_units(models: Models, cost: str) -> Iterator[Note]:
    """A few costs that lie among the others when divided, or multiplied, by a thousand."""
    values = models.numbers.loc[models.known, cost]
    values = values[values > 0]
    groups = pd.Series(0, index=values.index) if models.groups is None else models.groups
    each = values.groupby(groups.loc[values.index])
    wide = each.transform("max") / each.transform("min") >= MIXED_GAP
    for _, part in values[wide].groupby(groups.loc[values.index][wide]):
        if np.diff(np.unique(np.frexp(part)[1])).max(initial=0) <= np.log2(MIXED_GAP) - 1:
            continue  # without sorting: no wide gap between powers of 2
        ordered = np.sort(part)
        ratios = ordered[1:] / ordered[:-1]
        at = int(ratios.argmax()) + 1
        low, high = ordered[:at], ordered[at:]
        few, many, factor = (high, low, 1 / MIXED_FACTOR)
        if len(low) < len(high):
            few, many, factor = (low, high, MIXED_FACTOR)
        near = many[0] / 3 <= few[0] * factor and few[-1] * factor <= many[-1] * 3
        if ratios.max() >= MIXED_GAP and near and len(few) <= len(part) / 3:
            named = part[part.isin(few)].groupby(models.model.astype(str)).first()
            name, value = named.index[0], named.iloc[0]
            yield Note(
                "mixed-units", "error",
                f"{cost} of {len(few):,} of {len(part):,} models, such as {name} ({value:.4g}), is "
                f"about {'1,000 times' if factor < 1 else 'a thousandth of'} the others', as where "
                "units are mixed",
                "convert them to one unit",
            )  # fmt: skip
            return


def _zeros(models: Models, cost: str) -> Iterator[Note]:
    values = models.numbers.loc[models.known, cost]
    n = int((values == 0).sum())
    if 0 < n < len(values):
        yield Note(
            "zero-cost", "warning",
            f"{cost} is 0 for {n:,} of {len(values):,} models, which makes them the cheapest",
            "leave the cell empty if it was not measured",
        )  # fmt: skip


class Ranked:
    """The models that are scored, with the leader of each group."""

    def __init__(self, ranking: Any, among: Any = None) -> None:
        models, self.rule = ranking.models, ranking.rule
        known = models.known
        self.models, self.index = models, known.index if known.all() else known.index[known]
        self.among = np.ones(len(self.index), dtype=bool)
        if among is not None:
            self.among = self.index.isin(among)
        self.numbers = models.numbers[known]
        self.p = models.scale.fraction(self.numbers[models.performance])
        self.names = models.model
        self.codes, self.labels = None, [""]
        if models.groups is not None:
            self.codes, self.labels = models.groups[self.index].astype(str).factorize()
        self.groups = pd.Series(0 if self.codes is None else self.codes, index=self.index)
        self.table = ranking.table[known]
        self.leader = self.leaders(self.table["pepr"], self.table["resource"])
        self.size = self.groups.value_counts()[self.leader.index]

    def leaders(self, score: Any, resource: Any, among: Any = None) -> pd.Series:
        """Row of the best score of each group; of equal ones the cheaper, then by name."""
        mask = self.among if among is None else self.among & np.asarray(among)
        score = np.where(mask, np.asarray(score), -np.inf)
        _, best = group_bounds("minmax", score, self.codes, len(self.labels))
        best = best if self.codes is None else best[self.codes]
        row = self.index[mask & (score >= best - EQUAL)]
        frame = pd.DataFrame(
            {"group": self.groups[row], "resource": pd.Series(resource, self.index)[row],
             "name": self.models.model[row].astype(str), "row": row}
        )  # fmt: skip
        frame = frame.sort_values(["group", "resource", "name"])
        return frame.drop_duplicates("group").set_index("group")["row"]

    def under(self, method: str, alpha: float, among: Any = None) -> pd.Series:
        """Who leads each group under another rule, where the leader trails by more than `TRAILS`.

        A leader that is not `among` the models trails by nothing.
        """
        mask = np.ones(len(self.index), dtype=bool) if among is None else among.to_numpy()
        by = None if self.codes is None else self.codes[mask]
        rule = replace(self.rule, method=method, lower=None, upper=None, outside=None)
        costs = {cost: self.numbers[cost].to_numpy()[mask] for cost in rule.weights}
        scores = np.full(mask.size, np.nan)
        scores[mask] = pepr(self.p.to_numpy()[mask], rule.resource(costs, by), alpha=alpha)
        score = pd.Series(scores, self.index)
        best = self.leaders(score, self.p, mask)
        gap = score[best].to_numpy() - score[self.leader[best.index]].to_numpy()
        return best[gap > TRAILS]

    @property
    def near_leader(self) -> pd.Series | None:
        """Whether the lead over each model may be noise: of a difference, in one direction.

        None where no spread is known.
        """
        table, first = self.table, self.groups.loc[self.among].map(self.leader)
        if "pepr_low" not in table:
            return None
        lead = table.loc[first, "pepr"].to_numpy() - table.loc[first.index, "pepr"]
        down = (table["pepr"] - table["pepr_low"])[first].to_numpy()
        up = (table["pepr_high"] - table["pepr"])[first.index].to_numpy()
        shared = self._of_images()
        both = shared[first].to_numpy() * shared[first.index].to_numpy()
        return lead < ONE_SIDED * np.sqrt(down**2 + up**2 - 2 * SAME_IMAGES * both)

    def _of_images(self) -> pd.Series:
        """Half the interval of each score that is due to images which a group shares, else 0."""
        if self.models.n_test is None:
            return pd.Series(0.0, index=self.index)
        n = self.models.n_test.loc[self.index]
        one = n.groupby(self.groups).transform("nunique") == 1
        factor = 1 / (1 + self.table["resource"] / self.rule.alpha)
        half = 1.959964 * factor * np.sqrt(self.p * (1 - self.p) / n)
        return half.where(one & n.notna(), 0.0)

    def where(self, hit: pd.Series) -> tuple[str, Any]:
        """The groups in which something was found, as text, and the first of them by name."""
        codes = sorted(hit.index[hit], key=lambda code: self.labels[code])
        label = f"{self.labels[codes[0]]}: "
        if self.models.groups is None:
            return "", codes[0]
        if len(codes) == 1:
            return label, codes[0]
        return f"in {len(codes):,} of {len(hit):,} groups, such as {label}", codes[0]


def _of_ranking(ranked: Ranked, chance: float | None) -> Iterator[Note]:
    yield from _chance(ranked, chance)
    yield from _far_from_best(ranked)
    if ranked.rule.method in ("minmax", "log", "quantile"):
        yield from _stretch(ranked)
    yield from _unstable(ranked)
    yield from _noise(ranked)


def _chance(ranked: Ranked, given: float | None) -> Iterator[Note]:
    """Leaders that do no better than a constant answer."""
    levels = ranked.leader.map(lambda row: _level(ranked.models, row) if given is None else given)
    p, images = ranked.p[ranked.leader].to_numpy(), ranked.models.n_test
    room = pd.Series(NO_BETTER, index=levels.index)
    if images is not None:
        counts = images[ranked.leader].set_axis(levels.index)
        room = (1.96 * np.sqrt(levels * (1 - levels) / counts)).fillna(NO_BETTER)
    hit = pd.Series(p <= levels + room, index=levels.index)
    if hit.any():
        where, label = ranked.where(hit)
        row, name = ranked.leader[label], ranked.models.performance
        yield Note(
            "chance", "error",
            f"{where}the leader {ranked.names[row]} ({name} {ranked.numbers.loc[row, name]:.4g}) "
            f"is no better than a constant answer (P {levels[label]:.4g})",
            _floor(ranked, levels[label] + 2 * room[label]),
        )  # fmt: skip


def _level(models: Models, row: Any) -> float:
    """P of a constant answer, where the table tells it."""
    performance = models.performance.lower()
    if models.scale.is_share and re.search(r"auc|auroc", performance):
        return 0.5
    if not (models.scale.is_share and is_accuracy(performance)) or "top5" in performance:
        return np.nan
    values = {c: models.table.values(c)[row] for c in _TELLING if c in models.table}
    level, n_test = np.nan, _number(values.get("n_test"))
    if n_test >= 1 and pd.notna(values.get("dataset")):
        level = majority_share(str(values["dataset"]), int(n_test))
    if np.isnan(level):
        classes = _number(values.get("n_classes"))
        level = 1 / classes if classes >= 2 else np.nan
    return float(level)


def _number(value: Any) -> float:
    return float(pd.to_numeric(value, errors="coerce")) if pd.notna(value) else np.nan


def _floor(ranked: Ranked, p: float) -> str:
    """What asks for a better performance than P, in the user's own numbers."""
    scale, performance = ranked.models.scale, ranked.models.performance
    part = min(max(p, 0.0), 1.0) * (scale.upper - scale.lower)
    if scale.better == "low":
        return f"`pepr select --max {performance}={scale.upper - part:.3g}`"
    return f"`pepr select --min {performance}={scale.lower + part:.3g}`"


def _far_from_best(ranked: Ranked) -> Iterator[Note]:
    """Leaders that are cheap rather than good."""
    best = ranked.leaders(ranked.p, ranked.table["resource"])
    gap = ranked.p[best].to_numpy() - ranked.p[ranked.leader[best.index]].to_numpy()
    hit = pd.Series(gap > FAR, index=best.index)
    if hit.any():
        where, label = ranked.where(hit)
        row, other, name = ranked.leader[label], best[label], ranked.models.performance
        own = ranked.numbers[name]
        yield Note(
            "far-from-best", "warning",
            f"{where}the leader {ranked.names[row]} has {name} {own[row]:.4g}, the best "
            f"({ranked.names[other]}) {own[other]:.4g}: the score prefers it for its cost",
            _floor(ranked, ranked.p[other] - FAR) + " sets what is good enough",
        )  # fmt: skip


def _stretch(ranked: Ranked) -> Iterator[Note]:
    """Costs that hardly differ, or of two models only, and become R = 0 and R = 1."""
    for cost, weight in ranked.rule.weights.items():
        each = ranked.numbers[cost].groupby(ranked.groups)
        low, high = each.min(), each.max()
        share = (high - low) / high.where(high > 0)
        hit = (share > 0) & (share <= STRETCH)
        if weight and hit.any():
            where, label = ranked.where(hit)
            yield Note(
                "stretch", "warning",
                f"{where}{cost} differs by {share[label] * 100:.2g} % between the models, and "
                "the normalisation makes R = 0 and R = 1 of that",
                "--normalize max keeps the proportion",
            )  # fmt: skip
            break
    hit = ranked.size == 2
    if hit.any():
        where, _ = ranked.where(hit)
        yield Note(
            "two-models", "warning",
            f"{where}of two models the cheaper one gets R = 0 and the other R = 1, however much "
            "they cost",
            "--normalize max, or fixed bounds with --lower and --upper",
        )  # fmt: skip


def _unstable(ranked: Ranked) -> Iterator[Note]:
    """Leaders that other rules replace."""
    if ranked.size.max() < 3:
        return
    alpha, method = ranked.rule.alpha, ranked.rule.method
    own = method if method != "fixed" else "minmax"
    # Not log: it asks another question, and answers otherwise in four of five healthy tables.
    other = "minmax" if method == "max" else "max"
    words = {"max": "shares of the highest", "minmax": "0 to 1 from the lowest to the highest"}
    others = {
        f"with costs as {words[other]} (--normalize {other})": ranked.under(other, alpha),
        f"where performance counts double (--alpha {2 * alpha:g})": ranked.under(own, 2 * alpha),
    }
    first = ranked.numbers[ranked.models.costs[0]]
    if (rest := first < first.groupby(ranked.groups).transform("max")).any():
        others["without the most expensive"] = ranked.under(own, alpha, rest)
    changed = pd.DataFrame({w: led.reindex(ranked.leader.index) for w, led in others.items()})
    hit = changed.notna().any(axis=1) & (ranked.size >= 3)
    if hit.any():
        where, label = ranked.where(hit)
        instead = [
            f"{way} it is {ranked.names[row]}" for way, row in changed.loc[label].dropna().items()
        ]
        yield Note(
            "unstable", "note",
            f"{where}that {ranked.names[ranked.leader[label]]} leads depends on the rule: "
            f"{', '.join(instead)}",
            "report them together, or fix the bounds with --normalize fixed",
        )  # fmt: skip


def _noise(ranked: Ranked) -> Iterator[Note]:
    """Leads that lie within the spread of images or runs."""
    table, within = ranked.table, ranked.near_leader
    if within is None:
        return
    second = ranked.leaders(table["pepr"], table["resource"], ~ranked.index.isin(ranked.leader))
    hit = within[second].set_axis(second.index)
    if hit.any():
        where, label = ranked.where(hit)
        mine = (ranked.groups == label)[within.index] & (within.index != ranked.leader[label])
        n, close = int(mine.sum()), int(within[mine].sum())
        spread = "repeated runs" if ranked.models.n_test is None else "test images"
        yield Note(
            "noise", "note",
            f"{where}the lead of {ranked.names[ranked.leader[label]]} over "
            f"{ranked.names[second[label]]} is within the noise of the {spread}"
            + (f", and so for {close:,} of the {n:,} others" if close > 1 else ""),
            "treat them as equal, or decide by more test images or seeds",
        )  # fmt: skip
