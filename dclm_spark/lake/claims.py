"""The claim of a process to a stage of a dump: of two that make the same rows, one alone can write them.

On a disk of this machine a claim is a lock, which a killed process lets go of; who comes second is refused. A store
without locks cannot tell who still lives: there the latest claim holds, and who has lost it is kept out by Delta. Each
claim has a number above those before it, which is the high half of the `txnVersion` of all that it commits, under one
`txnAppId` for the stage and dump: Delta passes over a number at or below the last, and lets one of two that are
committed at once fail.
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
from dclm_spark.lake.warehouse import Batch, Warehouse, frame_of, is_clash

ALL_DUMPS = "*"
"""The name under which a stage is claimed that looks at several dumps."""

MAX_TRIES = 20
"""Claims that may be lost one after another to others who claim in the same moment."""

_NUMBERS = 1 << 32  # commits of a claim

_Seen = TypeVar("_Seen")


@contextmanager
def claimed(
    warehouse: Warehouse, stage: str, dumps: Sequence[str], *, is_wide: bool = False, tables: Sequence[str] = ("runs",)
) -> Iterator[None]:
    """Held while a stage of dumps is made; what was read before it may be old.

    Args:
        warehouse: Where the rows are written; its table `runs` is there.
        stage: The stage.
        dumps: The dumps that it makes.
        is_wide: True if it looks at other dumps too, whose rows nobody may make meanwhile.
        tables: The tables into which no process with an earlier claim may write from now on. Those that are replaced
            as a whole need not be named.

    Raises:
        WarehouseError: Another process makes them, or comes to make them meanwhile.
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
    """A claim on a store without locks.

    Args:
        warehouse: Where the rows are written.
        stage: The stage.
        key: Its dump, or `ALL_DUMPS`.
        what: What is claimed, in words.

    Raises:
        WarehouseError: Others claim it, again and again.
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
        """True as long as no other process has claimed the same."""
        last = self._latest()
        return last is not None and last[1] == self._id

    def fence(self, tables: Sequence[str]) -> None:
        """Commits nothing but the claim's number to these tables: no earlier claim's commit can follow."""
        for table in tables:
            self._warehouse.close_batches(table, (self._app, self._number * _NUMBERS))

    def batch(self) -> Batch:
        """What the next commit is to carry."""
        return self._app, self._number * _NUMBERS + next(self._numbers)

    def check(self) -> None:
        """Refuses to go on where another process has claimed the same.

        Raises:
            WarehouseError: It says who.
        """
        last = self._latest()
        if last is None or last[1] != self._id:
            raise WarehouseError([self._taken(last[2] if last is not None else "another process")])

    def lost(self) -> WarehouseError:
        """What is said where Delta has refused a commit."""
        last = self._latest()
        return WarehouseError([self._taken("another process" if last is None or last[1] == self._id else last[2])])

    def _taken(self, by: str) -> str:
        return f"{by} has begun to make {self._what} as well: it goes on, and this one has ended"


def look(warehouse: Warehouse, tables: Sequence[str], find: Callable[[], _Seen]) -> tuple[_Seen, Callable[[], _Seen]]:
    """What is found in these tables, and what gives it again later, having looked anew if they have changed since."""
    before = warehouse.mark(*tables)
    found = find()
    return found, lambda: found if warehouse.mark(*tables) == before else find()
