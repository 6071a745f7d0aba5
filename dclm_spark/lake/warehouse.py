"""The only module that reads and writes tables: a warehouse is a folder of Delta tables, or `catalog.schema`."""

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import WarehouseError
from dclm_spark.lake.local_log import UNKNOWN_LOG, Commit, LocalLog, Partition, is_of
from dclm_spark.lake.locations import schema_of
from dclm_spark.spark.planning import written_for_all
from dclm_spark.spark.rows import only_row
from dclm_spark.spark.types import missing_columns, quoted, spark_columns, spark_schema, spark_type, type_conflicts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

# Versions that a run has read stay readable for a year unless `maintain` is told otherwise. The least and the greatest
# value of each column of a file would skip nothing but partitions, since rows come as they lie in the crawl, and took
# two fifths of what writing `signatures` costs the JVM; Delta still counts the rows of each file.
PROPERTIES = {
    "delta.dataSkippingNumIndexedCols": "0",
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 365 days",
}

_CLASH = re.compile(r"ProtocolChanged|Concurrent|AlreadyExists|ALREADY_EXISTS|NON_EMPTY_LOCATION")
"""In the words of Spark and Delta: someone else has just made the table or the schema, or is about to."""

CLOCK_SECONDS = 5.0  # by which the clocks of two machines may differ

MOST_LATER = 100
"""Versions after one that is looked for in the history of a table; each is a file that the store is asked for."""

LISTING_SECONDS = 10.0  # that a catalog may take to list a table which another process has just created

_DUMP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def check_dump(dump: str) -> list[str]:
    """What is wrong with a dump's name, one sentence each: it becomes a partition, so it must be a plain name.

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
    """A few rows of the driver's as a DataFrame of one partition.

    By way of pandas they go to the JVM as Arrow; a plain list goes through a Python task of its own, and serves where a
    platform has no pandas.
    """
    rows = list(rows)
    with contextlib.suppress(ImportError):
        import pandas as pd

        rows = pd.DataFrame(rows, columns=schema.names, dtype=object)
    return spark.createDataFrame(rows, spark_schema(schema)).coalesce(1)


Batch = tuple[str, int]
"""A number that is committed once, and none below it later: Delta's `txnAppId` and `txnVersion`."""

_CAME_BETWEEN = re.compile(r"Concurrent\w+Exception|DELTA_CONCURRENT_|DELTA_PROTOCOL_CHANGED")
"""In the words of Delta: another has committed what this transaction has read, or was about to write."""


def is_clash(error: Exception) -> bool:
    """True if Delta has refused a commit since another came between."""
    return bool(_CAME_BETWEEN.search(f"{type(error).__name__}: {error}"))


class Guard(Protocol):
    """What keeps the commits of a thread apart from those of another process that makes the same rows."""

    def batch(self) -> Batch:
        """What the next commit is to carry."""

    def check(self) -> None:
        """Raises an error once another process has taken over; a commit may then have been passed over."""

    def lost(self) -> WarehouseError:
        """What is said where Delta has refused a commit."""


