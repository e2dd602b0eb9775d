"""What a report says, in no format yet: the answer in sentences, the ranking, the findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pepr_utils.audit import CHECKS, audit
from pepr_utils.audit.finding import SEVERITIES, Finding, counted, some
from pepr_utils.errors import InvalidTableError
from pepr_utils.printable import clean, count, fraction, number
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.models import Models
from pepr_utils.results.notes import Note, Ranked
from pepr_utils.results.power import implied_power
from pepr_utils.results.ranking import Ranking
from pepr_utils.results.result_set import ResultSet
from pepr_utils.results.units import unit_of
from pepr_utils.scoring import pareto_front

#: What a severity means to someone who has not heard of the audit.
MEANING = {
    "error": "cannot be right as it stands",
    "warning": "doubtful",
    "note": "good to know",
}


class Statement(NamedTuple):
    """One sentence of the answer: what is said, of which model, and its numbers.

    `kind` is best, within, inside (the highest within budget), highest, lowest, firm or caution.
    """

    kind: str
    lead: str
    model: str
    text: str


class Section(NamedTuple):
    """The models that are compared with each other: their answer, ranking, and chart's data."""

    label: str | None
    statements: list[Statement]
    headings: list[str]
    rows: list[list[str]]
    models: pd.DataFrame


class Found(NamedTuple):
    """What one check of the audit found."""

    severity: str
    check: str
    meaning: str
    evidence: list[str]


@dataclass(frozen=True)
class Content:
    """Everything that a report says."""

    name: str
    ranking: Ranking
    sections: list[Section]
    notes: list[Note]
    audited: str
    found: list[Found]
    reading: list[str]
    provenance: dict[str, str]

    @property
    def subtitle(self) -> str:
        """What was compared, in one line."""
        performance, cost = titles(self.ranking.models)
        n = sum(len(section.rows) for section in self.sections)
        return clean(f"{self.name}: {count(n, 'model')}, {performance} against {cost}")

    @property
    def summary(self) -> list[list[str]]:
        """A heading and one row for each group: who is best in what."""
        kinds = {
            s.kind: s.lead.partition(" (")[0]
            for s in self.sections[0].statements
            if s.model and s.kind != "inside"
        }
        rows = [[self.ranking.models.grouped_by, *kinds.values()]]
        for section in self.sections:
            said = {s.kind: s.model for s in section.statements}
            rows.append([section.label or "", *(said.get(kind, "-") for kind in kinds)])
        return rows


def compose(
    ranking: Ranking,
    *,
    name: str,
    audited: ResultSet | str,
    maximum: Mapping[str, float],
    minimum: Mapping[str, float],
    chance: float | None,
    provenance: dict[str, str],
) -> Content:
    """Compose what `pepr_utils.reporting.report` writes; see there."""
    findings: list[Finding] = []
    if isinstance(audited, ResultSet):
        try:
            findings = audit(audited)
        except InvalidTableError as error:
            audited = str(error)
    models, sections = ranking.models, []
    budgets = _budgets(models, maximum, minimum)
    for label, rows in models.parts(ranking.order):
        known = rows[models.known[rows]]
        if len(known):
            frame = drawn(ranking, known, budgets[1])
            statements = _statements(ranking, frame, budgets)
            statements += _caution(findings, audited, models, label, statements)
            shown = None if label is None else clean(label)
            sections.append(Section(shown, statements, *_cells(ranking, known), frame))
    return Content(
        name, ranking, sections, ranking.notes(chance), _of_audit(audited, findings),
        _by_check(findings), _how_to_read(ranking), provenance,
    )  # fmt: skip


def titles(models: Models) -> tuple[str, str]:
    """Titles of the axes: performance and cost by the user's names, with what they mean."""
    performance = models.performance
    performance += " (low is better)" if models.scale.better == "low" else ""
    if len(models.costs) > 1:
        return performance, f"cost R of {' and '.join(models.costs)}, from 0 to 1"
    unit = _unit(models.costs[0])
    return performance, models.costs[0] + (f" ({unit})" if unit else "")


