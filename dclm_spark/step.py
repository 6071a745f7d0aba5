"""One method of deduplication at work on some dumps: what it may read, and where it writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.deduplication import Method
from dclm_spark.job import Job
from dclm_spark.session import shuffle_tasks
from dclm_spark.tables import Warehouse
from dclm_spark.whole_dump import read_lent

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Step:
    """A method in its place.

    Args:
        job: What is asked for; its dump is the last one of `new`.
        number: The method's place in the recipe, from 0.
        method: The method.
        new: The dumps whose documents it decides on.
        earlier: The dumps that they are added to, in their order; none unless its scope is `incremental`.
        earlier_runs: The finished run of each.
        lenders: Of each new dump what says which warehouse holds its rows of a table, and the run that made them.
    """

    job: Job
    number: int
    method: Method
    new: tuple[str, ...]
    earlier: tuple[str, ...]
    earlier_runs: Mapping[str, dict[str, Any]]
    lenders: Mapping[str, Callable[[str], tuple[Warehouse, dict[str, Any]]]]

    @property
    def dumps(self) -> tuple[str, ...]:
        """All dumps in their places: the earlier ones come first."""
        return (*self.earlier, *self.new)

    @property
    def warehouse(self) -> Warehouse:
        return self.job.warehouse

    @property
    def key(self) -> dict[str, Any]:
        """The partition of what the step writes once for all its dumps."""
        return {"dump": self.job.dump, "step": self.number}

    @property
    def n_documents(self) -> int:
        """Rows of `filtered` of the new dumps."""
        return sum(lender("filtered")[1]["n_rows_out"] for lender in self.lenders.values())

    @property
    def n_tasks(self) -> int:
        """Tasks of a shuffle."""
        return shuffle_tasks(self.warehouse.spark)

    def read(self, table: str) -> "DataFrame":
        """The rows of a table of all new dumps, each read where it is."""
        return read_lent(table, {dump: lender(table)[0] for dump, lender in self.lenders.items()})

    def version(self, table: str) -> int:
        """The version of a table that the last of the earlier dumps was written at."""
        return self.earlier_runs[self.earlier[-1]]["output_versions"][table]

    def signals(self, names: Sequence[str]) -> "DataFrame | None":
        """doc_id, dump and these signals of the documents of all dumps; null if there are none to read."""
        if not names:
            return None
        parts = []
        for dump in self.dumps:
            place, _ = self.lenders[dump]("annotated") if dump in self.lenders else (self.warehouse, None)
            # One row a document, also of one that is there twice.
            of_documents = place.read("annotated", dump=dump).groupBy("doc_id", "dump")
            parts.append(of_documents.agg(*(F.min(name).alias(name) for name in names)))
        return reduce(lambda one, other: one.unionAll(other), parts)
