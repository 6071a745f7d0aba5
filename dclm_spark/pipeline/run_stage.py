"""Runs one stage of one dump, unless it is up to date here or upstream, and records it in `runs`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import WarehouseError
from dclm_spark.lake import claims
from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.runs import Key, Run, is_made_by
from dclm_spark.pipeline.job import Job, Ledger
from dclm_spark.pipeline.registry import STAGES, Stage
from dclm_spark.spark.planning import planned_for_python
from dclm_spark.stages.deduplicated import MAX_BROADCAST
from dclm_spark.stages.repeats import find_repeats, removed_repeats, without_repeats

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Write = Callable[..., dict[str, Any]]
"""Function that takes a run and the rows of each table that the stage reads, writes rows, and returns the counts for
`Run.record`."""


@dataclass(frozen=True)
class Outcome:
    """Reports the result of a stage.

    Args:
        run: The stage's row of `runs`, new or old.
        is_new: False if the stage was up to date.
        is_lent: True if the run and its table are those of the upstream.
    """

    run: dict[str, Any]
    is_new: bool
    is_lent: bool = False


def forced_stages(job: Job, stages: Sequence[str]) -> set[str]:
    """Returns the stages that a forced job makes again: those made by another recipe, or all if there are none.

    Stages after these are then out of date, and are made again without force.
    """
    runs = {stage: run for (_, stage), run in job.ledger().own.items() if stage in stages}
    others = {stage for stage, run in runs.items() if not is_made_by(run, job.recipe)}
    return others or set(stages)


def make_stage(job: Job, stage: str, write: Write, *, tables: Sequence[str] | None = None) -> Outcome:
    """Makes a stage of one whole dump from the tables that the registry names, in one commit for each table.

    Args:
        job: The dump, recipe and warehouses.
        stage: Name of the stage.
        write: Function that writes the rows.
        tables: The tables that it writes; null: all that the registry names.
    """
    job.check()
    with planned_for_python(job.warehouse.spark):
        return _make_stage(job, STAGES[stage], write, STAGES[stage].writes if tables is None else tables)


def _make_stage(job: Job, stage: Stage, write: Write, tables: Sequence[str]) -> Outcome:
    def find() -> tuple[Ledger, dict[Key, str], Outcome | None]:
        ledger = job.ledger()
        upstream_runs = {Key(job.dump, table): ledger.finished(table).run_id for table in stage.reads}
        return ledger, upstream_runs, up_to_date(ledger, stage.name, upstream_runs)

    (_, _, outcome), find_again = claims.look(job.warehouse, ("runs",), find)
    if outcome is not None:
        return outcome
    job.warehouse.prepare(*tables, "runs")
    with claims.claimed(job.warehouse, stage.name, (job.dump,)):
        ledger, upstream_runs, outcome = find_again()
        return outcome or _make(job, stage, write, ledger, upstream_runs)


def _make(job: Job, stage: Stage, write: Write, ledger: Ledger, upstream_runs: dict[Key, str]) -> Outcome:
    run = job.run(stage.name)
    if (job.dump, stage.name) in ledger.own:
        # If the stage is interrupted between its tables, the row of the previous run must not make it count as done.
        job.warehouse.delete("runs", dump=job.dump, stage=stage.name)
    inputs = Inputs({job.dump: ledger.finished})
    with job.progress(stage.name):
        written = write(run, *map(inputs.read, stage.reads))
    before = stage.reads[0]
    found = ledger.finished(before)
    n_in, n_out = found.n_rows, written["n_rows_out"] + written.get("n_removed", 0)
    if n_in != n_out:
        raise WarehouseError(
            [
                f"{stage.name} of {job.dump} has {n_out:,} rows for {n_in:,} {before}: has another job written to "
                f"{found.warehouse}?"
            ]
        )
    versions = inputs.versions(job.dump)
    row = run.record(n_rows_in=n_in, upstream_runs=upstream_runs, input_versions=versions, **written)
    return Outcome(row, is_new=True)


def up_to_date(ledger: Ledger, stage: str, upstream_runs: Mapping[Key, str]) -> Outcome | None:
    """Returns the outcome of a stage that is up to date in the warehouse or its upstream; null if it must be made."""
    own = ledger.standing(stage, upstream_runs)
    found = own or ledger.from_upstream(stage, upstream_runs)
    return None if found is None else Outcome(found, is_new=False, is_lent=own is None)


def each_once(rows: "DataFrame", *, stage: str) -> tuple["DataFrame", "DataFrame | None"]:
    """Drops repeated rows of documents; also returns these as rows of `removed`, null if there are none.

    Only ids are counted. Texts are read only if an id is repeated.

    Args:
        rows: Rows of `filtered`, perhaps with more columns.
        stage: Name of the stage that drops the rows.
    """
    repeats = find_repeats(rows)
    n_repeated = repeats.count()
    if n_repeated == 0:
        return rows, None
    few = F.broadcast(repeats) if n_repeated <= MAX_BROADCAST else repeats
    return without_repeats(rows, few), removed_repeats(rows, few, stage=stage)


def write_split(
    job: Job, run: Run, flagged: "DataFrame", stage: str, *, repeats: "DataFrame | None" = None
) -> dict[str, Any]:
    """Writes flagged rows: those whose `removed_by` is null to the stage's table, the others to `removed`.

    Args:
        job: The dump, recipe and warehouses.
        run: The stage's run.
        flagged: Rows with the columns of both tables; each document that is kept has one row.
        stage: Name of the stage.
        repeats: The rows of `removed` that `each_once` returns.
    """
    dropped = flagged.where("removed_by IS NOT NULL").selectExpr("*", f"'{stage}' AS stage")
    if repeats is not None:
        dropped = dropped.select(*schemas.REMOVED.names).unionByName(repeats)
    removed = job.warehouse.replace(dropped, "removed", lineage=run.lineage, dump=job.dump, stage=stage)
    kept = flagged.where("removed_by IS NULL")
    made = job.warehouse.replace(kept, stage, lineage=run.lineage, dump=job.dump)
    return {
        "n_rows_out": made.n_rows,
        "n_removed": removed.n_rows,
        "output_versions": {stage: made.version, "removed": removed.version},
    }