def drawn(
    ranking: Ranking, rows: pd.Index, within: pd.Series | None = None, chosen: Any = None
) -> pd.DataFrame:
    """What a chart shows of some models, best first: place, score, front, and their roles.

    Of those `within` budget the first is marked, or the one `chosen`.
    """
    models, table = ranking.models, ranking.table.loc[rows]
    numbers = models.numbers.loc[rows]
    frame = table[["resource", "pepr"]].assign(
        model=models.model[rows],
        performance=numbers[models.performance],
        cost=table["resource"] if len(models.costs) > 1 else numbers[models.costs[0]],
    )
    p = models.scale.fraction(frame["performance"].to_numpy())
    frame["front"] = pareto_front(p, frame["cost"].to_numpy())
    frame["role"] = np.where(frame["front"], "Pareto front", "others")
    if within is not None:
        inside = within[rows]
        frame.loc[~inside & ~frame["front"], "role"] = "over budget"
        if inside.any():
            frame.loc[inside.idxmax() if chosen is None else chosen, "role"] = "best within budget"
    frame.loc[rows[0], "role"] = "best score"
    return frame


def _budgets(
    models: Models, maximum: Mapping[str, float], minimum: Mapping[str, float]
) -> tuple[str, pd.Series | None]:
    """The budgets in words, and whether each model meets them; a missing value meets none."""
    words, within = [], pd.Series(True, index=models.numbers.index)
    for limits, word in ((maximum, "at most"), (minimum, "at least")):
        for column, limit in limits.items():
            values = models.numbers.get(column)
            values = models.table.numbers(column) if values is None else values
            within &= values <= limit if word == "at most" else values >= limit
            words.append(f"{column} {word} {number(limit)}")
    return ", ".join(words), within if words else None


def _cells(ranking: Ranking, rows: pd.Index) -> tuple[list[str], list[list[str]]]:
    """The ranking as text: headings, and the cells of each model."""
    models, table = ranking.models, _scored(ranking, rows)
    runs, numbers = table["n_runs"].fillna(1).to_numpy(dtype=float), models.numbers.loc[rows]
    performances = [_performance(models, value) for value in numbers[models.performance]]
    for i in np.flatnonzero(runs > 1):
        performances[i] += f" ± {number(table['performance_sd'].iloc[i])}"
    columns: list[tuple[str, Iterable[str]]] = [
        ("rank", table["rank"].astype(str)),
        ("model", [clean(str(name)) for name in models.model[rows]]),
        (clean(models.performance), performances),
        *((clean(cost), map(number, numbers[cost])) for cost in models.costs),
        ("PePR", map(fraction, table["pepr"])),
    ]
    if table["pepr_low"].notna().any():
        columns.append(("95 % interval", [_interval(row) for _, row in table.iterrows()]))
    if (runs > 1).any():
        columns.append(("runs", map(number, runs)))
    rows_of_text = zip(*(column for _, column in columns), strict=True)
    return [heading for heading, _ in columns], [list(row) for row in rows_of_text]


def _scored(ranking: Ranking, rows: pd.Index) -> pd.DataFrame:
    """The scores of some models, with spread and interval null where they are not known."""
    spread = ["n_runs", "performance_sd", "pepr_low", "pepr_high"]
    return ranking.table.loc[rows].reindex(columns=["pepr", "rank", *spread])


