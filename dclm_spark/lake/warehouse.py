"""Reads and writes all tables; a warehouse is a folder of Delta tables, or `catalog.schema`."""

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import WarehouseError
from dclm_spark.lake.local_locks import LocalLocks
from dclm_spark.lake.local_log import UNKNOWN_LOG, Commit, LocalLog, Partition, is_of
from dclm_spark.lake.locations import schema_of
from dclm_spark.spark.planning import written_for_all
from dclm_spark.spark.rows import only_row
from dclm_spark.spark.types import missing_columns, quoted, spark_columns, spark_schema, spark_type, type_conflicts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

# Versions that a run has read stay readable for a year, unless `maintain` is told otherwise. Minimum and maximum of
# each column of a file are not stored: they would not skip more than partitions do, since rows are in the order of the
# crawl, and they took two fifths of the JVM's work for `signatures`. Delta still counts the rows of each file.
PROPERTIES = {
    "delta.dataSkippingNumIndexedCols": "0",
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 365 days",
}

_CLASH = re.compile(r"ProtocolChanged|Concurrent|AlreadyExists|ALREADY_EXISTS|NON_EMPTY_LOCATION")
"""Errors of Spark and Delta that mean: another process is creating the table or the schema, or has just done so."""

CLOCK_SECONDS = 5.0  # largest difference of two machines' clocks

MOST_LATER = 100
"""Largest number of versions after the searched one that are read from a table's history; each is one file."""

LISTING_SECONDS = 10.0  # until a catalog lists a table that another process has just created

_DUMP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def check_dump(dump: str) -> list[str]:
    """Lists what is wrong with a dump's name, one sentence each: it names a partition, so it must be a plain name.

    >>> check_dump("CC-MAIN-2022-05")
    []
    >>> len(check_dump("../etc"))
    1
    """
    if _DUMP.fullmatch(dump) and ".." not in dump:
        return []
    return [
        f"the dump name {dump!r} cannot name a partition; expected letters, digits, '-', '_' and single '.', "
        "beginning with a letter or digit, at most 128, such as CC-MAIN-2022-05"
    ]


def frame_of(spark: "SparkSession", rows: Sequence[tuple], schema: "pa.Schema") -> "DataFrame":
    """Makes a DataFrame of one partition from a small number of rows on the driver.

    With pandas, rows are sent to the JVM as Arrow. Without it, a plain list is used, which needs a Python task.
    """
    rows = list(rows)
    with contextlib.suppress(ImportError):
        import pandas as pd

        rows = pd.DataFrame(rows, columns=schema.names, dtype=object)
    return spark.createDataFrame(rows, spark_schema(schema)).coalesce(1)


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


