"""Reads and writes all tables; a warehouse is a folder of Delta tables, or `catalog.schema`."""

import contextlib
import hashlib
import json
import operator
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.lake import creation
from dclm_spark.lake.guards import Batch, Guard, is_clash
from dclm_spark.lake.history import History
from dclm_spark.lake.local_locks import LocalLocks
from dclm_spark.lake.local_log import Commit, LocalLog, Partition
from dclm_spark.lake.locations import schema_of, shares_this_disk
from dclm_spark.spark.planning import written_for_all
from dclm_spark.spark.types import missing_columns, spark_type

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


class Warehouse:
    """Reads and writes the tables of one recipe's chain.

    Args:
        spark: The session to work in.
        location: A folder (a path or any URL that Spark can write), or `catalog.schema`, with back-ticks around a part
            that has a dot. A folder whose name looks like a schema is written `./name.name`.

    Raises:
        WarehouseError: The location may mean a folder or a schema, and as written is neither.

    Attributes:
        schema: The schema; null for a folder.
        history: Versions and commits of the tables.
    """

    def __init__(self, spark: "SparkSession", location: str):
        self.spark = spark
        self.schema = schema_of(location)
        self.is_catalog = self.schema is not None
        is_local = not self.is_catalog and not re.match(r"\w+:", location) and shares_this_disk(spark)
        self.location = os.path.abspath(location) if is_local else location.rstrip("/")
        if self.schema is not None:
            self.location = str(self.schema)
        self.history = History(spark, self.name, LocalLog(self.location) if is_local else None)
        self._locks = LocalLocks(self.location) if is_local else None
        self._local = threading.local()

    def __str__(self) -> str:
        return self.location

    def name(self, table: str) -> str:
        """Returns the table's name in SQL."""
        if self.schema is not None:
            return self.schema.sql(table)
        return f"delta.`{self.location}/{table}`"

    def problems(self) -> list[str]:
        """Lists why the warehouse cannot be written, one sentence each, as far as it shows without writing."""
        if self.schema is None and "`" in self.location:
            return [f"the warehouse {self.location!r} contains a backtick, which no table path may"]
        if self._locks is None:
            return []
        existing = next(folder for folder in (Path(self.location), *Path(self.location).parents) if folder.exists())
        if not existing.is_dir():
            return [f"the warehouse {self.location} cannot be made: {existing} is a file; name a folder"]
        if not os.access(existing, os.W_OK):
            return [f"the warehouse {self.location} cannot be written: no permission to write in {existing}"]
        return []

    def exists(self, table: str) -> bool:
        """Returns whether the table has been created, empty or not."""
        return self.history.exists(table)

    def version(self, table: str) -> int:
        """Returns the latest version of a table."""
        return self.history.version(table)

    def prepare(self, *tables: str) -> set[str]:
        """Creates missing tables, and checks existing ones against their schemas; returns the names of those created.

        Raises:
            WarehouseError: A table cannot be created, or has a column of another type.
        """
        return creation.prepare(self, *tables)

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

    def holds(self, table: str, **where: Partition) -> bool:
        """Returns whether a table has rows in these partitions."""
        if not self.history.may_hold(table, where):
            return False
        return self.exists(table) and self.read(table, version=None, **where).head() is not None

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
        return self.history.commit(table, lineage)

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
            if is_alone and not self.history.may_hold(table, where):
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

    def creating(self, table: str) -> AbstractContextManager[None]:
        """Locks a table while it is created, where the store itself could not."""
        return contextlib.nullcontext() if self._locks is None else self._locks.creating(table)

    @contextlib.contextmanager
    def writing(self, table: str) -> Iterator[bool]:
        """Wraps every commit to a table; yields true if it locks the table, as the store itself could not."""
        alone = contextlib.nullcontext(False) if self._locks is None else self._locks.writing(table)
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


def _matches(where: Mapping[str, Partition]) -> "Column":
    return reduce(operator.and_, (_matches_one(F.col(name), value) for name, value in where.items()))


def _matches_one(column: "Column", value: Partition) -> "Column":
    if isinstance(value, range):
        return (column >= value.start) & (column < value.stop)
    return column == value if isinstance(value, str | int) else column.isin(*value)