class Warehouse:
    """The tables of one recipe's chain.

    Args:
        spark: The session to work in.
        location: A folder (a path or any URL that Spark can write), or `catalog.schema`, with back-ticks where a part
            has a dot. A folder whose name looks like the latter is written `./name.name`.

    Raises:
        WarehouseError: The location may be meant as either, and is neither.
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
        self._local = threading.local()

    def __str__(self) -> str:
        return self.location

    def name(self, table: str) -> str:
        """The table's name in SQL."""
        if self._schema is not None:
            return self._schema.sql(table)
        return f"delta.`{self.location}/{table}`"

    def problems(self) -> list[str]:
        """Why nothing could be written here, one sentence each, as far as that shows without writing."""
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
        """True if the table has been created, empty or not."""
        if self._log is not None:
            return bool(self._log.versions(table))
        try:
            self.spark.sql(f"DESCRIBE DETAIL {self.name(table)}").head()
        except PySparkException:
            return False
        return True

    def prepare(self, *tables: str) -> set[str]:
        """Creates the tables that are missing, and checks the others against their schemas; returns those created.

        Two first writers of one table clash, so each table is created empty before anything is written to it.

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
            with self._log.sole_maker(table) if self._log is not None else contextlib.nullcontext():
                if self._schema is not None:
                    self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self._schema.sql()}")
                self.spark.sql(
                    f"CREATE TABLE IF NOT EXISTS {self.name(table)} ({spark_columns(schemas.TABLES[table])}) "
                    f"USING DELTA PARTITIONED BY ({', '.join(schemas.PARTITIONS[table])}) "
                    f"COMMENT {quoted(schemas.DESCRIPTIONS[table])} TBLPROPERTIES ({properties})"
                )
        except Exception as error:  # the JVM's file system errors arrive as several classes
            # Another process may have created it in this moment, which is just as well; a catalog lists it a bit later.
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
        """The rows of a table in the partitions named, such as `dump="CC-MAIN-2022-05"`, or several of them.

        A column or a signal that an older version did not write is null.

        Args:
            table: A name of `schemas.TABLES`.
            version: The Delta version; null reads the latest.
            where: Partition column and value.
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
        """Appends rows; with `batch` (an attempt's id, a rising number) the same batch is never appended twice.

        Delta passes over a batch number at or below the last one of that attempt without a word.
        """
        with self._guarding(), self.writing(table):
            self._writer(rows, table, lineage, batch).append()

    def close_batches(self, table: str, batch: Batch) -> None:
        """Commits no rows but this number, so that none at or below it can follow."""
        while True:
            try:
                return self.append(self._no_rows(table), table, lineage={"closed": list(batch)}, batch=batch)
            except Exception as error:
                if not is_clash(error):
                    raise

    def replace(self, rows: "DataFrame", table: str, *, lineage: Mapping[str, object], **where: Partition) -> Commit:
        """Overwrites, and says what was committed."""
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
        """Replaces the partitions named by the rows, in one commit; rows that lie elsewhere are refused."""
        here = _matches(where)
        with self._guarding(), self.writing(table) as is_alone:
            if is_alone and self._log is not None and not self._log.may_hold(table, where):
                # Most dumps are new to a table. Delta would look for rows to delete, in three jobs for each write.
                words = F.lit(f"a row of {table} lies outside of {where}")
                checked = rows.withColumn("dump", F.when(here, F.col("dump")).otherwise(F.raise_error(words)))
                self._writer(checked, table, lineage, batch).append()
            else:
                self._writer(rows, table, lineage, batch).overwrite(here)

    def delete(self, table: str, *, files: Sequence[str] | None = None, **where: str | int) -> None:
        """Deletes the rows of the partitions named; with `files`, those that were read from these."""
        if self._guard is not None:  # a DELETE cannot carry the guard's number
            parts: dict[str, Partition] = {**where} if files is None else {**where, "warc_path": list(files)}
            return self.overwrite(self._no_rows(table), table, lineage={"deleted": where}, batch=None, **parts)
        conditions = " AND ".join(f"{column} = '{value}'" for column, value in where.items())
        if files is not None:
            # By hash, since how a path is quoted in SQL depends on the session's settings.
            hashes = ", ".join(f"'{hashlib.md5(path.encode()).hexdigest()}'" for path in files)
            conditions += f" AND md5(warc_path) IN ({hashes})"
        with self.writing(table):
            self.spark.sql(f"DELETE FROM {self.name(table)} WHERE {conditions}")

    @contextlib.contextmanager
    def writing(self, table: str) -> Iterator[bool]:
        """Around whatever commits to a table; true if it keeps other processes out, where the store could not."""
        alone = self._log.sole_writer(table) if self._log is not None else contextlib.nullcontext(False)
        with written_for_all(self.spark), alone as is_alone:
            yield is_alone

    @contextlib.contextmanager
    def locked(self, stage: str, dump: str | None, *, what: str) -> Iterator[bool]:
        """Held by one process of this machine at a time, while it makes a stage of a dump, or, null, of several.

        False on a store without locks, which keeps nobody apart.

        Raises:
            WarehouseError: Another process holds it.
        """
        with (
            contextlib.nullcontext(False)
            if self._log is None
            else self._log.sole_maker_of(stage, dump, what=what) as is_
        ):
            yield is_

    @contextlib.contextmanager
    def guarded(self, guard: Guard) -> Iterator[None]:
        """Around what this thread commits under a guard."""
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
            .option("mergeSchema", "true")  # a column that this version knows and the table does not joins it
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
        """The commit that carries this lineage: its row count is Delta's own, so that no second pass counts."""
        metadata = json.dumps(lineage, sort_keys=True)
        if self._log is not None and (found := self._log.commit(table, metadata)) is not None:
            return found
        row = self._history(table, 1000).where(F.col("userMetadata") == metadata).orderBy(F.desc("version")).head()
        if row is None:  # no rows in the place of no rows: Delta has nothing to commit
            return Commit(self.version(table), 0)
        return Commit(row["version"], int(row["operationMetrics"].get("numOutputRows", 0)))

    def mark(self, *tables: str) -> object:
        """Something that stays equal as long as nothing is committed to these tables, where that shows at a look."""
        if self._log is None:
            return object()
        return [max(self._log.versions(table), default=0) for table in tables]  # a table made empty is version 0

    def own_version(self, table: str, *, stage: str, dump: str) -> int | None:
        """The latest version of a table that a stage of a dump has committed; null where none is known."""
        if self._log is not None:
            return self._log.latest_of(table, stage, dump)
        row = self._history(table, MOST_LATER).where(_is_of(stage=stage, dump=dump)).orderBy(F.desc("version")).head()
        return None if row is None else row["version"]

    def lost(self, run: Mapping[str, Any], *tables: str, latest: Mapping[str, int] | None = None) -> dict[str, int]:
        """Table -> the version that a run has recorded of it, where that is lost.

        The table's log has lost its last entries. Or others are in their place: those of another stage or dump, which
        came when the run had ended. A version that the log has forgotten, as it may in a year, is not lost.

        Args:
            run: A row of `runs`.
            tables: Only these; all that it has written, if none is named.
            latest: The latest versions, where they are known; a store that is not asked says nothing else.
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
        """The user metadata of a commit, and when it was made, in seconds; null and 0 where the log does not say."""
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
        """True if there are rows in these partitions of a table."""
        if self._log is not None and not self._log.may_hold(table, where):
            return False
        return self.exists(table) and self.read(table, version=None, **where).head() is not None

    def partitions(self, table: str) -> list[dict[str, str | None]] | None:
        """The values of the partition columns of a table's rows, each once; null where the log does not tell."""
        if self._log is not None:
            with contextlib.suppress(*UNKNOWN_LOG):
                return self._log.partitions(table)
        return None

    def version(self, table: str) -> int:
        """The latest version of a table."""
        if self._log is not None:
            return max(self._log.versions(table))
        return only_row(self._history(table, 1))["version"]


def _shares_this_disk(spark: "SparkSession") -> bool:
    """True if a plain path means the same file here and in Spark: on a cluster it may lie in HDFS or DBFS."""
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
    """Whether the user metadata of a version in a table's history says all this."""
    said = (F.get_json_object("userMetadata", f"$.{name}") == value for name, value in expected.items())
    return reduce(lambda one, other: one & other, said)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
