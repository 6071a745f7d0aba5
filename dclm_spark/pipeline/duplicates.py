"""Makes the tables `duplicates`, `edges` and `merged_clusters` of dumps from their `signatures`."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.groups import Group, GroupStage, check_dumps, make_groups, rows_by_dump
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.methods.method import read_signals
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.pipeline.run_stage import Outcome
from dclm_spark.spark.session import shuffle_tasks
from dclm_spark.stages.components import connected_components
from dclm_spark.stages.duplicates import find_duplicates, signals_of
from dclm_spark.stages.edges import find_edges, refine_edges

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def make_duplicates(job: Job, dumps: Sequence[str]) -> list[Outcome]:
    """Makes `duplicates`, `edges` and `merged_clusters` of dumps; returns one outcome for each dump.

    The recipe's scope says which dumps are compared: each dump alone; all together, in shards or not; or each with all
    dumps before it.

    Args:
        job: The recipe and warehouses; its dump is one of `dumps`.
        dumps: Names of the dumps. If the scope is `incremental`, their order matters.

    Raises:
        InputError: A dump is named twice.
        RecipeError: The recipe has no settings of near-duplicates.
        WarehouseError: A dump has no signatures, or its signatures or duplicates were made by another recipe.
    """
    check_dumps(job, dumps)
    stage = STAGES["duplicates"]
    _, near = job.near_settings()
    scopes = frozenset({near.scope})
    return make_groups(job, dumps, GroupStage(stage.name, stage.reads, stage.writes, scopes, _make))


def _make(job: Job, group: Group, runs: Mapping[str, Run]) -> dict[str, dict[str, Any]]:
    """Makes and writes the rows of a group; returns, by dump, the arguments for `Run.record`."""
    # For other scopes, a run names the signatures of all dumps that were made together.
    _, near = job.near_settings()
    later = group.later if near.scope == "incremental" else []
    for dump in group.finished.keys() & {*group.new, *later}:
        # If the work is interrupted, it must not count as done, and dumps added after these must be added again.
        job.warehouse.delete("runs", dump=dump, stage=group.stage)
    for table in ("edges", "duplicates", "merged_clusters"):
        for dump in later:
            job.warehouse.delete(table, dump=dump)
    n_rows, versions = _write(job, group, runs[group.new[-1]])
    return {dump: {"n_rows_out": n_rows.get(dump, 0), "output_versions": versions} for dump in group.new}


def _write(job: Job, group: Group, run: Run) -> tuple[dict[str, int], dict[str, int]]:
    """Makes and writes all rows; returns the number of rows of each dump and the versions of the tables."""
    warehouse = job.warehouse
    minhash, near = job.near_settings()
    signatures = group.inputs.read("signatures")
    n_tasks = shuffle_tasks(warehouse.spark)
    edges = find_edges(
        signatures,
        dumps=group.dumps,
        n_earlier=len(group.earlier),
        minhash=minhash,
        near=near,
        n_documents=sum(group.inputs.finished(dump, "signatures").n_rows for dump in group.dumps),
        n_tasks=n_tasks,
    )
    commit = warehouse.replace(edges, "edges", lineage=run.lineage, dump=group.new)
    if near.verify == "exact":
        found = warehouse.read("edges", version=commit.version, dump=group.new)
        refined = refine_edges(found, signatures, minhash=minhash, near=near)
        commit = warehouse.replace(refined, "edges", lineage={**run.lineage, "verify": "exact"}, dump=group.new)
    held = warehouse.read("edges", version=commit.version, dump=group.dumps).where("NOT is_cut")
    pairs = held.select("text_hash", "other_hash")
    n_edges = pairs.count() if group.earlier else commit.n_rows

    def checkpoint(rows: "DataFrame", name: str) -> "DataFrame":
        in_table = rows.withColumn("dump", F.lit(job.dump))
        done = warehouse.replace(in_table, "rounds", lineage={**run.lineage, "cut": name}, dump=job.dump)
        kept = warehouse.read("rounds", version=done.version, dump=job.dump)
        return kept.drop("dump")

    say = None if job.is_quiet else lambda words: print(words, file=sys.stderr)
    labels = connected_components(pairs, checkpoint=checkpoint, n_edges=n_edges, say=say)
    before = None
    if group.earlier:
        latest = max((group.finished[dump] for dump in group.earlier), key=lambda made: made["started_at"])
        before = warehouse.read("duplicates", version=latest["output_versions"]["duplicates"], dump=group.earlier)
    rows = find_duplicates(
        signatures,
        labels,
        minhash=minhash,
        near=near,
        n_tasks=n_tasks,
        earlier=group.earlier,
        removed_before=None if before is None else before.where("NOT is_kept"),
        signals=read_signals(group.inputs, signals_of(near), group.dumps),
    )
    made = warehouse.replace(rows, "duplicates", lineage=run.lineage, dump=group.dumps)
    versions = {"edges": commit.version, "duplicates": made.version}
    after = warehouse.read("duplicates", version=made.version, dump=group.dumps)
    if before is not None:
        merged = _merged(before, after, dump=job.dump)
        done = warehouse.replace(merged, "merged_clusters", lineage=run.lineage, dump=group.new)
        versions["merged_clusters"] = done.version
    return rows_by_dump(lambda: after, made.n_rows, group.dumps), versions


def _merged(before: "DataFrame", after: "DataFrame", *, dump: str) -> "DataFrame":
    """Finds clusters from before this run whose survivor now belongs to another cluster."""
    survivors = before.where("doc_id = cluster_id").select("doc_id", "dump")
    moved = survivors.join(after.select("doc_id", "dump", "scope", "cluster_id"), ["doc_id", "dump"])
    return moved.where("doc_id <> cluster_id").select(
        F.lit(dump).alias("dump"), "scope", "cluster_id", F.col("doc_id").alias("merged_id")
    )
