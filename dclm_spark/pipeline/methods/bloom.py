"""Deduplication by n-grams seen before: shards that one worker each reads, or one filter whose blocks workers share."""

import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.kernels.ngrams.bloom import Geometry
from dclm_spark.kernels.ngrams.ngram_packets import FLOCK_BLOCK
from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.pipeline.methods.plan import Plan, check_plan, describe, format_plan, geometry_of, plan_ngrams
from dclm_spark.pipeline.methods.stored_filter import StoredFilter, made_for, stored_filter
from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.spark.planning import planned_for_packets
from dclm_spark.spark.rows import only_row
from dclm_spark.stages.decisions import decide_ngrams, decide_shards
from dclm_spark.stages.filter_blocks import ask_blocks, keep_units, of_flocks
from dclm_spark.stages.ngrams import pack_ngrams, shard_of
from dclm_spark.stages.shards import ask_shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MAX_ROUNDS = 1_000
MOST_TIMES = 8
"""A block may hold so many times what it was meant to, before n-grams are packed anew for more blocks."""


class BloomMethod(DedupMethod[Bloom]):
    """`recipe.deduplication.Bloom` at work."""

    writes = ("ngrams", "kept_units", "filter_blocks")
    keeps_places = True
    may_refuse = True

    def check(self) -> None:
        """Refuses a filter that these dumps cannot be added to."""
        stored_filter(self)

    def plan(self) -> tuple[dict[str, Any], str]:
        """n-grams counted in a sample, and what a filter for them takes.

        Raises:
            InputError: The filter would take more memory than a worker may.
        """
        plan = _plan(self, self.read("filtered"))
        check_plan(plan, self.settings)
        entry = describe(plan, self.settings)
        return entry, format_plan(entry)

    def planned(self) -> AbstractContextManager[None]:
        """Packets take many bytes a row."""
        return planned_for_packets(self.warehouse.spark)

    def decide(self, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
        """Documents and paragraphs most of whose n-grams were seen before.

        Raises:
            InputError: A filter cannot hold the n-grams.
        """
        bloom = self.settings
        if bloom.scope == "shards":
            return _decide_shards(self, documents, run)
        stored = stored_filter(self)
        expected = bloom.capacity or only_row(self.read("filtered").agg(F.sum("n_words")))[0] or 1
        n_blocks = stored.geometry.n_blocks if stored is not None else geometry_of(bloom, expected).n_blocks
        ngrams, n_ngrams = _pack(self, documents, n_blocks, run)
        if stored is None and bloom.capacity is None:
            # Words between spaces are a fair guess of n-grams but in scripts without spaces.
            wanted = geometry_of(bloom, max(1, n_ngrams)).n_blocks
            if wanted > MOST_TIMES * n_blocks:
                n_blocks = wanted
                ngrams, n_ngrams = _pack(self, documents, n_blocks, run)
        n_before = 0 if stored is None else stored.n_ngrams
        if bloom.filter == "bloom" and bloom.capacity is not None and n_before + n_ngrams > bloom.capacity:
            raise InputError(
                [
                    f"the filter is made for {bloom.capacity:,} n-grams; it holds {n_before:,}, and "
                    f"{', '.join(self.new)} would add {n_ngrams:,}: its rate of false positives would pass "
                    f"{bloom.fp_rate}; set capacity to {n_before + n_ngrams:,} or more"
                    + (", and begin anew with --force" if n_before else "")
                ]
            )
        geometry = (
            stored.geometry if stored is not None else geometry_of(bloom, bloom.capacity or max(1, n_ngrams), n_blocks)
        )
        return _ask(self, ngrams, geometry, stored, run)


def _pack(method: BloomMethod, documents: "DataFrame", n_blocks: int, run: Run) -> tuple["DataFrame", int]:
    """The packets of the documents, written down, and how many n-grams they hold, those of repeated units too."""
    packed = pack_ngrams(documents, bloom=method.settings, dumps=method.dumps, n_blocks=n_blocks)
    lineage = {**run.lineage, "step": method.number, "blocks": n_blocks}
    commit = method.warehouse.replace(_in_step(method, packed), "ngrams", lineage=lineage, **method.key)
    ngrams = method.warehouse.read("ngrams", version=commit.version, **method.key)
    n_ngrams = only_row(ngrams.where(F.col("block") == FLOCK_BLOCK).agg(F.sum("n_ngrams")))[0] or 0
    return ngrams, n_ngrams


def _ask(
    method: BloomMethod, ngrams: "DataFrame", geometry: Geometry, stored: "StoredFilter | None", run: Run
) -> tuple["DataFrame", dict[str, int]]:
    """Asks the blocks, once, or round after round until what is kept stays the same.

    A round asks with the n-grams of what the round before has kept. The first unit is decided rightly in the first
    round, and each unit a round after all before it at the latest: when nothing changes, every unit has been compared
    with what is kept of those before it, which is what one worker would find that reads them one after the other.
    """
    bloom, warehouse, n_tasks = method.settings, method.warehouse, method.n_tasks
    before = None if stored is None else warehouse.read("filter_blocks", version=stored.version, **stored.key)
    kept: DataFrame | None = None
    with planned_for_packets(warehouse.spark):
        for number in range(1, MAX_ROUNDS + 1):
            lineage = {**run.lineage, "step": method.number, "round": number}
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
                    "dumps": F.array(*(F.lit(dump) for dump in method.dumps)),
                }
            )
            commit = warehouse.replace(_in_step(method, made), "filter_blocks", lineage=lineage, **method.key)
            blocks = warehouse.read("filter_blocks", version=commit.version, **method.key)
            if bloom.inserts == "always":
                break
            flocks = of_flocks(ngrams, blocks, n_tasks=n_tasks, kept=kept)
            units = _in_step(method, keep_units(flocks, bloom=bloom))
            done = warehouse.replace(units, "kept_units", lineage=lineage, **method.key)
            kept = warehouse.read("kept_units", version=done.version, **method.key)
            n_changed = only_row(kept.agg(F.sum("n_changed")))[0] or 0
            if not method.job.is_quiet and number > 1:
                print(f"round {number}: {n_changed:,} units changed", file=sys.stderr)
            if n_changed == 0:
                break
        else:
            raise WarehouseError([f"after {MAX_ROUNDS} rounds units still change; take inserts 'always'"])
        flocks = of_flocks(ngrams, blocks, n_tasks=n_tasks)
        decided = decide_ngrams(flocks, bloom=bloom, dumps=method.dumps)
    return decided, {"filter_blocks": commit.version}


