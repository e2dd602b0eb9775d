"""Open a file as a table, whatever wrote it: text, spreadsheet, Parquet or JSON, compressed or not.

What a file is, is decided by its content, never by its name. A lenient parser that fills a short
row shifts numbers silently; here a row with other than the header's number of values is an error.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import html
import io
import json
import lzma
import re
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pepr_utils.errors import InvalidTableError, NotInstalledError, how_to_install
from pepr_utils.results.file_content import one_error, parse_json
from pepr_utils.results.table_numbers import MISSING
from pepr_utils.results.tables import shorten

#: What separates the values of a text file, and what it is called.
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
_SAMPLED_ROWS = 500
_CHUNK = 256
_BLOCK = 1 << 17  # bytes that fit the processor's cache
_STANDARD_INPUT = ("-", "/dev/stdin")
Opener = Callable[[], Any]
_QUOTED = r"^'(?=[=+@\-\t\r])"


@dataclass
class TableFile:
    """A table that can be read column by column.

    Attributes
    ----------
    name : str
        For messages.
    columns : list of str
        Every column, in order.
    read : callable
        Reads the columns named; text as text, rows numbered from 0.
    sample : pandas.DataFrame
        Its first rows.
    taken : list of str
        What it was taken for, where that is not the plain default.
    floats : callable or None
        Reads columns named as floats and others, named second, as text in one go, and returns None
        where one of the former holds anything else; None of files that hold numbers as numbers.
    """

    name: str
    columns: list[str]
    read: Callable[[list[str]], pd.DataFrame]
    sample: pd.DataFrame
    taken: list[str] = field(default_factory=list)
    floats: Callable[[list[str], list[str]], pd.DataFrame | None] | None = None


def open_table(path: Path, *, sep: str | None = None, sheet: str | None = None) -> TableFile:
    """Open a file by its content.

    Parameters
    ----------
    path : pathlib.Path
        A file, or ``-`` for standard input.
    sep : str, optional
        Separator of a text file; by default the one that gives every row as many values as the
        header.
    sheet : str, optional
        Name or number, from 1, of a spreadsheet's sheet; by default the first that is not empty.

    Raises
    ------
    InvalidTableError
        If it is no table, or damaged.
    NotInstalledError
        If a package is needed that is not installed.
    """
    name = "standard input" if str(path) in _STANDARD_INPUT else path.name
    with one_error(name):
        opener, head, member = _uncompressed(name, _opener(path))
    is_sheet = head.startswith(b"\xd0\xcf\x11\xe0") or member == "a spreadsheet"
    if is_sheet or head.startswith(b"PAR1"):
        _only_for_text(name, sep, "--sep")
        found = _open_sheet(name, opener, sheet) if is_sheet else _open_parquet(name, opener)
    else:
        found = _open_text(name, opener, head, sep)
    if sheet is not None and not is_sheet:
        raise InvalidTableError(f"{name}: --sheet is given, but it is no spreadsheet; leave it out")
    if member and not is_sheet:
        found.taken.insert(0, member)
    if not any(found.columns):
        raise InvalidTableError(f"{name}: the file is empty; at least a header and one row")
    twice = next((c for c, n in Counter(found.columns).items() if n > 1), None)
    if twice is not None:
        raise InvalidTableError(f"{name}: column {twice!r} appears twice; keep one")
    return found


def _only_for_text(name: str, given: str | None, option: str) -> None:
    if given is not None:
        raise InvalidTableError(f"{name}: {option} is given, but it is no text file; leave it out")


def _opener(path: Path) -> Opener:
    """Return what opens the file anew; a pipe can be read once, so that it is kept in memory."""
    if str(path) in _STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            raise InvalidTableError(
                "standard input: nothing is piped in; allowed: a file, or a table on standard "
                "input, such as: zcat models.csv.gz | pepr score -"
            )
        content = sys.stdin.buffer.read()
    elif path.is_file():
        return lambda: path.open("rb")
    elif str(path).startswith("/dev/fd/"):  # <(command) in a shell, which writes already
        content = path.read_bytes()
    else:
        raise InvalidTableError(
            f"{path}: not a regular file; allowed: a file, or - and its content on standard input"
        )
    return lambda: io.BytesIO(content)


def _uncompressed(name: str, opener: Opener) -> tuple[Opener, bytes, str]:
    """Return what opens the content, its first bytes, and the member of an archive."""
    with opener() as file:
        head = file.read(65_536)
    member, expand = "", next((f for m, f in _COMPRESSED.items() if head.startswith(m)), None)
    if head.startswith(b"PK"):
        with opener() as file, zipfile.ZipFile(file) as archive:
            members = archive.namelist()
            if {"[Content_Types].xml", "mimetype"} & set(members):
                return opener, head, "a spreadsheet"
            files = [m for m in members if not m.endswith("/") and not m.startswith("__MACOSX")]
            if len(files) != 1:
                raise InvalidTableError(
                    f"{name}: the archive holds {len(files)} files ({', '.join(files[:5])}); "
                    "allowed: one; unpack it and name the table"
                )
            content = archive.read(files[0])
        member = f"{files[0]} in the archive"
    elif expand is not None:
        with opener() as file:
            content = expand(file.read())
    else:
        return opener, head, ""
    return (lambda: io.BytesIO(content)), content[:65_536], member


def _expand_zstd(data: bytes) -> bytes:
    pyarrow = need("pyarrow", "a zstd file", "parquet")
    return pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd").read()


_COMPRESSED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"\x28\xb5\x2f\xfd": _expand_zstd,
}


def need(module: str, what: str, extra: str) -> Any:
    """Import a module, or raise `NotInstalledError` with the extra that brings it."""
    if find_spec(module) is None:
        raise NotInstalledError(
            f"{what} needs {module}, which is not installed: {how_to_install(extra)}, or use CSV"
        )
    return __import__(module)


def need_pyarrow() -> None:
    """Raise `NotInstalledError`, with what to install, unless pyarrow can be imported."""
    need("pyarrow", "Parquet", "parquet")


# --- text


def _open_text(name: str, opener: Opener, head: bytes, sep: str | None) -> TableFile:
    with one_error(name):
        encoding = _encoding(name, opener, head)
    lines = _lines(opener, encoding)
    with one_error(name):
        top = list(islice(lines, _SAMPLED_ROWS))
    first = next((line.strip() for line in top if line.strip()), "")
    taken = [] if encoding == "utf-8-sig" else [f"text in {encoding}"]
    if first[:1] in ("{", "["):
        _only_for_text(name, sep, "--sep")
        with one_error(name), opener() as file:
            return _open_json(name, file.read().decode(encoding), taken)
    tex = "\\begin{tabular}" in "".join(top)
    if tex or first.startswith("|"):
        with one_error(name):
            rows = _document_rows(name, list(_lines(opener, encoding)), tex=tex)
        kind = "a LaTeX table" if tex else "a Markdown table"
        return _in_memory(name, rows[0], pd.DataFrame(rows[1:], dtype="string"), [*taken, kind])
    skipped, declared = _above_header(top)
    separator = sep or declared or _separator(name, top[skipped:])
    reader = _TextReader(name, opener, encoding, skipped, separator)
    if separator != ",":
        taken.append(f"separator {SEPARATORS.get(separator, repr(separator))}")
    n_comments = sum(line.startswith("#") for line in top[:skipped])
    if n_comments:
        taken.append(f"{n_comments} comment line{'s' * (n_comments > 1)} above the header")
    return TableFile(name, reader.columns, reader.read, reader.sample, taken, reader.floats)


def _encoding(name: str, opener: Opener, head: bytes) -> str:
    """UTF-8 or UTF-16 by what the file holds, else the Western European of Windows."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 3 and head[start::2].count(0) > 0.4 * len(head[start::2]):
            return encoding
    decoder, utf8 = codecs.getincrementaldecoder("utf-8")(), True
    with opener() as file:
        while chunk := file.read(1 << 20):
            if b"\0" in chunk:
                raise InvalidTableError(
                    f"{name}: not a table; allowed: text such as CSV, a spreadsheet, Parquet or "
                    "JSON, also compressed"
                )
            try:
                decoder.decode(chunk) if utf8 else None
            except UnicodeDecodeError:
                utf8 = False
    return "utf-8-sig" if utf8 else "cp1252"


