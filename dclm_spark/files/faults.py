"""Judges the errors of remote stores: which are lasting, and when to try again after the others."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time

from dclm_spark.files.addresses import is_web
from dclm_spark.files.reach import RefusedError

PAUSES_SECONDS = (1.0, 5.0, 15.0)
"""Pauses before the second try and later ones. Each is longer by up to a half, depending on the address, so that many
tasks that fail together do not retry together."""

LONGEST_PAUSE_SECONDS = 60.0
"""Longest pause that a server can request (Retry-After)."""


def is_missing(error: FileNotFoundError, address: str) -> bool:
    """Returns whether a file does not exist; for a web server that does not answer, fsspec raises the same with a
    cause."""
    return not is_web(address) or error.__cause__ is None or getattr(error.__cause__, "status", None) in (404, 410)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and all its causes and contexts, each once, since they may form a cycle."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def refusal(error: BaseException) -> RefusedError | None:
    """Finds the `RefusedError` among the causes of a library's error; null if there is none."""
    return next((one for one in _chain(error) if isinstance(one, RefusedError)), None)


def is_busy(error: BaseException) -> bool:
    """Returns whether a server has answered that it is busy."""
    statuses = [_status(one) for one in _chain(error)]
    return any(isinstance(one, int) and (one in (408, 425, 429) or one >= 500) for one in statuses)


def _status(error: BaseException) -> object:
    """Returns the HTTP status that a library's error carries; null if there is none."""
    status = getattr(error, "status", None)  # aiohttp's
    answer = getattr(error, "response", None)  # botocore's
    if status is None and isinstance(answer, Mapping):
        return answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def pause(seconds: float, error: BaseException, address: str) -> float:
    """Returns the pause before the next try in seconds: the planned one and a bit more, or what the server requests."""
    spread = seconds * (1 + zlib.crc32(address.encode()) % 256 / 512)
    return min(max(spread, retry_after(error)), max(spread, LONGEST_PAUSE_SECONDS))


def retry_after(error: BaseException) -> float:
    """Returns the seconds in the header Retry-After of the response behind an error; 0 if there is none."""
    for one in _chain(error):
        answer = getattr(one, "response", None)  # botocore's
        headers = getattr(one, "headers", None)  # aiohttp's
        if isinstance(answer, Mapping):
            headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders")
        value = {str(name).lower(): str(text).strip() for name, text in (headers or {}).items()}.get("retry-after")
        if value and value.isascii() and value.isdigit():
            return float(value[:9])
        if value:
            with suppress(TypeError, ValueError):
                return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    return 0.0
