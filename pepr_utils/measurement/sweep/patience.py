"""Questions to others that may never be answered: each is given up after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

Answer = TypeVar("Answer")


def patiently(
    ask: Callable[[], Answer], patience_s: float, *, hurried: Callable[[], bool] = lambda: False
) -> Answer:
    """Return what a function gives, unless it takes too long.

    It is called in a thread of its own, which nothing waits for, so that signals are heard in the
    meantime.

    Parameters
    ----------
    ask : callable
        Asks, and may never return.
    patience_s : float
        How long to wait (s).
    hurried : callable, optional
        Says when to wait no longer.

    Raises
    ------
    TimeoutError
        If there was no answer by then.

    Examples
    --------
    >>> patiently(lambda: "here", 5)
    'here'
    """
    answer: Future[Answer] = Future()

    def answered() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked
            answer.set_exception(error)

    Thread(target=answered, daemon=True).start()
    end = time.monotonic() + patience_s
    while not wait([answer], timeout=0.1).done:
        if hurried() or time.monotonic() > end:
            raise TimeoutError(f"no answer within {patience_s:g} s")
    return answer.result()
