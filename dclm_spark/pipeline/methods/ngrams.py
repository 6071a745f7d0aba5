"""The method `bloom` at work: shards read by one worker each, or one filter whose blocks workers share."""

import sys
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.kernels.ngrams.bloom import Geometry
from dclm_spark.kernels.ngrams.ngram_packets import FLOCK_BLOCK
from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.methods.plan import Plan, check_plan, geometry_of, plan_ngrams
from dclm_spark.pipeline.methods.step import Step
from dclm_spark.pipeline.methods.stored_filter import StoredFilter, made_for, stored_filter
from dclm_spark.spark.session import planned_for_packets
from dclm_spark.stages.decisions import decide_ngrams, decide_shards
from dclm_spark.stages.filter_blocks import ask_blocks, keep_units, of_flocks
from dclm_spark.stages.ngrams import pack_ngrams, shard_of
from dclm_spark.stages.shards import ask_shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MAX_ROUNDS = 1_000
MOST_TIMES = 8
"""A block may hold so many times what it was meant to, before n-grams are packed anew for more blocks."""


def decide_by_ngrams(step: Step, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
    """The rows of `decisions` without step, and the version of `filter_blocks`.

    Raises:
        InputError: A filter cannot hold what it is to hold.
    """
    bloom = step.method
    if bloom.scope == "shards":
        return _decide_shards(step, documents, run)
    stored = stored_filter(step)
    expected = bloom.capacity or step.read("filtered").agg(F.sum("n_words")).head()[0] or 1
    n_blocks = stored.geometry.n_blocks if stored is not None else geometry_of(bloom, expected).n_blocks
    ngrams, n_ngrams = _pack(step, documents, n_blocks, run)
    if stored is None and bloom.capacity is None:
        # Words between spaces are a fair guess of n-grams but in scripts without spaces.
        wanted = geometry_of(bloom, max(1, n_ngrams)).n_blocks
        if wanted > MOST_TIMES * n_blocks:
            n_blocks = wanted
            ngrams, n_ngrams = _pack(step, documents, n_blocks, run)
    n_before = 0 if stored is None else stored.n_ngrams
    if bloom.filter == "bloom" and bloom.capacity is not None and n_before + n_ngrams > bloom.capacity:
        raise InputError(
            [
                f"the filter is made for {bloom.capacity:,} n-grams; it holds {n_before:,}, and {', '.join(step.new)} "
                f"would add {n_ngrams:,}: its rate of false positives would pass {bloom.fp_rate}; set capacity to "
                f"{n_before + n_ngrams:,} or more" + (", and begin anew with --force" if n_before else "")
            ]
        )
    geometry = (
        stored.geometry if stored is not None else geometry_of(bloom, bloom.capacity or max(1, n_ngrams), n_blocks)
    )
    return _ask(step, ngrams, geometry, stored, run)


def _pack(step: Step, documents: "DataFrame", n_blocks: int, run: Run) -> tuple["DataFrame", int]:
    """The packets of the documents, written down, and how many n-grams they hold, those of repeated units too."""
    packed = pack_ngrams(documents, bloom=step.method, dumps=step.dumps, n_blocks=n_blocks)
    lineage = {**run.lineage, "step": step.number, "blocks": n_blocks}
    commit = step.warehouse.replace(_in_step(step, packed), "ngrams", lineage=lineage, **step.key)
    ngrams = step.warehouse.read("ngrams", version=commit.version, **step.key)
    n_ngrams = ngrams.where(F.col("block") == FLOCK_BLOCK).agg(F.sum("n_ngrams")).head()[0] or 0
    return ngrams, n_ngrams


def _ask(
    step: Step, ngrams: "DataFrame", geometry: Geometry, stored: "StoredFilter | None", run: Run
) -> tuple["DataFrame", dict[str, int]]:
    """Asks the blocks, once, or round after round until what is kept stays the same.

    A round asks with the n-grams of what the round before has kept. The first unit is decided rightly in the first
    round, and each unit a round after all before it at the latest: when nothing changes, every unit has been compared
    with what is kept of those before it, which is what one worker would find that reads them one after the other.
    """
    bloom, warehouse, n_tasks = step.method, step.warehouse, step.n_tasks
    before = None if stored is None else warehouse.read("filter_blocks", version=stored.version, **stored.key)
    kept: DataFrame | None = None
    with planned_for_packets(warehouse.spark):
        for number in range(1, MAX_ROUNDS + 1):
            lineage = {**run.lineage, "step": step.number, "round": number}
            asked = ask_blocks(
                ngrams,
                bloom=bloom,
                geometry=geometry,
                n_tasks=n_tasks,
                kept=kept,
                before=before,
                keeps_filter=bloom.scope == "incremental",
            )
            made = asked.withColumns(
                {
                    "made_for": F.lit(made_for(bloom, geometry)),
                    "dumps": F.array(*(F.lit(dump) for dump in step.dumps)),
                }
            )
            commit = warehouse.replace(_in_step(step, made), "filter_blocks", lineage=lineage, **step.key)
            blocks = warehouse.read("filter_blocks", version=commit.version, **step.key)
            if bloom.inserts == "always":
                break
            flocks = of_flocks(ngrams, blocks, n_tasks=n_tasks, kept=kept)
            units = _in_step(step, keep_units(flocks, bloom=bloom))
            done = warehouse.replace(units, "kept_units", lineage=lineage, **step.key)
            kept = warehouse.read("kept_units", version=done.version, **step.key)
            n_changed = kept.agg(F.sum("n_changed")).head()[0] or 0
            if not step.job.is_quiet and number > 1:
                print(f"round {number}: {n_changed:,} units changed", file=sys.stderr)
            if n_changed == 0:
                break
        else:
            raise WarehouseError([f"after {MAX_ROUNDS} rounds units still change; take inserts 'always'"])
        flocks = of_flocks(ngrams, blocks, n_tasks=n_tasks)
        decided = decide_ngrams(flocks, bloom=bloom, dumps=step.dumps)
    return decided, {"filter_blocks": commit.version}


def _decide_shards(step: Step, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
    bloom, warehouse = step.method, step.warehouse
    sharded = with_shards(step, documents)
    capacity = _capacity(step, plan_of(step, documents))
    n_shards = len(step.dumps) if bloom.shard_by == "dump" else bloom.n_shards
    n_tasks = min(n_shards, max(step.n_tasks, 1) * 4)
    spread = even_keys(warehouse.spark, n_tasks)
    in_tasks = sharded.withColumn(
        "task", F.element_at(F.array(*map(F.lit, spread)), F.pmod("shard", F.lit(n_tasks)).cast("int") + 1)
    )
    while True:
        asked = ask_shards(in_tasks, bloom=bloom, dumps=step.dumps, capacity=capacity, n_tasks=n_tasks)
        made = asked.withColumns(
            {
                "made_for": F.lit(made_for(bloom, Geometry(n_shards, capacity))),
                "dumps": F.array(*(F.lit(dump) for dump in step.dumps)),
            }
        )
        lineage = {**run.lineage, "step": step.number, "capacity": capacity}
        commit = warehouse.replace(_in_step(step, made), "filter_blocks", lineage=lineage, **step.key)
        blocks = warehouse.read("filter_blocks", version=commit.version, **step.key)
        most = blocks.agg(F.max("n_ngrams")).head()[0] or 0
        if bloom.filter == "exact" or most <= capacity:
            return decide_shards(blocks), {"filter_blocks": commit.version}
        if bloom.capacity is not None:
            raise InputError(
                [
                    f"a shard's filter is made for {bloom.capacity:,} n-grams, and one was given {most:,}: its rate of "
                    f"false positives passes {bloom.fp_rate}; set capacity to {most:,} or more"
                ]
            )
        capacity = most  # the sample has misled; n-grams that are kept may become more once fewer seem seen
        capacity += capacity // 50


def even_keys(spark: "SparkSession", n_tasks: int) -> list[int]:
    """Whole numbers by which `repartition(n_tasks, ...)` sends rows to as many tasks: the first to task 0, and so on.

    Hash partitioning by any numbers would leave about 37 % of the tasks without rows.
    """
    numbers = spark.range(0, 64 * n_tasks, 1, 1).select(F.col("id").cast("int").alias("number"))
    tasks = numbers.withColumn("task", F.pmod(F.hash("number"), F.lit(n_tasks)))
    found = {row["task"]: row["number"] for row in tasks.groupBy("task").agg(F.min("number").alias("number")).collect()}
    return [found.get(task, task) for task in range(n_tasks)]


def with_shards(step: Step, documents: "DataFrame") -> "DataFrame":
    """The documents with `shard`."""
    bloom = step.method
    if bloom.scope != "shards":
        return documents.withColumn("shard", F.lit(0))
    if bloom.shard_by == "warc_file":
        # Of a document that lies in two files the first counts.
        paths = step.read("documents").groupBy("dump", "doc_id").agg(F.min("warc_path").alias("warc_path"))
        documents = documents.join(paths, ["dump", "doc_id"])
    return documents.withColumn("shard", shard_of(bloom, step.dumps))


def plan_of(step: Step, documents: "DataFrame") -> Plan:
    """What the step will take, by a sample of the documents."""
    return plan_ngrams(with_shards(step, documents), bloom=step.method, n_documents=step.n_documents)


def _capacity(step: Step, plan: Plan) -> int:
    check_plan(plan, step.method)
    return plan.capacity(step.method)


def _in_step(step: Step, rows: "DataFrame") -> "DataFrame":
    return rows.withColumns({"dump": F.lit(step.job.dump), "step": F.lit(step.number)})
