"""Defines `DedupMethod`, the base class of deduplication methods: what each reads, writes, plans and decides."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pyspark.sql import functions as F

from dclm_spark.errors import InputError
from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.runs import Run
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.job import Job
from dclm_spark.recipe.deduplication import Method
from dclm_spark.spark.session import shuffle_tasks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Settings = TypeVar("Settings", bound=Method)


@dataclass(frozen=True)
class DedupMethod(ABC, Generic[Settings]):
    """Applies one method of a recipe to the documents of some dumps. Each subclass implements one class of settings.

    Args:
        job: The recipe and warehouses; its dump is the last one of `new`.
        number: Index of the method in the recipe, from 0.
        settings: The method's settings.
        new: The dumps whose documents the method decides on, in their order.
        earlier: The dumps that the new ones are added to, in their order; empty unless the scope is `incremental`.
        earlier_runs: Dump -> finished run of `deduplicated`; has an entry for each earlier dump.
        inputs: Reads the rows of all these dumps.

    Attributes:
        reads: Tables that the method reads besides `filtered`.
        writes: Tables that the method writes besides `decisions`, for later dumps or for its own next round.
        is_derived: Whether the decisions follow from the tables in `reads`, without the texts. If it is the only
            method, `decisions` is not written: the decisions are derived again wherever they are needed.
        names_survivors: Whether each decision names the document that is kept instead. Its cluster size counts the
            documents that were removed for it.
        keeps_numbers: Whether decisions name paragraphs by their numbers. If so, a paragraph that an earlier method
            has removed is replaced by an empty one, so that the others keep their numbers.
        may_refuse: Whether `decide` may raise `InputError` after it has read the texts. If so, the rows of the previous
            run count as finished until `decide` has returned.
        can_plan: Whether `plan` is implemented.
    """

    job: Job
    number: int
    settings: Settings
    new: tuple[str, ...]
    earlier: tuple[str, ...]
    earlier_runs: Mapping[str, dict[str, Any]]
    inputs: Inputs

    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    is_derived: ClassVar[bool] = False
    names_survivors: ClassVar[bool] = False
    keeps_numbers: ClassVar[bool] = False
    may_refuse: ClassVar[bool] = False
    can_plan: ClassVar[bool] = False

    @abstractmethod
    def decide(self, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
        """Decides which documents and paragraphs are removed.

        Args:
            documents: Rows of `filtered` of the new dumps after all earlier methods; each document has one row.
            run: The run that makes the decisions.

        Returns:
            Rows of `decisions` without `step`, and the version of each table in `writes` that later dumps read.

        Raises:
            InputError: The settings do not fit the texts; only if `may_refuse`.
        """

    @classmethod
    def settings_to_plan(cls, settings: Settings) -> Settings:
        """Returns the settings with a value for each field that is null until the plan is known.

        A recipe with these settings is valid, so that `plan` can be called before the fields are chosen.
        """
        return settings

    def check(self) -> None:  # noqa: B027 - most methods store nothing to check
        """Raises an error, before anything is written, if the new dumps cannot be added to the earlier ones.

        Raises:
            WarehouseError: A table that was written for the earlier dumps does not fit the settings.
        """

    def plan(self) -> tuple[dict[str, Any], str]:
        """Estimates the memory and the shuffle that the method needs; returns the estimate as data and as text.

        Raises:
            InputError: The method cannot be planned, or would need more memory than a worker may use.
        """
        raise InputError([f"{self.settings.name} needs no plan: it holds no filter in memory"])

    def cluster_sizes(self) -> "DataFrame | None":
        """Reads rows of dump, doc_id and cluster_size; null if no table in `reads` has them."""
        return None

    def planned(self) -> AbstractContextManager[None]:
        """Returns a context that changes the session's settings while the decisions are written."""
        return nullcontext()

    @property
    def dumps(self) -> tuple[str, ...]:
        """All dumps in their order, the earlier ones first."""
        return (*self.earlier, *self.new)

    @property
    def warehouse(self) -> Warehouse:
        return self.job.warehouse

    @property
    def key(self) -> dict[str, Any]:
        """The partition of rows that the method writes once for all new dumps: that of the last one."""
        return {"dump": self.job.dump, "step": self.number}

    @property
    def n_documents(self) -> int:
        """Number of documents of the new dumps before any method has removed some: rows of `filtered`."""
        return self.n_rows("filtered")

    @property
    def n_tasks(self) -> int:
        """Number of tasks of a shuffle."""
        return shuffle_tasks(self.warehouse.spark)

    def n_rows(self, table: str) -> int:
        """Counts the rows of the new dumps in a finished table."""
        return sum(self.inputs.finished(dump, table).n_rows for dump in self.new)

    def read(self, table: str) -> "DataFrame":
        """Reads a table's rows of the new dumps, each dump from the warehouse that holds it."""
        return self.inputs.read(table, self.new)

    def version(self, table: str) -> int:
        """Returns the version of a table that the run of the last earlier dump wrote."""
        return self.earlier_runs[self.earlier[-1]]["output_versions"][table]

    def signals(self, names: Sequence[str]) -> "DataFrame | None":
        """Reads rows of doc_id, dump and these signals for all dumps; null if `names` is empty."""
        return read_signals(self.inputs, names, self.dumps)


def read_signals(inputs: Inputs, names: Sequence[str], dumps: Sequence[str]) -> "DataFrame | None":
    """Reads rows of doc_id, dump and these signals, one for each document of the dumps; null if `names` is empty."""
    if not names:
        return None
    # A document may have several rows in `annotated`; the join must not repeat it.
    of_documents = inputs.read("annotated", dumps).groupBy("doc_id", "dump")
    return of_documents.agg(*(F.min(name).alias(name) for name in names))