def _decide_shards(method: BloomMethod, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
    bloom, warehouse = method.settings, method.warehouse
    sharded = _with_shards(method, documents)
    capacity = _capacity(method, _plan(method, documents))
    n_shards = len(method.dumps) if bloom.shard_by == "dump" else bloom.n_shards
    n_tasks = min(n_shards, max(method.n_tasks, 1) * 4)
    spread = _even_keys(warehouse.spark, n_tasks)
    in_tasks = sharded.withColumn(
        "task", F.element_at(F.array(*map(F.lit, spread)), F.pmod("shard", F.lit(n_tasks)).cast("int") + 1)
    )
    while True:
        asked = ask_shards(in_tasks, bloom=bloom, dumps=method.dumps, capacity=capacity, n_tasks=n_tasks)
        made = asked.withColumns(
            {
                "made_for": F.lit(made_for(bloom, Geometry(n_shards, capacity))),
                "dumps": F.array(*(F.lit(dump) for dump in method.dumps)),
            }
        )
        lineage = {**run.lineage, "step": method.number, "capacity": capacity}
        commit = warehouse.replace(_in_step(method, made), "filter_blocks", lineage=lineage, **method.key)
        blocks = warehouse.read("filter_blocks", version=commit.version, **method.key)
        most = only_row(blocks.agg(F.max("n_ngrams")))[0] or 0
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


def _even_keys(spark: "SparkSession", n_tasks: int) -> list[int]:
    """Whole numbers by which `repartition(n_tasks, ...)` sends rows to as many tasks: the first to task 0, and so on.

    Hash partitioning by any numbers would leave about 37 % of the tasks without rows.
    """
    numbers = spark.range(0, 64 * n_tasks, 1, 1).select(F.col("id").cast("int").alias("number"))
    tasks = numbers.withColumn("task", F.pmod(F.hash("number"), F.lit(n_tasks)))
    found = {row["task"]: row["number"] for row in tasks.groupBy("task").agg(F.min("number").alias("number")).collect()}
    return [found.get(task, task) for task in range(n_tasks)]


def _with_shards(method: BloomMethod, documents: "DataFrame") -> "DataFrame":
    """The documents with `shard`."""
    bloom = method.settings
    if bloom.scope != "shards":
        return documents.withColumn("shard", F.lit(0))
    if bloom.shard_by == "warc_file":
        # Of a document that lies in two files the first counts.
        paths = method.read("documents").groupBy("dump", "doc_id").agg(F.min("warc_path").alias("warc_path"))
        documents = documents.join(paths, ["dump", "doc_id"])
    return documents.withColumn("shard", shard_of(bloom, method.dumps))


def _plan(method: BloomMethod, documents: "DataFrame") -> Plan:
    """What the method will take, by a sample of the documents."""
    return plan_ngrams(_with_shards(method, documents), bloom=method.settings, n_documents=method.n_documents)


def _capacity(method: BloomMethod, plan: Plan) -> int:
    check_plan(plan, method.settings)
    return plan.capacity(method.settings)


def _in_step(method: BloomMethod, rows: "DataFrame") -> "DataFrame":
    return rows.withColumns({"dump": F.lit(method.job.dump), "step": F.lit(method.number)})
