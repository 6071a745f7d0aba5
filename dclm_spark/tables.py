"""The only module that reads and writes tables: a warehouse is a folder of Delta tables, or `catalog.schema`."""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import WarehouseError
from dclm_spark.local_log import Commit, LocalLog, Partition
from dclm_spark.locations import schema_of
from dclm_spark.spark_types import missing_columns, spark_columns, spark_schema, type_conflicts

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
                    f"USING DELTA PARTITIONED BY ({', '.join(schemas.PARTITIONS[table])}) TBLPROPERTIES ({properties})"
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
        self, rows: "DataFrame", table: str, *, lineage: Mapping[str, object], batch: tuple[str, int] | None = None
    ) -> None:
        """Appends rows; with `batch` (an attempt's id, a rising number) the same batch is never appended twice.

        Delta passes over a batch number at or below the last one of that attempt without a word.
        """
        writer = self._writer(rows, table, lineage)
        if batch is not None:
            writer = writer.option("txnAppId", batch[0]).option("txnVersion", str(batch[1]))
        with self.writing(table):
            writer.append()

    def replace(self, rows: "DataFrame", table: str, *, lineage: Mapping[str, object], **where: Partition) -> Commit:
        """Overwrites, and says what was committed."""
        self.overwrite(rows, table, lineage=lineage, **where)
        return self.commit(table, lineage)

    def overwrite(self, rows: "DataFrame", table: str, *, lineage: Mapping[str, object], **where: Partition) -> None:
        """Replaces the partitions named by the rows, in one commit; rows that lie elsewhere are refused."""
        here = _matches(where)
        with self.writing(table) as is_alone:
            if is_alone and not self._log.may_hold(table, where):
                # Most dumps are new to a table. Delta would look for rows to delete, in three jobs for each write.
                words = F.lit(f"a row of {table} lies outside of {where}")
                checked = rows.withColumn("dump", F.when(here, F.col("dump")).otherwise(F.raise_error(words)))
                self._writer(checked, table, lineage).append()
            else:
                self._writer(rows, table, lineage).overwrite(here)

    def delete(self, table: str, *, files: Sequence[str] | None = None, **where: str | int) -> None:
        """Deletes the rows of the partitions named; with `files`, those that were read from these."""
        conditions = " AND ".join(f"{column} = '{value}'" for column, value in where.items())
        if files is not None:
            # By hash, since how a path is quoted in SQL depends on the session's settings.
            hashes = ", ".join(f"'{hashlib.md5(path.encode()).hexdigest()}'" for path in files)
            conditions += f" AND md5(warc_path) IN ({hashes})"
        with self.writing(table):
            self.spark.sql(f"DELETE FROM {self.name(table)} WHERE {conditions}")

    def writing(self, table: str) -> contextlib.AbstractContextManager[bool]:
        """Around whatever commits to a table; true if it keeps other processes out, where the store could not."""
        return self._log.sole_writer(table) if self._log is not None else contextlib.nullcontext(False)

    def _writer(self, rows: "DataFrame", table: str, lineage: Mapping[str, object]):
        ordered = rows.select(*schemas.TABLES[table].names)
        return (
            ordered.writeTo(self.name(table))
            .option("mergeSchema", "true")  # a column that this version knows and the table does not joins it
            .option("userMetadata", json.dumps(lineage, sort_keys=True))
        )

    def commit(self, table: str, lineage: Mapping[str, object]) -> Commit:
        """The commit that carries this lineage: its row count is Delta's own, so that no second pass counts."""
        metadata = json.dumps(lineage, sort_keys=True)
        if self._log is not None and (found := self._log.commit(table, metadata)) is not None:
            return found
        history = self.spark.sql(f"DESCRIBE HISTORY {self.name(table)} LIMIT 1000")
        row = history.where(F.col("userMetadata") == metadata).orderBy(F.desc("version")).head()
        if row is None:  # no rows in the place of no rows: Delta has nothing to commit
            return Commit(self.version(table), 0)
        return Commit(row["version"], int(row["operationMetrics"].get("numOutputRows", 0)))

    def version(self, table: str) -> int:
        """The latest version of a table."""
        if self._log is not None:
            return max(self._log.versions(table))
        return self.spark.sql(f"DESCRIBE HISTORY {self.name(table)} LIMIT 1").head()["version"]


def _shares_this_disk(spark: "SparkSession") -> bool:
    """True if a plain path means the same file here and in Spark: on a cluster it may lie in HDFS or DBFS."""
    is_remote = ".connect." in type(spark).__module__ and "SPARK_LOCAL_REMOTE" not in os.environ
    is_local = spark.conf.get("spark.master", "").startswith("local") and not is_remote
    return is_local and "DATABRICKS_RUNTIME_VERSION" not in os.environ


def _matches(where: Mapping[str, Partition]) -> "Column":
    return reduce(lambda one, other: one & other, (_matches_one(F.col(name), value) for name, value in where.items()))


def _matches_one(column: "Column", value: Partition) -> "Column":
    if isinstance(value, range):
        return (column >= value.start) & (column < value.stop)
    return column == value if isinstance(value, str | int) else column.isin(*value)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