class Warehouse:
    """Reads and writes the tables of one recipe's chain.

    Args:
        spark: The session to work in.
        location: A folder (a path or any URL that Spark can write), or `catalog.schema`, with back-ticks around a part
            that has a dot. A folder whose name looks like a schema is written `./name.name`.

    Raises:
        WarehouseError: The location may mean a folder or a schema, and as written is neither.
    """

    def __init__(self, spark: "SparkSession", location: str):
        self.spark = spark
        self._schema = schema_of(location)
        self.is_catalog = self._schema is not None
        is_local = not self.is_catalog and not re.match(r"\w+:", location) and _shares_this_disk(spark)
        self.location = os.path.abspath(location) if is_local else location.rstrip("/")
        if self._schema is not None:
            self.location = str(self._schema)
        self._log = LocalLog(self.location) if is_local else None
        self._locks = LocalLocks(self.location) if is_local else None
        self._local = threading.local()

    def __str__(self) -> str:
        return self.location

    def name(self, table: str) -> str:
        """Returns the table's name in SQL."""
        if self._schema is not None:
            return self._schema.sql(table)
        return f"delta.`{self.location}/{table}`"

    def problems(self) -> list[str]:
        """Lists why the warehouse cannot be written, one sentence each, as far as it shows without writing."""
        if self._schema is None and "`" in self.location:
            return [f"the warehouse {self.location!r} contains a backtick, which no table path may"]
        if self._log is None:
            return []
        existing = next(folder for folder in (Path(self.location), *Path(self.location).parents) if folder.exists())
        if not existing.is_dir():
            return [f"the warehouse {self.location} cannot be made: {existing} is a file; name a folder"]
        if not os.access(existing, os.W_OK):
            return [f"the warehouse {self.location} cannot be written: no permission to write in {existing}"]
        return []

    def exists(self, table: str) -> bool:
        """Returns whether the table has been created, empty or not."""
        if self._log is not None:
            return bool(self._log.versions(table))
        try:
            self.spark.sql(f"DESCRIBE DETAIL {self.name(table)}").head()
        except PySparkException:
            return False
        return True

    def prepare(self, *tables: str) -> set[str]:
        """Creates missing tables, and checks existing ones against their schemas; returns the names of those created.

        Two processes that write a table's first rows clash, so each table is created empty.

        Raises:
            WarehouseError: A table cannot be created, or has a column of another type.
        """
        missing = {table for table in tables if not self.exists(table)}
        for table in tables:
            if table in missing:
                self._create(table)
            else:
                self._check(table)
        return missing

    def _create(self, table: str) -> None:
        properties = ", ".join(f"'{key}' = '{value}'" for key, value in PROPERTIES.items())
        try:
            with self._locks.creating(table) if self._locks is not None else contextlib.nullcontext():
                if self._schema is not None:
                    self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self._schema.sql()}")
                self.spark.sql(
                    f"CREATE TABLE IF NOT EXISTS {self.name(table)} ({spark_columns(schemas.TABLES[table])}) "
                    f"USING DELTA PARTITIONED BY ({', '.join(schemas.PARTITIONS[table])}) "
                    f"COMMENT {quoted(schemas.DESCRIPTIONS[table])} TBLPROPERTIES ({properties})"
                )
        except Exception as error:  # file system errors of the JVM have several classes
            # Another process may have created the table at this moment, which is fine; a catalog lists it a moment
            # later.
            deadline = time.monotonic() + (LISTING_SECONDS if _CLASH.search(str(error)) else 0)
            while not self.exists(table):
                if time.monotonic() >= deadline:
                    reason = _first_line(error)
                    raise WarehouseError([f"the warehouse {self.location} cannot be written: {reason}"]) from None
                time.sleep(0.1)

    def _check(self, table: str) -> None:
        conflicts = type_conflicts(self.spark.table(self.name(table)).dtypes, schemas.TABLES[table])
        problems = [
            f"column {name} of {self.name(table)} is {found}; expected {expected}: written by another version?"
            for name, found, expected in conflicts
        ]
        if problems:
            raise WarehouseError(problems)

    def read(self, table: str, *, version: int | None = None, **where: Partition) -> "DataFrame":
        """Reads a table's rows in the given partitions, such as `dump="CC-MAIN-2022-05"`.

        A column or signal that an older version of the package did not write is null.

        Args:
            table: A name in `schemas.TABLES`.
            version: The Delta version; null: the latest.
            where: Partition column -> value, or several values.
        """
        if version is None:
            rows = self.spark.table(self.name(table))
        else:
            rows = self.spark.sql(f"SELECT * FROM {self.name(table)} VERSION AS OF {int(version)}")
        rows = rows.where(_matches(where)) if where else rows
        return rows.withColumns(missing) if (missing := missing_columns(rows, schemas.TABLES[table])) else rows

    def append(
        self, rows: "DataFrame", table: str, *, lineage: Mapping[str, object], batch: Batch | None = None
    ) -> None:
        """Appends rows; with `batch` (an attempt's id, an increasing number) the same batch is never appended twice.

        Delta ignores, without any message, a batch whose number is at or below the attempt's last one.
        """
        with self._guarding(), self.writing(table):
            self._writer(rows, table, lineage, batch).append()

    def close_batches(self, table: str, batch: Batch) -> None:
        """Commits this batch number without rows, so that no batch at or below it can be committed later."""
        while True:
            try:
                return self.append(self._no_rows(table), table, lineage={"closed": list(batch)}, batch=batch)
            except Exception as error:
                if not is_clash(error):
                    raise

    def replace(self, rows: "DataFrame", table: str, *, lineage: Mapping[str, object], **where: Partition) -> Commit:
        """Replaces the rows of partitions, and returns the commit."""
        self.overwrite(rows, table, lineage=lineage, batch=None, **where)
        return self.commit(table, lineage)

    def overwrite(
        self,
        rows: "DataFrame",
        table: str,
        *,
        lineage: Mapping[str, object],
        batch: Batch | None = None,
        **where: Partition,
    ) -> None:
        """Replaces the rows of the given partitions in one commit; fails on rows of other partitions."""
        here = _matches(where)
        with self._guarding(), self.writing(table) as is_alone:
            if is_alone and self._log is not None and not self._log.may_hold(table, where):
                # Most dumps are new to a table, so an append does. With replaceWhere, Delta would search for rows to
                # delete, in three jobs for each write.
                words = F.lit(f"a row of {table} lies outside of {where}")
                checked = rows.withColumn("dump", F.when(here, F.col("dump")).otherwise(F.raise_error(words)))
                self._writer(checked, table, lineage, batch).append()
            else:
                self._writer(rows, table, lineage, batch).overwrite(here)

    def delete(self, table: str, *, files: Sequence[str] | None = None, **where: str | int) -> None:
        """Deletes the rows of the given partitions; with `files`, only rows read from these files."""
        if self._guard is not None:  # a DELETE cannot carry the guard's number
            parts: dict[str, Partition] = {**where} if files is None else {**where, "warc_path": list(files)}
            return self.overwrite(self._no_rows(table), table, lineage={"deleted": where}, batch=None, **parts)
        conditions = " AND ".join(f"{column} = '{value}'" for column, value in where.items())
        if files is not None:
            # By hash, because quoting a path in SQL depends on the session's settings.
            hashes = ", ".join(f"'{hashlib.md5(path.encode()).hexdigest()}'" for path in files)
            conditions += f" AND md5(warc_path) IN ({hashes})"
        with self.writing(table):
            self.spark.sql(f"DELETE FROM {self.name(table)} WHERE {conditions}")

    @contextlib.contextmanager
    def writing(self, table: str) -> Iterator[bool]:
        """Wraps every commit to a table; yields true if it locks the table, as the store itself could not."""
        alone = self._locks.writing(table) if self._locks is not None else contextlib.nullcontext(False)
        with written_for_all(self.spark), alone as is_alone:
            yield is_alone

    def locked(self, stage: str, dump: str | None, *, what: str) -> AbstractContextManager[bool]:
        """Locks a stage of a dump, or of several if `dump` is null, against other processes on this machine.

        Yields false on a store without locks, where nothing is locked.

        Raises:
            WarehouseError: Another process holds the lock.
        """
        return contextlib.nullcontext(False) if self._locks is None else self._locks.making(stage, dump, what=what)

    @contextlib.contextmanager
    def guarded(self, guard: Guard) -> Iterator[None]:
        """Puts the commits of this thread under a guard."""
        self._local.guard = guard
        try:
            yield
        finally:
            self._local.guard = None

    @property
    def _guard(self) -> Guard | None:
        return getattr(self._local, "guard", None)

    @contextlib.contextmanager
    def _guarding(self) -> Iterator[None]:
        guard = self._guard
        try:
            yield
        except Exception as error:
            if guard is None or not is_clash(error):
                raise
            raise guard.lost() from None
        if guard is not None:
            guard.check()

    def _writer(self, rows: "DataFrame", table: str, lineage: Mapping[str, object], batch: Batch | None):
        ordered = rows.select(*schemas.TABLES[table].names)
        writer = (
            ordered.writeTo(self.name(table))
            .option("mergeSchema", "true")  # adds columns that the table does not have yet
            .option("userMetadata", json.dumps(lineage, sort_keys=True))
        )
        if batch is None and self._guard is not None:
            batch = self._guard.batch()
        if batch is not None:
            writer = writer.option("txnAppId", batch[0]).option("txnVersion", str(batch[1]))
        return writer

    def _no_rows(self, table: str) -> "DataFrame":
        columns = (F.lit(None).cast(spark_type(field.type)).alias(field.name) for field in schemas.TABLES[table])
        return self.spark.range(0).select(*columns)

    def commit(self, table: str, lineage: Mapping[str, object]) -> Commit:
        """Finds the commit with this lineage; its row count is Delta's own, so that no second pass counts rows."""
        metadata = json.dumps(lineage, sort_keys=True)
        if self._log is not None and (found := self._log.commit(table, metadata)) is not None:
            return found
        row = self._history(table, 1000).where(F.col("userMetadata") == metadata).orderBy(F.desc("version")).head()
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
        row = self._history(table, MOST_LATER).where(_is_of(stage=stage, dump=dump)).orderBy(F.desc("version")).head()
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
        row = self._history(table, last - version + 1).where(F.col("version") == version).head()
        return (None, 0.0) if row is None else (row["userMetadata"], row["timestamp"].timestamp())

    def _history(self, table: str, n_versions: int) -> "DataFrame":
        return self.spark.sql(f"DESCRIBE HISTORY {self.name(table)} LIMIT {n_versions}")

    def holds(self, table: str, **where: Partition) -> bool:
        """Returns whether a table has rows in these partitions."""
        if self._log is not None and not self._log.may_hold(table, where):
            return False
        return self.exists(table) and self.read(table, version=None, **where).head() is not None

    def partitions(self, table: str) -> list[dict[str, str | None]] | None:
        """Lists the distinct partition values of a table's rows; null if the log does not tell."""
        if self._log is not None:
            with contextlib.suppress(*UNKNOWN_LOG):
                return self._log.partitions(table)
        return None

    def version(self, table: str) -> int:
        """Returns the latest version of a table."""
        if self._log is not None:
            return max(self._log.versions(table))
        return only_row(self._history(table, 1))["version"]


def _shares_this_disk(spark: "SparkSession") -> bool:
    """Returns whether a plain path means the same file here and in Spark; on a cluster it may mean HDFS or DBFS."""
    is_remote = ".connect." in type(spark).__module__ and "SPARK_LOCAL_REMOTE" not in os.environ
    is_local = (spark.conf.get("spark.master", "") or "").startswith("local") and not is_remote
    return is_local and "DATABRICKS_RUNTIME_VERSION" not in os.environ


def _matches(where: Mapping[str, Partition]) -> "Column":
    return reduce(lambda one, other: one & other, (_matches_one(F.col(name), value) for name, value in where.items()))


def _matches_one(column: "Column", value: Partition) -> "Column":
    if isinstance(value, range):
        return (column >= value.start) & (column < value.stop)
    return column == value if isinstance(value, str | int) else column.isin(*value)


def _is_of(**expected: str) -> "Column":
    """Tests whether the user metadata of a version in a table's history has all these values."""
    said = (F.get_json_object("userMetadata", f"$.{name}") == value for name, value in expected.items())
    return reduce(lambda one, other: one & other, said)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