def _lines(opener: Opener, encoding: str) -> Iterator[str]:
    with opener() as file, io.TextIOWrapper(file, encoding, newline="", errors="replace") as text:
        yield from text


def _above_header(lines: list[str]) -> tuple[int, str | None]:
    """Count the lines above the header: empty, comments, and Excel's ``sep=;``."""
    declared = None
    for number, line in enumerate(lines):
        if match := re.fullmatch(r'"?sep=(.)"?[,;\t]?\s*', line, flags=re.IGNORECASE):
            declared = match[1]
        elif line.strip(" \t\r\n,;") and not line.startswith("#"):
            return number, declared
    return len(lines), declared


def _separator(name: str, lines: list[str]) -> str:
    """The one separator that gives every row as many values as the header."""
    if lines and not lines[-1].endswith(("\n", "\r")):
        whole = lines
    else:
        whole = lines if len(lines) < _SAMPLED_ROWS // 2 else lines[: _SAMPLED_ROWS // 2]
    fitting, widest = [], (1, ",")
    for separator in ",;\t|":
        try:
            rows = list(csv.reader(whole, delimiter=separator, skipinitialspace=True))
        except csv.Error:
            continue
        rows = [row for row in rows if any(row) and not row[0].startswith("#")]
        if not rows:
            continue
        widths = [len(row) for row in rows]
        widest = max(widest, (widths[0], separator), key=itemgetter(0))
        if widths[0] > 1 and len(set(widths)) == 1:
            fitting.append(separator)
    if len(fitting) > 1:
        names = " or ".join(SEPARATORS[s] for s in fitting)
        raise InvalidTableError(
            f"{name}: its values may be separated by {names}; say which, such as --sep "
            f"{SEPARATORS[fitting[0]]}"
        )
    return fitting[0] if fitting else widest[1]


