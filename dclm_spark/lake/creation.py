"""Creates the tables of a warehouse, and checks existing ones against their schemas."""

import re
import time
from typing import TYPE_CHECKING

from dclm_spark import schemas
from dclm_spark.errors import WarehouseError
from dclm_spark.spark.types import quoted, spark_columns, type_conflicts

if TYPE_CHECKING:
    from dclm_spark.lake.warehouse import Warehouse

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

LISTING_SECONDS = 10.0  # until a catalog lists a table that another process has just created


def prepare(warehouse: "Warehouse", *tables: str) -> set[str]:
    """Creates missing tables, and checks existing ones against their schemas; returns the names of those created.

    Two processes that write a table's first rows clash, so each table is created empty.

    Raises:
        WarehouseError: A table cannot be created, or has a column of another type.
    """
    missing = {table for table in tables if not warehouse.exists(table)}
    for table in tables:
        if table in missing:
            _create(warehouse, table)
        else:
            _check(warehouse, table)
    return missing


def _create(warehouse: "Warehouse", table: str) -> None:
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in PROPERTIES.items())
    try:
        with warehouse.creating(table):
            if warehouse.schema is not None:
                warehouse.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {warehouse.schema.sql()}")
            warehouse.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {warehouse.name(table)} ({spark_columns(schemas.TABLES[table])}) "
                f"USING DELTA PARTITIONED BY ({', '.join(schemas.PARTITIONS[table])}) "
                f"COMMENT {quoted(schemas.DESCRIPTIONS[table])} TBLPROPERTIES ({properties})"
            )
    except Exception as error:  # file system errors of the JVM have several classes
        # Another process may have created the table at this moment, which is fine; a catalog lists it a moment
        # later.
        deadline = time.monotonic() + (LISTING_SECONDS if _CLASH.search(str(error)) else 0)
        while not warehouse.exists(table):
            if time.monotonic() >= deadline:
                reason = _first_line(error)
                raise WarehouseError([f"the warehouse {warehouse.location} cannot be written: {reason}"]) from None
            time.sleep(0.1)


def _check(warehouse: "Warehouse", table: str) -> None:
    conflicts = type_conflicts(warehouse.spark.table(warehouse.name(table)).dtypes, schemas.TABLES[table])
    problems = [
        f"column {name} of {warehouse.name(table)} is {found}; expected {expected}: written by another version?"
        for name, found, expected in conflicts
    ]
    if problems:
        raise WarehouseError(problems)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
