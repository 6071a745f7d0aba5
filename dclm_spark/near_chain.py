"""The stages of near-duplicates: signatures of a dump, clusters of a scope of dumps, and the documents that stay."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.components import connected_components
from dclm_spark.errors import InputError
from dclm_spark.job import Job, Ledger
from dclm_spark.runs import Run, is_made_by, last_runs
from dclm_spark.scopes import groups_of
from dclm_spark.session import planned_for_python, shuffle_tasks
from dclm_spark.stages.deduplicated import drop_duplicates
from dclm_spark.stages.duplicates import find_duplicates, signals_of
from dclm_spark.stages.edges import find_edges, refine_edges
from dclm_spark.stages.signatures import sign_documents
from dclm_spark.whole_dump import Outcome, each_once, make_stage, read_lent, write_split

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TABLES = ("edges", "duplicates", "merged_clusters", "rounds", "runs")
_OTHER = "signatures "  # and a dump: in `upstream_runs`, the signatures of another dump of the scope


def make_signatures(job: Job) -> Outcome:
    """`signatures` of one dump from its `filtered`."""

    def write(run: Run, filtered: "DataFrame") -> dict[str, Any]:
        signed = sign_documents(filtered, minhash=job.recipe.signatures)
        commit = job.warehouse.replace(signed, "signatures", lineage=run.lineage, dump=job.dump)
        return {"n_rows_out": commit.n_rows, "output_versions": {"signatures": commit.version}}

    return make_stage(job, "signatures", ("signatures",), write)


def make_deduplicated(job: Job) -> Outcome:
    """`deduplicated` and `removed` of one dump from its `filtered` and its `duplicates`."""

    def write(run: Run, filtered: "DataFrame", duplicates: "DataFrame") -> dict[str, Any]:
        for table, where in {"cuts": {"stage": "deduplicated"}, "decisions": {}}.items():
            if job.warehouse.exists(table):  # what a recipe of other methods has left
                job.warehouse.delete(table, dump=job.dump, **where)
        filtered, repeats = each_once(filtered)
        return write_split(job, run, drop_duplicates(filtered, duplicates), "deduplicated", repeats=repeats)

    return make_stage(job, "deduplicated", ("removed", "deduplicated"), write)


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
    own_runs = last_runs(job.warehouse)
    lent_runs = last_runs(job.upstream) if job.upstream is not None else {}
    finished = {dump: run for (dump, stage), run in own_runs.items() if stage == "duplicates"}
    earlier = _earlier(finished, new[0], job) if is_added else ()
    ledgers = {dump: Ledger(replace(job, dump=dump), own_runs, lent_runs) for dump in (*earlier, *new)}
    scope = _Scope(new, earlier, ledgers)
    standing = []
    for dump in new:
        ledger, upstream_runs = scope.ledgers[dump], scope.upstream_runs(dump)
        own = ledger.standing("duplicates", upstream_runs)
        found = own or ledger.lent("duplicates", upstream_runs)
        standing.append(found and Outcome(found, is_new=False, is_lent=own is None))
    if all(standing):
        return standing
    job = replace(job, dump=new[-1])
    job.warehouse.prepare(*_TABLES)
    later = [dump for dump, run in finished.items() if is_added and run["upstream_runs"].keys() & {f"{_OTHER}{new[0]}"}]
    for dump in finished.keys() & {*new, *later}:
        # Interrupted, the work must not count as done; and what was added to these dumps is to be added again.
        job.warehouse.delete("runs", dump=dump, stage="duplicates")
    for table in ("edges", "duplicates", "merged_clusters"):
        for dump in later:
            job.warehouse.delete(table, dump=dump)
    runs = {dump: replace(job, dump=dump).run("duplicates") for dump in new}
    with replace(job, dump=", ".join(new)).progress("duplicates"):
        written = _write(job, scope, runs[new[-1]], finished)
    outcomes = []
    for dump in new:
        record = runs[dump].record(
            n_rows_in=scope.ledgers[dump].lender("signatures")[1]["n_rows_out"],
            n_rows_out=written["n_rows"].get(dump, 0),
            upstream_runs=scope.upstream_runs(dump),
            input_versions=written["input_versions"],
            output_versions=written["output_versions"],
        )
        outcomes.append(Outcome(record, is_new=True))
    return outcomes


def _earlier(finished: Mapping[str, dict[str, Any]], dump: str, job: Job) -> tuple[str, ...]:
    """The dumps that a dump is added to: those it was added to before, or all that are finished, in their order."""
    in_order = sorted(finished, key=lambda name: (finished[name]["started_at"], name))
    if dump in finished and is_made_by(finished[dump], job.recipe):
        known = {name.removeprefix(_OTHER) for name in finished[dump]["upstream_runs"] if name.startswith(_OTHER)}
        return tuple(name for name in in_order if name in known)
    return tuple(name for name in in_order if name != dump and is_made_by(finished[name], job.recipe))


def _write(job: Job, scope: _Scope, run: Run, finished: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    warehouse, recipe = job.warehouse, job.recipe
    minhash, near = recipe.signatures, recipe.duplicates
    lenders = {dump: scope.ledgers[dump].lender("signatures") for dump in scope.dumps}
    signatures = read_lent("signatures", {dump: lender for dump, (lender, _) in lenders.items()})
    n_tasks = shuffle_tasks(warehouse.spark)
    edges = find_edges(
        signatures,
        dumps=scope.dumps,
        n_earlier=len(scope.earlier),
        minhash=minhash,
        near=near,
        n_documents=sum(lent["n_rows_out"] for _, lent in lenders.values()),
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
        signals=_signals(job, scope),
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
        "input_versions": {"signatures": max(lender.version("signatures") for lender, _ in lenders.values())},
        "output_versions": versions,
    }


def _signals(job: Job, scope: _Scope) -> "DataFrame | None":
    """The signals that the survivor order names, of all documents of the scope; null where it names none."""
    names = signals_of(job.recipe.duplicates)
    if not names:
        return None
    parts = []
    for dump in scope.dumps:
        lender, _ = scope.ledgers[dump].lender("annotated")
        # One row a document, also of one that is there twice.
        of_documents = lender.read("annotated", dump=dump).groupBy("doc_id", "dump")
        parts.append(of_documents.agg(*(F.min(name).alias(name) for name in names)))
    return reduce(lambda one, other: one.unionAll(other), parts)


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
