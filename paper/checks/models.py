"""Checks of the model space: how many architectures, how large, of which kinds."""

from __future__ import annotations

import pandas as pd

from paper.checks.shared import DATASETS, arm, need_arms
from pepr_utils.audit.replicates import same_network
from pepr_utils.errors import NotAvailableError
from pepr_utils.ledger import LabelledValue, check
from pepr_utils.ledger.compare import REPRODUCED, compare_printed
from pepr_utils.paths import data_file
from pepr_utils.results import ResultSet, add_classes, load_architectures
from pepr_utils.results.result_set import cached_on_result_set


@cached_on_result_set
def _space(result_set: ResultSet) -> pd.DataFrame:
    """The architectures of the set, with their classes; only those with a number of parameters."""
    runs = result_set.finished.drop_duplicates("architecture")
    space = add_classes(runs[["architecture", "n_parameters"]]).dropna(subset=["n_parameters"])
    if space.empty:
        raise NotAvailableError("no architecture with its number of parameters")
    return space


@check
def count(result_set: ResultSet) -> int:
    """Names of architectures."""
    return result_set.finished["architecture"].nunique()


@check
def networks(result_set: ResultSet) -> LabelledValue:
    """Architectures, two names of one network counted once."""
    pairs = same_network(result_set)
    twice = "; ".join(f"{p.first} and {p.second} are one" for p in pairs.itertuples())
    n = count(result_set) - len(pairs)
    return LabelledValue(n, f"{n} ({twice})" if twice else f"{n}")


@check
def smallest(result_set: ResultSet) -> float:
    """Fewest parameters, in millions."""
    return _space(result_set)["n_parameters"].min() / 1e6


@check
def largest(result_set: ResultSet) -> float:
    """Most parameters, in millions."""
    return _space(result_set)["n_parameters"].max() / 1e6


@check
def largest_to_two_digits(result_set: ResultSet) -> float:
    """The same to two significant digits."""
    return float(f"{largest(result_set):.2g}")


@check
def median(result_set: ResultSet) -> float:
    """Median number of parameters, in millions."""
    return float(_space(result_set)["n_parameters"].median()) / 1e6


@check
def of_class(result_set: ResultSet, column: str, name: str) -> int:
    """Architectures of one class."""
    classes = _space(result_set)[column].dropna()
    if classes.empty:
        raise NotAvailableError(f"no architecture whose {column} the paper gives")
    return int((classes == name).sum())


@check
def halves(result_set: ResultSet) -> LabelledValue:
    """Whether all models below the median size are small and all above it large."""
    space = _space(result_set)
    middle = space["n_parameters"].median()
    below = space.loc[space["n_parameters"] < middle, "size"]
    above = space.loc[space["n_parameters"] > middle, "size"]
    holds = bool((below == "small").all() and (above == "large").all())
    at = space.loc[space["n_parameters"] == middle]
    words = "; ".join(f"{m.architecture}, at the median, is {m.size}" for m in at.itertuples())
    return LabelledValue(holds, "; ".join(filter(None, ["yes" if holds else "no", words])))


@check
def pretrained(result_set: ResultSet) -> int:
    """Architectures that were fine-tuned on each of the three data sets."""
    need_arms(result_set, DATASETS, stated=True)
    each = [set(arm(result_set, dataset)["architecture"]) for dataset in DATASETS]
    return len(set.intersection(*each))


@check
def table_a1(result_set: ResultSet) -> int:
    """Printed numbers of parameters of Table A.1 that the runs give."""
    space = _space(result_set).set_index("architecture")["n_parameters"] / 1e6
    printed = load_architectures().set_index("architecture")["printed_parameters_m"]
    both = space.index.intersection(printed.index)
    return sum(compare_printed(space[a], printed[a]) == REPRODUCED for a in both)


@check
def labels_of_table_a1(result_set: ResultSet, column: str) -> int:
    """Printed labels of Table A.1 that the released list of architectures gives as well."""
    printed = pd.read_csv(data_file("table_a1.csv")).set_index("architecture")
    released = load_architectures().set_index("architecture")
    both = [a for a in _space(result_set)["architecture"] if a in printed.index]
    if not both:
        raise NotAvailableError("no architecture of the paper's model space")
    return int((printed.loc[both, column] == released.loc[both, column]).sum())
