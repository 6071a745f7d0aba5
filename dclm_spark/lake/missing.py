"""Finds rows that a warehouse should hold by its ledger but has lost, and rows of stages without a finished run."""

from collections.abc import Collection, Mapping
from typing import Any

from dclm_spark.lake.finished import Finished
from dclm_spark.lake.runs import Key
from dclm_spark.lake.warehouse import Warehouse


def find_lost(runs: Mapping[Key, Finished], dumps: list[str]) -> dict[str, dict[str, int]]:
    """Finds versions that a run has recorded but the table's log has lost: dump -> table -> version."""
    latest: dict[str, dict[str, int]] = {}
    found: dict[str, dict[str, int]] = {}
    for (dump, _), (place, run) in runs.items():
        if dump in dumps:
            known = latest.setdefault(str(place), {})
            for table in run["output_versions"].keys() - known.keys():
                known[table] = place.version(table) if place.exists(table) else -1
            for table, version in place.history.lost(run, latest=known).items():
                found.setdefault(dump, {})[table] = version
    return found


def find_unfinished(
    warehouse: Warehouse,
    runs: Mapping[Key, Finished],
    dump: str | None,
    *,
    stages: Mapping[str, bool],
    begun: Collection[str],
) -> dict[str, list[str]]:
    """Finds stages that have rows in a warehouse but no finished run: dump -> stages, in the order of the chain.

    Args:
        warehouse: The warehouse.
        runs: The finished runs.
        dump: Only this dump.
        stages: The stages in the order of the chain, and whether each removes rows: such a stage may have rows in
            `removed` only.
        begun: Dumps whose documents are known to be unfinished.
    """
    found: dict[str, list[str]] = {}
    for stage, removes in stages.items():
        removed = dumps_of(warehouse, "removed", dump=dump, stage=stage) if removes else set()
        for name in dumps_of(warehouse, stage, dump=dump) | removed:
            if (name, stage) not in runs and not (stage == "documents" and name in begun):
                found.setdefault(name, []).append(stage)
    return found


def dumps_of(warehouse: Warehouse, table: str, *, dump: str | None = None, stage: str | None = None) -> set[str]:
    """Returns the dumps that have rows in a table; only of this dump or this stage if given."""
    where = {name: value for name, value in (("dump", dump), ("stage", stage)) if value is not None}
    known = warehouse.history.partitions(table)
    if known is not None:
        return {name for values in known if where.items() <= values.items() and (name := values["dump"]) is not None}
    if not warehouse.exists(table):
        return set()
    return {row["dump"] for row in warehouse.read(table, version=None, **where).select("dump").distinct().collect()}


def in_words(entry: Mapping[str, Any]) -> list[str]:
    """Formats what is missing or not finished in an entry of the funnel, one line each."""
    lines = [
        f"MISSING: {table} has lost version {version} of its log, which its run has recorded; "
        "`dclm-spark run` makes it again"
        for table, version in entry.get("lost", {}).items()
    ]
    if "unfinished" in entry:
        lines.append(
            f"NOT FINISHED: rows of {', '.join(entry['unfinished'])} without a finished run: it was interrupted, or "
            "is lost from `runs`; `dclm-spark run` makes them"
        )
    return lines
