"""Races: what the rules spend and miss on recorded curves, what noise hides, and a real race."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paper.site import NOT_AVAILABLE, fixed
from pepr_utils.errors import NotAvailableError
from pepr_utils.results import ResultSet, load_result_set, majority_of_runs
from pepr_utils.results.load import available_result_sets
from pepr_utils.results.result_set import image_share
from pepr_utils.scoring import RaceRules, normalize, pepr, race_resources, race_step
from pepr_utils.scoring.racing import lead_noise
from pepr_utils.statistics.race_simulation import RaceField, simulate_races

#: Emphases that races are replayed with, and the draws of each experiment: 200 over eight.
ALPHAS = (1.0, 2.0, 4.0, 16.0)
DRAWS = 25
#: Validation images that a small study has.
IMAGES = 500
#: The real race and the full study of the same field, by name.
REAL, REAL_ALL = "race-xray", "xray"
#: How the reason in the record of an eliminated run begins.
ELIMINATED = "eliminated in a race: "


def replayed(sets: Mapping[str, list[RaceField]]) -> pd.DataFrame:
    """Every rule on the whole fields of each set, for each alpha."""
    parts = [
        simulate_races(fields, alpha=alpha).assign(set=name, alpha=alpha)
        for name, fields in sets.items()
        for alpha in ALPHAS
    ]
    return pd.concat(parts, ignore_index=True)


def by_rule(found: pd.DataFrame, by: tuple[str, ...] = ("rule",)) -> pd.DataFrame:
    """Summarise races over their experiments and draws.

    Returns
    -------
    pandas.DataFrame
        One row per combination of `by`: energy (mean share of training all), from, to, best found
        (how many), of, mean regret, largest regret, begun (mean number of candidates), candidates.
    """
    groups = found.groupby(list(by), sort=False)
    energy, regret = groups["energy_share"], groups["regret"]
    return pd.DataFrame(
        {
            "energy": energy.mean(),
            "from": energy.min(),
            "to": energy.max(),
            "best found": regret.agg(lambda regrets: int((regrets == 0).sum())),
            "of": regret.size(),
            "mean regret": regret.mean(),
            "largest regret": regret.max(),
            "begun": groups["n_begun"].mean(),
            "candidates": groups["n_candidates"].mean(),
        }
    ).reset_index()


def winners_moved(found: pd.DataFrame, one: str, other: str, alpha: float) -> int:
    """In how many experiments another model has the best score in the other set."""
    whole = found[(found["rule"] == "all") & (found["alpha"] == alpha)]
    best = whole.pivot(index="label", columns="set", values="true_winner")
    return int((best[one] != best[other]).sum())


def drawn(fields: list[RaceField]) -> pd.DataFrame:
    """Races among 40 candidates, on accuracies as `IMAGES` images would have shown them."""
    options = {"draws": DRAWS, "images": IMAGES}
    plain = simulate_races(fields, **options)
    cautious = simulate_races(fields, ["halving", "exact"], cautious=True, **options)
    cautious["rule"] += ", cautious"
    return by_rule(pd.concat([plain, cautious]))


def standings(result_set: ResultSet, fields: list[RaceField], found: pd.DataFrame) -> pd.DataFrame:
    """Where the final winner of each experiment stood while the race by halving went on.

    Returns
    -------
    pandas.DataFrame
        One row per experiment: energy, regret, final winner, its rank by PePR-E after each rung,
        the rank correlation of the scores after the first epoch with those at the end, and how
        many candidates are no better than the majority class after the first epoch.
    """
    halving = found[found["rule"] == "halving"].set_index("experiment")
    runs = result_set.finished
    rows = []
    for field in fields:
        resource = race_resources(field.cost[:, -1]).resource
        scores = pd.DataFrame(field.performance / (1 + resource[:, None]))
        ranks = scores.rank(ascending=False, method="min").astype(int)
        best = halving["true_winner"][field.experiment]
        winner = int(np.flatnonzero(field.architectures == best)[0])
        majority = majority_of_runs(runs[runs["experiment"] == field.experiment])
        rungs = RaceRules(field.cost.shape[1]).rungs
        rows.append(
            {
                "experiment": field.label,
                "energy": halving["energy_share"][field.experiment],
                "regret": halving["regret"][field.experiment],
                "final winner": best,
                **{f"rank after {e}": ranks.loc[winner, e - 1] for e in rungs},
                "correlation": ranks[0].corr(ranks[field.cost.shape[1] - 1], method="spearman"),
                "at the majority class": int((field.performance[:, 0] <= majority).sum()),
            }
        )
    return pd.DataFrame(rows)


def longer_first_rung(field: RaceField, alpha: float, first_epochs: int = 2) -> dict[str, str]:
    """What a first rung of so many epochs spends and misses; n/a where that leaves no race."""
    names = ("later-energy", "later-both", "later-regret")
    if first_epochs * 2 > field.cost.shape[1]:
        return dict.fromkeys(names, NOT_AVAILABLE)
    found = simulate_races([field], ["halving", "both"], alpha=alpha, first_epochs=first_epochs)
    energy, regret = found["energy_share"], found["regret"]
    return dict(
        zip(names, (fixed(energy[0], 2), fixed(energy[1], 2), fixed(regret[0], 4)), strict=True)
    )


def steps_per_epoch(result_set: ResultSet, runs: pd.DataFrame, batch_size: int = 32) -> str:
    """Steps in an epoch of these runs: of their share of the images, where these are counted."""
    same = result_set.runs[result_set.runs["dataset"] == runs["dataset"].iloc[0]]
    whole = (same["n_train"] / image_share(same)).dropna()
    share = float(image_share(runs).iloc[0])
    return NOT_AVAILABLE if whole.empty else f"{np.ceil(whole.iloc[0] * share / batch_size):.0f}"


def within_noise(fields: list[RaceField], n_images: int = IMAGES) -> pd.DataFrame:
    """Trained to the end: how many candidates so many images do not tell from the best.

    Returns
    -------
    pandas.DataFrame
        One row per experiment: best, its score, the noise that the first behind it may have, how
        many lie within the noise of each, of how many.
    """
    rows = []
    for field in fields:
        p, resource = field.final, race_resources(field.cost[:, -1]).resource
        scores = p / (1 + resource)
        order = np.lexsort((resource, -scores))
        rules = RaceRules(field.cost.shape[1], "exact")
        noise = lead_noise(p, resource, int(order[0]), rules, n_images)
        close = scores[order[0]] - scores[order[1:]] <= noise[order[1:]]
        rows.append(
            {
                "experiment": field.label,
                "best": field.architectures[order[0]],
                "PePR-E": scores[order[0]],
                "noise": noise[order[1]],
                "not told apart": int(close.sum()),
                "candidates": p.size,
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class RealRace:
    """A measured race, and the full study of the same field where there is one.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per candidate, those that went furthest first.
    sentence : str
        What came out.
    """

    table: pd.DataFrame
    sentence: str


def real_race() -> RealRace:
    """Read the race on real X-rays; without records an empty table, and a sentence that says so."""
    named = available_result_sets()
    if REAL not in named:
        return _nothing(f"Not measured yet: there are no records in data/results/{REAL}. The "
                        "command above makes them.")  # fmt: skip
    full = load_result_set(REAL_ALL) if REAL_ALL in named else None
    return measured_race(load_result_set(REAL), full)


def _nothing(sentence: str) -> RealRace:
    columns = ["architecture", "epochs", "score", "time (s)", "out because"]
    return RealRace(pd.DataFrame(columns=columns), sentence)


def measured_race(raced: ResultSet, full: ResultSet | None) -> RealRace:
    """Tell a race from its records: who was out when and why, what was spent, who won.

    Parameters
    ----------
    raced : ResultSet
        Records of the race, with validation accuracies and costs by epoch, and `race.json` in its
        folder: without it the rule is halving, and the cost energy.
    full : ResultSet, optional
        A set with runs of the same candidates under the same settings, all trained to the end.
    """
    path = raced.folder / "race.json" if raced.folder else None
    told = json.loads(path.read_text("utf-8")) if path and path.is_file() else {}
    settings = told.get("settings", {})
    cost = "train_time_s" if settings.get("cost") == "time" else "energy_kwh"
    runs = raced.runs[raced.runs["status"] != "failed"].drop_duplicates("architecture")
    epochs = raced.epochs[raced.epochs["run_id"].isin(runs["run_id"])]
    if epochs.empty or epochs["val_accuracy"].isna().any():
        raise NotAvailableError(f"{raced.name}: no validation accuracy after each epoch")

    if raced.finished.empty:
        return _nothing(
            f"The race in {raced.name} is not decided; the same command goes on with it."
        )

    def wide(column: str) -> np.ndarray:
        table = epochs.pivot(index="run_id", columns="epoch", values=column)
        return table.reindex(runs["run_id"]).to_numpy(float)

    performance, n_epochs = wide("val_accuracy"), int(epochs["epoch"].max())
    trained = (~np.isnan(performance)).sum(axis=1)
    seconds, costs = (np.nansum(wide(c), axis=1) for c in ("train_time_s", cost))
    whole = costs / trained * n_epochs
    expected = {c["name"]: c["cost"] for c in told.get("candidates", ())}
    forecast = runs["architecture"].map(expected).fillna(pd.Series(whole, runs.index))
    resource = race_resources(forecast.to_numpy(float), whole).resource
    options = {k: settings[k] for k in ("rule", "alpha", "eta", "first_epochs") if k in settings}
    step = race_step(performance, resource, RaceRules(n_epochs, **options))
    names = runs["architecture"].to_numpy()
    reasons = {names[e.candidate]: e.reason for e in step.eliminated}
    if "stop_reason" in runs:
        said = runs.set_index("architecture")["stop_reason"].dropna()
        said = said[said.str.startswith(ELIMINATED)]
        reasons |= said.str.removeprefix(ELIMINATED).to_dict()
    table = pd.DataFrame(
        {
            "architecture": names,
            "epochs": trained,
            "score": step.scores[np.arange(len(names)), trained - 1],
            "time (s)": seconds,
            "out because": [reasons.get(name, "") for name in names],
        }
    )
    all_s = float((seconds / trained * n_epochs).sum())
    winner = told.get("winner") or str(names[step.leader])
    sentence = (
        f"Of {len(names)} candidates {int((trained == n_epochs).sum())} were trained to the end; "
        f"the race took {fixed(seconds.sum(), 0)} s of training, {fixed(seconds.sum() / all_s, 2)} "
        f"of the {fixed(all_s, 0)} s that training all was forecast at. What the score weighs is "
        f"the {'time' if cost == 'train_time_s' else 'energy'} of training. The winner is {winner}."
    )
    done = None if full is None else _same_runs(full, runs)
    if done is None or done.empty:
        sentence += " What training all of them takes and finds has not been measured yet."
    else:
        spent = (winner, cost, float(seconds.sum()), float(options.get("alpha", 1.0)))
        table, compared = _against(done, table, *spent)
        sentence += compared
    order = ["epochs", "score"]
    return RealRace(table.sort_values(order, ascending=False, ignore_index=True), sentence)


def _same_runs(full: ResultSet, raced: pd.DataFrame) -> pd.DataFrame:
    """The finished runs of another set that the runs of a race would have become."""
    keys = ["architecture", "dataset_hash", "pretrained", "train_fraction", "seed", "protocol"]
    wanted = pd.MultiIndex.from_frame(raced[keys])
    return full.finished[pd.MultiIndex.from_frame(full.finished[keys]).isin(wanted)]


def _against(
    done: pd.DataFrame, table: pd.DataFrame, winner: str, cost: str, spent_s: float, alpha: float
) -> tuple[pd.DataFrame, str]:
    """Add the full study's score of each candidate, by test accuracy, and compare the winners."""
    done = done.drop_duplicates("architecture").set_index("architecture")
    done = done.reindex(table["architecture"]).dropna(subset=["test_accuracy", cost])
    scores = pepr(
        done["test_accuracy"].astype(float), normalize(done[cost].astype(float)), alpha=alpha
    )
    ranks = scores.rank(ascending=False, method="min")
    table = table.assign(
        **{
            "score, all trained": table["architecture"].map(scores),
            "rank, all trained": table["architecture"].map(ranks),
        }
    )
    total, best = float(done["train_time_s"].sum()), str(scores.idxmax())
    compared = (
        f" Trained to the end, all {len(done)} took {fixed(total, 0)} s as measured, of which the "
        f"race spent {fixed(spent_s / total, 2)}; "
    )
    if winner == best:
        return table, compared + "the best of them by the score on the test images is the same."
    compared += f"the best of them by the score on the test images is {best}"
    if winner in scores:
        lead = fixed(scores[best] - scores[winner], 4)
        compared += f", and the race's winner is number {ranks[winner]:.0f}, {lead} behind it"
    return table, f"{compared}."
