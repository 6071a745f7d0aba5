"""`deduplicated` of dumps from their `filtered`: the recipe's methods, one after the other, then the texts, once.

Each method reads what those before it have left, and writes what it takes out to `decisions`; texts are rewritten only
when all have decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.runs import Key, Run, is_made_by
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.groups import Group, GroupStage, check_dumps, make_groups, rows_by_dump
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.methods import METHODS
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.pipeline.run_stage import Outcome, each_once
from dclm_spark.recipe.deduplication import Method, Near, scope_of
from dclm_spark.spark.planning import planned_for_java
from dclm_spark.stages.deduplicated import (
    by_document,
    cluster_sizes,
    cut_rows,
    deduplicate,
    keep_remaining,
    removed_rows,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STAGE = "deduplicated"
MAX_STEPS = 1 << 20
"""More than a recipe has methods."""
_OF_DECISIONS: dict[str, dict[str, str]] = {"cuts": {"stage": STAGE}, "decisions": {}}
"""Tables that are written from decisions alone, and the rows of each that are this stage's."""


def make_deduplicated(job: Job, dumps: Sequence[str]) -> list[Outcome]:
    """`deduplicated`, `removed`, `cuts` and `decisions` of dumps: an outcome a dump.

    The scopes are those of the recipe's methods: each dump by itself, all at once, or one after the other, each with
    what was kept of all that came before.

    Args:
        job: What is asked for; its dump is one of these.
        dumps: The dumps. Where a scope is `incremental`, their order counts.

    Raises:
        InputError: A dump is named twice, or a filter cannot hold what it is to hold.
        WarehouseError: A table before is missing, or another recipe made it or the rows in the way.
    """
    check_dumps(job, dumps)
    # Without any method a dump's clusters are asked for, which says what is missing.
    settings = _methods(job, dumps) or (Near(),)
    at_work = [METHODS[type(one)] for one in settings]
    tables = dict.fromkeys(table for method in at_work for table in method.reads)
    written = dict.fromkeys(table for method in at_work for table in method.writes)
    own = STAGES[STAGE].writes
    if _is_derived(at_work):
        own = tuple(table for table in own if table not in _OF_DECISIONS)
    stage = GroupStage(
        STAGE,
        reads=("filtered", *tables),
        writes=(*own, *written),
        scopes=frozenset(map(scope_of, settings)),
        write=lambda job, group, runs: _write(job, group, _at_work(job, group, settings), runs),
        check=lambda job, group: _check(_at_work(job, group, settings)),
    )
    return make_groups(job, dumps, stage)


def _methods(job: Job, dumps: Sequence[str]) -> tuple[Method, ...]:
    """The recipe's methods; clusters that it does not name are honoured first, where there are any of all dumps."""
    methods = job.recipe.methods
    if Near() in methods or job.recipe.duplicates is None:
        return methods
    for dump in dumps:
        ledger, key = replace(job, dump=dump).ledger(), Key(dump, "duplicates")
        run = ledger.own.get(key) or ledger.upstream.get(key)
        if run is None or not is_made_by(run, job.recipe):
            return methods
    return (Near(), *methods)


def _at_work(job: Job, group: Group, settings: Sequence[Method]) -> list[DedupMethod[Any]]:
    return [
        METHODS[type(one)](
            job=job,
            number=number,
            settings=one,
            new=group.new,
            earlier=group.earlier if scope_of(one) == "incremental" else (),
            earlier_runs=group.finished,
            inputs=group.inputs,
        )
        for number, one in enumerate(settings)
    ]


def _check(methods: Sequence[DedupMethod[Any]]) -> None:
    for method in methods:
        method.check()


def _is_derived(methods: Sequence[DedupMethod[Any] | type[DedupMethod[Any]]]) -> bool:
    """Whether what is removed follows from tables that are there, so that it need not be written down first."""
    return len(methods) == 1 and methods[0].is_derived


