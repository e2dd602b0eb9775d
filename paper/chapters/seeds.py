"""What the chapter on seeds shows: how much of a measured ranking the seed and the images make.

A set with several seeds per model is laid out as an array, models x seeds; luck with the test
images is resampled from which images each run classifies correctly.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial.distance import pdist

from paper.chapters.stability import lead_and_seeds
from pepr_utils.audit import audit
from pepr_utils.errors import DataUnavailableError, InvalidTableError
from pepr_utils.results import ResultSet
from pepr_utils.results.experiments import experiment_labels
from pepr_utils.results.groups import averaged_runs
from pepr_utils.results.predictions import correct_images, read_predictions
from pepr_utils.results.scores import cost_column
from pepr_utils.scoring import normalize, pepr
from pepr_utils.statistics.rankings import rank_agreement

N_RESAMPLES = 2000
#: What models are ranked by: the name, and the letter of its cost.
MEASURES = {"accuracy": None, "PePR-T": "T", "PePR-M": "M"}
#: How often a model must be first to be counted as one that could be.
COULD_LEAD = 0.05


@dataclass(frozen=True)
class Field:
    """Models that were trained with the same seeds.

    Attributes
    ----------
    runs : pandas.DataFrame
        Their runs, by architecture and seed.
    accuracy : numpy.ndarray, shape (models, seeds)
    costs : dict of str to numpy.ndarray, shape (models, seeds)
        By letter; those that were measured.
    correct : numpy.ndarray of bool, shape (models, seeds, images)
    """

    runs: pd.DataFrame
    accuracy: np.ndarray
    costs: dict[str, np.ndarray]
    correct: np.ndarray

    @property
    def measures(self) -> list[str]:
        """What the models can be ranked by."""
        return [m for m, cost in MEASURES.items() if cost is None or cost in self.costs]

    @property
    def models(self) -> list[str]:
        """Names, in the order of the arrays."""
        return list(dict.fromkeys(self.runs["architecture"]))

    def values(self, measure: str) -> np.ndarray:
        """The measure, each seed scored as a table of its own; models x seeds."""
        return self._scored(measure, self.accuracy)

    def resampled(self, measure: str, seed: int = 0) -> np.ndarray:
        """The measure for resampled test images; resamples x models x seeds."""
        return self._scored(measure, self.resampled_accuracy(seed))

    def resampled_accuracy(self, seed: int = 0) -> np.ndarray:
        """Accuracies on test images drawn with replacement, the same for all runs."""
        n = self.correct.shape[-1]
        counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
        return np.moveaxis(self.correct @ counts.T / n, -1, 0)

    def resource(self, measure: str) -> np.ndarray:
        """Min-max of the cost among the models of one seed; models x seeds."""
        return _min_max(self.costs[MEASURES[measure]].T).T

    def _scored(self, measure: str, accuracy: np.ndarray) -> np.ndarray:
        if MEASURES[measure] is None:
            return accuracy
        return np.asarray(pepr(accuracy, np.broadcast_to(self.resource(measure), accuracy.shape)))


def field(result_set: ResultSet) -> Field:
    """The experiment with the most models that share two or more seeds.

    Raises
    ------
    DataUnavailableError
        If there is none, or its runs have no predictions.
    """
    size, runs = 0, result_set.finished[:0]
    for _, group in result_set.finished.groupby("experiment"):
        seeds = group.groupby("architecture")["seed"].nunique()
        models = seeds.index[seeds == seeds.max()]
        if seeds.max() > 1 and len(models) > size:
            size, runs = len(models), group[group["architecture"].isin(models)]
    if size < 3:
        raise DataUnavailableError(f"{result_set.name}: no three models with two seeds")
    runs = runs.sort_values(["architecture", "seed"])
    correct = correct_images(result_set, runs)
    if correct is None:
        raise DataUnavailableError(f"{result_set.name}: no predictions for the test images")
    costs = {}
    for letter in filter(None, MEASURES.values()):
        with suppress(InvalidTableError):
            costs[letter] = _by_seed(runs[cost_column(runs, letter)], size)
    accuracy = runs["test_accuracy"].to_numpy(float).reshape(size, -1)
    return Field(runs, accuracy, costs, correct.reshape(*accuracy.shape, -1))


def _min_max(costs: np.ndarray) -> np.ndarray:
    """Normalise each row of costs, a table of its own."""
    tables = np.repeat(np.arange(len(costs)), costs.shape[1])
    return np.asarray(normalize(costs.ravel(), by=tables)).reshape(costs.shape)


def _by_seed(costs: pd.Series, n_models: int) -> np.ndarray:
    """Costs by model and seed; where one seed has none, the mean of the model's others."""
    values = costs.to_numpy(float).reshape(n_models, -1)
    means = np.nanmean(values, axis=1, keepdims=True)
    return np.where(np.isnan(values), means, values)


