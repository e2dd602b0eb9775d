"""The authors' released data as they are embedded in ``data/published``; see `release`.

Values were renamed and rearranged, never corrected. `infer_time`, 0 in every row of the authors'
table, is not among them: what was not measured is null here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from pepr_utils.paths import read_shipped
from pepr_utils.results.release import parse
from pepr_utils.results.tables import check_table

CHECKSUMS = "SHA256SUMS"
TABLES = ("runs.csv", "epochs.csv", "architectures.csv", "countries.csv", "imagenet.csv")


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
    """Content of an embedded file whose SHA-256 is the recorded one."""
    sums = read_shipped(f"published/{CHECKSUMS}", lambda path: path.read_text("utf-8"))
    expected = {file: digest for digest, _, file in (s.partition("  ") for s in sums.splitlines())}

    def checked(path: Path) -> bytes:
        content = path.read_bytes()
        actual = hashlib.sha256(content).hexdigest()
        if actual != expected.get(name):
            recorded = f"{expected[name][:12]}..." if name in expected else "none"
            raise ValueError(f"its SHA-256 is {actual[:12]}..., and {CHECKSUMS} has {recorded}")
        return content

    return read_shipped(f"published/{name}", checked)
