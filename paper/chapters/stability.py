"""The numbers and the compact table of the chapter on how firm a ranking is."""

from __future__ import annotations

import pandas as pd

from paper.site import NOT_AVAILABLE, fixed, percent
from pepr_utils.paths import data_file
from pepr_utils.results import ResultSet
from pepr_utils.results.result_set import fine_tuned

#: In how many of the resamples a model has to lead to be counted as one that could.
COULD_LEAD = 0.01
#: Two leads are close if they differ by less than this part.
CLOSE = 0.1


def controls_table(controls: pd.DataFrame) -> pd.DataFrame:
    """The controls as a page shows them: one row per experiment and measure."""
    rows = []
    for _, row in controls.iterrows():
        for name in ("accuracy", "PePR", "P = 1"):
            rows.append(
                {
                    "experiment": row["experiment"],
                    "median of": {"PePR": "PePR-E", "P = 1": "PePR-E, P = 1"}.get(name, name),
                    "small": row[f"{name}, small"],
                    "large": row[f"{name}, large"],
                    "difference": row[f"{name}, difference"],
                    "correlation with cost alone": row["correlation with cost alone"]
                    if name == "PePR"
                    else None,
                    "majority class": row["majority class"] if name != "P = 1" else None,
                    "models above it": _of(row, name),
                }
            )
    return pd.DataFrame(rows)


def not_above(standing: pd.DataFrame, shown: str) -> pd.DataFrame:
    """The models of one experiment that do not score above the majority class, worst first."""
    columns = ["architecture", "test accuracy", "PePR-E", "majority class"]
    if standing.empty:
        return pd.DataFrame(columns=columns)
    below = standing[(standing["experiment"] == shown) & ~standing["PePR-E above"]]
    return below.sort_values("PePR-E")[columns]


def _of(row: pd.Series, name: str) -> str:
    column = {"PePR": "above it", "accuracy": "accuracy above it"}.get(name)
    if column is None or pd.isna(row[column]):
        return ""
    return f"{int(row[column])} of {int(row['models'])}"


def numbers(
    scored: dict[str, pd.DataFrame],
    shown: str,
    bounds: pd.DataFrame,
    controls: pd.DataFrame,
    intervals: pd.DataFrame,
    rules: pd.DataFrame,
) -> dict[str, str]:
    """Format what the tables of `rank_stability` hold."""
    table = scored[shown]
    here = controls.set_index("experiment").loc[shown]
    counts = table["n_test"].dropna().unique()
    return {
        "experiment": shown,
        "n-experiments": f"{len(scored)}",
        "n-models": f"{len(table)}",
        "n-test": f"{int(counts[0]):,}" if len(counts) == 1 else NOT_AVAILABLE,
        "difference-accuracy": fixed(here["accuracy, difference"], 3),
        "difference-pepr": fixed(here["PePR, difference"], 3),
        "difference-alone": fixed(here["P = 1, difference"], 3),
        "lead-pepr": _share(here, "PePR"),
        "lead-alone": _share(here, "P = 1"),
        "lead-verdict": _lead_verdict(here),
        "shift-max": _largest_shift(rules, "max"),
        "shift-log": _largest_shift(rules, "log"),
        "how-resampled": _how_resampled(table, intervals),
        "cost-spread": _cost_spread(table),
        **_bounds(scored, bounds),
        **_intervals(intervals),
        **_majority(controls, here),
    }


def _share(row: pd.Series, name: str) -> str:
    """The lead of the small models as a share of their median."""
    return percent(row[f"{name}, difference"] / row[f"{name}, small"], 1)


def _lead_verdict(row: pd.Series) -> str:
    """Say what of the small models' lead in score is cost."""
    lead, alone = (row[f"{name}, difference"] / row[f"{name}, small"] for name in ("PePR", "P = 1"))
    if not lead > 0:
        return "Small models have no lead in PePR-E here."
    if abs(alone - lead) < CLOSE * lead:
        return "These are close: the lead in PePR-E is a lead in cost."
    if alone > lead:
        return "Cost alone would make a wider lead; accuracy narrows it."
    return "Cost makes a part of the lead only."


def _largest_shift(rules: pd.DataFrame, rule: str) -> str:
    shifts = rules.loc[rules["rule"] == rule, "largest shift"].dropna()
    return f"{int(shifts.max())}" if len(shifts) else NOT_AVAILABLE


def _how_resampled(table: pd.DataFrame, intervals: pd.DataFrame) -> str:
    if len(intervals) and intervals["by_image"].all():
        return "The test images are resampled, the same ones for all models."
    counts = table["n_test"].dropna().unique()
    images = f"{int(counts[0]):,} " if len(counts) == 1 else ""
    return f"Accuracies are resampled as binomial counts over the {images}test images."


def _cost_spread(table: pd.DataFrame) -> str:
    repeated = int((table["costs"].map(len) > 1).sum())
    if not repeated:
        return (
            "The energy is taken as measured: no run was repeated, so that its spread is not known "
            "and the true intervals are wider."
        )
    return (
        f"The energy of the {repeated} models that ran more than once is resampled among their "
        "runs; few runs understate its spread."
    )


