"""OPTIMIZE and VACUUM for every table of a warehouse, without losing a version that is pinned."""

import datetime as dt
import math
from typing import Any

from dclm_spark import schemas
from dclm_spark.runs import last_runs
from dclm_spark.tables import Warehouse

DEFAULT_HOURS = 7 * 24


def pinned_versions(warehouse: Warehouse) -> dict[str, int]:
    """The oldest version of each table that the latest run of some stage and dump has read or written."""
    pinned: dict[str, int] = {}
    for run in last_runs(warehouse).values():
        for table, version in [*run["input_versions"].items(), *run["output_versions"].items()]:
            pinned[table] = min(version, pinned.get(table, version))
    return pinned


def maintain(warehouse: Warehouse, *, retain_hours: int = DEFAULT_HOURS) -> list[dict[str, Any]]:
    """Compacts each table's small files, then deletes the files that no version worth keeping needs.

    VACUUM keeps what the latest version uses and what was replaced within the hours given. A pinned version needs
    the files that were replaced after it, so the hours are raised to its age: it can still be read.

    Args:
        warehouse: The warehouse.
        retain_hours: Versions younger than this stay readable, pinned or not. Delta refuses less than the table's own
            retention unless the session turns `spark.databricks.delta.retentionDurationCheck.enabled` off.

    Returns:
        One entry a table: its name, files compacted, the hours retained, the pinned version if any.
    """
    pinned = pinned_versions(warehouse)
    done = []
    for table in schemas.TABLES:
        if not warehouse.exists(table):
            continue
        hours = max(retain_hours, _age_hours(warehouse, table, pinned[table]) if table in pinned else 0)
        metrics = warehouse.spark.sql(f"OPTIMIZE {warehouse.name(table)}").head()["metrics"]
        warehouse.spark.sql(f"VACUUM {warehouse.name(table)} RETAIN {hours} HOURS").collect()
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


def _age_hours(warehouse: Warehouse, table: str, version: int) -> int:
    history = warehouse.spark.sql(f"DESCRIBE HISTORY {warehouse.name(table)}")
    made_at = history.where(history["version"] == version).head()["timestamp"]
    # Delta's timestamps are those of the session's clock; an hour on top covers what is written while this runs.
    age = dt.datetime.now(made_at.tzinfo) - made_at
    return math.ceil(age.total_seconds() / 3600) + 1
