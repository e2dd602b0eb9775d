"""YAML from files that nobody vouches for, as plain values with the line of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pepr_utils.errors import PeprError

#: A study is written by hand; what is larger or deeper is something else.
LARGEST_BYTES, DEEPEST = 2**20, 12

#: What scalars, lists and maps are without a tag of their own; and what YAML 1.1 makes of a date,
#: of ``<<`` and of ``=``, which are read as they stand.
_PLAIN = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "nothing",
}
_AS_TEXT = {f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "merge", "value")}
_LIST, _MAP = "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"


class LocatedYamlError(PeprError, ValueError):
    """A file cannot be read as YAML at all.

    Attributes
    ----------
    line : int or None
        Where, counted from 1.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class Located:
    """Plain values, and where they stand.

    Attributes
    ----------
    value : object
        Dictionaries, lists, text, numbers, booleans and None.
    lines : dict
        Line (from 1) of each value by its path: keys and indices from the outside inwards.
    faults : list of (int, str)
        Line and words of what plain values cannot show, such as a key that stands twice.
    """

    value: Any = None
    lines: dict[tuple, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def line(self, path: tuple) -> int:
        """Line of a value, or of the innermost that encloses it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(path: Path) -> Located:
    """Read one YAML document; nothing in it is executed, and nothing expands.

    Raises
    ------
    LocatedYamlError
        If it is no text, too large or too deep, refers to parts of itself, or is not YAML.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.yaml"
    >>> _ = path.write_text("a: 1\\nb:\\n  - x\\na: 2\\n")
    >>> found = read_yaml(path)
    >>> found.value, found.line(("b", 0)), found.faults
    ({'a': 1, 'b': ['x']}, 3, [(4, "the key 'a' stands twice; the first is on line 1")])
    """
    text = _text(path)
    try:
        _check_events(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(filter(None, [error.context, error.problem]))
        raise LocatedYamlError(
            f"not YAML: {words}", None if mark is None else mark.line + 1
        ) from None
    except yaml.YAMLError as error:
        raise LocatedYamlError(f"not YAML: {' '.join(str(error).split())}") from None
    found = Located()
    if node is not None:
        found.value = _plain(node, (), found)
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise LocatedYamlError(f"cannot be read ({error.strerror})") from None
    if len(raw) > LARGEST_BYTES:
        raise LocatedYamlError(
            f"larger than {LARGEST_BYTES // 2**20} MB; it is not meant to be read here"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LocatedYamlError("no text in UTF-8") from None


def _check_events(text: str) -> None:
    """Refuse what would unfold or recurse, before it does."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise LocatedYamlError(
                f"the reference *{event.anchor} is not followed; write the values out", line
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise LocatedYamlError(f"nested more than {DEEPEST} deep", line)


def _plain(node: yaml.Node, path: tuple, found: Located) -> Any:
    line = node.start_mark.line + 1
    found.lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode):
        _check_tag(node, {_MAP}, found)
        return dict(_items(node, path, found))
    if isinstance(node, yaml.SequenceNode):
        _check_tag(node, {_LIST}, found)
        return [_plain(each, (*path, i), found) for i, each in enumerate(node.value)]
    if not _check_tag(node, {*_PLAIN, *_AS_TEXT}, found):
        return node.value
    try:
        return node.value if node.tag not in _PLAIN else yaml.SafeLoader("").construct_object(node)
    except (ValueError, LookupError, ArithmeticError, yaml.YAMLError):
        found.faults.append((line, f"{node.value!r} is no value that can be read"))
        return node.value


def _check_tag(node: yaml.Node, known: set[str], found: Located) -> bool:
    if node.tag not in known:
        words = f"the tag {node.tag} is not read; write the plain value"
        found.faults.append((node.start_mark.line + 1, words))
    return node.tag in known


def _items(node: yaml.MappingNode, path: tuple, found: Located) -> Iterator[tuple[str, Any]]:
    first: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            found.faults.append((line, "a key has to be a word"))
            continue
        _check_tag(key, {*_PLAIN, *_AS_TEXT}, found)
        if key.value in first:
            words = f"the key {key.value!r} stands twice; the first is on line {first[key.value]}"
            found.faults.append((line, words))
            continue
        first[key.value] = line
        found.lines[(*path, key.value)] = line
        yield key.value, _plain(value, (*path, key.value), found)
