"""The connection to a Dask scheduler that runs, by its address or its file."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from pepr_utils.measurement.sweep.state import SweepError

#: A scheduler that has just begun may be writing its file for so long (s).
WRITTEN_AFTER_S = 5.0
#: An address of a scheduler: protocol, host and port.
_ADDRESS = re.compile(r"(?:(?:tcp|tls|ucxx?|wss?)://)?(?:\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")


def connect(scheduler: str, timeout_s: float) -> Any:
    """Return a client of a scheduler.

    Parameters
    ----------
    scheduler : str
        Its address, or the path of its file.
    timeout_s : float
        How long to wait for an answer.

    Raises
    ------
    SweepError
        If it is neither, or the file names no address, or nobody answers.
    """
    path = Path(scheduler)
    if path.suffix == ".json" or path.is_file():
        if not path.is_file():
            raise SweepError(
                f"the scheduler file {scheduler} is not there; dask scheduler --scheduler-file "
                f"{scheduler} writes it"
            )
        _check_file(path, min(timeout_s, WRITTEN_AFTER_S))
        place = {"scheduler_file": str(path)}
    else:
        _check_address(scheduler)
        place = {"address": scheduler}
    try:
        return _client(place, timeout_s)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise SweepError(
            f"no scheduler answers at {scheduler} ({type(error).__name__}); start one with "
            "dask scheduler, or leave --scheduler out to use this machine"
        ) from None


def shows_dashboard(link: str) -> bool:
    """Whether something may be seen under a dashboard's address.

    A scheduler that was started without one names an address all the same, where there is no page.
    One that cannot be reached from here may be so from elsewhere.
    """
    if not link.startswith(("http://", "https://")):
        return True
    try:
        with build_opener(ProxyHandler({})).open(link, timeout=2):
            return True
    except HTTPError as error:
        return error.code != HTTPStatus.NOT_FOUND
    except (OSError, ValueError, HTTPException):
        return True


def _check_file(path: Path, seconds: float) -> None:
    """Raise unless a scheduler file names an address, at the latest after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            content = path.read_bytes()
            if isinstance(json.loads(content)["address"], str):
                return
            why = "its address is no text"
        except KeyError:
            why = "it has no address"
        except (ValueError, TypeError):
            why = "it is not the JSON of a scheduler" if content else "it is empty"
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        if time.monotonic() >= until:
            raise SweepError(
                f"the scheduler file {path} names no scheduler: {why}; end the scheduler that "
                f"wrote it, remove it and start dask scheduler --scheduler-file {path} again"
            )
        time.sleep(0.1)


def _check_address(scheduler: str) -> None:
    """Raise unless this is how an address is written: Dask would wait for any word."""
    match = _ADDRESS.fullmatch(scheduler)
    if match is None or not 0 < int(match[1]) < 2**16:
        raise SweepError(
            f"the scheduler {scheduler!r} is neither a file nor an address; allowed: an address "
            "such as tcp://node7:8786, or the path of a scheduler file"
        )


def _client(place: dict[str, str], timeout_s: float) -> Any:
    """Connect; a client that cannot is closed at once, since Python's end would wait for it."""
    from distributed import Client

    class Closing(Client):
        def start(self, **options: Any) -> Any:
            try:
                return super().start(**options)
            except Exception:
                with suppress(Exception):
                    self.close(timeout=2)
                raise

    return Closing(**place, timeout=timeout_s, set_as_default=False)
