"""The paper's model space: 131 architectures with their size, type and efficiency."""

from __future__ import annotations

from functools import cache

import pandas as pd

from pepr_utils.paths import read_shipped
from pepr_utils.results import published

#: The paper's limit between small-scale and large-scale models, in trainable parameters.
LARGE_ABOVE = 24_600_000


def load_architectures() -> pd.DataFrame:
    """Return the model space, one row per architecture, in the order of the authors' table.

    Returns
    -------
    pandas.DataFrame
        ``architecture``; ``n_parameters`` (with the 1,000-class ImageNet head); ``type`` (CNN or
        Other); ``efficient`` (bool); ``link`` to the publication; ``printed_parameters_m``, the
        paper's Table A.1 in units of 10^6, as printed (text); ``size`` (small or large, by
        `size_class`).

    Examples
    --------
    >>> load_architectures()["size"].value_counts().to_dict()
    {'large': 66, 'small': 65}
    """
    return _model_space().copy()


@cache
def _model_space() -> pd.DataFrame:
    frame = published.read_text("architectures.csv")
    frame = frame.astype({"n_parameters": "int64", "efficient": "int64"}).astype(
        {"efficient": bool}
    )
    printed = read_shipped(
        "table_a1.csv", lambda path: pd.read_csv(path, dtype={"printed_parameters_m": "string"})
    )
    frame = frame.merge(printed[["architecture", "printed_parameters_m"]], on="architecture")
    return frame.assign(size=size_class(frame["n_parameters"]))


@cache
def load_timm_models() -> pd.DataFrame:
    """Return the model space as timm has it, by architecture, from ``data/timm_models.csv``.

    Returns
    -------
    pandas.DataFrame
        ``timm_name``; ``weights``, pretrained on ImageNet-1k, as ``arch.tag``; ``size_argument``,
        the keyword for the image size; ``smallest_size_px``; ``module`` of timm that makes it.

    Examples
    --------
    >>> load_timm_models().loc["gluon_xception65", ["weights", "module"]].tolist()
    ['xception65.tf_in1k', 'xception_aligned']
    """
    table = read_shipped(
        "timm_models.csv", lambda path: pd.read_csv(path, dtype={"smallest_size_px": "Int64"})
    )
    return table.set_index("architecture")


def size_class(n_parameters: pd.Series) -> pd.Series:
    """Class of each model by its number of parameters: ``large`` above 24.6e6, else ``small``.

    24.6 M is the median as the paper prints it.

    Examples
    --------
    >>> size_class(pd.Series([24_600_000, 24_671_464])).tolist()
    ['small', 'large']
    """
    return (n_parameters > LARGE_ABOVE).map({True: "large", False: "small"}).astype("string")


def add_classes(runs: pd.DataFrame) -> pd.DataFrame:
    """Join type, efficiency and size to runs by architecture name.

    An architecture outside the model space gets null classes, except its size where its number of
    parameters is known. A missing ``n_parameters`` of a known architecture is filled in.
    """
    known = load_architectures().set_index("architecture")
    joined = runs.join(known[["type", "efficient"]].astype("string"), on="architecture")
    joined["efficient"] = joined["efficient"].map({"True": "efficient", "False": "not efficient"})
    own = joined["n_parameters"].astype("Int64")
    joined["n_parameters"] = own.fillna(
        joined["architecture"].map(known["n_parameters"]).astype("Int64")
    )
    counted = joined["n_parameters"].notna()
    joined["size"] = size_class(joined["n_parameters"].fillna(0)).where(counted)
    return joined
