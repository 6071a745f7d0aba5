"""Reads the Delta logs of tables on a local disk directly, which is faster than a Spark job, and locks such tables."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dclm_spark.errors import WarehouseError
from dclm_spark.terminal import shown

Partition = str | int | range | Sequence[str]
"""Condition on a partition column: a value, one of several values, or a number in a range."""

_CHECKSUM = re.compile(r"\.?(\d{20})\.(?:.+\.)?crc")  # Delta's checksum of a version, and Hadoop's of any file
_VERSION = re.compile(r"(\d{20})\.(?:json|checkpoint)")

UNKNOWN_LOG = (OSError, KeyError, TypeError, ValueError, pa.ArrowException)
"""Errors raised for a log that this module cannot read but Delta can."""

WAIT_SECONDS = 10.0  # wait for another process, before a message is printed


class Commit(NamedTuple):
    """One version of one table."""

    version: int
    n_rows: int


class LocalLog:
    """Reads and locks the Delta logs of a folder of tables.

    Args:
        location: Path of the folder, which may not exist.
    """

    def __init__(self, location: str):
        self._folder = Path(location)

    def versions(self, table: str) -> list[int]:
        """Lists the versions in a table's log, some of them twice; empty if there is no table."""
        log = self._log(table)
        entries = os.listdir(log) if log.is_dir() else []
        return [int(match[1]) for entry in entries if (match := _VERSION.match(entry))]

    def commit(self, table: str, metadata: str) -> Commit | None:
        """Finds the latest commit with this user metadata, and Delta's count of its rows; null if not in the log."""
        for version in sorted(set(self.versions(table)), reverse=True):
            entry = self._entry(table, version)
            if not entry.is_file():  # deleted after a checkpoint
                return None
            for line in entry.read_text(encoding="utf-8").splitlines():
                info = json.loads(line).get("commitInfo") if '"commitInfo"' in line else None
                if info and info.get("userMetadata") == metadata and "operationMetrics" in info:
                    return Commit(version, int(info["operationMetrics"].get("numOutputRows", 0)))
        return None

    def info(self, table: str, version: int) -> dict[str, Any]:
        """Reads the log's entry on a commit: `userMetadata`, `timestamp` and so on; empty if the entry was deleted."""
        with contextlib.suppress(FileNotFoundError), open(self._entry(table, version), encoding="utf-8") as entry:
            for line in entry:
                if '"commitInfo"' in line:
                    return json.loads(line).get("commitInfo") or {}
        return {}

    def latest_of(self, table: str, stage: str, dump: str) -> int | None:
        """Returns the latest version that a stage of a dump has committed; null if the log does not tell."""
        for version in sorted(set(self.versions(table)), reverse=True):
            if not self._entry(table, version).is_file():
                return None
            if is_of(self.info(table, version).get("userMetadata"), stage=stage, dump=dump):
                return version
        return None

    def partitions(self, table: str) -> list[dict[str, str | None]]:
        """Lists the distinct values of the partition columns of the table's files; empty if there is no table.

        Raises:
            One of `UNKNOWN_LOG`.
        """
        found = {tuple(values.items()) for values in _partitions(self._log(table), self.versions(table)).values()}
        return [dict(values) for values in found]

    def may_hold(self, table: str, where: Mapping[str, Partition]) -> bool:
        """Returns whether a file of the table lies in these partitions; true as well if the log cannot be read here."""
        try:
            return any(_lies_in(values, where) for values in self.partitions(table))
        except UNKNOWN_LOG:
            return True

    @contextlib.contextmanager
    def sole_maker(self, table: str) -> Iterator[None]:
        """Locks a table while it is created, against other processes on this machine.

        On a local disk nothing else prevents two first versions of a table: Delta checks whether one exists, then
        renames its own into place. The lock of a killed process is released.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a network disk without locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            # Spark takes a log without versions for a table: it neither creates it nor writes to it. Under the lock,
            # such a log can only come from a process that was killed.
            if not self.versions(table):
                shutil.rmtree(self._log(table), ignore_errors=True)
            yield
        finally:
            os.close(folder)  # releases the lock

    @contextlib.contextmanager
    def sole_writer(self, table: str) -> Iterator[bool]:
        """Locks an existing table while it is written, against other processes on this machine.

        On a local disk, of two commits of the same version the later would replace the earlier one and its rows. Other
        stores refuse the later one, and Delta commits it again. A process that waits long prints a message. Yields
        false on a network disk without locks, where nothing is locked.
        """
        lock = os.open(self._folder / table, os.O_RDONLY)
        try:
            is_locked = self._has_locked(lock, table)
            if is_locked:
                self._drop_checksums(table)
            yield is_locked
        finally:
            os.close(lock)  # releases the lock

    def _drop_checksums(self, table: str) -> None:
        """Deletes the checksums of lost versions, which would be applied to the next version with the same number."""
        last = max(self.versions(table), default=-1)
        for entry in os.listdir(self._log(table)):
            if (match := _CHECKSUM.match(entry)) and int(match[1]) > last:
                (self._log(table) / entry).unlink(missing_ok=True)

    @contextlib.contextmanager
    def sole_maker_of(self, stage: str, dump: str | None, *, what: str) -> Iterator[bool]:
        """Locks a stage of a dump, or of several dumps if `dump` is null, against other processes on this machine.

        The lock of a killed process is released. Yields false on a network disk without locks. The table `runs` must
        exist.

        Raises:
            WarehouseError: Another process holds the lock.
        """
        folder = self._folder / "runs" / "_claims"  # readers of Delta ignore names with an underscore
        folder.mkdir(exist_ok=True)
        names = [stage] if dump is None else [stage, f"{stage}.{dump}"]
        with contextlib.ExitStack() as held:
            for name in names:
                lock = os.open(folder / name, os.O_RDONLY | os.O_CREAT, 0o666)
                held.callback(os.close, lock)  # releases the lock
                # Two dumps may be made at the same time, but not while a stage of several dumps is made.
                kind = fcntl.LOCK_SH if dump is not None and name == stage else fcntl.LOCK_EX
                try:
                    fcntl.flock(lock, kind | fcntl.LOCK_NB)
                except BlockingIOError:
                    by = (dump is not None and os.pread(lock, 200, 0).decode()) or "another process"
                    raise WarehouseError(
                        [f"{by} makes {what}, and this one has ended; when that one is done, the same command goes on"]
                    ) from None
                except OSError:
                    yield False
                    return
            with contextlib.suppress(OSError):  # another user's file
                (folder / names[-1]).write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield True

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
        return f"another process writes {self._folder / table}; on a local disk only one can at a time: waiting for it"

    def _entry(self, table: str, version: int) -> Path:
        return self._log(table) / f"{version:020d}.json"

    def _log(self, table: str) -> Path:
        return self._folder / table / "_delta_log"


def _lies_in(partition: Mapping[str, str | None], where: Mapping[str, Partition]) -> bool:
    """Returns whether a file with these partition values, as Delta writes them, may hold rows of `where`.

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


