"""Lets a process claim a stage of a dump, so that of two processes that make the same rows only one can write them.

On a local disk a claim is a lock, which is released when its process is killed; a second process is refused. A store
without locks cannot tell which processes are alive: there the latest claim wins, and Delta refuses commits of earlier
ones. Each claim has a number above all earlier ones. It is the high half of the `txnVersion` of all its commits, under
one `txnAppId` for the stage and dump: Delta ignores a number at or below the last, and lets one of two simultaneous
commits fail.
"""

import datetime as dt
import itertools
import os
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import WarehouseError
from dclm_spark.lake.guards import Batch, is_clash
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.spark.rows import frame_of

ALL_DUMPS = "*"
"""Used instead of a dump's name to claim a stage that compares several dumps."""

MAX_TRIES = 20
"""Number of tries to claim, each lost to another process that claims at the same moment."""

_NUMBERS = 1 << 32  # largest number of commits of a claim

_Seen = TypeVar("_Seen")


@contextmanager
def claimed(
    warehouse: Warehouse, stage: str, dumps: Sequence[str], *, is_wide: bool = False, tables: Sequence[str] = ("runs",)
) -> Iterator[None]:
    """Claims a stage of dumps while it is made; what was read before the claim may be out of date.

    Args:
        warehouse: The warehouse that rows are written to; its table `runs` exists.
        stage: Name of the stage.
        dumps: The dumps whose rows are made.
        is_wide: Whether the stage reads other dumps too, whose rows no other process may make at the same time.
        tables: The tables that no process with an earlier claim may write to from now on. Tables whose rows are
            replaced as a whole need not be named.

    Raises:
        WarehouseError: Another process makes the same rows already, or begins to during the claim.
    """
    what = f"{stage} of {', '.join(dumps)} in {warehouse}"
    with warehouse.locked(stage, None if is_wide else dumps[0], what=what) as is_locked:
        if is_locked:
            yield
            return
        warehouse.prepare("claims")
        claim = Claim(warehouse, stage, ALL_DUMPS if is_wide else dumps[0], what)
        claim.fence(tables)
        with warehouse.guarded(claim):
            yield


class Claim:
    """Claims a stage on a store without locks.

    Args:
        warehouse: The warehouse that rows are written to.
        stage: Name of the stage.
        key: Name of the dump, or `ALL_DUMPS`.
        what: Description of what is claimed, for messages.

    Raises:
        WarehouseError: Other processes have claimed it `MAX_TRIES` times.
    """

    def __init__(self, warehouse: Warehouse, stage: str, key: str, what: str):
        self._warehouse, self._stage, self._key, self._what = warehouse, stage, key, what
        self._id = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        for _ in range(MAX_TRIES):
            last = self._latest()
            self._number = last[0] + 1 if last is not None else 1
            self._try()
            if self.is_latest():
                return
        raise WarehouseError([f"{self._what}: {MAX_TRIES} other processes have claimed it meanwhile"])

    def _try(self) -> None:
        started_at, by = dt.datetime.now(dt.UTC), f"process {os.getpid()} on {socket.gethostname()}"
        row = (self._key, self._stage, self._number, self._id, by, started_at)
        rows = frame_of(self._warehouse.spark, [row], schemas.CLAIMS)
        where, lineage = {"dump": self._key, "stage": self._stage}, {"claim": self._id}
        try:
            self._warehouse.overwrite(rows, "claims", lineage=lineage, batch=(self._app, self._number), **where)
        except Exception as error:
            if not is_clash(error):
                raise

    def _latest(self) -> tuple[int, str, str] | None:
        rows = self._warehouse.read("claims", dump=self._key, stage=self._stage)
        row = rows.select("number", "claim_id", "claimed_by").orderBy(F.desc("number"), "claim_id").head()
        return None if row is None else tuple(row)

    @property
    def _app(self) -> str:
        return f"dclm_spark {self._stage} of {self._key}"

    def is_latest(self) -> bool:
        """Returns whether no other process has claimed the same since."""
        last = self._latest()
        return last is not None and last[1] == self._id

    def fence(self, tables: Sequence[str]) -> None:
        """Commits only the claim's number to these tables, so that commits of earlier claims are refused."""
        for table in tables:
            self._warehouse.close_batches(table, (self._app, self._number * _NUMBERS))

    def batch(self) -> Batch:
        """Returns the `txnAppId` and `txnVersion` for the next commit."""
        return self._app, self._number * _NUMBERS + next(self._numbers)

    def check(self) -> None:
        """Raises an error if another process has claimed the same.

        Raises:
            WarehouseError: Another process has; the message names it.
        """
        last = self._latest()
        if last is None or last[1] != self._id:
            raise WarehouseError([self._taken(last[2] if last is not None else "another process")])

    def lost(self) -> WarehouseError:
        """Returns the error for a commit that Delta has refused."""
        last = self._latest()
        return WarehouseError([self._taken("another process" if last is None or last[1] == self._id else last[2])])

    def _taken(self, by: str) -> str:
        return f"{by} has begun to make {self._what} as well: it continues, and this one has ended"


def look(warehouse: Warehouse, tables: Sequence[str], find: Callable[[], _Seen]) -> tuple[_Seen, Callable[[], _Seen]]:
    """Calls `find`, and returns its result with a function that calls it again only if the tables have changed
    since."""
    before = warehouse.history.mark(*tables)
    found = find()
    return found, lambda: found if warehouse.history.mark(*tables) == before else find()
