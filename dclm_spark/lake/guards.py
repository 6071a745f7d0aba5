"""Declares what protects commits from another process that makes the same rows, and recognizes Delta's refusals."""

import re
from typing import Protocol

from dclm_spark.errors import WarehouseError

Batch = tuple[str, int]
"""Delta's `txnAppId` and `txnVersion`: a number is committed at most once, and no lower number after it."""

_CAME_BETWEEN = re.compile(r"Concurrent\w+Exception|DELTA_CONCURRENT_|DELTA_PROTOCOL_CHANGED")
"""Errors of Delta that mean: another process has committed to what this transaction has read or writes."""


def is_clash(error: Exception) -> bool:
    """Returns whether Delta has refused a commit because another process has committed in between."""
    return bool(_CAME_BETWEEN.search(f"{type(error).__name__}: {error}"))


class Guard(Protocol):
    """Protects the commits of a thread from another process that makes the same rows."""

    def batch(self) -> Batch:
        """Returns the `txnAppId` and `txnVersion` for the next commit."""

    def check(self) -> None:
        """Raises an error if another process has taken over; Delta may then have ignored a commit."""

    def lost(self) -> WarehouseError:
        """Returns the error for a commit that Delta has refused."""