class _TextReader:
    """Separated text, in which every row has as many values as the header.

    Python's `csv` checks that as it reads the file once; pandas reads the columns that are used.
    """

    def __init__(
        self, name: str, opener: Opener, encoding: str, skipped: int, separator: str
    ) -> None:
        self.name, self.opener, self.encoding = name, opener, encoding
        self.skipped, self.separator = skipped, separator
        self.no_rows: list[int] = []  # those below the header that are empty or comments
        self.n = 0
        how: Any = {"delimiter": separator, "skipinitialspace": True, "strict": True}
        with one_error(name), self._below() as text:
            try:
                rows = csv.reader(text, **how)
                self._name_columns(next(rows, []))
                first = self._checked(list(islice(rows, _SAMPLED_ROWS)))
                if n := self._plain_rows():
                    self.n = n
                else:
                    while chunk := list(islice(rows, _CHUNK)):
                        self._checked(chunk)
            except csv.Error as error:
                reason = "a quote is not closed" if "end of data" in str(error) else error
                raise InvalidTableError(f"{name}: not a readable CSV table ({reason})") from None
        values = [list(map(_unquoted, row[: len(self.columns)])) for row in first]
        self.sample = pd.DataFrame(values, columns=pd.Index(self.columns), dtype=object)

    def _name_columns(self, header: list[str]) -> None:
        names = [_unquoted(text.strip()) for text in header]
        self.width = self.widest = len(names)
        while len(names) > 1 and not names[-1]:
            names.pop()  # Excel ends lines with separators where columns were cleared
        self.columns = [text or f"column {i}" for i, text in enumerate(names, 1) if any(names)]

    def _plain_rows(self) -> int:
        """Count the rows where separators and line ends alone tell them, which is faster; else 0.

        So it is without quotes, and with something else than a blank at the start of each line.
        """
        if not (self.columns and self.separator.isascii()) or self.encoding.startswith("utf-16"):
            return 0
        width, n = len(self.columns), -1
        pattern = np.frombuffer(self.separator.encode() * (width - 1) + b"\n", np.uint8)
        blank = np.isin(np.arange(256), [ord(self.separator), *b" \t\r\n"])
        with self.opener() as file:
            above = b"".join(file.readline() for _ in range(self.skipped))
            while block := file.read(_BLOCK):
                block += file.readline()
                block += b"" if block.endswith(b"\n") else b"\n"
                lines, above = above + block, b""
                text = np.frombuffer(block, np.uint8)
                at = np.flatnonzero((text == pattern[0]) | (text == pattern[-1]))
                begins = np.append(0, at[width - 1 :: width][:-1] + 1)
                if (
                    b'"' in block
                    or (b"\r" in lines and b"\r" in lines.replace(b"\r\n", b""))
                    or at.size % width
                    or (text[at].reshape(-1, width) != pattern).any()
                    or blank[text[begins]].any()
                ):
                    return 0
                n += begins.size
        return max(n, 0)

    def _checked(self, rows: list[list[str]]) -> list[list[str]]:
        """Return the rows that are neither empty nor comments; refuse one of another width."""
        width, before = len(self.columns), self.n
        self.n += len(rows)
        if set(map(len, rows)) == {width} and all(map(any, rows)):
            return rows
        kept = []
        for at, row in enumerate(rows, before):
            fits = len(row) == width or (len(row) == self.width and not any(row[width:]))
            if fits and any(row):
                kept.append(row)
            elif not any(row) or row[0].startswith("#"):
                self.no_rows.append(at)
                self.widest = max(self.widest, len(row))
            else:
                raise InvalidTableError(
                    f"{self.name}: row {at - len(self.no_rows) + 1} has {len(row)} values and the "
                    f"header {width} ({shorten(self.separator.join(self.columns))}); allowed: one "
                    "value, or nothing, between "
                    f"{SEPARATORS.get(self.separator, repr(self.separator))}s for each column, "
                    "and nothing above the header; --sep names another separator"
                )
        return kept

    def read(self, columns: list[str]) -> pd.DataFrame:
        return self._text(self._pandas(columns, {}), columns)

    @cached_property
    def _has_apostrophes(self) -> bool:
        with self.opener() as file:
            return any(b"'" in chunk for chunk in iter(partial(file.read, 1 << 20), b""))

    def floats(self, columns: list[str], texts: list[str]) -> pd.DataFrame | None:
        """Read columns of plain numbers, and others; None where a value is no number."""
        try:
            frame = self._pandas([*columns, *texts], dict.fromkeys(columns, "float64"))
        except ValueError:
            return None
        return self._text(frame, texts)

    def _text(self, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return columns as text. pandas reads text fastest where it is not told what to expect."""
        others = [name for name in columns if not isinstance(frame[name].dtype, pd.StringDtype)]
        if others:  # that it took for numbers
            frame[others] = self._pandas(others, dict.fromkeys(others, "string"))
        text = frame[columns].astype("string")
        if self._has_apostrophes:
            text = text.apply(_without_apostrophes)
        if len(columns) == frame.shape[1]:
            return text
        return frame.assign(**{name: text[name] for name in columns})

    def _pandas(self, columns: list[str], dtypes: dict[str, Any]) -> pd.DataFrame:
        texts = [text for m in MISSING for text in (m, m.upper(), m.capitalize())]
        index = {name: i for i, name in enumerate(self.columns)}
        at = [index[name] for name in columns]
        kinds = {index[name]: kind for name, kind in dtypes.items()}
        missing: Any = {i: texts for i, kind in kinds.items() if kind == "float64"}
        with self._below() as text, warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            frame = pd.read_csv(
                text, sep=self.separator, header=0, names=range(self.widest), usecols=at,
                index_col=False, dtype=kinds, keep_default_na=False, na_values=missing,
                skipinitialspace=True, skip_blank_lines=False,
            )[at]  # fmt: skip
        if len(frame) != self.n:
            raise InvalidTableError(f"{self.name}: not a readable CSV table; save it anew as CSV")
        if self.no_rows:
            frame = frame.drop(index=self.no_rows).reset_index(drop=True)
        return frame.set_axis(columns, axis=1)

    @contextmanager
    def _below(self) -> Iterator[io.TextIOWrapper]:
        """The text from the header on."""
        with (
            self.opener() as file,
            io.TextIOWrapper(file, self.encoding, newline="", errors="replace") as text,
        ):
            for _ in range(self.skipped):
                text.readline()
            yield text


def _without_apostrophes(text: pd.Series) -> pd.Series:
    quoted = text.str.startswith("'")
    return text.where(~quoted, text.str.replace(_QUOTED, "", regex=True)) if quoted.any() else text


def _unquoted(text: str) -> str:
    """Undo what `export` does to text that a spreadsheet would run as a formula."""
    return re.sub(_QUOTED, "", text)


#: Text up to the next | of a line that has no backslash before it, which may itself have one.
_MARKDOWN_CELL = re.compile(r"(?:^|(?<=\|))((?:\\.|[^|\\]|\\$)*)(?=\||$)")


def _document_rows(name: str, lines: list[str], *, tex: bool) -> list[list[str]]:
    """Rows of a Markdown or LaTeX table, such as `export` writes them."""
    rows = []
    for line in map(str.strip, lines):
        if line.startswith("|") and not tex:
            inner = line[1:].removesuffix("|") if not line.endswith(r"\|") else line[1:]
            cells = [_from_markdown(c) for c in _MARKDOWN_CELL.findall(inner)]
            if all(re.fullmatch(r"\s*:?-+:?\s*", cell) for cell in cells):
                continue
        elif tex and line.endswith(r"\\"):
            cells = [_from_tex(cell) for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))]
        else:
            continue
        rows.append([cell.strip() for cell in cells])
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InvalidTableError(
                f"{name}: row {number} has {len(row)} values and the header {len(rows[0])}"
            )
    return rows or [[]]


def _from_markdown(text: str) -> str:
    return html.unescape(re.sub(r"\\([^\w\s]|_)", r"\1", text))


def _from_tex(text: str) -> str:
    text = text.replace(r"\textbackslash{}", "\0")
    text = re.sub(r"\\text(asciitilde|asciicircum)\{\}", lambda m: "~^"["circum" in m[1]], text)
    return re.sub(r"\\([&%$#_{}])", r"\1", text).replace("\0", "\\")


# --- JSON, spreadsheets and Parquet


def _in_memory(name: str, columns: list[str], frame: pd.DataFrame, taken: list[str]) -> TableFile:
    if len(frame.columns) == len(columns):
        frame.columns = pd.Index(columns)
    return TableFile(
        name, columns, lambda names: frame[names].copy(), frame.head(_SAMPLED_ROWS), taken
    )


def _open_json(name: str, text: str, taken: list[str]) -> TableFile:
    try:
        content = parse_json(name, text)
    except json.JSONDecodeError as whole:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            content = [parse_json(name, line) for line in lines]
        except json.JSONDecodeError as error:
            first = whole if whole.lineno == 1 else error
            raise InvalidTableError(f"{name}: not readable JSON ({first})") from None
        taken = [*taken, "JSON lines"]
    if isinstance(content, dict):
        content = _rows_of(content)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InvalidTableError(
            f"{name}: no table in this JSON; allowed: an array of objects, one per row, an object "
            "of columns, or one object on each line"
        )
    nested = any(isinstance(value, dict) for row in content for value in row.values())
    frame = pd.json_normalize(content) if nested else pd.DataFrame(content)
    return _in_memory(name, [str(column) for column in frame.columns], frame, taken)


def _rows_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an object of columns, each a list or, as pandas writes them, an object."""
    kinds = {type(value) for value in content.values()}
    if kinds == {list} and len({len(value) for value in content.values()}) == 1:
        values = zip(*content.values(), strict=True)
        return [dict(zip(content, row, strict=True)) for row in values]
    if kinds == {dict}:
        keys = list(dict.fromkeys(key for value in content.values() for key in value))
        return [{column: content[column].get(key) for column in content} for key in keys]
    return [content]


def _open_sheet(name: str, opener: Opener, sheet: str | None) -> TableFile:
    calamine = need("python_calamine", "a spreadsheet", "tables")
    with one_error(name, what="not a readable spreadsheet"):
        with opener() as file:
            book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(file.read()))
        names = book.sheet_names
        rows = {n: book.get_sheet_by_name(n).to_python() for n in names if sheet in (None, n)}
        if sheet is not None and not rows and sheet.isdigit() and 0 < int(sheet) <= len(names):
            chosen = names[int(sheet) - 1]
            rows = {chosen: book.get_sheet_by_name(chosen).to_python()}
    if not names:
        raise InvalidTableError(f"{name}: a spreadsheet without a sheet; save it anew")
    if sheet is not None and not rows:
        listed = ", ".join(map(repr, names))
        raise InvalidTableError(
            f"{name}: no sheet {sheet!r}; allowed: {listed}, or a number from 1"
        )
    filled = {n: [row for row in r if any(v != "" for v in row)] for n, r in rows.items()}
    chosen = next((n for n, r in filled.items() if r), names[0])
    header, *body = filled[chosen] or [[]]
    while header and header[-1] == "":
        header = header[:-1]
    width = len(header)
    beyond = next((i for i, row in enumerate(body, 1) if any(v != "" for v in row[width:])), None)
    if beyond is not None:
        raise InvalidTableError(
            f"{name}, sheet {chosen!r}: row {beyond} has values beyond the header's {width} "
            f"({shorten(', '.join(map(str, header)))}); allowed: a table with its header in the "
            "first row, and nothing beside it"
        )
    frame = pd.DataFrame([row[:width] for row in body], columns=range(width), dtype=object)
    frame = frame.mask(frame.map(lambda v: isinstance(v, str) and v == ""), None).infer_objects()
    for column in frame.select_dtypes("float"):
        whole = frame[column].dropna()
        if len(whole) and (whole % 1 == 0).all() and (whole.abs() < 2**53).all():
            frame[column] = frame[column].astype("Int64")
    columns = [str(c).strip() or f"column {i}" for i, c in enumerate(header, 1)]
    taken = [f"sheet {chosen!r} of {len(names)}"] if sheet is None and len(names) > 1 else []
    return _in_memory(name, columns, frame, taken)


