"""One stage of one dump: up to date, refused, lent, or made from the tables before it and recorded in `runs`."""

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
"""Takes a run and the rows of each table before; writes, and returns the counts for `Run.record`."""


@dataclass(frozen=True)
class Outcome:
    """What a stage did.

    Args:
        run: Its row of `runs`, new or old.
        is_new: False if the stage was up to date.
        is_lent: True if the run is the upstream's, which lends its table.
    """

    run: dict[str, Any]
    is_new: bool
    is_lent: bool = False


def forced_stages(job: Job, stages: Sequence[str]) -> set[str]:
    """Which stages of a chain a forced job redoes: those that another recipe made, or all where none is such.

    What follows a stage that is redone is out of date, and is redone without force.
    """
    runs = {stage: run for (_, stage), run in job.ledger().own.items() if stage in stages}
    others = {stage for stage, run in runs.items() if not is_made_by(run, job.recipe)}
    return others or set(stages)


def make_stage(job: Job, stage: str, write: Write, *, tables: Sequence[str] | None = None) -> Outcome:
    """One whole-dump stage: the tables that the registry says it reads -> its rows, in one commit a table.

    Args:
        job: What is asked for.
        stage: The stage.
        write: Writes the rows.
        tables: The tables that it writes; null means all that the registry names.
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
        # A stage that is interrupted between its tables must not count as done by the row of the run before.
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
    """The outcome of a stage that need not be made: it stands, or the upstream lends it; else null."""
    own = ledger.standing(stage, upstream_runs)
    found = own or ledger.lent(stage, upstream_runs)
    return None if found is None else Outcome(found, is_new=False, is_lent=own is None)


def each_once(rows: "DataFrame") -> tuple["DataFrame", "DataFrame | None"]:
    """The same rows, each document once, and the rows of `stages.repeats.find_repeats`; null where none is repeated.

    Ids alone are counted. Only where one is there more than once, texts are looked at.
    """
    repeats = find_repeats(rows)
    n_repeated = repeats.count()
    if n_repeated == 0:
        return rows, None
    few = F.broadcast(repeats) if n_repeated <= MAX_BROADCAST else repeats
    return without_repeats(rows, few), repeats


def write_split(
    job: Job, run: Run, flagged: "DataFrame", stage: str, *, repeats: "DataFrame | None" = None
) -> dict[str, Any]:
    """Writes flagged rows: those without `removed_by` to the stage's table, the others to `removed`.

    Args:
        job: What is asked for.
        run: The stage's run.
        flagged: Rows with the columns of both tables, each document that stays once.
        stage: The stage.
        repeats: As `each_once` gives them: they go to `removed`, too.
    """
    gone = flagged.where("removed_by IS NOT NULL").selectExpr("*", f"'{stage}' AS stage")
    if repeats is not None:
        gone = gone.select(*schemas.REMOVED.names).unionByName(removed_repeats(repeats, stage=stage))
    removed = job.warehouse.replace(gone, "removed", lineage=run.lineage, dump=job.dump, stage=stage)
    kept = flagged.where("removed_by IS NULL")
    made = job.warehouse.replace(kept, stage, lineage=run.lineage, dump=job.dump)
    return {
        "n_rows_out": made.n_rows,
        "n_removed": removed.n_rows,
        "output_versions": {stage: made.version, "removed": removed.version},
    }
