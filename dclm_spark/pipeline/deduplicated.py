"""Makes `deduplicated`, `removed` and `cuts` of dumps from their `filtered`, by the recipe's deduplication methods.

Each method decides on the documents that the methods before it have kept. Texts are read for one last time, and
rewritten, after all have decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.runs import Key, Run, is_made_by
from dclm_spark.pipeline.decisions import FROM_DECISIONS, STAGE, Decided, decide, derive, is_derived
from dclm_spark.pipeline.groups import Group, GroupStage, check_dumps, make_groups, rows_by_dump
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.methods import METHODS
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.pipeline.run_stage import Outcome, each_once
from dclm_spark.recipe.deduplication import Method, Near, scope_of
from dclm_spark.spark.planning import planned_for_java
from dclm_spark.stages.deduplicated import cluster_sizes, cut_rows, deduplicate, removed_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def make_deduplicated(job: Job, dumps: Sequence[str]) -> list[Outcome]:
    """Makes `deduplicated`, `removed`, `cuts` and `decisions` of dumps; returns one outcome for each dump.

    The scopes of the recipe's methods say which dumps are compared: each dump alone; all together, in shards or not; or
    each with the documents kept of all dumps before it.

    Args:
        job: The recipe and warehouses; its dump is one of `dumps`.
        dumps: Names of the dumps. If a scope is `incremental`, their order matters.

    Raises:
        InputError: A dump is named twice, or there are more n-grams than a filter's capacity.
        WarehouseError: A table that is read is missing, or it or the rows to replace were made by another recipe.
    """
    check_dumps(job, dumps)
    # A recipe without methods gets `near`: then the error says that `duplicates` is missing.
    return make_groups(job, dumps, _stage(_settings(job, dumps) or (Near(),)))


def _settings(job: Job, dumps: Sequence[str]) -> tuple[Method, ...]:
    """Returns the settings of all methods: those of the recipe, after `near` if all dumps have finished clusters."""
    methods = job.recipe.methods
    if Near() in methods or job.recipe.duplicates is None:
        return methods
    for dump in dumps:
        ledger, key = replace(job, dump=dump).ledger(), Key(dump, "duplicates")
        run = ledger.own.get(key) or ledger.upstream.get(key)
        if run is None or not is_made_by(run, job.recipe):
            return methods
    return (Near(), *methods)


def _stage(settings: Sequence[Method]) -> GroupStage:
    """Describes the stage for these methods: the tables and scopes are those of the methods."""
    classes = [METHODS[type(one)] for one in settings]
    read = dict.fromkeys(table for method in classes for table in method.reads)
    written = dict.fromkeys(table for method in classes for table in method.writes)
    own = STAGES[STAGE].writes
    if is_derived(classes):
        own = tuple(table for table in own if table not in FROM_DECISIONS)
    return GroupStage(
        STAGE,
        reads=("filtered", *read),
        writes=(*own, *written),
        scopes=frozenset(map(scope_of, settings)),
        write=lambda job, group, runs: _write(group, _methods(job, group, settings), runs),
        check=lambda job, group: _check(_methods(job, group, settings)),
    )


def _methods(job: Job, group: Group, settings: Sequence[Method]) -> list[DedupMethod[Any]]:
    """Builds the methods that are applied to a group of dumps."""
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
    """Raises an error, before anything is written, if the dumps of a method cannot be added to earlier ones."""
    for method in methods:
        method.check()


def _write(group: Group, methods: Sequence[DedupMethod[Any]], runs: Mapping[str, Run]) -> dict[str, dict[str, Any]]:
    """Makes and writes all rows of a group; returns, by dump, the arguments for `Run.record`.

    Until rows of a previous run are replaced, that run counts as finished.
    """
    warehouse, run = methods[0].warehouse, runs[group.new[-1]]
    # Dumps that were added after these must be added again.
    outdated = sorted(group.finished.keys() & {*group.new, *group.later})

    def forget_runs() -> None:
        """Deletes the runs of the outdated dumps, once: if the work is interrupted, it must not count as done."""
        while outdated:
            warehouse.delete("runs", dump=outdated.pop(), stage=STAGE)

    filtered, repeats = each_once(methods[0].read("filtered"), stage=STAGE)
    if is_derived(methods):
        forget_runs()
        decided = derive(methods[0], filtered, run)
    else:
        decided = decide(methods, filtered, run, forget_runs=forget_runs)
    tables = _tables(filtered, repeats, decided, methods)
    commits = {}
    with planned_for_java(warehouse.spark):
        for table, rows in tables.items():
            where = {} if table == STAGE else {"stage": STAGE}
            commits[table] = warehouse.replace(rows, table, lineage=run.lineage, dump=group.new, **where)
    versions = decided.versions | {table: commit.version for table, commit in commits.items()}

    def count(table: str, **where: str) -> dict[str, int]:
        version, n_rows = versions[table], commits[table].n_rows
        return rows_by_dump(lambda: warehouse.read(table, version=version, dump=group.new, **where), n_rows, group.new)

    n_out, n_removed = count(STAGE), count("removed", stage=STAGE)
    _check_counts(group, n_out, n_removed)
    return {
        dump: {"n_rows_out": n_out[dump], "n_removed": n_removed[dump], "output_versions": versions}
        for dump in group.new
    }


def _tables(
    filtered: "DataFrame", repeats: "DataFrame | None", decided: Decided, methods: Sequence[DedupMethod[Any]]
) -> dict[str, "DataFrame"]:
    """Makes the rows of each table, in the order in which the tables are written.

    Args:
        filtered: Rows of `filtered`, each document once.
        repeats: Rows of `removed` for repeated rows of documents; null if there are none.
        decided: The decisions of all methods.
        methods: The methods.
    """
    removed = removed_rows(filtered, decided.rows, n_decisions=decided.n_rows)
    tables = {"removed": removed if repeats is None else removed.unionByName(repeats)}
    if not is_derived(methods):
        tables["cuts"] = cut_rows(decided.rows)
    sizes = None
    if any(method.names_survivors for method in methods):
        known = [found for method in methods if (found := method.cluster_sizes()) is not None]
        sizes = cluster_sizes(decided.rows, known[0] if known else None)
    tables[STAGE] = deduplicate(filtered, decided.rows, n_decisions=decided.n_rows, sizes=sizes)
    return tables


def _check_counts(group: Group, n_out: Mapping[str, int], n_removed: Mapping[str, int]) -> None:
    """Raises an error unless each document of `filtered` is either kept or removed, in every dump."""
    found = {dump: group.inputs.finished(dump, "filtered") for dump in group.new}
    wrong = [
        f"{STAGE} of {dump} has {n_out[dump]:,} rows and {n_removed[dump]:,} removed for {filtered.n_rows:,} "
        f"filtered: has another job written to {filtered.warehouse}?"
        for dump, filtered in found.items()
        if n_out[dump] + n_removed[dump] != filtered.n_rows
    ]
    if wrong:
        raise WarehouseError(wrong)
