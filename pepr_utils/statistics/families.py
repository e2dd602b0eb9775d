"""Which architectures belong together: the family that the bootstrap resamples as one.

The models of a study are no independent draws: thirty-one of the paper's 131 are residual networks
made by one file of timm. The family of a known architecture is the module of timm that makes it
(``data/timm_models.csv``, column ``module``); of any other, its name up to the first digit.
"""

from __future__ import annotations

from collections.abc import Iterable

from pepr_utils.audit.checks_models import family_of, label_table
from pepr_utils.results.architectures import load_timm_models
from pepr_utils.results.result_set import ResultSet


def families(architectures: Iterable[str]) -> list[str]:
    """Return the family of each architecture.

    Examples
    --------
    >>> families(["resnet18d", "gluon_seresnext50_32x4d", "dla34", "my_net_12"])
    ['resnet', 'resnet', 'dla', 'my_net']
    """
    known = load_timm_models()["module"]
    return [str(known.get(name)) if name in known else family_of(name) for name in architectures]


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
