"""Differences between groups of models, declared and tested; and races replayed on recorded curves.

What is compared is declared in `comparisons`; nothing is chosen after seeing a p-value.
"""

from pepr_utils.statistics.comparisons import (
    AVERAGE,
    AVERAGE_RELEASED,
    COMPARISONS,
    DATASETS,
    MARGIN,
    PRIMARY,
    STRICT,
    USUAL,
    Comparison,
    declared,
    primary,
)
from pepr_utils.statistics.multiple_testing import (
    all_tests,
    datasets_of,
    holm,
    primary_family,
    try_test,
)
from pepr_utils.statistics.race_simulation import (
    STRATEGIES,
    RaceField,
    race_fields,
    simulate_races,
)
from pepr_utils.statistics.samples import LABELS, families, groups
from pepr_utils.statistics.testing import Tested, compare_samples, equivalence, test

__all__ = [
    "AVERAGE",
    "AVERAGE_RELEASED",
    "COMPARISONS",
    "DATASETS",
    "LABELS",
    "MARGIN",
    "PRIMARY",
    "STRATEGIES",
    "STRICT",
    "USUAL",
    "Comparison",
    "RaceField",
    "Tested",
    "all_tests",
    "compare_samples",
    "datasets_of",
    "declared",
    "equivalence",
    "families",
    "groups",
    "holm",
    "primary",
    "primary_family",
    "race_fields",
    "simulate_races",
    "test",
    "try_test",
]
