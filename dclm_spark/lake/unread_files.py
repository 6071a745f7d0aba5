"""Finds the files of a dump that were planned but not read: those that `plans` names and `files` does not."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pyspark.sql import functions as F

from dclm_spark.lake.warehouse import Warehouse

NOT_TRIED = "not_tried"
"""Used instead of a reason if no run has tried to read the file yet."""

N_NAMED = 20
"""Largest number of files of a dump that are named."""


def planned_dumps(warehouse: Warehouse) -> set[str]:
    """Returns the dumps that have a stored plan, finished or not."""
    if not warehouse.exists("plans"):
        return set()
    return {row["dump"] for row in warehouse.read("plans").select("dump").distinct().collect()}


def unread_files(warehouse: Warehouse, dumps: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Counts the files of dumps that were not read: dump -> `n`, `reasons` and `named`.

    `n` is the number of files, `reasons` the numbers by kind of reason, `named` the reasons of the first files. Dumps
    whose files were all read are not in the result.
    """
    left = warehouse.read("plans", dump=dumps)
    if warehouse.exists("files"):
        left = left.join(warehouse.read("files", dump=dumps).select("dump", "path"), ["dump", "path"], "left_anti")
    left = left.select("dump", "path", F.coalesce("unread", F.lit(NOT_TRIED)).alias("why"))
    reason = F.substring_index("why", ":", 1).alias("reason")
    named = F.slice(F.sort_array(F.collect_list(F.struct("path", "why"))), 1, N_NAMED).alias("named")
    counts: dict[str, Counter[str]] = {}
    names: dict[str, dict[str, str]] = {}
    for row in left.groupBy("dump", reason).agg(F.count("*").alias("n"), named).collect():
        counts.setdefault(row["dump"], Counter())[row["reason"]] = row["n"]
        names.setdefault(row["dump"], {}).update({path: why for path, why in row["named"]})
    return {
        dump: {
            "n": reasons.total(),
            "reasons": dict(sorted(reasons.items())),
            "named": dict(sorted(names[dump].items())[:N_NAMED]),
        }
        for dump, reasons in sorted(counts.items())
    }
