"""Deduplicates by n-grams seen before, with a filter for each shard, or with one filter whose blocks workers share."""

import sys
from contextlib import AbstractContextManager
from dataclasses import replace
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
from dclm_spark.stages.filter_blocks import by_flock, keep_units, query_blocks
from dclm_spark.stages.ngrams import pack_ngrams, shard_of
from dclm_spark.stages.shards import query_shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MAX_ROUNDS = 1_000
"""Number of rounds after which the run fails if units still change."""
MAX_OVERFILL = 8
"""Largest ratio of the blocks needed to the blocks planned. Above it, n-grams are packed again for more blocks."""


class BloomMethod(DedupMethod[Bloom]):
    """Applies `recipe.deduplication.Bloom`."""

    writes = ("ngrams", "kept_units", "filter_blocks")
    keeps_numbers = True
    may_refuse = True
    can_plan = True

    @classmethod
    def settings_to_plan(cls, settings: Bloom) -> Bloom:
        """Returns the settings with a capacity, which a filter for several dumps must have."""
        return replace(settings, capacity=settings.capacity or 1)

    def check(self) -> None:
        """Raises an error if the new dumps cannot be added to the stored filter."""
        stored_filter(self)

    def plan(self) -> tuple[dict[str, Any], str]:
        """Counts n-grams in a sample and estimates the size of the filter; returns it as data and as text.

        Raises:
            InputError: The capacity is too small, or the filter would need more memory than a worker may use.
        """
        plan = _plan(self, self.read("filtered"))
        check_plan(plan, self.settings)
        entry = describe(plan, self.settings)
        return entry, format_plan(entry)

    def planned(self) -> AbstractContextManager[None]:
        """Returns a context in which Spark sends few rows at a time to Python, since a packet may have several MB."""
        return planned_for_packets(self.warehouse.spark)

    def decide(self, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
        """Decides that documents and paragraphs are removed if most of their n-grams were seen before.

        Raises:
            InputError: There are more n-grams than the filter's capacity.
        """
        bloom = self.settings
        if bloom.scope == "shards":
            return _decide_shards(self, documents, run)
        stored = stored_filter(self)
        expected = bloom.capacity or only_row(self.read("filtered").agg(F.sum("n_words")))[0] or 1
        n_blocks = stored.geometry.n_blocks if stored is not None else geometry_of(bloom, expected).n_blocks
        ngrams, n_ngrams = _pack(self, documents, n_blocks, run)
        if stored is None and bloom.capacity is None:
            # The number of words is a good estimate of that of n-grams, except in scripts without spaces.
            wanted = geometry_of(bloom, max(1, n_ngrams)).n_blocks
            if wanted > MAX_OVERFILL * n_blocks:
                n_blocks = wanted
                ngrams, n_ngrams = _pack(self, documents, n_blocks, run)
        n_before = 0 if stored is None else stored.n_ngrams
        if bloom.filter == "bloom" and bloom.capacity is not None and n_before + n_ngrams > bloom.capacity:
            raise InputError(
                [
                    f"the filter is made for {bloom.capacity:,} n-grams; it holds {n_before:,}, and "
                    f"{', '.join(self.new)} would add {n_ngrams:,}: its false-positive rate would exceed "
                    f"{bloom.fp_rate}; set capacity to {n_before + n_ngrams:,} or more"
                    + (", and make the filter again with --force" if n_before else "")
                ]
            )
        geometry = (
            stored.geometry if stored is not None else geometry_of(bloom, bloom.capacity or max(1, n_ngrams), n_blocks)
        )
        return _decide_in_rounds(self, ngrams, geometry, stored, run)


def _pack(method: BloomMethod, documents: "DataFrame", n_blocks: int, run: Run) -> tuple["DataFrame", int]:
    """Writes the packets of documents to `ngrams`; returns the rows and the number of n-grams in all units."""
    packed = pack_ngrams(documents, bloom=method.settings, dumps=method.dumps, n_blocks=n_blocks)
    lineage = {**run.lineage, "step": method.number, "blocks": n_blocks}
    commit = method.warehouse.replace(_with_key(method, packed), "ngrams", lineage=lineage, **method.key)
    ngrams = method.warehouse.read("ngrams", version=commit.version, **method.key)
    n_ngrams = only_row(ngrams.where(F.col("block") == FLOCK_BLOCK).agg(F.sum("n_ngrams")))[0] or 0
    return ngrams, n_ngrams


def _decide_in_rounds(
    method: BloomMethod, ngrams: "DataFrame", geometry: Geometry, stored: "StoredFilter | None", run: Run
) -> tuple["DataFrame", dict[str, int]]:
    """Queries the blocks: once if all n-grams are inserted, else in rounds until the units kept no longer change.

    A round inserts the n-grams of the units that the previous round has kept. The first unit is decided correctly in
    the first round, and each other unit at the latest one round after all units before it. So once no unit changes,
    each has been compared with the kept units before it, as if one worker had read all units in order.
    """
    bloom, warehouse, n_tasks = method.settings, method.warehouse, method.n_tasks
    before = None if stored is None else warehouse.read("filter_blocks", version=stored.version, **stored.key)
    kept: DataFrame | None = None
    with planned_for_packets(warehouse.spark):
        for number in range(1, MAX_ROUNDS + 1):
            lineage = {**run.lineage, "step": method.number, "round": number}
            answered = query_blocks(
                ngrams,
                bloom=bloom,
                geometry=geometry,
                n_tasks=n_tasks,
                kept=kept,
                before=before,
                keeps_filter=bloom.scope == "incremental",
            )
            made = _with_origin(method, answered, geometry)
            commit = warehouse.replace(made, "filter_blocks", lineage=lineage, **method.key)
            blocks = warehouse.read("filter_blocks", version=commit.version, **method.key)
            if bloom.inserts == "always":
                break
            flocks = by_flock(ngrams, blocks, n_tasks=n_tasks, kept=kept)
            units = _with_key(method, keep_units(flocks, bloom=bloom))
            done = warehouse.replace(units, "kept_units", lineage=lineage, **method.key)
            kept = warehouse.read("kept_units", version=done.version, **method.key)
            n_changed = only_row(kept.agg(F.sum("n_changed")))[0] or 0
            if not method.job.is_quiet and number > 1:
                print(f"round {number}: {n_changed:,} units changed", file=sys.stderr)
            if n_changed == 0:
                break
        else:
            raise WarehouseError([f"after {MAX_ROUNDS} rounds units still change; use inserts 'always'"])
        flocks = by_flock(ngrams, blocks, n_tasks=n_tasks)
        decided = decide_ngrams(flocks, bloom=bloom, dumps=method.dumps)
    return decided, {"filter_blocks": commit.version}


def _decide_shards(method: BloomMethod, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
    """Decides each shard in one task; does so again with larger filters if one was too small for its n-grams."""
    bloom, warehouse = method.settings, method.warehouse
    sharded = _with_shards(method, documents)
    plan = _plan(method, documents)
    check_plan(plan, bloom)
    capacity = plan.capacity(bloom)
    n_shards = len(method.dumps) if bloom.shard_by == "dump" else bloom.n_shards
    n_tasks = min(n_shards, max(method.n_tasks, 1) * 4)
    spread = _even_keys(warehouse.spark, n_tasks)
    in_tasks = sharded.withColumn(
        "task", F.element_at(F.array(*map(F.lit, spread)), F.pmod("shard", F.lit(n_tasks)).cast("int") + 1)
    )
    while True:
        decided = query_shards(in_tasks, bloom=bloom, dumps=method.dumps, capacity=capacity, n_tasks=n_tasks)
        made = _with_origin(method, decided, Geometry(n_shards, capacity))
        lineage = {**run.lineage, "step": method.number, "capacity": capacity}
        commit = warehouse.replace(made, "filter_blocks", lineage=lineage, **method.key)
        blocks = warehouse.read("filter_blocks", version=commit.version, **method.key)
        largest = only_row(blocks.agg(F.max("n_ngrams")))[0] or 0
        if bloom.filter == "exact" or largest <= capacity:
            return decide_shards(blocks), {"filter_blocks": commit.version}
        if bloom.capacity is not None:
            raise InputError(
                [
                    f"a shard's filter is made for {bloom.capacity:,} n-grams, and one shard has {largest:,}: its "
                    f"false-positive rate would exceed {bloom.fp_rate}; set capacity to {largest:,} or more"
                ]
            )
        # The estimate from the sample was too small. The next try may insert slightly more n-grams, since a larger
        # filter has fewer false positives and so keeps more units.
        capacity = largest + largest // 50


def _even_keys(spark: "SparkSession", n_tasks: int) -> list[int]:
    """Finds a key for each task, such that `repartition(n_tasks, key)` sends rows with the n-th key to the n-th task.

    With arbitrary keys, hash partitioning would leave about 37 % of the tasks without rows.
    """
    numbers = spark.range(0, 64 * n_tasks, 1, 1).select(F.col("id").cast("int").alias("number"))
    tasks = numbers.withColumn("task", F.pmod(F.hash("number"), F.lit(n_tasks)))
    found = {row["task"]: row["number"] for row in tasks.groupBy("task").agg(F.min("number").alias("number")).collect()}
    return [found.get(task, task) for task in range(n_tasks)]


def _with_shards(method: BloomMethod, documents: "DataFrame") -> "DataFrame":
    """Adds `shard`, the number of a document's shard; 0 if the scope is not `shards`."""
    bloom = method.settings
    if bloom.scope != "shards":
        return documents.withColumn("shard", F.lit(0))
    if bloom.shard_by == "warc_file":
        # A document that two files hold belongs to the first of them.
        paths = method.read("documents").groupBy("dump", "doc_id").agg(F.min("warc_path").alias("warc_path"))
        documents = documents.join(paths, ["dump", "doc_id"])
    return documents.withColumn("shard", shard_of(bloom, method.dumps))


def _plan(method: BloomMethod, documents: "DataFrame") -> Plan:
    """Estimates the n-grams of documents from a sample."""
    return plan_ngrams(_with_shards(method, documents), bloom=method.settings, n_documents=method.n_documents)


def _with_origin(method: BloomMethod, blocks: "DataFrame", geometry: Geometry) -> "DataFrame":
    """Adds the columns of `filter_blocks` that say what the blocks were made for and from which dumps."""
    made, dumps = made_for(method.settings, geometry), F.array(*(F.lit(dump) for dump in method.dumps))
    return _with_key(method, blocks.withColumns({"made_for": F.lit(made), "dumps": dumps}))


def _with_key(method: BloomMethod, rows: "DataFrame") -> "DataFrame":
    """Adds the columns of the partition that the method writes, `dump` and `step`."""
    return rows.withColumns({"dump": F.lit(method.job.dump), "step": F.lit(method.number)})
