"""Makes `decisions` of dumps: runs the recipe's methods in their order, each on the documents that the others kept."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F

from dclm_spark.lake.runs import Run
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.stages.deduplicated import by_document, keep_remaining

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STAGE = "deduplicated"
FROM_DECISIONS: dict[str, dict[str, str]] = {"cuts": {"stage": STAGE}, "decisions": {}}
"""Tables that are not written if decisions are derived -> the values that select this stage's rows in them."""
MAX_METHODS = 1 << 20
"""A number that no recipe's number of methods reaches, so that `range(n, MAX_METHODS)` covers the n-th method and all
later ones, also those of a longer recipe that made the rows before."""


class Decided(NamedTuple):
    """Holds the decisions of all methods on a group of dumps.

    Args:
        rows: Rows of `stages.deduplicated.by_document`.
        n_rows: Number of decisions before they are merged by document; if they are derived, an upper limit.
        versions: Table -> version, for the tables that the methods have written.
    """

    rows: "DataFrame"
    n_rows: int
    versions: dict[str, int]


def is_derived(methods: Sequence[DedupMethod[Any] | type[DedupMethod[Any]]]) -> bool:
    """Returns whether the decisions follow from other tables, so that `decisions` need not be written."""
    return len(methods) == 1 and methods[0].is_derived


def derive(method: DedupMethod[Any], filtered: "DataFrame", run: Run) -> Decided:
    """Makes the decisions of a recipe whose only method derives them, and clears the tables that are not written."""
    _clear_tables(method.warehouse, method.new)
    rows, versions = method.decide(filtered, run)
    return Decided(rows, sum(map(method.n_rows, method.reads)), versions)


def decide(
    methods: Sequence[DedupMethod[Any]], filtered: "DataFrame", run: Run, *, forget_runs: Callable[[], None]
) -> Decided:
    """Writes the rows of `decisions`, method by method.

    Args:
        methods: The methods in their order.
        filtered: Rows of `filtered` of the new dumps, each document once.
        run: The run that makes the decisions.
        forget_runs: Function that deletes the runs whose rows will be replaced. It is called before rows are replaced
            that a finished run has written; further calls do nothing.
    """
    warehouse, new = methods[0].warehouse, methods[0].new
    n_decisions = 0
    versions: dict[str, int] = {}
    for method in methods:
        documents = filtered
        if n_decisions:
            documents = _remaining(method, filtered, versions["decisions"], n_decisions)
        if not method.may_refuse:
            forget_runs()
        rows, made = method.decide(documents, run)
        # A method that may refuse has not done so. Until here the previous run was valid: the blocks of its filter may
        # have been replaced, but they are read at the version that the run has recorded.
        forget_runs()
        versions |= made
        numbered = rows.withColumn("step", F.lit(method.number))
        lineage = {**run.lineage, "step": method.number}
        with method.planned():
            # Also replaces the rows of all later methods, which a previous run may have written.
            steps = range(method.number, MAX_METHODS)
            commit = warehouse.replace(numbered, "decisions", lineage=lineage, dump=new, step=steps)
        n_decisions += commit.n_rows
        versions["decisions"] = commit.version
    rows = warehouse.read("decisions", version=versions["decisions"], dump=new)
    return Decided(by_document(rows, n_steps=len(methods)), n_decisions, versions)


def _remaining(method: DedupMethod[Any], filtered: "DataFrame", version: int, n_decisions: int) -> "DataFrame":
    """Applies the decisions of all earlier methods to the documents that a method reads."""
    decisions = method.warehouse.read("decisions", version=version, dump=method.new)
    earlier = by_document(decisions.where(F.col("step") < method.number), n_steps=method.number)
    return keep_remaining(filtered, earlier, n_decisions=n_decisions, keeps_numbers=method.keeps_numbers)


def _clear_tables(warehouse: Warehouse, dumps: Sequence[str]) -> None:
    """Deletes the rows that another recipe has written to the tables that are not written if decisions are derived."""
    for table, where in FROM_DECISIONS.items():
        if warehouse.exists(table):
            for dump in dumps:
                warehouse.delete(table, dump=dump, **where)