def _bounds(scored: dict[str, pd.DataFrame], bounds: pd.DataFrame) -> dict[str, str]:
    names = (
        "most-expensive",
        "most-expensive-bounds",
        "alpha-lowest",
        "alpha-highest",
        "largest-change",
    )
    upper = bounds[bounds["sets"] == "R_max"] if len(bounds) else bounds
    if upper.empty:
        return dict.fromkeys((*names, "leaders-changed"), NOT_AVAILABLE)
    most_expensive = upper["without"].value_counts().index[0]
    rows = upper[upper["without"] == most_expensive]
    changed = sum(
        scored[row["experiment"]].drop(index=most_expensive)["pepr"].idxmax() != row["leader"]
        for _, row in rows.iterrows()
    )
    alphas = rows["equivalent alpha"]
    return {
        "most-expensive": most_expensive,
        "most-expensive-bounds": f"{len(rows)}",
        "alpha-lowest": fixed(alphas.min(), 2),
        "alpha-highest": fixed(alphas.max(), 2),
        "largest-change": fixed(rows["largest change of a score"].max(), 3),
        "leaders-changed": "The leader stays the same in each."
        if changed == 0
        else f"Another model leads in {changed} of them.",
    }


def _intervals(intervals: pd.DataFrame) -> dict[str, str]:
    names = ("first", "first-leads", "first-rank-low", "first-rank-high", "n-could-lead")
    if intervals.empty:
        return dict.fromkeys(names, NOT_AVAILABLE)
    first = intervals.iloc[0]
    return {
        "first": first["architecture"],
        "first-leads": percent(first["leads"]),
        "first-rank-low": f"{first['rank_low']}",
        "first-rank-high": f"{first['rank_high']}",
        "n-could-lead": f"{(intervals['leads'] >= COULD_LEAD).sum()}",
    }


def _majority(controls: pd.DataFrame, here: pd.Series) -> dict[str, str]:
    known = controls[controls["majority class"].notna()]
    names = ("majority", "n-below-majority", "n-below-majority-accuracy")
    found = dict.fromkeys((*names, "hardest", "n-above-hardest", "n-hardest"), NOT_AVAILABLE)
    if len(known):
        hardest = known.loc[(known["above it"] / known["models"]).astype(float).idxmin()]
        found |= {
            "hardest": hardest["experiment"],
            "n-above-hardest": f"{int(hardest['above it'])}",
            "n-hardest": f"{int(hardest['models'])}",
        }
    if pd.notna(here["majority class"]):
        found |= {
            "majority": fixed(here["majority class"], 4),
            "n-below-majority": f"{int(here['models'] - here['above it'])}",
            "n-below-majority-accuracy": f"{int(here['models'] - here['accuracy above it'])}",
        }
    return found


def benchmark() -> pd.DataFrame:
    """Accuracies and their spread over three seeds in the MedMNIST+ benchmark, at 224 pixels.

    Returns
    -------
    pandas.DataFrame
        One row per data set (as the paper calls it) and model: ``accuracy`` and ``sd``, fractions.
    """
    table = pd.read_csv(data_file("medmnistplus.csv"))
    return pd.DataFrame(
        {
            "dataset": table["dataset"].str.removesuffix("mnist"),
            "architecture": table["architecture"],
            "accuracy": table["accuracy_percent_224"] / 100,
            "sd": table["accuracy_sd_224"] / 100,
        }
    )


def seeds_in_words(seeds: pd.DataFrame) -> dict[str, str]:
    """Say on which data sets another seed moves an accuracy by more than the first model leads."""
    if seeds.empty:
        unknown = "What another seed does is known for none of these data sets."
        return {"seeds-verdict": unknown, "seeds-within": "n/a"}
    longer = seeds["lead"] < seeds["seeds alone"]
    moved, firm = (" and ".join(seeds.loc[rows, "data set"]) for rows in (longer, ~longer))
    can = (
        f"On {moved} another seed alone can move an accuracy by more than the first model leads, "
        "so one seed does not tell which is the most accurate"
    )
    cannot = f"On {firm} the most accurate model leads by more than another seed alone does"
    within = [
        f"{row['within it']} of {row['models']} on {row['data set']}" for _, row in seeds.iterrows()
    ]
    return {
        "seeds-verdict": "; ".join(said for said, on in ((can, moved), (cannot, firm)) if on) + ".",
        "seeds-within": " and ".join(within),
    }


def other_seeds(result_set: ResultSet) -> pd.DataFrame:
    """Leads in accuracy of fine-tuned runs, beside what other seeds do to a single run.

    Returns
    -------
    pandas.DataFrame
        One row per data set that the benchmark has and the result set fine-tuned on all images:
        number of ``models``, ``lead`` of the most accurate over the second, ``seed sd`` (median of
        the benchmark's models), ``seeds alone`` (difference that 5 % of pairs of single runs of
        one model exceed, 1.96 sqrt(2) sd), and how many models are ``within it`` of the first.
    """
    rows = []
    runs = result_set.full_data()
    runs = runs[fine_tuned(runs)]
    for dataset, known in benchmark().groupby("dataset"):
        accuracy = runs.loc[runs["dataset"] == dataset, "test_accuracy"].dropna().astype(float)
        if len(accuracy) < 2:
            continue
        sd = known["sd"].median()
        row = {"data set": dataset, "seed sd": sd} | lead_and_seeds(accuracy, sd)
        rows.append(
            row | {"within it": int((accuracy.max() - row["seeds alone"] <= accuracy).sum())}
        )
    return pd.DataFrame(
        rows, columns=["data set", "models", "lead", "seed sd", "seeds alone", "within it"]
    )


def lead_and_seeds(accuracy: pd.Series, sd: float) -> dict[str, float]:
    """The lead of the most accurate model, and what seeds of this spread do to a single run.

    ``seeds alone`` is the difference that 5 % of pairs of single runs of one model exceed.
    """
    first, second = accuracy.nlargest(2)
    return {
        "models": len(accuracy),
        "lead": first - second,
        "seeds alone": 1.96 * 2**0.5 * sd,
    }
