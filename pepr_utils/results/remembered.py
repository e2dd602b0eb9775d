"""What several checks ask of one result set is worked out once and kept with the set."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what a function of a result set returns, for as long as that set lives.

    Each caller gets its own copy. Result sets are not changed in place: `dataclasses.replace` makes
    a new one, which remembers nothing.
    """

    @wraps(function)
    def once(result_set: Any, **options: Any) -> Any:
        kept = vars(result_set).setdefault("_remembered", {})
        key = (function.__module__, function.__name__, *sorted(options.items()))
        if key not in kept:
            kept[key] = function(result_set, **options)
        return kept[key].copy()

    return once
