"""Table 1 of the paper: recomputed from a result set and compared with the print, cell by cell."""

from __future__ import annotations

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.ledger.compare import (
    DIFFERS,
    REPRODUCED,
    TRUNCATED,
    at_precision,
    compare_printed,
    near_misses,
)
from pepr_utils.paths import data_file
from pepr_utils.results import ResultSet, score_runs
from pepr_utils.results.result_set import fine_tuned
from pepr_utils.scoring import normalize, pepr

#: Columns of the printed table: what each is, how it is computed from a run, and its heading.
QUANTITIES = {
    "n_parameters_m": ("n_parameters", 1e-6, "|W| (M)"),
    "memory_gb": ("reserved_memory_gb", 1.0, "M (GB)"),
    "energy_wh": ("energy_kwh", 1e3, "E (Wh)"),
    "time_s": ("released_train_time_s", 1.0, "T (s)"),
    "test_accuracy": ("test_accuracy", 1.0, "Test P"),
    "pepr_e": ("pepr", 1.0, "PePR-E"),
}

#: The two normalisations that the chapter compares, by the words used for them.
RULES = {"max": "by maximum", "minmax": "min-max"}

#: What tells one printed row from another.
_ROW = ["block", "rank", "label", "architecture"]


def printed_table() -> pd.DataFrame:
    """Return Table 1 as printed, numbers as text, from ``data/table1.csv``."""
    table = pd.read_csv(data_file("table1.csv"), dtype="string")
    return table.assign(pretrained=table["pretrained"] == "1", efficient=table["efficient"] == "1")


def full_data_runs(result_set: ResultSet, *, alpha: float = 1.0) -> pd.DataFrame:
    """Runs on all training images, scored within each experiment under both normalisations."""
    runs = result_set.full_data()
    scores = {f"pepr_{rule}": score_runs(runs, method=rule, alpha=alpha)["pepr"] for rule in RULES}
    return runs.assign(**scores)


def compare(result_set: ResultSet, *, alpha: float = 1.0) -> pd.DataFrame:
    """Compare every numeric cell of Table 1 with the result set.

    Parameters
    ----------
    result_set : ResultSet
        A set with the experiments of the paper, normally ``published``.
    alpha : float, default 1.0
        Emphasis on performance of the recomputed scores; the printed ones use 1.

    Returns
    -------
    pandas.DataFrame
        One row per printed cell: block, rank, label, architecture, quantity, rule (normalisation;
        empty for what needs none), printed (text), computed, shown (computed, at the printed
        precision), outcome, instead (what a cell that was not reproduced would match).

    Raises
    ------
    InvalidTableError
        If the set lacks an experiment or architecture of the table.
    """
    scored = full_data_runs(result_set, alpha=alpha)
    epochs = result_set.epochs.set_index("run_id")
    cells = []
    for line in printed_table().to_dict("records"):
        run = run_of(scored, line, result_set.name)
        history = epochs.loc[[run["run_id"]]] if run["run_id"] in epochs.index else epochs.iloc[:0]
        for quantity, (column, factor, _) in QUANTITIES.items():
            for rule in RULES if quantity == "pepr_e" else ("",):
                value = run[f"pepr_{rule}" if rule else column] * factor
                cells.append(_cell(line, quantity, rule, float(value), history))
    return pd.DataFrame(cells)


def in_block(scored: pd.DataFrame, dataset: str, pretrained: bool) -> pd.Series:
    """Tell which runs are of a block of the table; one that does not say so is fine-tuned."""
    same = (scored["dataset"] == dataset) & (fine_tuned(scored) == pretrained)
    return same.fillna(False).astype(bool)


def run_of(scored: pd.DataFrame, line: dict, name: str) -> pd.Series:
    """Return the run of a printed row.

    Parameters
    ----------
    scored : pandas.DataFrame
        What `full_data_runs` returns.
    line : dict
        One row of `printed_table`.
    name : str
        What messages call the set.

    Raises
    ------
    InvalidTableError
        If there is none, or more than one. A run that does not say so counts as fine-tuned.
    """
    same = in_block(scored, line["dataset"], line["pretrained"]) & (
        scored["architecture"] == line["architecture"]
    )
    if same.sum() != 1:
        n_open = int(scored["pretrained"].isna().sum())
        open_ = f" (pretrained is not given for {n_open} runs, which count as fine-tuned)"
        raise InvalidTableError(
            f"{name}: {int(same.sum())} runs of {line['architecture']!r} on {line['dataset']!r} "
            f"with pretrained={line['pretrained']}; Table 1 needs exactly one"
            f"{open_ if n_open else ''}"
        )
    return scored[same].iloc[0]


