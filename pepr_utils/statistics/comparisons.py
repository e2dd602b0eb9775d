"""What is compared, declared before anything is computed: the comparisons and the primary family.

The claims ledger and pages use the names. Nothing here looks at data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pepr_utils.results.groups import FRACTION_ARMS, PRETRAINING_ARMS

#: The data sets of the paper, in its order.
DATASETS = ("derma", "lidc", "pneumonia")
PERFORMANCES = {"accuracy": "test accuracy", "pepr_e": "PePR-E"}

#: First and second group of each factor; a difference is the first minus the second.
GROUPS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "pretraining": PRETRAINING_ARMS,
        "fraction": FRACTION_ARMS,
        "size": ("small", "large"),
        "type": ("CNN", "Other"),
        "efficient": ("efficient", "not efficient"),
    }
)
#: Factors whose groups are the same architectures, trained in two ways.
ARMS = ("pretraining", "fraction")

#: Scopes that average over experiments, by what they average over.
AVERAGE, AVERAGE_RELEASED = "average", "average_released"
AVERAGES = {AVERAGE: "stated", AVERAGE_RELEASED: "released"}

#: Levels of the paper: of its p < 0.001, and of every other statement.
STRICT, USUAL = 0.001, 0.05
#: Largest difference in accuracy or score that counts as none.
MARGIN = 0.02


@dataclass(frozen=True)
class Comparison:
    """One comparison of two groups of models.

    Attributes
    ----------
    factor : str
        What distinguishes the groups, a key of `GROUPS`.
    performance : {"accuracy", "pepr_e"}
        What is compared.
    scope : str
        A data set; ``average``: each architecture's mean over the fine-tuned experiments on all
        training data or, for `ARMS`, over the data sets that have both arms; or
        ``average_released``: the mean over every experiment, as the released plotting code takes
        it.
    """

    factor: str
    performance: str
    scope: str

    @property
    def name(self) -> str:
        """``{factor}-{performance}-{scope}``."""
        return f"{self.factor}-{self.performance}-{self.scope}"

    @property
    def groups(self) -> tuple[str, str]:
        """First and second group."""
        return GROUPS[self.factor]

    @property
    def paired(self) -> bool:
        """Whether both groups are the same architectures."""
        return self.factor in ARMS

    @property
    def primary_test(self) -> str:
        """The declared test: the paired *t*-test where there are pairs, else Welch's."""
        return "paired" if self.paired else "Welch"

    @property
    def label(self) -> str:
        """What is compared, for tables and text."""
        where = {AVERAGE: "mean", AVERAGE_RELEASED: "mean of all experiments"}
        return (
            f"{PERFORMANCES[self.performance]}, {' / '.join(self.groups)}, "
            f"{where.get(self.scope, self.scope)}"
        )


def declared(datasets: Iterable[str] = DATASETS) -> Mapping[str, Comparison]:
    """Every comparison, by name, for a study on these data sets.

    Examples
    --------
    >>> len(declared()), len(declared(["ward"]))
    (46, 26)
    >>> declared()["size-pepr_e-lidc"].groups
    ('small', 'large')
    """
    scopes = [*datasets, AVERAGE]
    found = [
        Comparison(factor, performance, scope)
        for factor in GROUPS
        for performance in PERFORMANCES
        for scope in (scopes if factor in ARMS else [*scopes, AVERAGE_RELEASED])
    ]
    return MappingProxyType({one.name: one for one in found})


def primary(datasets: Iterable[str] = DATASETS) -> tuple[str, ...]:
    """Names of the primary family for a study on these data sets.

    Pretraining and training fraction by accuracy, averaged over the data sets that have both arms;
    size, type and efficiency by accuracy and by PePR-E on each data set.

    Examples
    --------
    >>> len(primary())
    20
    """
    each = [
        Comparison(factor, performance, dataset).name
        for factor in GROUPS
        if factor not in ARMS
        for performance in PERFORMANCES
        for dataset in datasets
    ]
    return (*(Comparison(factor, "accuracy", AVERAGE).name for factor in ARMS), *each)


#: The comparisons of the paper, and the family of 20 whose p-values are adjusted together.
COMPARISONS = declared()
PRIMARY = primary()