def _statements(
    ranking: Ranking, frame: pd.DataFrame, budgets: tuple[str, pd.Series | None]
) -> list[Statement]:
    """The answer: the best by score, within the budgets, in performance and cost; how firm."""
    models, best = ranking.models, frame.iloc[0]
    high = "Highest" if models.scale.better == "high" else "Lowest"
    p = models.performance

    def say(kind: str, lead: str, row: pd.Series, more: str = "") -> Statement:
        text = "the best for its cost, too"
        if kind == "best" or row.name != best.name:
            numbers = models.numbers.loc[row.name]
            at = ", ".join(_cost(cost, numbers[cost]) for cost in models.costs)
            text = f"{p} {_performance(models, numbers[p])} at {at}, PePR {fraction(row['pepr'])}"
        return Statement(kind, lead, clean(str(row["model"])), clean(text + more))

    def top(rows: pd.DataFrame) -> pd.Series:
        return rows.loc[models.scale.fraction(rows["performance"]).idxmax()]

    same = frame["model"].iloc[1:][(frame["pepr"] == best["pepr"]).to_numpy()[1:]]
    ties = f"; as high: {some(same, 4)}" if len(same) else ""
    found = [say("best", "Best for its cost (the highest PePR)", best, ties)]
    words, within = budgets
    if within is not None:
        inside, lead = frame[within[frame.index]], f"Best within the budgets ({words})"
        if inside.empty:
            found.append(Statement("within", lead, "none", "no model meets them"))
        else:
            of = f"; {len(inside):,} of {count(len(frame), 'model')} meet them"
            found.append(say("within", lead, inside.iloc[0], of))
            found.append(say("inside", f"{high} {p} within them", top(inside)))
    cheapest = frame.sort_values(["cost", "pepr"], ascending=[True, False], kind="stable").iloc[0]
    what = models.costs[0] if len(models.costs) == 1 else "cost (R)"
    for kind, lead, row in (
        ("highest", f"{high} {p}", top(frame)),
        ("lowest", f"Lowest {what}", cheapest),
    ):
        found.append(say(kind, lead, row, _beside(models, row, best)))
    return [*found, Statement("firm", "How firm that is", "", _how_firm(ranking, frame))]


def _how_firm(ranking: Ranking, frame: pd.DataFrame) -> str:
    if len(frame) == 1:
        return "there is no other model to compare it with"
    first, second = frame.iloc[0], frame.iloc[1]
    text = (
        f"{first['model']} is {fraction(first['pepr'] - second['pepr'])} of score ahead of the "
        f"next, {second['model']} (PePR {fraction(second['pepr'])}); "
    )
    table = _scored(ranking, frame.index)
    if pd.isna(table["pepr_low"].iloc[0]):
        text += (
            "how far chance could move that is not known, for the table has neither repeated runs "
            "of a model nor the number of test images"
        )
    else:
        near = Ranked(ranking).near_leader[frame.index[1:]].to_numpy()
        text += f"the 95 % interval of its score is {_interval(table.iloc[0])}, and its lead over "
        if near.any():
            names = some(frame["model"].iloc[1:][near], 4)
            text += f"{counted(int(near.sum()), 'other model')} ({names}) may be chance"
        else:
            text += "every other model is more than chance"
    return clean(text)


def _beside(models: Models, row: pd.Series, best: pd.Series) -> str:
    """How a model compares with the best by score."""
    if row.name == best.name:
        return ""
    gap = row["performance"] - best["performance"]
    text = f"; {_performance(models, abs(gap))} {'more' if gap > 0 else 'less'} "
    text += f"{models.performance} than {best['model']}"
    if len(models.costs) == 1 and best["cost"] > 0 and row["cost"] > 0:
        ratio = row["cost"] / best["cost"]
        text += f", at {f'{ratio:.3g} times' if ratio >= 2 else f'{100 * ratio:.3g} % of'} its cost"
    return text


def _performance(models: Models, value: float) -> str:
    return fraction(value) if models.scale.upper <= 1 else number(value)


def _unit(column: str) -> str | None:
    """The unit in a column's name; not t or d, which may as well be the end of a word."""
    unit = unit_of(column)
    return None if unit is None or unit[1] in ("t", "d") else unit[1]


def _cost(column: str, value: float) -> str:
    unit = _unit(column)
    return f"{number(value)} {unit}" if unit else f"{column} {number(value)}"


def _interval(scored: pd.Series) -> str:
    if pd.isna(scored["pepr_low"]):
        return "-"
    return f"{scored['pepr_low']:.3f} to {scored['pepr_high']:.3f}"