def variance_split(found: Field) -> pd.DataFrame:
    """Split the variance of a measure between architecture, seed and test images.

    Analysis of variance with random effects (Searle, Casella and McCulloch, 1992). The images'
    part is the variance over bootstrap samples of a run against the mean of all runs. What it is
    of a run beyond what it is of a model's mean over k seeds, times k / (k - 1), depends on the
    seed; the rest is common to a model's runs. The seeds' part is the mean square within models
    less the former; the architectures' is the variance of the models' means less the images' part
    of a mean and the seeds' part over k.

    Returns
    -------
    pandas.DataFrame
        One row per measure: standard deviations by source, and the seeds' and images' share of
        the variance of one run.
    """
    rows = []
    for measure in found.measures:
        values, drawn = found.values(measure), found.resampled(measure)
        k = values.shape[1]
        relative = drawn - drawn.mean(axis=(1, 2), keepdims=True)
        images = float(relative.var(axis=0).mean())
        images_of_a_mean = float(relative.mean(axis=2).var(axis=0).mean())
        within = float(values.var(axis=1, ddof=1).mean())
        seeds = max(within - (images - images_of_a_mean) * k / (k - 1), 0.0)
        of_means = float(values.mean(axis=1).var(ddof=1))
        architectures = max(of_means - images_of_a_mean - seeds / k, 0.0)
        total = architectures + seeds + images
        rows.append(
            {
                "measure": measure,
                "sd of architectures": architectures**0.5,
                "sd of seeds": seeds**0.5,
                "sd of test images": images**0.5,
                "share of seeds": seeds / total,
                "share of test images": images / total,
            }
        )
    return pd.DataFrame(rows)


def first_places(found: Field) -> pd.DataFrame:
    """How often each model is first when one seed is drawn for each, and then the images too.

    Models that tie for the first place share it.

    Returns
    -------
    pandas.DataFrame
        One row per measure and model that is first in any draw: ``measure``, ``model``, ``mean``
        over its seeds, ``first by seeds`` and ``first by seeds and images``, in [0, 1].
    """
    rng = np.random.default_rng(1)
    n_models, n_seeds = found.accuracy.shape
    drawn = rng.integers(n_seeds, size=(N_RESAMPLES, n_models))
    chosen = np.arange(n_models), drawn
    by_images = found.resampled_accuracy()
    accuracies = {
        "first by seeds": found.accuracy[chosen],
        "first by seeds and images": by_images[np.arange(N_RESAMPLES)[:, None], *chosen],
    }
    rows = []
    for measure in found.measures:
        cost, shares = MEASURES[measure], {}
        for name, accuracy in accuracies.items():
            score = accuracy
            if cost is not None:
                score = np.asarray(pepr(accuracy, _min_max(found.costs[cost][chosen])))
            shares[name] = _first(score).mean(axis=0)
        mean = found.values(measure).mean(axis=1)
        table = pd.DataFrame({"measure": measure, "model": found.models, "mean": mean, **shares})
        first = table[list(shares)].max(axis=1) > 0
        rows.append(table[first].sort_values("mean", ascending=False))
    return pd.concat(rows, ignore_index=True)


def _first(scores: np.ndarray) -> np.ndarray:
    """The share of each model in the first place of each draw; draws x models."""
    leads = scores == scores.max(axis=1, keepdims=True)
    return leads / leads.sum(axis=1, keepdims=True)


