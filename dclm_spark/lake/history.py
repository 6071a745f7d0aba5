"""Answers questions about versions and commits of tables: from the log on a local disk, elsewhere by Spark SQL."""

import contextlib
import json
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from dclm_spark.lake.local_log import UNKNOWN_LOG, Commit, LocalLog, Partition, is_of
from dclm_spark.spark.rows import only_row

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

CLOCK_SECONDS = 5.0  # largest difference of two machines' clocks

MOST_LATER = 100
"""Largest number of versions after the searched one that are read from a table's history; each is one file."""


class History:
    """Finds versions and commits of a warehouse's tables.

    Args:
        spark: The session to work in.
        name: Function from a table to its name in SQL.
        log: Reader of the tables' logs; null if they are not on a local disk.
    """

    def __init__(self, spark: "SparkSession", name: Callable[[str], str], log: LocalLog | None):
        self._spark, self._name, self._log = spark, name, log

    def exists(self, table: str) -> bool:
        """Returns whether the table has been created, empty or not."""
        if self._log is not None:
            return bool(self._log.versions(table))
        try:
            self._spark.sql(f"DESCRIBE DETAIL {self._name(table)}").head()
        except PySparkException:
            return False
        return True

    def version(self, table: str) -> int:
        """Returns the latest version of a table."""
        if self._log is not None:
            return max(self._log.versions(table))
        return only_row(self._described(table, 1))["version"]

    def commit(self, table: str, lineage: Mapping[str, object]) -> Commit:
        """Finds the commit with this lineage; its row count is Delta's own, so that no second pass counts rows."""
        metadata = json.dumps(lineage, sort_keys=True)
        if self._log is not None and (found := self._log.commit(table, metadata)) is not None:
            return found
        row = self._described(table, 1000).where(F.col("userMetadata") == metadata).orderBy(F.desc("version")).head()
        if row is None:  # no rows replaced no rows, so Delta has committed nothing
            return Commit(self.version(table), 0)
        return Commit(row["version"], int(row["operationMetrics"].get("numOutputRows", 0)))

    def mark(self, *tables: str) -> object:
        """Returns a value that is equal until the next commit to these tables; on other stores than a local disk,
        never."""
        if self._log is None:
            return object()
        return [max(self._log.versions(table), default=0) for table in tables]  # an empty new table has version 0

    def own_version(self, table: str, *, stage: str, dump: str) -> int | None:
        """Returns the latest version of a table that a stage of a dump has committed; null if none is known."""
        if self._log is not None:
            return self._log.latest_of(table, stage, dump)
        row = self._described(table, MOST_LATER).where(_is_of(stage=stage, dump=dump)).orderBy(F.desc("version")).head()
        return None if row is None else row["version"]

    def lost(self, run: Mapping[str, Any], *tables: str, latest: Mapping[str, int] | None = None) -> dict[str, int]:
        """Finds table versions that a run has recorded and that are lost: table -> version.

        Either the table's log has lost its last entries, or these have been replaced by later commits of another stage
        or dump. A version that is too old to be in the log, after a year, does not count as lost.

        Args:
            run: A row of `runs`.
            tables: Only these tables; all tables that the run has written if none is given.
            latest: The latest versions, if they are known; a store other than a local disk is then not queried, and
                only the version numbers are compared.
        """
        found = {}
        ended = run["started_at"].timestamp() + run["seconds"] + CLOCK_SECONDS
        for table, version in run["output_versions"].items():
            if tables and table not in tables:
                continue
            if latest is None or table not in latest:
                last = self.version(table) if self.exists(table) else -1
            else:
                last = latest[table]
            is_lost = last < version
            if not is_lost and (latest is None or self._log is not None):
                metadata, committed = self._committed(table, version, last)
                is_lost = committed > ended and not is_of(metadata, stage=run["stage"], dump=run["dump"])
            if is_lost:
                found[table] = version
        return found

    def _committed(self, table: str, version: int, last: int) -> tuple[str | None, float]:
        """Returns the user metadata of a commit, and its time in seconds; null and 0 if the log does not tell."""
        if self._log is not None:
            info = self._log.info(table, version)
            return info.get("userMetadata"), info.get("timestamp", 0) / 1000
        if last - version >= MOST_LATER:
            return None, 0.0
        row = self._described(table, last - version + 1).where(F.col("version") == version).head()
        return (None, 0.0) if row is None else (row["userMetadata"], row["timestamp"].timestamp())

    def partitions(self, table: str) -> list[dict[str, str | None]] | None:
        """Lists the distinct partition values of a table's rows; null if the log does not tell."""
        if self._log is not None:
            with contextlib.suppress(*UNKNOWN_LOG):
                return self._log.partitions(table)
        return None

    def may_hold(self, table: str, where: Mapping[str, Partition]) -> bool:
        """Returns whether a table may have rows in these partitions; true as well if the log does not tell."""
        return self._log is None or self._log.may_hold(table, where)

    def _described(self, table: str, n_versions: int) -> "DataFrame":
        return self._spark.sql(f"DESCRIBE HISTORY {self._name(table)} LIMIT {n_versions}")


def _is_of(**expected: str) -> "Column":
    """Builds a condition on a row of a history: its user metadata has all these values."""
    values = (F.get_json_object("userMetadata", f"$.{name}") == value for name, value in expected.items())
    return reduce(operator.and_, values)
