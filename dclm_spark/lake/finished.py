"""Finds the warehouse that holds the finished rows of a stage: the named one, else its upstream."""

from collections.abc import Iterable, Mapping
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake import runs as ledger
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe import as_json
from dclm_spark.recipe.near_duplicates import NearDuplicates

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

DocumentKey = tuple[str, str]
"""A document's dump and doc_id."""


class Finished(NamedTuple):
    """Finished rows of a stage of a dump: the warehouse that holds them, and the run that made them."""

    warehouse: Warehouse
    run: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        return self.run["run_id"]

    @property
    def n_rows(self) -> int:
        """Number of rows in the stage's table; removed rows are not counted."""
        return self.run["n_rows_out"]


class Places:
    """A warehouse and its upstream, as they are at the first look; later changes are not seen.

    Args:
        places: The warehouses in the order in which they are searched; nulls are ignored.
    """

    def __init__(self, *places: Warehouse | None):
        self.places = [place for place in places if place is not None]

    def __str__(self) -> str:
        return " or ".join(map(str, self.places))

    @cached_property
    def runs(self) -> list[dict[ledger.Key, dict[str, Any]]]:
        """The latest finished runs of each warehouse."""
        return [ledger.last_runs(place) for place in self.places]

    @cached_property
    def finished(self) -> dict[ledger.Key, Finished]:
        """The finished rows of every stage of every dump, each in the first warehouse that has finished it."""
        found: dict[ledger.Key, Finished] = {}
        for place, runs in zip(self.places, self.runs, strict=True):
            for key, run in runs.items():
                found.setdefault(key, Finished(place, run))
        return found

    @cached_property
    def having_clusters(self) -> Warehouse | None:
        """The first warehouse that has made clusters; null if none has a table `duplicates`.

        Clusters of two warehouses are never mixed, because a cluster may span dumps.
        """
        having = [number for number, place in enumerate(self.places) if place.exists("duplicates")]
        finished = [number for number in having if any(stage == "duplicates" for _, stage in self.runs[number])]
        return self.places[(finished or having)[0]] if having else None

    @property
    def clusters(self) -> Warehouse:
        """Returns the first warehouse that has made clusters.

        Raises:
            WarehouseError: No warehouse has a table `duplicates`.
        """
        if self.having_clusters is None:
            raise WarehouseError([f"no table duplicates in {self}; `dclm-spark duplicates` makes it, dump by dump"])
        return self.having_clusters

    def run_of_duplicates(self, dump: str) -> dict[str, Any] | None:
        """Returns the run that compared the documents of a dump; null if there is none."""
        return self.runs[self.places.index(self.clusters)].get(ledger.Key(dump, "duplicates"))

    def settings_of_duplicates(self, dump: str) -> NearDuplicates:
        """Returns the settings by which a dump's documents were compared; the defaults if no run has recorded them."""
        run = self.run_of_duplicates(dump)
        near = as_json.from_json(run["recipe_json"]).duplicates if run is not None else None
        return near if near is not None else NearDuplicates()

    def rows(self, table: str) -> "DataFrame | None":
        """Reads a table's rows of all finished dumps; null if there are none."""
        of_table = {key.dump: found.warehouse for key, found in self.finished.items() if key.stage == table}
        parts = []
        for place in dict.fromkeys(self.places):
            own = sorted(dump for dump, warehouse in of_table.items() if warehouse is place)
            if own:
                parts.append(place.read(table).where(F.col("dump").isin(own)))
        return reduce(lambda one, other: one.unionByName(other), parts) if parts else None

    def pages(self, keys: Iterable[DocumentKey], *columns: "Column") -> dict[DocumentKey, dict[str, Any]]:
        """Reads these columns of `filtered` for a small number of pages; pages that are not there are missing."""
        wanted = set(keys)
        filtered = self.rows("filtered") if wanted else None
        if filtered is None:
            return {}
        # Separate conditions on dump and id, by which Delta can skip files; pages of another dump with the same id are
        # dropped below.
        near = filtered.where(F.col("dump").isin(sorted({dump for dump, _ in wanted})))
        near = near.where(F.col("doc_id").isin(sorted({doc_id for _, doc_id in wanted})))
        rows = near.select("dump", "doc_id", *columns).collect()
        return {key: row.asDict() for row in rows if (key := (row["dump"], row["doc_id"])) in wanted}