def _cell(line: dict, quantity: str, rule: str, value: float, history: pd.DataFrame) -> dict:
    printed = line[quantity]
    outcome = compare_printed(value, printed)
    others = {}
    if quantity == "test_accuracy":
        others = {
            f"epoch {e}": a for e, a in zip(history["epoch"], history["test_accuracy"], strict=True)
        }
    explained = (
        near_misses(value, printed, others) if outcome == DIFFERS and rule != "minmax" else []
    )
    return {
        **{k: line[k] for k in _ROW},
        "efficient": "yes" if line["efficient"] else "no",
        "quantity": quantity,
        "rule": rule,
        "printed": printed,
        "computed": value,
        "shown": at_precision(value, printed),
        "outcome": outcome,
        "instead": "; ".join(explained),
    }


def recomputed_ranking(result_set: ResultSet, *, method: str, n: int = 5) -> pd.DataFrame:
    """Rank the blocks of Table 1 anew: the `n` best by PePR-E and the best by test accuracy.

    Returns
    -------
    pandas.DataFrame
        Columns block, rank (``"1"`` to ``str(n)``, then ``"best"``), architecture.
    """
    scored = full_data_runs(result_set)
    blocks = printed_table()[["block", "dataset", "pretrained"]].drop_duplicates()
    rows = []
    for block, dataset, pretrained in blocks.itertuples(index=False):
        ranked = top(scored[in_block(scored, dataset, pretrained)], method=method, n=n)
        rows += [(block, str(i + 1) if i < n else "best", a) for i, a in enumerate(ranked)]
    return pd.DataFrame(rows, columns=["block", "rank", "architecture"])


def top(scored: pd.DataFrame, *, method: str, n: int = 5) -> list[str]:
    """The `n` best of a block by PePR-E under a normalisation, then the most accurate."""
    best = scored.nlargest(n, f"pepr_{method}")["architecture"].tolist()
    return [*best, *scored.nlargest(1, "test_accuracy")["architecture"]]


def side_by_side(cells: pd.DataFrame) -> pd.DataFrame:
    """Lay the compared cells out like the printed table, differences written out.

    Returns
    -------
    pandas.DataFrame
        One row per printed row. A cell shows the recomputed value; where the print differs, the
        printed value follows in brackets, with a dagger for a match by truncation. PePR-E is the
        printed score, followed by the recomputed ones under either normalisation.
    """
    index = [*_ROW, "efficient"]
    words, names = cells.apply(_words, axis="columns"), _headings(cells)
    wide = cells.assign(cell=words, column=names).set_index([*index, "column"])["cell"]
    wide = wide.unstack("column")[list(dict.fromkeys(names))]
    pepr = cells[cells["quantity"] == "pepr_e"].drop_duplicates(index).set_index(index)["printed"]
    wide.insert(wide.columns.get_loc(RULES["max"]), "PePR-E", pepr)
    order = cells.drop_duplicates(index).set_index(index).index
    table = wide.loc[order].rename_axis(columns=None).reset_index()
    return table.rename(columns={"efficient": "eff."})


def _headings(cells: pd.DataFrame) -> pd.Series:
    names = cells["quantity"].map(lambda q: QUANTITIES[q][2])
    return names.where(cells["rule"] == "", cells["rule"].map(RULES).fillna(""))


def _words(cell: pd.Series) -> str:
    if cell["rule"] == "minmax" or cell["outcome"] == REPRODUCED:
        return cell["shown"]
    sign = "" if cell["outcome"] == DIFFERS else "†"
    return f"{cell['shown']} [{cell['printed']}{sign}]"


def rule_counts(result_set: ResultSet) -> pd.DataFrame:
    """Count how many printed PePR-E values each normalisation gives.

    Tries min-max and maximum, with bounds taken within the experiment, within the data set's
    full-data runs, or over all full-data runs.

    Returns
    -------
    pandas.DataFrame
        Columns rule, bounds, matching (rounded or cut off), printed (how many there are).
    """
    runs = full_data_runs(result_set).reset_index(drop=True)
    lines = printed_table().to_dict("records")
    places = [run_of(runs, line, result_set.name).name for line in lines]
    rows = []
    for rule in RULES:
        for bounds, resource in {
            "experiment": normalize(runs["energy_kwh"], method=rule, by=runs["experiment"]),
            "data set": normalize(runs["energy_kwh"], method=rule, by=runs["dataset"]),
            "all runs": normalize(runs["energy_kwh"], method=rule),
        }.items():
            scores = pepr(runs["test_accuracy"], resource)
            matching = sum(
                compare_printed(scores[place], line["pepr_e"]) != DIFFERS
                for place, line in zip(places, lines, strict=True)
            )
            rows.append(
                {"rule": rule, "bounds": bounds, "matching": matching, "printed": len(lines)}
            )
    return pd.DataFrame(rows)


