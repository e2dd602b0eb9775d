"""Checks of Table 1: its cells by block and column, its ranks, stars and flags."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pandas as pd

from paper.chapters import table_1
from pepr_utils.errors import InvalidTableError, NotAvailableError
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.ledger.compare import DIFFERS, compare_printed
from pepr_utils.results import ResultSet, load_architectures, size_class
from pepr_utils.results.result_set import cached_on_result_set

#: Blocks of the printed table by the name that checks call them.
BLOCKS = {
    "derma-scratch": "Derma, from scratch",
    "derma": "Derma",
    "lidc": "LIDC",
    "pneumonia": "Pneumonia",
}
#: Cells that are claims of their own, not part of their column's: block, rank and quantity.
SINGLE = (
    ("derma-scratch", "1", "test_accuracy"),
    ("derma-scratch", "3", "test_accuracy"),
    ("derma", "1", "energy_wh"),
    ("lidc", "4", "energy_wh"),
)


@cached_on_result_set
def _scored(result_set: ResultSet) -> pd.DataFrame:
    return table_1.full_data_runs(result_set)


@cache
def _lines(block: str) -> list[dict]:
    table = table_1.printed_table()
    return table[table["block"] == BLOCKS[block]].to_dict("records")


@check
def column(result_set: ResultSet, block: str, quantity: str, rule: str = "minmax") -> list[float]:
    """One column of one block in the printed order, without the cells of `SINGLE`."""
    ranks = [
        line["rank"] for line in _lines(block) if (block, line["rank"], quantity) not in SINGLE
    ]
    return [cell(result_set, block, rank, quantity, rule) for rank in ranks]


@check
def cell(
    result_set: ResultSet, block: str, rank: str, quantity: str, rule: str = "minmax"
) -> float:
    """One cell."""
    name, factor, _ = table_1.QUANTITIES[quantity]
    name = f"pepr_{rule}" if quantity == "pepr_e" else name
    return float(_run(result_set, block, rank)[name]) * factor


@check
def accuracy_after(result_set: ResultSet, block: str, rank: str, epoch: int) -> float:
    """Accuracy of a row's run after another epoch than the last."""
    run, epochs = _run(result_set, block, rank), result_set.epochs
    mine = epochs[(epochs["run_id"] == run["run_id"]) & (epochs["epoch"] == epoch)]
    return float(mine["test_accuracy"].iloc[0]) if len(mine) else float("nan")


def _run(result_set: ResultSet, block: str, rank: str) -> pd.Series:
    found = _runs(result_set)[block, rank]
    if isinstance(found, InvalidTableError):
        raise found
    return found


@cached_on_result_set
def _runs(result_set: ResultSet) -> dict[tuple[str, str], pd.Series | InvalidTableError]:
    """The run of each printed row, or why there is none."""
    found: dict[tuple[str, str], pd.Series | InvalidTableError] = {}
    for block in BLOCKS:
        for line in _lines(block):
            try:
                run = table_1.run_of(_scored(result_set), line, result_set.name)
            except InvalidTableError as error:
                run = error
            found[block, line["rank"]] = run
    return found


@check
def leaders(result_set: ResultSet, block: str, rule: str = "minmax") -> list[str]:
    """The five best of a block by score, recomputed."""
    return _ranked(result_set, block, rule)[:-1]


@check
def most_accurate(result_set: ResultSet, block: str) -> str:
    """The most accurate model of a block."""
    return _ranked(result_set, block, "minmax")[-1]


def _ranked(result_set: ResultSet, block: str, rule: str) -> list[str]:
    line = _lines(block)[0]
    runs = _scored(result_set)
    table_1.run_of(runs, line, result_set.name)
    mine = table_1.in_block(runs, line["dataset"], line["pretrained"])
    return table_1.top(runs[mine], method=rule)


@check
def large_winners(result_set: ResultSet) -> LabelledValue:
    """How many of the four most accurate models are large."""
    names = [most_accurate(result_set, block) for block in BLOCKS]
    sizes = _scored(result_set).drop_duplicates("architecture").set_index("architecture")
    millions = sizes.loc[names, "n_parameters"].astype(float) / 1e6
    n = int((size_class(sizes.loc[names, "n_parameters"]) == "large").sum())
    each = ", ".join(f"{m:.1f}" for m in millions)
    return LabelledValue(n, f"{n} of {len(names)} (parameters: {each} M)")


@cached_on_result_set
def _counts(result_set: ResultSet) -> pd.DataFrame:
    return table_1.rule_counts(result_set).set_index(["rule", "bounds"])


@check
def scores(result_set: ResultSet, rule: str) -> int:
    """Printed scores that come out, rounded or cut off, under a normalisation."""
    return int(_counts(result_set).loc[(rule, "experiment"), "matching"])


@check
def flags(result_set: ResultSet) -> int:
    """Printed efficiency flags that are those of the model space."""
    known = load_architectures().set_index("architecture")["efficient"]
    in_set = set(result_set.finished["architecture"])
    lines = [line for block in BLOCKS for line in _lines(block)]
    mine = [line for line in lines if line["architecture"] in in_set]
    return sum(known[line["architecture"]] == line["efficient"] for line in mine)


@check
def several(result_set: ResultSet) -> list[str]:
    """Architectures that appear in more than one row of the recomputed table."""
    names = [n for block in BLOCKS for n in _ranked(result_set, block, "minmax")]
    return [name for name, n in Counter(names).items() if n > 1]


@check
def networks_of_a_label(result_set: ResultSet) -> LabelledValue:
    """Models that the rows called ResNet-34 fit best."""
    lines = [line for block in BLOCKS for line in _lines(block) if "ResNet-34" in line["label"]]
    names = sorted({name for line in lines for name in _fitting(result_set, line)})
    return LabelledValue(len(names), f"{len(names)} ({', '.join(names)})")


def _fitting(result_set: ResultSet, line: dict) -> list[str]:
    """Architectures whose run gives the most numbers of a printed row."""
    runs = _scored(result_set)
    mine = runs[table_1.in_block(runs, line["dataset"], line["pretrained"])]
    if mine.empty:
        raise NotAvailableError(f"no run of the block {line['block']} of table 1")
    fits = {
        run["architecture"]: sum(
            compare_printed(float(run[name]) * factor, line[quantity]) != DIFFERS
            for quantity, (name, factor, _) in table_1.QUANTITIES.items()
            if quantity != "pepr_e" and pd.notna(run[name])
        )
        for run in mine.to_dict("records")
    }
    return [name for name, n in fits.items() if n == max(fits.values())]
