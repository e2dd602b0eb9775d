"""The authors' released data as they are embedded in ``data/published``; see `release`.

Values were renamed and rearranged, never corrected. `infer_time`, 0 in every row of the authors'
table, is not among them: what was not measured is null here.
"""

from __future__ import annotations

import hashlib

import pandas as pd

from pepr_utils.errors import InvalidTableError
from pepr_utils.paths import data_dir
from pepr_utils.results.release import parse
from pepr_utils.results.tables import check_table

CHECKSUMS = "SHA256SUMS"
TABLES = ("runs.csv", "epochs.csv", "architectures.csv", "countries.csv", "imagenet.csv")
_FIX = "restore it with `git checkout -- data/published`, or install pepr-utils again"


def read() -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Read the tables `runs` and `epochs`, and their content hash.

    Raises
    ------
    InvalidTableError
        If an embedded file is damaged or missing.
    """
    contents = {name: _content(name) for name in ("runs.csv", "epochs.csv")}
    runs, epochs = (
        check_table(parse(content, name), required=["run_id"], table=table, source=name)
        for table, (name, content) in zip(("runs", "epochs"), contents.items(), strict=True)
    )
    return runs, epochs, hashlib.sha256(b"".join(contents.values())).hexdigest()


def content_hash() -> str:
    """SHA-256 of the two files that make the result set `published`."""
    return hashlib.sha256(_content("runs.csv") + _content("epochs.csv")).hexdigest()


def read_text(name: str) -> pd.DataFrame:
    """Read one embedded table as text: an empty value is an empty text.

    Parameters
    ----------
    name : str
        One of `TABLES`.

    Raises
    ------
    InvalidTableError
        If the file is damaged or missing; the message names it.

    Examples
    --------
    >>> read_text("architectures.csv").loc[0, ["architecture", "n_parameters"]].tolist()
    ['dla46x_c', '1068440']
    """
    return parse(_content(name), name)


def _content(name: str) -> bytes:
    """Content of an embedded file, after a look at its SHA-256."""
    path = data_dir() / "published" / name
    try:
        sums = (path.parent / CHECKSUMS).read_text("utf-8", errors="replace")
        content = path.read_bytes()
    except OSError as error:
        raise InvalidTableError(
            f"the embedded file {error.filename} cannot be read ({error.strerror}); {_FIX}"
        ) from None
    actual = hashlib.sha256(content).hexdigest()
    expected = {file: digest for digest, _, file in (s.partition("  ") for s in sums.splitlines())}
    if name not in expected:
        raise InvalidTableError(
            f"the embedded file {path.parent / CHECKSUMS} is damaged: it has no {name}; {_FIX}"
        )
    if actual != expected[name]:
        raise InvalidTableError(
            f"the embedded file {path} is damaged: its SHA-256 is {actual[:12]}..., and "
            f"{CHECKSUMS} has {expected[name][:12]}...; {_FIX}"
        )
    return content
