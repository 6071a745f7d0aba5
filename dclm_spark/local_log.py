"""What the logs of tables on this machine's disk say, at a look, where Spark would run a job."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dclm_spark.terminal import shown

Partition = str | int | range | Sequence[str]
"""What a partition column is to be: a value, one of several, or a number of a range."""

_VERSION = re.compile(r"(\d{20})\.(?:json|checkpoint)")

WAIT_SECONDS = 10.0  # of waiting for another process before it is told


class Commit(NamedTuple):
    """One version of one table."""

    version: int
    n_rows: int


class LocalLog:
    """The Delta logs of a folder of tables.

    Args:
        location: The folder, there or not.
    """

    def __init__(self, location: str):
        self._folder = Path(location)

    def versions(self, table: str) -> list[int]:
        """The versions that a table's log still holds, some of them twice; none where there is no table."""
        log = self._log(table)
        entries = os.listdir(log) if log.is_dir() else []
        return [int(match[1]) for entry in entries if (match := _VERSION.match(entry))]

    def commit(self, table: str, metadata: str) -> Commit | None:
        """The latest commit with this user metadata, its rows as Delta counts them; null where the log does not say."""
        for version in sorted(set(self.versions(table)), reverse=True):
            entry = self._log(table) / f"{version:020d}.json"
            if not entry.is_file():  # a checkpoint has taken its place
                return None
            for line in entry.read_text(encoding="utf-8").splitlines():
                info = json.loads(line).get("commitInfo") if '"commitInfo"' in line else None
                if info and info.get("userMetadata") == metadata and "operationMetrics" in info:
                    return Commit(version, int(info["operationMetrics"].get("numOutputRows", 0)))
        return None

    def may_hold(self, table: str, where: Mapping[str, Partition]) -> bool:
        """Whether a file of the table lies, or has lain since the last checkpoint, in these partitions.

        True as well where the log says so in a way that is not known here.
        """
        try:
            return any(_lies_in(values, where) for values in _partitions(self._log(table), self.versions(table)))
        except (OSError, KeyError, TypeError, ValueError, pa.ArrowException):
            return True

    @contextlib.contextmanager
    def sole_maker(self, table: str) -> Iterator[None]:
        """Held by one process of this machine at a time, while it makes a table.

        On a local disk nothing else keeps two first versions of a table apart: Delta looks whether there is one, then
        renames its own into place. The lock of a killed process is free.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a network disk without locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            # Spark takes a log without versions for a table: it neither creates it nor writes to it. Under the lock,
            # such a log is what a killed maker has left.
            if not self.versions(table):
                shutil.rmtree(self._log(table), ignore_errors=True)
            yield
        finally:
            os.close(folder)  # lets go of the lock

    @contextlib.contextmanager
    def sole_writer(self, table: str) -> Iterator[bool]:
        """Held by one process of this machine at a time, while it writes to a table that is there.

        For the same reason: of two commits of one version, the later would take the place of the earlier, rows and all.
        Elsewhere a store refuses the later one, and Delta commits it anew. Who has to wait says so. False on a network
        disk without locks, which keeps nobody apart.
        """
        lock = os.open(self._folder / table, os.O_RDONLY)
        try:
            yield self._has_locked(lock, table)
        finally:
            os.close(lock)  # lets go of the lock

    def _has_locked(self, lock: int, table: str) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = threading.Timer(WAIT_SECONDS, print, [shown(self._waiting(table))], {"file": sys.stderr})
            said.daemon = True
            said.start()
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            finally:
                said.cancel()
        except OSError:
            return False
        return True

    def _waiting(self, table: str) -> str:
        return f"another process writes {self._folder / table}; on a local disk they take turns, and this one waits"

    def _log(self, table: str) -> Path:
        return self._folder / table / "_delta_log"


def _lies_in(partition: Mapping[str, str | None], where: Mapping[str, Partition]) -> bool:
    """Whether a file with these values of its partition columns, as Delta writes them, may hold rows of `where`.

    >>> _lies_in({"dump": "A", "step": "1"}, {"dump": ("A", "B"), "step": range(1, 9)})
    True
    >>> _lies_in({"dump": "A", "step": "1"}, {"dump": "A", "step": 0}), _lies_in({"dump": None}, {"dump": "A"})
    (False, False)
    """

    def is_among(value: str | None, wanted: Partition) -> bool:
        if isinstance(wanted, range):
            return value is not None and int(value) in wanted
        return value in ((str(wanted),) if isinstance(wanted, str | int) else wanted)

    return all(is_among(partition[name], wanted) for name, wanted in where.items())


def _partitions(log: Path, versions: Sequence[int]) -> Iterator[dict[str, str | None]]:
    """The values of the partition columns of each file that the last checkpoint names, or a version after it adds.

    Raises:
        ValueError: The checkpoint names further files that list files.
    """
    checkpoint = max((n for n in versions if _checkpoint(log, n).is_file()), default=-1)
    if checkpoint >= 0:
        with pq.ParquetFile(_checkpoint(log, checkpoint)) as file:
            if "sidecar" in file.schema_arrow.names:
                raise ValueError(f"version {checkpoint} in {log} is a checkpoint of several files")
            added = file.read(columns=["add.partitionValues"]).column("add")
        yield from (dict(row["partitionValues"]) for row in added.to_pylist() if row and row["partitionValues"])
    for version in range(checkpoint + 1, max(versions, default=checkpoint) + 1):
        for line in (log / f"{version:020d}.json").read_text(encoding="utf-8").splitlines():
            action = json.loads(line)
            if "add" in action:
                yield action["add"]["partitionValues"]


def _checkpoint(log: Path, version: int) -> Path:
    return log / f"{version:020d}.checkpoint.parquet"
