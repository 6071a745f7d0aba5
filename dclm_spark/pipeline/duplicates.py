"""`duplicates` of dumps from their `signatures`: the clusters of near-duplicates of a scope of dumps."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import InputError
from dclm_spark.lake import claims
from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.runs import Run, last_runs
from dclm_spark.pipeline.groups import earlier_dumps
from dclm_spark.pipeline.job import Job, Ledger
from dclm_spark.pipeline.methods.step import read_signals
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.pipeline.run_stage import Outcome, up_to_date
from dclm_spark.recipe.scopes import groups_of
from dclm_spark.spark.session import planned_for_python, shuffle_tasks
from dclm_spark.stages.components import connected_components
from dclm_spark.stages.duplicates import find_duplicates, signals_of
from dclm_spark.stages.edges import find_edges, refine_edges

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_OTHER = "signatures "  # and a dump: in `upstream_runs`, the signatures of another dump of the scope


def make_duplicates(job: Job, dumps: Sequence[str]) -> list[Outcome]:
    """`duplicates`, `edges` and `merged_clusters` of dumps from their `signatures`: an outcome a dump.

    The scope is the recipe's: each dump by itself, all at once, in shards or whole, or one after the other, each with
    all that came before.

    Args:
        job: What is asked for; its dump is one of these.
        dumps: The dumps. Where the scope is `incremental`, their order counts.

    Raises:
        InputError: A dump is named twice.
        WarehouseError: There are no signatures of a dump, or another recipe made them or the duplicates.
    """
    repeated = sorted({dump for dump in dumps if dumps.count(dump) > 1})
    if repeated:
        raise InputError([f"the dump {dump} is named twice" for dump in repeated])
    for dump in dumps:
        replace(job, dump=dump).check()
    scope = job.recipe.duplicates.scope
    with planned_for_python(job.warehouse.spark):
        return [
            outcome
            for group in groups_of(dumps, (scope,))
            for outcome in _make_group(job, group, is_added=scope == "incremental")
        ]


@dataclass(frozen=True)
class _Scope:
    """Dumps whose duplicates are made together.

    Args:
        new: Those whose rows are made.
        earlier: Those that came before them, in their order.
        ledgers: The ledger of each.
    """

    new: tuple[str, ...]
    earlier: tuple[str, ...]
    ledgers: Mapping[str, Ledger]

    @property
    def dumps(self) -> tuple[str, ...]:
        return (*self.earlier, *self.new)

    def upstream_runs(self, dump: str) -> dict[str, str]:
        """What the duplicates of a dump are made from: the runs of its own signatures and of the others'."""
        return {
            "signatures" if name == dump else f"{_OTHER}{name}": self.ledgers[name].lender("signatures")[1]["run_id"]
            for name in self.dumps
        }


def _make_group(job: Job, new: tuple[str, ...], *, is_added: bool) -> list[Outcome]:
    def find() -> tuple[_Scope, dict[str, dict[str, Any]], list[Outcome | None]]:
        own_runs = last_runs(job.warehouse)
        lent_runs = last_runs(job.upstream) if job.upstream is not None else {}
        finished = {dump: run for (dump, stage), run in own_runs.items() if stage == "duplicates"}
        earlier = earlier_dumps(finished, new[0], job, stage="duplicates") if is_added else ()
        ledgers = {dump: Ledger(replace(job, dump=dump), own_runs, lent_runs) for dump in (*earlier, *new)}
        scope = _Scope(new, earlier, ledgers)
        done = [up_to_date(ledgers[dump], "duplicates", scope.upstream_runs(dump)) for dump in new]
        return scope, finished, done

    (_, _, done), find_again = claims.look(job.warehouse, ("runs",), find)
    if all(done):
        return done
    job.warehouse.prepare(*STAGES["duplicates"].writes, "runs")
    with claims.claimed(job.warehouse, "duplicates", new, is_wide=is_added or len(new) > 1):
        scope, finished, done = find_again()
        return done if all(done) else _make(replace(job, dump=new[-1]), scope, finished, is_added=is_added)