def _partitions(log: Path, versions: Sequence[int]) -> dict[str, dict[str, str | None]]:
    """Reads the partition values of each file of a table: path -> column -> value.

    Raises:
        ValueError: The last checkpoint consists of several files.
    """
    found: dict[str, dict[str, str | None]] = {}
    checkpoint = max((n for n in versions if _checkpoint(log, n).is_file()), default=-1)
    if checkpoint >= 0:
        with pq.ParquetFile(_checkpoint(log, checkpoint)) as file:
            if "sidecar" in file.schema_arrow.names:
                raise ValueError(f"version {checkpoint} in {log} is a checkpoint of several files")
            added = file.read(columns=["add.path", "add.partitionValues"]).column("add")
        found |= {row["path"]: dict(row["partitionValues"]) for row in added.to_pylist() if row and row["path"]}
    for version in range(checkpoint + 1, max(versions, default=checkpoint) + 1):
        lines = (log / f"{version:020d}.json").read_text(encoding="utf-8").splitlines()
        actions = [json.loads(line) for line in lines]
        for action in actions:
            if "remove" in action:
                found.pop(action["remove"]["path"], None)
        added = [action["add"] for action in actions if "add" in action]
        found |= {file["path"]: file["partitionValues"] for file in added}
    return found


def is_of(metadata: str | None, **expected: object) -> bool:
    """Returns whether the user metadata of a commit has all these values.

    >>> is_of('{"run_id": "a", "dump": "A"}', dump="A"), is_of('{"dump": "A"}', run_id="a"), is_of(None, dump="A")
    (True, False, False)
    """
    try:
        said = json.loads(metadata or "null")
    except ValueError:
        return False
    return isinstance(said, dict) and expected.items() <= said.items()


def _checkpoint(log: Path, version: int) -> Path:
    return log / f"{version:020d}.checkpoint.parquet"