def _caution(
    findings: list[Finding],
    audited: ResultSet | str,
    models: Models,
    label: str | None,
    statements: list[Statement],
) -> list[Statement]:
    """The named models on whose compared values the audit has an error or a warning."""
    if not isinstance(audited, ResultSet):
        return []
    labels, compared = experiment_labels(audited.experiments), {models.performance, *models.costs}
    experiment = label if models.grouped_by == "experiment" else None
    doubted = []
    for model in dict.fromkeys(s.model for s in statements if s.model):
        checks = [
            finding.check
            for finding in findings
            if finding.severity != "note" and compared & set(finding.columns)
            for row in finding.rows
            if row.architecture == model and experiment in (None, labels[row.experiment])
        ]  # fmt: skip
        if checks:
            doubted.append(f"{model} ({', '.join(dict.fromkeys(checks))})")
    text = f"the audit doubts the values of {', '.join(doubted)}"
    return [Statement("caution", "Caution", "", text)] if doubted else []


def _by_check(findings: list[Finding]) -> list[Found]:
    found = []
    for severity, check in dict.fromkeys((f.severity, f.check) for f in findings):
        meaning = (CHECKS[check].__doc__ or "").strip().splitlines()[0]
        same = [f for f in findings if (f.severity, f.check) == (severity, check)]
        found.append(Found(severity, check, meaning, [clean(f.evidence) for f in same]))
    return found


def _of_audit(audited: ResultSet | str, findings: list[Finding]) -> str:
    """What the audit could look at, and how much it found."""
    if isinstance(audited, str):
        return f"The audit of the values could not be made: {audited}"
    counts = [
        f"{counted(n, severity)} ({MEANING[severity]})"
        for severity in SEVERITIES
        if (n := sum(f.severity == severity for f in findings))
    ]
    text = f"{counted(len(CHECKS), 'check')} of {counted(len(audited.finished), 'run')} found "
    text += f"{', '.join(counts) or 'nothing to doubt'}."
    if unchecked := int(implied_power(audited)["possible"].isna().sum()):
        text += (
            f" Whether the energy fits time and device could not be checked in {unchecked:,} of "
            "them: no time, no energy, or nothing known of the device."
        )
    return text


def _how_to_read(ranking: Ranking) -> list[str]:
    models, rule = ranking.models, ranking.rule
    p, scale = models.performance, models.scale
    if (scale.lower, scale.upper) != (0, 1):
        p += f" as a share of its range, {scale.lower:g} to {scale.upper:g}"
    if scale.better == "low":
        p += ", counted from the other end since low is better"
    costs = " and ".join(models.costs)
    if len(models.costs) > 1:
        costs += f" (weights {', '.join(f'{w:g}' for w in rule.weights.values())})"
    ends = {
        "minmax": "0 for the cheapest and 1 for the most expensive",
        "log": "0 for the cheapest and 1 for the most expensive, on a logarithmic scale",
        "max": "its share of the most expensive one's",
        "fixed": f"0 at {rule.lower} and 1 at {rule.upper}",
        "quantile": "0 at a low and 1 at a high quantile of all costs",
    }[rule.method]
    formula = "P / (1 + R)" if rule.alpha == 1 else f"P / (1 + R / {rule.alpha:g})"
    group = "of one group" if models.groups is not None else "of this table"
    reading = [
        f"PePR, performance per resource unit, is {formula}. P is the performance ({p}). R is the "
        f"cost ({costs}) of a model beside the others: {ends}. A model with R = 0 keeps all of P "
        f"as its score, one with R = 1 keeps {100 / (1 + 1 / rule.alpha):.0f} % of it.",
        f"A score compares the models {group} with each other; the same model has another score in "
        "another table. It weighs performance against cost, and says nothing of whether a model is "
        "good enough for its purpose.",
    ]
    if "pepr_low" in ranking.table:
        reading.append(
            "The 95 % interval is how far a score could move by chance: with other test images, or "
            "with other runs of the same model."
        )
    return reading