def _make(job: Job, scope: _Scope, finished: Mapping[str, dict[str, Any]], *, is_added: bool) -> list[Outcome]:
    """Makes the rows of all dumps of a scope, under a claim."""
    new = scope.new
    later = [dump for dump, run in finished.items() if is_added and run["upstream_runs"].keys() & {f"{_OTHER}{new[0]}"}]
    for dump in finished.keys() & {*new, *later}:
        # Interrupted, the work must not count as done; and what was added to these dumps is to be added again.
        job.warehouse.delete("runs", dump=dump, stage="duplicates")
    for table in ("edges", "duplicates", "merged_clusters"):
        for dump in later:
            job.warehouse.delete(table, dump=dump)
    runs = {dump: replace(job, dump=dump).run("duplicates") for dump in new}
    inputs = Inputs({dump: ledger.lender for dump, ledger in scope.ledgers.items()})
    with replace(job, dump=", ".join(new)).progress("duplicates"):
        written = _write(job, scope, runs[new[-1]], finished, inputs)
    outcomes = []
    for dump in new:
        record = runs[dump].record(
            n_rows_in=scope.ledgers[dump].lender("signatures")[1]["n_rows_out"],
            n_rows_out=written["n_rows"].get(dump, 0),
            upstream_runs=scope.upstream_runs(dump),
            input_versions=inputs.versions(dump),
            output_versions=written["output_versions"],
        )
        outcomes.append(Outcome(record, is_new=True))
    return outcomes


def _write(job: Job, scope: _Scope, run: Run, finished: Mapping[str, dict[str, Any]], inputs: Inputs) -> dict[str, Any]:
    warehouse, recipe = job.warehouse, job.recipe
    minhash, near = recipe.signatures, recipe.duplicates
    signatures = inputs.read("signatures")
    n_tasks = shuffle_tasks(warehouse.spark)
    edges = find_edges(
        signatures,
        dumps=scope.dumps,
        n_earlier=len(scope.earlier),
        minhash=minhash,
        near=near,
        n_documents=sum(inputs.lender(dump, "signatures")[1]["n_rows_out"] for dump in scope.dumps),
        n_tasks=n_tasks,
    )
    commit = warehouse.replace(edges, "edges", lineage=run.lineage, dump=scope.new)
    if near.verify == "exact":
        found = warehouse.read("edges", version=commit.version, dump=scope.new)
        refined = refine_edges(found, signatures, minhash=minhash, near=near)
        commit = warehouse.replace(refined, "edges", lineage={**run.lineage, "verify": "exact"}, dump=scope.new)
    held = warehouse.read("edges", version=commit.version, dump=scope.dumps).where("NOT is_cut")
    pairs = held.select("text_hash", "other_hash")
    n_edges = pairs.count() if scope.earlier else commit.n_rows

    def cut(rows: "DataFrame", name: str) -> "DataFrame":
        in_table = rows.withColumn("dump", F.lit(job.dump))
        done = warehouse.replace(in_table, "rounds", lineage={**run.lineage, "cut": name}, dump=job.dump)
        kept = warehouse.read("rounds", version=done.version, dump=job.dump)
        return kept.drop("dump")

    say = None if job.is_quiet else lambda words: print(words, file=sys.stderr)
    labels = connected_components(pairs, cut=cut, n_edges=n_edges, say=say)
    before = None
    if scope.earlier:
        latest = max((finished[dump] for dump in scope.earlier), key=lambda made: made["started_at"])
        before = warehouse.read("duplicates", version=latest["output_versions"]["duplicates"], dump=scope.earlier)
    rows = find_duplicates(
        signatures,
        labels,
        minhash=minhash,
        near=near,
        n_tasks=n_tasks,
        earlier=scope.earlier,
        removed_before=None if before is None else before.where("NOT is_kept"),
        signals=read_signals(inputs, signals_of(near), scope.dumps),
    )
    made = warehouse.replace(rows, "duplicates", lineage=run.lineage, dump=scope.dumps)
    versions = {"edges": commit.version, "duplicates": made.version}
    after = warehouse.read("duplicates", version=made.version, dump=scope.dumps)
    if before is not None:
        merged = _merged(before, after, dump=job.dump)
        done = warehouse.replace(merged, "merged_clusters", lineage=run.lineage, dump=scope.new)
        versions["merged_clusters"] = done.version
    return {
        "n_rows": _rows_by_dump(after, made.n_rows, scope.dumps),
        "output_versions": versions,
    }


def _merged(before: "DataFrame", after: "DataFrame", *, dump: str) -> "DataFrame":
    """Clusters of before whose survivor now belongs to another cluster."""
    survivors = before.where("doc_id = cluster_id").select("doc_id", "dump")
    moved = survivors.join(after.select("doc_id", "dump", "scope", "cluster_id"), ["doc_id", "dump"])
    return moved.where("doc_id <> cluster_id").select(
        F.lit(dump).alias("dump"), "scope", "cluster_id", F.col("doc_id").alias("merged_id")
    )


def _rows_by_dump(rows: "DataFrame", n_rows: int, dumps: tuple[str, ...]) -> dict[str, int]:
    if len(dumps) == 1:
        return {dumps[0]: n_rows}
    return {row["dump"]: row["count"] for row in rows.groupBy("dump").count().collect()}
