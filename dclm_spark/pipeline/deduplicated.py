"""`deduplicated` of dumps from their `filtered`: the recipe's methods, one after the other, then the texts, once.

Each method reads what those before it have left, and writes what it takes out to `decisions`; texts are rewritten only
when all have decided.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.runs import Key, Run, is_made_by
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.groups import Group, GroupStage, check_dumps, make_groups, rows_by_dump
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.methods.exact import decide_by_keys
from dclm_spark.pipeline.methods.ngrams import decide_by_ngrams
from dclm_spark.pipeline.methods.step import Step
from dclm_spark.pipeline.methods.stored_filter import stored_filter
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.pipeline.run_stage import Outcome, each_once, make_stage, write_split
from dclm_spark.recipe.deduplication import Bloom, Exact, Method, Near, scope_of
from dclm_spark.spark.session import planned_for_java, planned_for_packets
from dclm_spark.stages.decisions import decide_near
from dclm_spark.stages.deduplicated import (
    by_document,
    cluster_sizes,
    cut_rows,
    deduplicate,
    drop_duplicates,
    removed_rows,
    what_is_left,
)
from dclm_spark.stages.repeats import removed_repeats

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STAGE = "deduplicated"
MAX_STEPS = 1 << 20
"""More than a recipe has methods."""
_TABLES_OF = {Exact: ("exact_keys",), Near: (), Bloom: ("ngrams", "kept_units", "filter_blocks")}


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
    methods = _methods(job, dumps)
    if methods in ((), (Near(),)):
        return [_honour_clusters(replace(job, dump=dump)) for dump in dumps]
    stage = GroupStage(
        STAGE,
        reads=("filtered", *(("duplicates",) if Near() in methods else ())),
        writes=(
            *STAGES[STAGE].writes,
            *dict.fromkeys(table for method in methods for table in _TABLES_OF[type(method)]),
        ),
        scopes=frozenset(map(scope_of, methods)),
        write=lambda job, group, runs: _write(job, group, _steps(job, group, methods), runs),
        check=lambda job, group: _check_filters(_steps(job, group, methods)),
    )
    return make_groups(job, dumps, stage)


def _honour_clusters(job: Job) -> Outcome:
    """The same where clusters alone decide, of one dump from its `filtered` and its `duplicates`."""

    def write(run: Run, filtered: "DataFrame", duplicates: "DataFrame") -> dict[str, Any]:
        for table, where in {"cuts": {"stage": STAGE}, "decisions": {}}.items():
            if job.warehouse.exists(table):  # what a recipe of other methods has left
                job.warehouse.delete(table, dump=job.dump, **where)
        filtered, repeats = each_once(filtered)
        return write_split(job, run, drop_duplicates(filtered, duplicates), STAGE, repeats=repeats)

    return make_stage(job, STAGE, write, tables=("removed", STAGE))


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


def _check_filters(steps: Sequence[Step]) -> None:
    for step in steps:
        if isinstance(step.method, Bloom):
            stored_filter(step)


def _steps(job: Job, group: Group, methods: Sequence[Method]) -> list[Step]:
    return [
        Step(
            job=job,
            number=number,
            method=method,
            new=group.new,
            earlier=group.earlier if scope_of(method) == "incremental" else (),
            earlier_runs=group.finished,
            inputs=group.inputs,
        )
        for number, method in enumerate(methods)
    ]


def _write(job: Job, group: Group, steps: Sequence[Step], runs: Mapping[str, Run]) -> dict[str, dict[str, Any]]:
    """Makes all rows; what `Run.record` is told of each dump. Those that are outdated count as done until it begins."""
    warehouse = job.warehouse
    # What was added to these dumps is to be added again.
    outdated = sorted(group.finished.keys() & {*group.new, *group.later})
    run = runs[group.new[-1]]
    n_decisions = 0
    versions: dict[str, int] = {}
    filtered, repeats = each_once(steps[0].read("filtered"))
    for step in steps:
        documents = filtered
        if n_decisions:
            before = warehouse.read("decisions", version=versions["decisions"], dump=group.new)
            before = before.where(F.col("step") < step.number)
            documents = what_is_left(
                filtered,
                by_document(before, n_steps=step.number),
                n_decisions=n_decisions,
                keeps_places=isinstance(step.method, Bloom),
            )
        if not isinstance(step.method, Bloom):
            _forget_runs(warehouse, outdated)
        rows, made = _decide(step, documents, run)
        # n-grams may be refused once they are counted. Until then nothing was replaced that another run reads: the
        # blocks of a filter are read at the version that its run has recorded.
        _forget_runs(warehouse, outdated)
        versions |= made
        in_table = rows.withColumn("step", F.lit(step.number))
        lineage = {**run.lineage, "step": step.number}
        with planned_for_packets(warehouse.spark) if isinstance(step.method, Bloom) else nullcontext():
            # With those of all later steps, which another run has left.
            steps_from = range(step.number, MAX_STEPS)
            commit = warehouse.replace(in_table, "decisions", lineage=lineage, dump=group.new, step=steps_from)
        n_decisions += commit.n_rows
        versions["decisions"] = commit.version
    decisions = warehouse.read("decisions", version=versions["decisions"], dump=group.new)
    decided = by_document(decisions, n_steps=len(steps))
    sizes = None
    if any(isinstance(step.method, Exact | Near) for step in steps):
        honoured = any(step.method == Near() for step in steps)
        sizes = cluster_sizes(decided, steps[0].read("duplicates") if honoured else None)
    left = deduplicate(filtered, decided, n_decisions=n_decisions, sizes=sizes)
    removed = removed_rows(decided)
    if repeats is not None:
        removed = removed.unionByName(removed_repeats(repeats, stage=STAGE))
    of_stage = {"dump": group.new, "stage": STAGE}
    with planned_for_java(warehouse.spark):
        of_all = {
            "removed": warehouse.replace(removed, "removed", lineage=run.lineage, **of_stage),
            "cuts": warehouse.replace(cut_rows(decided), "cuts", lineage=run.lineage, **of_stage),
            STAGE: warehouse.replace(left, STAGE, lineage=run.lineage, dump=group.new),
        }
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


def _decide(step: Step, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
    """The rows of `decisions` of one step, and the versions of the tables it has written for later dumps."""
    if isinstance(step.method, Exact):
        return decide_by_keys(step, documents, run)
    if isinstance(step.method, Bloom):
        return decide_by_ngrams(step, documents, run)
    warehouse = step.job.warehouse
    clusters, gone = step.read("duplicates"), None
    if step.number:
        place = step.inputs.finished(step.new[0], "duplicates").warehouse
        reach = clusters.select("scope", "cluster_id").distinct()
        clusters = place.read("duplicates", version=step.inputs.version(place, "duplicates"))
        clusters = clusters.join(reach, ["scope", "cluster_id"], "left_semi")
        gone = warehouse.read("decisions").where((F.col("step") < step.number) & F.col("removed_by").isNotNull())
        gone = gone.select("doc_id", "dump")
    return decide_near(clusters, dumps=step.new, gone=gone), {}


def _forget_runs(warehouse: Warehouse, outdated: list[str]) -> None:
    """Deletes the runs of these dumps, once: interrupted from here on, the work must not count as done."""
    while outdated:
        warehouse.delete("runs", dump=outdated.pop(), stage=STAGE)
