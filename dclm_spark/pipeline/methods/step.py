"""One method of deduplication at work on some dumps: what it may read, and where it writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.job import Job
from dclm_spark.recipe.deduplication import Method
from dclm_spark.spark.session import shuffle_tasks

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
        inputs: Of all dumps.
    """

    job: Job
    number: int
    method: Method
    new: tuple[str, ...]
    earlier: tuple[str, ...]
    earlier_runs: Mapping[str, dict[str, Any]]
    inputs: Inputs

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
        return sum(self.inputs.finished(dump, "filtered").n_rows for dump in self.new)

    @property
    def n_tasks(self) -> int:
        """Tasks of a shuffle."""
        return shuffle_tasks(self.warehouse.spark)

    def read(self, table: str) -> "DataFrame":
        """The rows of a table of all new dumps, each read where it is."""
        return self.inputs.read(table, self.new)

    def version(self, table: str) -> int:
        """The version of a table that the last of the earlier dumps was written at."""
        return self.earlier_runs[self.earlier[-1]]["output_versions"][table]

    def signals(self, names: Sequence[str]) -> "DataFrame | None":
        """doc_id, dump and these signals of the documents of all dumps; null if there are none to read."""
        return read_signals(self.inputs, names, self.dumps)


def read_signals(inputs: Inputs, names: Sequence[str], dumps: Sequence[str]) -> "DataFrame | None":
    """doc_id, dump and these signals of the documents of these dumps; null if there are none to read."""
    if not names:
        return None
    # One row a document, also of one that is there twice.
    of_documents = inputs.read("annotated", dumps).groupBy("doc_id", "dump")
    return of_documents.agg(*(F.min(name).alias(name) for name in names))
