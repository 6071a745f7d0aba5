"""Reads the Delta logs of tables on a local disk directly, which is faster than a Spark job.

A run looks up dozens of versions and commits. On tables of 10 to 1000 commits, with two busy cores, Spark took 0.6 to
5 s for each, this module 0.04 to 180 ms, and the package deltalake 5 to 130 ms (`python -m
benchmarks.programs.delta_logs`). deltalake cannot replace this module, which has to find entries that a log has lost:
the package refuses a log whose last entries are missing but not their checksums, and gives wrong numbers to the commits
before a missing entry. It would also add 55 MB of wheels to the dependencies.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

Partition = str | int | range | Sequence[str]
"""Condition on a partition column: a value, one of several values, or a number in a range."""

_VERSION = re.compile(r"(\d{20})\.(?:json|checkpoint)")

UNKNOWN_LOG = (OSError, KeyError, TypeError, ValueError, pa.ArrowException)
"""Errors raised for a log that this module cannot read but Delta can."""


class Commit(NamedTuple):
    """One version of one table."""

    version: int
    n_rows: int


class LocalLog:
    """Reads the Delta logs of a folder of tables.

    Args:
        location: Path of the folder, which may not exist.
    """

    def __init__(self, location: str):
        self._folder = Path(location)

    def folder(self, table: str) -> Path:
        """Returns the folder of a table's log."""
        return self._folder / table / "_delta_log"

    def versions(self, table: str) -> set[int]:
        """Lists the versions in a table's log; empty if there is no table."""
        log = self.folder(table)
        entries = os.listdir(log) if log.is_dir() else []
        return {int(match[1]) for entry in entries if (match := _VERSION.match(entry))}

    def info(self, table: str, version: int) -> dict[str, Any]:
        """Reads the log's entry on a commit: `userMetadata`, `timestamp` and so on; empty if the entry was deleted."""
        try:
            with open(_entry(self.folder(table), version), encoding="utf-8") as entry:
                return next((json.loads(line)["commitInfo"] for line in entry if '"commitInfo"' in line), {})
        except FileNotFoundError:
            return {}

    def commit(self, table: str, metadata: str) -> Commit | None:
        """Finds the latest commit with this user metadata, and Delta's count of its rows; null if not in the log."""
        for version, info in self._latest(table):
            if info.get("userMetadata") == metadata and "operationMetrics" in info:
                return Commit(version, int(info["operationMetrics"].get("numOutputRows", 0)))
        return None

    def latest_of(self, table: str, stage: str, dump: str) -> int | None:
        """Returns the latest version that a stage of a dump has committed; null if the log does not tell."""
        commits = self._latest(table)
        return next(
            (version for version, info in commits if is_of(info.get("userMetadata"), stage=stage, dump=dump)), None
        )

    def _latest(self, table: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields versions and their entries, the latest first, up to one that was deleted after a checkpoint."""
        for version in sorted(self.versions(table), reverse=True):
            if not _entry(self.folder(table), version).is_file():
                return
            yield version, self.info(table, version)

    def partitions(self, table: str) -> list[dict[str, str | None]]:
        """Lists the distinct values of the partition columns of the table's files; empty if there is no table.

        Raises:
            One of `UNKNOWN_LOG`.
        """
        found = {tuple(values.items()) for values in _partitions(self.folder(table), self.versions(table)).values()}
        return [dict(values) for values in found]

    def may_hold(self, table: str, where: Mapping[str, Partition]) -> bool:
        """Returns whether a file of the table lies in these partitions; true as well if the log cannot be read here."""
        try:
            return any(_lies_in(values, where) for values in self.partitions(table))
        except UNKNOWN_LOG:
            return True


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


def _partitions(log: Path, versions: set[int]) -> dict[str, dict[str, str | None]]:
    """Reads the partition values of each file of a table: path -> column -> value.

    Raises:
        ValueError: The last checkpoint consists of several files.
    """
    checkpoint = max((n for n in versions if _checkpoint(log, n).is_file()), default=-1)
    found = _in_checkpoint(_checkpoint(log, checkpoint)) if checkpoint >= 0 else {}
    for version in range(checkpoint + 1, max(versions, default=checkpoint) + 1):
        actions = [json.loads(line) for line in _entry(log, version).read_text(encoding="utf-8").splitlines()]
        for action in actions:
            if "remove" in action:
                found.pop(action["remove"]["path"], None)
        found |= {action["add"]["path"]: action["add"]["partitionValues"] for action in actions if "add" in action}
    return found


def _in_checkpoint(checkpoint: Path) -> dict[str, dict[str, str | None]]:
    with pq.ParquetFile(checkpoint) as file:
        rows = file.read(columns=["add.path", "add.partitionValues", "sidecar"])
    # A checkpoint of one file has no column `sidecar` if Spark wrote it, and one without values if delta-rs did.
    if "sidecar" in rows.column_names and rows.column("sidecar").null_count < len(rows):
        raise ValueError(f"{checkpoint} is a checkpoint of several files")
    return {row["path"]: dict(row["partitionValues"]) for row in rows.column("add").to_pylist() if row and row["path"]}


def is_of(metadata: str | None, **expected: object) -> bool:
    """Returns whether the user metadata of a commit has all these values.

    >>> is_of('{"run_id": "a", "dump": "A"}', dump="A"), is_of('{"dump": "A"}', run_id="a"), is_of(None, dump="A")
    (True, False, False)
    """
    try:
        found = json.loads(metadata or "null")
    except ValueError:
        return False
    return isinstance(found, dict) and expected.items() <= found.items()


def _entry(log: Path, version: int) -> Path:
    return log / f"{version:020d}.json"


def _checkpoint(log: Path, version: int) -> Path:
    return log / f"{version:020d}.checkpoint.parquet"