def memory_note(found: Field) -> str:
    """Say how many runs have no memory of their own, and what follows for PePR-M."""
    if "M" not in found.costs:
        return "No memory was recorded"
    missing = int(found.runs[cost_column(found.runs, "M")].isna().sum())
    if not missing:
        return "Every run has a memory of its own"
    return (
        f"{missing} of {len(found.runs)} runs have no memory of their own and take the mean of the "
        "model's other seeds, so the seeds agree on memory, and on PePR-M, more than they would"
    )


def seed_agreement(found: Field) -> pd.DataFrame:
    """Kendall's tau-b between the rankings of each two seeds.

    Returns
    -------
    pandas.DataFrame
        One row per measure and for the cost alone: ``mean``, ``lowest``, ``highest``, and ``same
        order``, the share of pairs of models that all seeds put in the same order.
    """
    alone = {f"{m}, cost alone": -found.resource(m) for m in found.measures if MEASURES[m]}
    rows = []
    for name, values in ({m: found.values(m) for m in found.measures} | alone).items():
        pairs = list(combinations(values.T, 2))
        taus = [float(stats.kendalltau(a, b).statistic) for a, b in pairs]
        first, second = np.triu_indices(len(values), k=1)
        order = np.sign(values[first] - values[second])
        rows.append(
            {
                "ranked by": name,
                "mean": float(np.mean(taus)),
                "lowest": min(taus),
                "highest": max(taus),
                "same order": float((order == order[:, :1]).all(axis=1).mean()),
            }
        )
    return pd.DataFrame(rows)


def published_leads(found: Field, published: ResultSet) -> pd.DataFrame:
    """Leads among the published fine-tuned models, beside the spread of seeds measured here.

    Returns
    -------
    pandas.DataFrame
        One row per data set: ``models``, ``lead`` of the most accurate, ``seeds alone`` (what 5 %
        of pairs of single runs of one model differ by, from the spread here), and ``pairs closer``
        than that, as a share of all pairs.
    """
    sd = float(found.accuracy.var(axis=1, ddof=1).mean()) ** 0.5
    rows = []
    for dataset, group in averaged_runs(published, "stated").groupby("dataset"):
        accuracy = group["test_accuracy"].astype(float)
        row = {"data set": dataset} | lead_and_seeds(accuracy, sd)
        closer = pdist(accuracy.to_numpy()[:, None]) < row["seeds alone"]
        rows.append(row | {"pairs closer": float(closer.mean())})
    return pd.DataFrame(rows)


def fine_tuning(*sets: ResultSet) -> pd.DataFrame:
    """Mean accuracy of the models that were trained both ways in these sets, over their seeds.

    Returns
    -------
    pandas.DataFrame
        One row per model: ``fine-tuned``, ``from scratch``, the ``difference`` with its 95 %
        interval (Student's, paired by seed).
    """
    runs = pd.concat([s.finished for s in sets])
    wide = (
        runs.pivot_table(
            index=["architecture", "dataset", "seed"], columns="pretrained", values="test_accuracy"
        )
        .reindex(columns=[True, False])
        .dropna()
    )
    rows = []
    for name, group in wide.groupby("architecture"):
        gain = (group[True] - group[False]).to_numpy()
        half = stats.t.ppf(0.975, len(gain) - 1) * stats.sem(gain) if len(gain) > 1 else np.nan
        rows.append(
            {
                "model": name,
                "seeds": len(gain),
                "fine-tuned": group[True].mean(),
                "from scratch": group[False].mean(),
                "difference": gain.mean(),
                "from": gain.mean() - half,
                "to": gain.mean() + half,
            }
        )
    return pd.DataFrame(
        rows,
        columns=["model", "seeds", "fine-tuned", "from scratch", "difference", "from", "to"],
    )


