"""Conditions that choose among the paper's 131 architectures, such as ``n_parameters < 10e6``.

Only comparisons of the table's columns are understood, joined by ``and``, ``or``, ``not`` and
brackets: nothing else in a condition is ever evaluated.
"""

from __future__ import annotations

import ast
import operator
import re
from difflib import get_close_matches
from functools import reduce
from itertools import pairwise

import pandas as pd

from pepr_utils.errors import PeprError
from pepr_utils.results import load_architectures

#: The columns of ``data/architectures.csv`` that conditions are about, and what is in them.
COLUMNS = {"architecture": "text", "n_parameters": "a number", "type": "text",
           "efficient": "True or False", "size": "text"}  # fmt: skip

_ORDERS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_EQUALS = {ast.Eq: operator.eq, ast.NotEq: operator.ne}
_JOINS = {ast.And: operator.and_, ast.Or: operator.or_}
_TEXT_OR_JOIN = re.compile(r"'[^']*'|\"[^\"]*\"|[&|]")


class ArchitectureError(PeprError, ValueError):
    """An architecture cannot be made as it is asked for, or no condition chooses it."""


class _NotUnderstoodError(Exception):
    """Why a condition is not understood."""


def matching(where: str) -> list[str]:
    """Return the architectures that fit a condition, in the order of the table; see `COLUMNS`.

    Raises
    ------
    ArchitectureError
        If it does not say yes or no for each architecture; the message says why.

    Examples
    --------
    >>> matching("n_parameters < 3e6 and type == 'Other'")
    ['mobilevitv2_050', 'semnasnet_075']
    """
    table = load_architectures()
    try:
        fits = _fits(_parsed(where), table)
    except _NotUnderstoodError as fault:
        raise ArchitectureError(
            f"the condition {where!r} is not understood: {fault}; allowed: comparisons of "
            f"{', '.join(COLUMNS)}, such as \"n_parameters < 10e6 and type == 'CNN'\""
        ) from None
    return table["architecture"][fits].tolist()


def allowed_values(where: str) -> str:
    """List what the columns that a condition names may be.

    Examples
    --------
    >>> allowed_values("type == 'cnn' and efficient")
    'type is CNN or Other; efficient is True or False'
    """
    named = {node.id for node in ast.walk(_parsed(where)) if isinstance(node, ast.Name)}
    table, parts = load_architectures(), []
    for column in (name for name in COLUMNS if name in named):
        if column == "architecture":
            parts.append(f"architecture is one of the {len(table)} in data/architectures.csv")
        elif column == "n_parameters":
            least, most = table[column].min(), table[column].max()
            parts.append(f"n_parameters is from {least:,} to {most:,}")
        else:
            values = sorted(set(table[column]), reverse=column == "efficient")
            parts.append(f"{column} is {' or '.join(map(str, values))}")
    return "; ".join(parts)


def _parsed(where: str) -> ast.expr:
    """The condition as a tree; ``&`` and ``|`` join it as ``and`` and ``or`` do."""
    joins = {"&": " and ", "|": " or "}
    text = _TEXT_OR_JOIN.sub(lambda found: joins.get(found[0], found[0]), where)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        single = re.search(r"(?<![=<>!])=(?!=)", where)
        raise _NotUnderstoodError(
            "two equal signs compare" if single else "a word or sign is amiss"
        ) from None


def _fits(node: ast.expr, table: pd.DataFrame) -> pd.Series:
    """Say of each architecture whether it fits."""
    if isinstance(node, ast.BoolOp):
        return reduce(_JOINS[type(node.op)], [_fits(part, table) for part in node.values])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_fits(node.operand, table)
    if isinstance(node, ast.Compare):
        sides = [_side(side, table) for side in (node.left, *node.comparators)]
        parts = [_compared(op, *two) for op, two in zip(node.ops, pairwise(sides), strict=True)]
        return reduce(operator.and_, parts)
    if isinstance(node, ast.Name):
        values, kind = _side(node, table)
        if kind == COLUMNS["efficient"]:
            return values
    raise _NotUnderstoodError(f"{ast.unparse(node)!r} does not say yes or no")


def _compared(op: ast.cmpop, left: tuple[object, str], right: tuple[object, str]) -> pd.Series:
    (one, kind), (other, other_kind) = left, right
    compare = (_ORDERS | _EQUALS if kind == "a number" else _EQUALS).get(type(op))
    if kind != other_kind:
        raise _NotUnderstoodError(f"{kind} is compared with {other_kind}")
    if compare is None:
        signs = "==, !=" if kind != "a number" else "==, !=, <, <=, >, >="
        raise _NotUnderstoodError(f"{kind} is compared by {signs}")
    if not (isinstance(one, pd.Series) or isinstance(other, pd.Series)):
        raise _NotUnderstoodError(f"{one!r} and {other!r} are no columns")
    return compare(one, other)


def _side(node: ast.expr, table: pd.DataFrame) -> tuple[object, str]:
    """One side of a comparison, a column or a value, and of what kind it is."""
    if isinstance(node, ast.Name):
        if node.id in COLUMNS:
            return table[node.id], COLUMNS[node.id]
        close = get_close_matches(node.id, COLUMNS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "text stands in quotes"
        raise _NotUnderstoodError(f"{node.id!r} is none of the columns; {hint}")
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = None
    kinds = {bool: COLUMNS["efficient"], int: "a number", float: "a number", str: "text"}
    if type(value) not in kinds:
        raise _NotUnderstoodError(f"{ast.unparse(node)!r} is neither a column nor a value")
    return value, kinds[type(value)]
