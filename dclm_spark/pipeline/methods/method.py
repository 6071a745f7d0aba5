"""A method of deduplication at work on some dumps: what it reads, writes, plans and decides."""

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
    """A method of deduplication at work. A subclass is one method, and says what is particular to it.

    Args:
        job: What is asked for; its dump is the last one of `new`.
        number: The position of the method in the recipe, from 0.
        settings: What the recipe says of the method.
        new: The dumps whose documents it decides on.
        earlier: The dumps that they are added to, in their order; none unless the scope is `incremental`.
        earlier_runs: The finished run of each earlier dump.
        inputs: What is read of all dumps.

    Attributes:
        reads: Tables that it reads beside `filtered`.
        writes: Tables that it writes beside `decisions`, for later dumps or for later rounds.
        is_derived: True if its decisions follow from the tables that it reads without looking at texts. Where it is the
            only method, they are derived again wherever they are needed, and `decisions` is not written.
        names_survivors: True if its decisions name the document that is kept instead, which counts those it stands for.
        keeps_places: True if it tells paragraphs by their number: a paragraph that a method before has removed then
            leaves its place empty.
        may_refuse: True if `decide` may raise `InputError` once it has seen the texts. Rows of an earlier run then
            count as finished until it has not.
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
    keeps_places: ClassVar[bool] = False
    may_refuse: ClassVar[bool] = False

    @abstractmethod
    def decide(self, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
        """The rows of `decisions` without `step`, and the versions of the tables that were written for later dumps.

        Args:
            documents: Rows of `filtered` of the new dumps, as the methods before have left them, each document once.
            run: The run that the rows belong to.

        Raises:
            InputError: The settings do not fit the texts; only where `may_refuse`.
        """

    def check(self) -> None:  # noqa: B027 - most methods add to nothing
        """Refuses dumps that cannot be added to the earlier ones, before anything is written.

        Raises:
            WarehouseError: What was written for the earlier dumps does not fit.
        """

    def plan(self) -> tuple[dict[str, Any], str]:
        """What the method will take of a cluster, as data and as text.

        Raises:
            InputError: There is nothing to plan.
        """
        raise InputError([f"{self.settings.name} needs no plan: it takes no memory that has to be planned"])

    def cluster_sizes(self) -> "DataFrame | None":
        """Rows of dump, doc_id and cluster_size that a table it reads has; null where only decisions tell them."""
        return None

    def planned(self) -> AbstractContextManager[None]:
        """Settings of the session under which its decisions are written."""
        return nullcontext()

    @property
    def dumps(self) -> tuple[str, ...]:
        """All dumps in order: the earlier ones come first."""
        return (*self.earlier, *self.new)

    @property
    def warehouse(self) -> Warehouse:
        return self.job.warehouse

    @property
    def key(self) -> dict[str, Any]:
        """The partition of what the method writes once for all its dumps."""
        return {"dump": self.job.dump, "step": self.number}

    @property
    def n_documents(self) -> int:
        """Rows of `filtered` of the new dumps."""
        return self.n_rows("filtered")

    @property
    def n_tasks(self) -> int:
        """Tasks of a shuffle."""
        return shuffle_tasks(self.warehouse.spark)

    def n_rows(self, table: str) -> int:
        """Rows that a finished table has of the new dumps."""
        return sum(self.inputs.finished(dump, table).n_rows for dump in self.new)

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
