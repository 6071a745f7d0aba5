"""What a warehouse holds, as data that two runs are compared by; delta-rs reads it, which shares no code with Spark."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

COMPARED = ("documents", "quarantine", "files", "annotated", "filtered", "removed")
"""The tables whose rows follow from the input and the recipe alone."""

NEAR = ("signatures", "edges", "duplicates", "deduplicated")
"""The same, of near-duplicates."""

VARYING = {"run_id", "attempt_id", "started_at", "seconds", "versions"}
"""Columns that differ from run to run by nature."""


def read(warehouse: Path | str, table: str, *, dump: str | None = None) -> list[dict[str, Any]]:
    """The rows of one table's latest version, in no order; none where the table was never made."""
    location = Path(warehouse) / table
    if not (location / "_delta_log").is_dir():
        return []
    rows = DeltaTable(str(location)).to_pyarrow_table().to_pylist()
    return [row for row in rows if dump in (None, row["dump"])]


def content(
    warehouse: Path | str, tables: Sequence[str] = COMPARED, *, dump: str | None = None
) -> dict[str, list[str]]:
    """Table -> its rows as JSON, sorted, duplicates and all, without `VARYING`; of one dump or of all."""
    return {
        table: sorted(
            json.dumps({key: _plain(value) for key, value in row.items() if key not in VARYING}, sort_keys=True)
            for row in read(warehouse, table, dump=dump)
        )
        for table in tables
    }


def differences(found: dict[str, list[str]], expected: dict[str, list[str]], limit: int = 3) -> dict[str, Any]:
    """Table -> (rows too many, rows missing, a few of each); empty where both hold the same rows equally often."""
    result = {}
    for table in expected:
        more, fewer = Counter(found[table]), Counter(expected[table])
        surplus, lack = more - fewer, fewer - more
        if surplus or lack:
            few = [row[:300] for row in [*list(surplus)[:limit], *list(lack)[:limit]]]
            result[table] = (surplus.total(), lack.total(), few)
    return result


def assert_same(found: dict[str, list[str]], expected: dict[str, list[str]]) -> None:
    """Passes where both hold the same rows equally often."""
    assert differences(found, expected) == {}


def assert_balanced(warehouse: Path | str, dump: str) -> None:
    """Passes where every record of a finished dump is in one place, and every document has an id of its own."""
    rows = {table: read(warehouse, table, dump=dump) for table in COMPARED}
    rows["removed"] = [row for row in rows["removed"] if row["stage"] == "filtered"]
    n = {table: len(found) for table, found in rows.items()}
    n_skipped = sum(count for row in rows["files"] for _, count in row["skips"])
    assert sum(row["n_records"] for row in rows["files"]) == n["documents"] + n["quarantine"] + n_skipped
    assert n["documents"] == n["annotated"] == n["filtered"] + n["removed"]
    ids = {table: {row["doc_id"] for row in rows[table]} for table in ("documents", "filtered", "removed")}
    assert len(ids["documents"]) == n["documents"]
    assert ids["documents"] == ids["filtered"] | ids["removed"]


def version(warehouse: Path | str, table: str) -> int:
    """The latest version of a table; -1 where it was never made. A table made empty is version 0."""
    log = Path(warehouse) / table / "_delta_log"
    return max((int(commit.stem) for commit in log.glob("[0-9]*.json")), default=-1)


def _plain(value: Any) -> Any:
    """A value as JSON has it: maps by key, times in ISO, floats by their shortest exact digits."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return sorted([list(entry) for entry in value])
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, dt.datetime) else value
