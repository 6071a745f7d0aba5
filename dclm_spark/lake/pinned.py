"""The rows that a stage reads: each dump's where they are, at a version that is recorded with the stage's run."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING

from dclm_spark.lake.finished import Finished
from dclm_spark.lake.runs import Key
from dclm_spark.lake.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Find = Callable[[str], Finished]
"""A table -> the finished rows of a dump."""


class Inputs:
    """What a stage reads. A table's version is looked up once, before any of its rows are read.

    Args:
        find: Of each dump, what finds its finished rows.
    """

    def __init__(self, find: Mapping[str, Find]):
        self._find = find
        self._versions: dict[tuple[str, str], int] = {}  # warehouse and table
        self._read: dict[tuple[str, str], int] = {}  # dump and table

    def finished(self, dump: str, table: str) -> Finished:
        """The finished rows of a dump."""
        return self._find[dump](table)

    def read(self, table: str, dumps: Iterable[str] | None = None) -> "DataFrame":
        """The rows of a table of some of the dumps; null means all of them."""
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
        """The version at which a table of a warehouse is read."""
        key = (str(warehouse), table)
        if key not in self._versions:
            self._versions[key] = warehouse.version(table)
        return self._versions[key]

    def versions(self, dump: str) -> dict[str, int]:
        """What was read, as the run of one of the dumps records it: its own by table, another's by table and dump."""
        return {Key(name, table).name(dump): version for (name, table), version in sorted(self._read.items())}
