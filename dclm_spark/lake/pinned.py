"""Reads the input rows of a stage, at table versions that are recorded with the stage's run."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING

from dclm_spark.lake.finished import Finished
from dclm_spark.lake.runs import Key
from dclm_spark.lake.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Find = Callable[[str], Finished]
"""Function from a table to the finished rows of a dump."""


class Inputs:
    """Reads the input tables of a stage. A table's version is looked up once, before any of its rows are read.

    Args:
        find: Dump -> function that finds its finished rows.
    """

    def __init__(self, find: Mapping[str, Find]):
        self._find = find
        self._versions: dict[tuple[str, str], int] = {}  # warehouse and table
        self._read: dict[tuple[str, str], int] = {}  # dump and table

    def finished(self, dump: str, table: str) -> Finished:
        """Finds the finished rows of a table for a dump."""
        return self._find[dump](table)

    def read(self, table: str, dumps: Iterable[str] | None = None) -> "DataFrame":
        """Reads a table's rows of these dumps; null: of all dumps."""
        places: dict[tuple[str, int], tuple[Warehouse, list[str]]] = {}
        for dump in self._find if dumps is None else dumps:
            warehouse, _ = self.finished(dump, table)
            version = self.version(warehouse, table)
            self._read[dump, table] = version
            places.setdefault((str(warehouse), version), (warehouse, []))[1].append(dump)
        parts = [
            warehouse.read(table, version=version, dump=names[0] if len(names) == 1 else names)
            for (_, version), (warehouse, names) in places.items()
        ]
        return reduce(lambda one, other: one.unionByName(other), parts)

    def version(self, warehouse: Warehouse, table: str) -> int:
        """Returns the version at which a table of a warehouse is read."""
        key = (str(warehouse), table)
        if key not in self._versions:
            self._versions[key] = warehouse.version(table)
        return self._versions[key]

    def versions(self, dump: str) -> dict[str, int]:
        """Returns the versions read, as the run of a dump records them: by table; for other dumps, by table and
        dump."""
        return {Key(name, table).name(dump): version for (name, table), version in sorted(self._read.items())}
