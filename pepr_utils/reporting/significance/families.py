"""Which architectures belong together: the family that the bootstrap resamples as one.

The models of a study are no independent draws: thirty-one of the paper's 131 are residual networks
made by one file of timm. The family of a known architecture is the module of timm that makes it
(``data/timm_models.csv``, column ``module``); of any other, its name up to the first digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pandas as pd

from pepr_utils.paths import data_file
from pepr_utils.results.audit.checks_models import family_of, label_table
from pepr_utils.results.result_set import ResultSet


def families(architectures: Iterable[str]) -> list[str]:
    """Return the family of each architecture.

    Examples
    --------
    >>> families(["resnet18d", "gluon_seresnext50_32x4d", "dla34", "my_net_12"])
    ['resnet', 'resnet', 'dla', 'my_net']
    """
    known = _modules()
    return [known.get(name) or family_of(name) for name in architectures]


@cache
def _modules() -> dict[str, str]:
    table = pd.read_csv(data_file("timm_models.csv"), dtype="string")
    return dict(zip(table["architecture"], table["module"], strict=True))


def divided_families(result_set: ResultSet, label: str) -> set[str]:
    """Architectures whose family, by name, has models in both classes of a label.

    Parameters
    ----------
    label : {"type", "efficient"}
        Column of the model space.
    """
    table = label_table(result_set)
    if label not in table:
        return set()
    classes = table.groupby("family")[label].transform("nunique")
    return set(table.loc[classes > 1, "architecture"])