_MARKS = {REPRODUCED: "reproduced", TRUNCATED: "truncated", DIFFERS: "differs"}


def marks(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the outcome of each cell of `side_by_side`, as words for `show_table`."""
    words = cells["outcome"].map(_MARKS).where(cells["rule"] != "minmax", "")
    index = _ROW
    wide = cells.assign(mark=words, column=_headings(cells)).set_index([*index, "column"])["mark"]
    wide = wide.unstack("column")
    order = cells.drop_duplicates(index).set_index(index).index
    return wide.loc[order].reset_index(drop=True)


def differing(cells: pd.DataFrame) -> pd.DataFrame:
    """List the cells that match neither rounded nor cut off, and what they would match instead."""
    odd = cells[(cells["outcome"] == DIFFERS) & (cells["rule"] != "minmax")]
    return pd.DataFrame(
        {
            "block": odd["block"],
            "label": odd["label"],
            "quantity": odd["quantity"].map(lambda q: QUANTITIES[q][2]),
            "printed": odd["printed"],
            "computed": odd["shown"],
            "would match": odd["instead"],
        }
    )


def rules_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Lay `rule_counts` out for a page: how many printed scores each normalisation gives."""
    return pd.DataFrame(
        {
            "normalisation": counts["rule"].map(RULES),
            "bounds taken within": counts["bounds"],
            "printed scores matched": counts["matching"],
            "of": counts["printed"],
        }
    )


def ranking_table(result_set: ResultSet) -> pd.DataFrame:
    """Set the printed ranking beside the recomputed ones; ``same`` where they agree."""
    table = printed_table()[["block", "rank", "architecture"]].astype(str)
    table = table.rename(columns={"architecture": "printed"})
    for rule, words in RULES.items():
        again = recomputed_ranking(result_set, method=rule)
        table = table.merge(again.rename(columns={"architecture": words}), on=["block", "rank"])
        table[words] = table[words].where(table[words] != table["printed"], "same")
    return table


def notebook_table(result_set: ResultSet) -> pd.DataFrame:
    """Compare the authors' own table notebook with the released data and with the print.

    The notebook is ``results/results_table.ipynb`` of the release; the rows that its output holds
    are in ``data/table1_notebook.csv``.

    Returns
    -------
    pandas.DataFrame
        One row per number of the notebook for an experiment of the printed table: block, rank,
        architecture, quantity, ``notebook`` (text), ``follows`` (whether it is the value of the
        data, rounded to its digits; scores by min-max), ``printed`` (text) and ``agrees`` (whether
        the notebook's value, rounded or cut off, is the printed one).
    """
    scored = full_data_runs(result_set)
    notebook = pd.read_csv(data_file("table1_notebook.csv"), dtype="string")
    notebook = notebook.set_index(["dataset", "rank"])
    rows = []
    for line in printed_table().to_dict("records"):
        dataset = line["dataset"]
        released = "derma_pt" if dataset == "derma" and line["pretrained"] else dataset
        own = notebook.loc[(released, line["rank"])]
        run = run_of(scored, line, result_set.name)
        for quantity, (column, factor, _) in QUANTITIES.items():
            value = run["pepr_minmax" if quantity == "pepr_e" else column] * factor
            rows.append(
                {name: line[name] for name in ("block", "rank", "architecture")}
                | {
                    "quantity": quantity,
                    "notebook": own[quantity],
                    "follows": own["architecture"] == line["architecture"]
                    and compare_printed(float(value), own[quantity]) == REPRODUCED,
                    "printed": line[quantity],
                    "agrees": compare_printed(float(own[quantity]), line[quantity]) != DIFFERS,
                }
            )
    return pd.DataFrame(rows)


def contradicted(notebook: pd.DataFrame) -> pd.DataFrame:
    """The printed numbers other than scores that the authors' notebook has otherwise."""
    odd = notebook[~notebook["agrees"] & (notebook["quantity"] != "pepr_e")]
    headings = odd["quantity"].map(lambda quantity: QUANTITIES[quantity][2])
    return odd[["block", "architecture"]].assign(
        quantity=headings, printed=odd["printed"], notebook=odd["notebook"]
    )
