"""Dask's own words, kept off the terminal: what matters of them is said in ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

#: What Dask speaks through.
NAMES = ("distributed", "tornado", "asyncio")


@contextmanager
def quiet() -> Iterator[None]:
    """Let Dask say what is critical only, as long as the block lasts."""
    import distributed  # noqa: F401 - it sets the levels of its loggers when it is imported

    # Some below those have a level of their own.
    below = [name for name in logging.root.manager.loggerDict if name.startswith(NAMES)]
    loggers = [logging.getLogger(name) for name in {*NAMES, *below}]
    before = [(logger, logger.level) for logger in loggers if logger.name in NAMES or logger.level]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
