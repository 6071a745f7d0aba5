"""`deduplicated` of dumps from their `filtered`: the recipe's methods, one after the other, then the texts, once.

Each method reads what those before it have left, and writes what it takes out to `decisions`; texts are rewritten only
when all have decided.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.lake import claims
from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.runs import Run, is_made_by, last_runs
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.groups import STAGE, Group, earlier_dumps
from dclm_spark.pipeline.job import Job, Ledger
from dclm_spark.pipeline.methods.exact import decide_by_keys
from dclm_spark.pipeline.methods.ngrams import decide_by_ngrams
from dclm_spark.pipeline.methods.step import Step
from dclm_spark.pipeline.methods.stored_filter import stored_filter
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.pipeline.run_stage import Outcome, each_once, make_stage, up_to_date, write_split
from dclm_spark.recipe.deduplication import Bloom, Exact, Method, Near, scope_of
from dclm_spark.recipe.scopes import groups_of
from dclm_spark.spark.session import planned_for_java, planned_for_packets, planned_for_python
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
    repeated = sorted({dump for dump in dumps if dumps.count(dump) > 1})
    if repeated:
        raise InputError([f"the dump {dump} is named twice" for dump in repeated])
    for dump in dumps:
        replace(job, dump=dump).check()
    methods = _methods(job, dumps)
    if methods in ((), (Near(),)):
        return [_honour_clusters(replace(job, dump=dump)) for dump in dumps]
    scopes = {scope_of(method) for method in methods}
    with planned_for_python(job.warehouse.spark):
        return [
            outcome
            for group in groups_of(dumps, scopes)
            for outcome in _make_group(job, group, methods, is_added="incremental" in scopes)
        ]


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
        ledger, key = replace(job, dump=dump).ledger(), (dump, "duplicates")
        run = ledger.own.get(key) or ledger.upstream.get(key)
        if run is None or not is_made_by(run, job.recipe):
            return methods
    return (Near(), *methods)


def _make_group(job: Job, new: tuple[str, ...], methods: tuple[Method, ...], *, is_added: bool) -> list[Outcome]:
    tables = ("filtered", *(("duplicates",) if Near() in methods else ()))

    def find() -> tuple[Group, dict[str, dict[str, Any]], list[Outcome | None]]:
        own_runs = last_runs(job.warehouse)
        lent_runs = last_runs(job.upstream) if job.upstream is not None else {}
        finished = {dump: run for (dump, stage), run in own_runs.items() if stage == STAGE}
        earlier = earlier_dumps(finished, new[0], job, stage=STAGE) if is_added else ()
        ledgers = {dump: Ledger(replace(job, dump=dump), own_runs, lent_runs) for dump in (*earlier, *new)}
        group = Group(new, earlier, {dump: finished[dump] for dump in earlier}, ledgers)
        done = [up_to_date(ledgers[dump], STAGE, group.upstream_runs(dump, tables)) for dump in new]
        return group, finished, done

    (group, _, done), find_again = claims.look(job.warehouse, ("runs",), find)
    if all(done):
        return done
    _check_filters(_steps(job, group, methods))  # before anything is written
    of_methods = {table for method in methods for table in _TABLES_OF[type(method)]}
    job.warehouse.prepare(*STAGES[STAGE].writes, "runs", *of_methods)
    with claims.claimed(job.warehouse, STAGE, new, is_wide=is_added or len(new) > 1):
        group, finished, done = find_again()
        return done if all(done) else _make(replace(job, dump=new[-1]), group, finished, methods, tables)


def _make(
    job: Job,
    group: Group,
    finished: Mapping[str, dict[str, Any]],
    methods: tuple[Method, ...],
    tables: Sequence[str],
) -> list[Outcome]:
    """Makes the rows of all dumps of a group, under a claim."""
    new, ledgers = group.new, group.ledgers
    steps = _steps(job, group, methods)
    _check_filters(steps)
    # What was added to these dumps is to be added again.
    later = [dump for dump, run in finished.items() if f"{STAGE} {new[0]}" in run["upstream_runs"]]
    outdated = sorted(finished.keys() & {*new, *later})
    runs = {dump: replace(job, dump=dump).run(STAGE) for dump in new}
    lenders = {dump: ledgers[dump].lender("filtered") for dump in new}
    with replace(job, dump=", ".join(new)).progress(STAGE):
        outcomes = _write(job, group, steps, runs, lenders, outdated)
    return [
        Outcome(
            runs[dump].record(
                n_rows_in=lenders[dump][1]["n_rows_out"],
                upstream_runs=group.upstream_runs(dump, tables),
                input_versions=steps[0].inputs.versions(dump),
                **outcomes[dump],
            ),
            is_new=True,
        )
        for dump in new
    ]


def _check_filters(steps: Sequence[Step]) -> None:
    for step in steps:
        if isinstance(step.method, Bloom):
            stored_filter(step)


def _steps(job: Job, group: Group, methods: Sequence[Method]) -> list[Step]:
    inputs = Inputs({dump: ledger.lender for dump, ledger in group.ledgers.items()})
    job = replace(job, dump=group.new[-1])
    return [
        Step(
            job=job,
            number=number,
            method=method,
            new=group.new,
            earlier=group.earlier if scope_of(method) == "incremental" else (),
            earlier_runs=group.earlier_runs,
            inputs=inputs,
        )
        for number, method in enumerate(methods)
    ]


def _write(
    job: Job,
    group: Group,
    steps: Sequence[Step],
    runs: Mapping[str, Run],
    lenders: Mapping[str, tuple[Warehouse, dict[str, Any]]],
    outdated: list[str],
) -> dict[str, dict[str, Any]]:
    """Makes all rows; what `Run.record` is told of each dump. Those that are outdated count as done until it begins."""
    warehouse = job.warehouse
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
    n_out = _rows_by_dump(warehouse, STAGE, of_all[STAGE], group.new)
    n_removed = _rows_by_dump(warehouse, "removed", of_all["removed"], group.new)
    wrong = [
        f"{STAGE} of {dump} has {n_out[dump]:,} rows and {n_removed[dump]:,} removed for {run['n_rows_out']:,} "
        f"filtered: has another job written to {lender}?"
        for dump, (lender, run) in lenders.items()
        if n_out[dump] + n_removed[dump] != run["n_rows_out"]
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
        place, _ = step.inputs.lender(step.new[0], "duplicates")
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


def _rows_by_dump(warehouse: Warehouse, table: str, commit: Any, dumps: tuple[str, ...]) -> dict[str, int]:
    if len(dumps) == 1:
        return {dumps[0]: commit.n_rows}
    where = {"stage": STAGE} if table == "removed" else {}
    rows = warehouse.read(table, version=commit.version, dump=dumps, **where)
    counted = {row["dump"]: row["count"] for row in rows.groupBy("dump").count().collect()}
    return {dump: counted.get(dump, 0) for dump in dumps}