def _write(
    job: Job, group: Group, methods: Sequence[DedupMethod[Any]], runs: Mapping[str, Run]
) -> dict[str, dict[str, Any]]:
    """Makes all rows; what `Run.record` is told of each dump. Those that are outdated count as done until it begins."""
    warehouse = job.warehouse
    # What was added to these dumps is to be added again.
    outdated = sorted(group.finished.keys() & {*group.new, *group.later})
    run = runs[group.new[-1]]
    filtered, repeats = each_once(methods[0].read("filtered"), stage=STAGE)
    is_derived = _is_derived(methods)
    if is_derived:
        _forget_runs(warehouse, outdated)
        _clear_decisions(warehouse, group.new)
        (decided, versions), n_decisions = (
            methods[0].decide(filtered, run),
            sum(map(methods[0].n_rows, methods[0].reads)),
        )
    else:
        decided, versions, n_decisions = _decide_all(methods, filtered, run, outdated)
    sizes = None
    if any(method.names_survivors for method in methods):
        known = [sizes for method in methods if (sizes := method.cluster_sizes()) is not None]
        sizes = cluster_sizes(decided, known[0] if known else None)
    left = deduplicate(filtered, decided, n_decisions=n_decisions, sizes=sizes)
    removed = removed_rows(filtered, decided, n_decisions=n_decisions)
    if repeats is not None:
        removed = removed.unionByName(repeats)
    of_stage = {"dump": group.new, "stage": STAGE}
    with planned_for_java(warehouse.spark):
        of_all = {"removed": warehouse.replace(removed, "removed", lineage=run.lineage, **of_stage)}
        if not is_derived:
            of_all["cuts"] = warehouse.replace(cut_rows(decided), "cuts", lineage=run.lineage, **of_stage)
        of_all[STAGE] = warehouse.replace(left, STAGE, lineage=run.lineage, dump=group.new)
    versions |= {table: commit.version for table, commit in of_all.items()}

    def count(table: str, **where: str) -> dict[str, int]:
        version, n_rows = versions[table], of_all[table].n_rows
        return rows_by_dump(lambda: warehouse.read(table, version=version, dump=group.new, **where), n_rows, group.new)

    n_out, n_removed = count(STAGE), count("removed", stage=STAGE)
    found = {dump: group.inputs.finished(dump, "filtered") for dump in group.new}
    wrong = [
        f"{STAGE} of {dump} has {n_out[dump]:,} rows and {n_removed[dump]:,} removed for {filtered.n_rows:,} "
        f"filtered: has another job written to {filtered.warehouse}?"
        for dump, filtered in found.items()
        if n_out[dump] + n_removed[dump] != filtered.n_rows
    ]
    if wrong:
        raise WarehouseError(wrong)
    return {
        dump: {"n_rows_out": n_out[dump], "n_removed": n_removed[dump], "output_versions": versions}
        for dump in group.new
    }


def _decide_all(
    methods: Sequence[DedupMethod[Any]], filtered: "DataFrame", run: Run, outdated: list[str]
) -> tuple["DataFrame", dict[str, int], int]:
    """Writes `decisions`, method after method: what all decided, by document, the versions of tables, and the rows."""
    warehouse, new = methods[0].warehouse, methods[0].new
    n_decisions = 0
    versions: dict[str, int] = {}
    for method in methods:
        documents = filtered
        if n_decisions:
            before = warehouse.read("decisions", version=versions["decisions"], dump=new)
            before = before.where(F.col("step") < method.number)
            documents = keep_remaining(
                filtered,
                by_document(before, n_steps=method.number),
                n_decisions=n_decisions,
                keeps_numbers=method.keeps_numbers,
            )
        if not method.may_refuse:
            _forget_runs(warehouse, outdated)
        rows, made = method.decide(documents, run)
        # A method that may refuse has not. Until then nothing was replaced that another run reads: the blocks of a
        # filter are read at the version that its run has recorded.
        _forget_runs(warehouse, outdated)
        versions |= made
        in_table = rows.withColumn("step", F.lit(method.number))
        lineage = {**run.lineage, "step": method.number}
        with method.planned():
            # With those of all later methods, which another run has left.
            steps_from = range(method.number, MAX_STEPS)
            commit = warehouse.replace(in_table, "decisions", lineage=lineage, dump=new, step=steps_from)
        n_decisions += commit.n_rows
        versions["decisions"] = commit.version
    decisions = warehouse.read("decisions", version=versions["decisions"], dump=new)
    return by_document(decisions, n_steps=len(methods)), versions, n_decisions


def _clear_decisions(warehouse: Warehouse, dumps: Sequence[str]) -> None:
    """Deletes the rows that a recipe of other methods has left in the tables that this one does not write."""
    for table, where in _OF_DECISIONS.items():
        if warehouse.exists(table):
            for dump in dumps:
                warehouse.delete(table, dump=dump, **where)


def _forget_runs(warehouse: Warehouse, outdated: list[str]) -> None:
    """Deletes the runs of these dumps, once: interrupted from here on, the work must not count as done."""
    while outdated:
        warehouse.delete("runs", dump=outdated.pop(), stage=STAGE)