def _open_parquet(name: str, opener: Opener) -> TableFile:
    need_pyarrow()
    import pyarrow.parquet

    checked = partial(pyarrow.parquet.ParquetFile, page_checksum_verification=True)
    reading = partial(one_error, name, what="not a readable Parquet file")

    def read(names: list[str], n_rows: int | None = None) -> pd.DataFrame:
        with reading(), opener() as source, checked(source) as parquet:
            wanted = [stored[n] for n in names]
            if n_rows is None:
                found = parquet.read(columns=wanted)
            else:
                batch = next(parquet.iter_batches(n_rows, columns=wanted), None)
                found = (
                    parquet.read(columns=wanted)
                    if batch is None
                    else pyarrow.Table.from_batches([batch])
                )
            found.validate(full=True)  # text that is not UTF-8 would raise wherever it is used
            frame = found.to_pandas(ignore_metadata=True)[wanted]
        frame.columns = pd.Index(names)
        for name in frame.columns[frame.dtypes == "object"]:  # bytes, which need not be UTF-8
            frame[name] = frame[name].map(
                lambda v: v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else v
            )
        return frame

    with reading(), opener() as source:
        schema = checked(source).schema_arrow
        # An index without a name, or named like a column that there is, says nothing.
        given = [n for n in schema.names if not re.fullmatch(r"__index_level_\d+__", n)]
    stored = {str(n): n for n in given}
    sample = read(given, _SAMPLED_ROWS) if len(stored) == len(given) else pd.DataFrame()
    return TableFile(name, given, read, sample)
