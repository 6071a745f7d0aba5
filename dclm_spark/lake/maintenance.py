"""Runs OPTIMIZE and VACUUM on every table of a warehouse, without losing a version that is pinned."""

import math
import time
from typing import Any

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.lake.runs import last_runs
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.spark.rows import only_row

DEFAULT_HOURS = 7 * 24

_LEDGERS = ("files", "plans")  # runs record their versions to notice a lost log entry; no stage reads them again

_RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"


def pinned_versions(warehouse: Warehouse) -> dict[str, int]:
    """Returns, for each table, the oldest version that the latest run of some stage and dump has read or written
    here."""
    runs = last_runs(warehouse)
    pinned: dict[str, int] = {}
    for (dump, _), run in runs.items():
        read = []
        for key, version in run["input_versions"].items():
            table, _, other = key.partition(" ")
            if (other or dump, table) in runs:  # versions of tables read from upstream belong to another warehouse
                read.append((table, version))
        written = [(table, version) for table, version in run["output_versions"].items() if table not in _LEDGERS]
        for table, version in [*read, *written]:
            pinned[table] = min(version, pinned.get(table, version))
    return pinned


def maintain(warehouse: Warehouse, *, retain_hours: int = DEFAULT_HOURS) -> list[dict[str, Any]]:
    """Compacts each table's small files, then deletes the files that no version to be kept needs.

    VACUUM keeps the files of the latest version and those replaced within the hours given. A pinned version needs the
    files that were replaced after it, so the hours are raised to its age.

    Args:
        warehouse: The warehouse.
        retain_hours: Versions younger than this number of hours stay readable, pinned or not. It must not be less than
            the duration of the longest job that writes, or uncommitted files of that job are deleted.

    Returns:
        One entry for each table: its name, numbers of files compacted, hours retained, and the pinned version if any.
    """
    pinned = pinned_versions(warehouse)
    done = []
    for table in schemas.TABLES:
        if not warehouse.exists(table):
            continue
        hours = max(retain_hours, _age_hours(warehouse, table, pinned[table]) if table in pinned else 0)
        with warehouse.writing(table):
            metrics = only_row(warehouse.spark.sql(f"OPTIMIZE {warehouse.name(table)}"))["metrics"]
            _vacuum(warehouse, table, hours)
        done.append(
            {
                "table": table,
                "n_files_removed": metrics["numFilesRemoved"],
                "n_files_added": metrics["numFilesAdded"],
                "retained_hours": hours,
                "pinned_version": pinned.get(table),
            }
        )
    return done


def _vacuum(warehouse: Warehouse, table: str, hours: int) -> None:
    """Runs VACUUM with these hours, which Delta otherwise refuses or replaces by the table's own retention of a
    year."""
    conf = warehouse.spark.conf
    before = conf.get(_RETENTION_CHECK, "true") or "true"
    conf.set(_RETENTION_CHECK, "false")
    try:
        warehouse.spark.sql(f"VACUUM {warehouse.name(table)} RETAIN {hours} HOURS").collect()
    finally:
        conf.set(_RETENTION_CHECK, before)


def _age_hours(warehouse: Warehouse, table: str, version: int) -> int:
    """Returns the age of a version in hours, rounded up; 0 if the table's log no longer holds it."""
    history = warehouse.spark.sql(f"DESCRIBE HISTORY {warehouse.name(table)}").where(f"version = {version}")
    row = history.select(F.unix_timestamp("timestamp").alias("seconds")).head()
    if row is None:
        return 0
    # One hour is added, because a commit replaces files a moment before its own time, and another commit may come
    # between.
    return math.ceil((time.time() - row["seconds"]) / 3600) + 1