def against_published(found: Field, published: ResultSet, dataset: str) -> pd.DataFrame:
    """Kendall's tau between the means over our seeds and the published runs of a data set.

    Returns
    -------
    pandas.DataFrame
        One row per quantity: ``models`` in both, ``tau`` with its 95 % interval.
    """
    theirs = averaged_runs(published, "stated")
    theirs = theirs[theirs["dataset"] == dataset]
    theirs = theirs.drop_duplicates("architecture").set_index("architecture")
    ours = pd.DataFrame(
        {measure: found.values(measure).mean(axis=1) for measure in found.measures}
        | {letter: costs.mean(axis=1) for letter, costs in found.costs.items()},
        index=found.models,
    )
    both = ours.join(theirs, how="inner", rsuffix="_theirs")
    if len(both) < 5:
        return pd.DataFrame(columns=["compared", "models", "tau", "from", "to"])
    accuracy = both["test_accuracy"].astype(float)

    def score(cost: str) -> np.ndarray:
        return np.asarray(pepr(accuracy, normalize(both[cost].astype(float))))

    pairs = {
        "test accuracy": (both["accuracy"], accuracy),
        "time with their energy": (both["T"], both["energy_kwh"].astype(float)),
        "PePR-T with their PePR-E": (both["PePR-T"], score("energy_kwh")),
    }
    if "M" in found.costs:
        pairs["memory"] = both["M"], both["reserved_memory_gb"].astype(float)
        pairs["PePR-M"] = both["PePR-M"], score("reserved_memory_gb")
    rows = []
    for name, (here, there) in pairs.items():
        agreement = rank_agreement(here.to_numpy(), np.asarray(there))
        rows.append(
            {
                "compared": name,
                "models": len(both),
                "tau": agreement["kendall"],
                "from": agreement["kendall_low"],
                "to": agreement["kendall_high"],
            }
        )
    return pd.DataFrame(rows)


def carried_over(against: pd.DataFrame) -> str:
    """Say which orders agree with the published ones, by whether the interval excludes zero."""
    if against.empty:
        return "Too few architectures are in both for a comparison"
    agree = against[against["from"] > 0]["compared"].tolist()
    rest = against[~(against["from"] > 0)]["compared"].tolist()
    if not rest:
        return "All of these orders agree beyond chance"
    if not agree:
        return "None of these orders agrees beyond chance"
    return (
        f"Agreement beyond chance: {'; '.join(agree)}. "
        f"No agreement beyond chance: {'; '.join(rest)}"
    )


def merit(agreement: pd.DataFrame) -> str:
    """Compare how well seeds agree on PePR-T with how well they agree on time alone."""
    tau = agreement.set_index("ranked by")["mean"]
    score, alone = tau["PePR-T"], tau["PePR-T, cost alone"]
    if alone > score:
        return (
            "That seeds agree on PePR-T is no merit of the score: they agree still better on a "
            f"ranking by time alone (tau {alone:.2f}, PePR-T {score:.2f})"
        )
    return (
        f"Seeds agree on PePR-T at least as well as on time alone (tau {score:.2f} and {alone:.2f})"
    )


def standing(*sets: ResultSet) -> pd.DataFrame:
    """Each experiment's accuracies beside a model that always answers the most common class."""
    rows = []
    for result_set in sets:
        labels = experiment_labels(result_set.finished["experiment"])
        for experiment, runs in result_set.finished.groupby("experiment"):
            accuracy, run_id = runs["test_accuracy"], str(runs["run_id"].iloc[0])
            truth = read_predictions(Path(result_set.folder or ""), run_id)["labels"]
            most_common = np.bincount(truth.astype(int)).max() / len(truth)
            by_model = runs.groupby("architecture")["test_accuracy"].mean()
            rows.append(
                {
                    "experiment": labels[experiment],
                    "models": len(by_model),
                    "runs": len(runs),
                    "images": len(truth),
                    "most common class": most_common,
                    "models above it": int((by_model > most_common).sum()),
                    "lowest": accuracy.min(),
                    "median": accuracy.median(),
                    "highest": accuracy.max(),
                }
            )
    return pd.DataFrame(rows)


def audited(*sets: ResultSet) -> pd.DataFrame:
    """What the audit found in each set: findings and runs by check."""
    rows = [
        {
            "set": s.name,
            "check": f.check,
            "severity": f.severity,
            "findings": 1,
            "runs": len(f.rows),
        }
        for s in sets
        for f in audit(s)
    ]
    table = pd.DataFrame(rows, columns=["set", "check", "severity", "findings", "runs"])
    return table.groupby(["set", "severity", "check"], as_index=False, sort=False).sum()
