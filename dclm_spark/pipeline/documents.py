"""Makes the tables `documents`, `quarantine` and `files` of a dump from its archive files."""

import os
from typing import Any, TypeGuard

from dclm_spark.errors import FaultLimitError, InputError, UnreadFilesError
from dclm_spark.files.inputs import Listing
from dclm_spark.lake import claims
from dclm_spark.lake.runs import part_hash
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import ingest_plan
from dclm_spark.pipeline.batches import read_batches
from dclm_spark.pipeline.ingest_plan import Source
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.run_stage import Outcome
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.planning import planned_for_python


def make_documents(
    job: Job,
    source: Source,
    *,
    batch_files: int | None = None,
    restart: bool = False,
    skip_unreadable: bool = False,
) -> Outcome:
    """Makes `documents`, `quarantine` and `files` of one dump from its archive files.

    Args:
        job: The dump, recipe and warehouses.
        source: The files to read.
        batch_files: Number of files in each commit; null: chosen by the session's size.
        restart: Whether to replace everything that the dump holds.
        skip_unreadable: Whether to finish the dump without the files that cannot be read; a later call without this
            option reads them.

    Raises:
        InputError: The input names no files, or not the files that the dump was begun with.
        WarehouseError: The warehouse holds rows of the dump made by another recipe.
        FaultLimitError: All rows are written, but the share of faults is above the recipe's limit.
        UnreadFilesError: Some files could not be read. The dump is not finished; the same call reads only these files.
    """
    if batch_files is not None and batch_files < 1:
        raise InputError([f"{batch_files} files to a commit; expected 1 or more"])
    listing = job.check(source)
    with planned_for_python(job.warehouse.spark):
        return _make_documents(
            job, source, listing, batch_files=batch_files, restart=restart, skip_unreadable=skip_unreadable
        )


def _make_documents(
    job: Job, source: Source, listing: Listing, *, batch_files: int | None, restart: bool, skip_unreadable: bool
) -> Outcome:
    warehouse, recipe = job.warehouse, job.recipe

    def find() -> tuple[ingest_plan.Plan | None, bool, Outcome | None]:
        """Returns the plan of the current attempt, whether to begin a new one, and the outcome if the dump is
        finished."""
        stored = ingest_plan.stored_plan(warehouse, job.dump)
        if restart or job.is_forced or stored is None or stored.attempt_id == ingest_plan.CLEARING:
            return stored, True, None
        ledger = job.ledger()
        standing = ledger.standing("documents", {})
        ingest_plan.check_plan(stored, listing, recipe, job.dump)
        is_lost = standing is None and (job.dump, "documents") in ledger.own
        return stored, is_lost, None if standing is None else Outcome(standing, is_new=False)

    def is_done(standing: Outcome | None) -> TypeGuard[Outcome]:
        return standing is not None and (skip_unreadable or not standing.run["n_unread_files"])

    (_, _, standing), find_again = claims.look(warehouse, ("plans", "runs"), find)
    if is_done(standing):
        _check_faults(standing.run, recipe)
        return standing
    warehouse.prepare("documents", "quarantine", "files", "plans", "runs")
    with claims.claimed(
        warehouse, "documents", (job.dump,), tables=("plans", "quarantine", "documents", "files", "runs")
    ):
        stored, is_new, standing = find_again()
        if is_done(standing):
            outcome = standing
        else:
            outcome = _read(
                job,
                source,
                listing,
                stored,
                batch_files=batch_files,
                is_new=is_new,
                is_finished=standing is not None,
                skip_unreadable=skip_unreadable,
            )
    _check_faults(outcome.run, recipe)
    return outcome


def _read(
    job: Job,
    source: Source,
    listing: Listing,
    stored: ingest_plan.Plan | None,
    *,
    batch_files: int | None,
    is_new: bool,
    is_finished: bool,
    skip_unreadable: bool,
) -> Outcome:
    """Reads all files in a new attempt, or the remaining files of the current one; the caller holds the claim."""
    warehouse, recipe = job.warehouse, job.recipe
    run = job.run("documents")
    if is_new:
        size = batch_files or default_batch_files(warehouse)
        plan = ingest_plan.make_plan(listing, batch_files=size, part=part_hash(recipe, "documents"))
        # Rows without a plan were written before the table `plans` existed, or its log has lost the plan's entry.
        written = ("documents", "quarantine", "files")
        is_first = stored is None and not any(warehouse.holds(table, dump=job.dump) for table in written)
        ingest_plan.store_plan(warehouse, plan, run, before=stored, is_first=is_first)
    else:
        assert stored is not None  # an attempt that is continued has a plan
        plan = stored
    with job.progress("documents") as progress:
        counts, unread = read_batches(warehouse, plan, run, source, progress, is_new=is_new, is_finished=is_finished)
    if unread and not skip_unreadable:
        raise UnreadFilesError(job.dump, unread, len(plan.files))
    tables = ("documents", "quarantine", "files", "plans")
    versions = {table: warehouse.history.own_version(table, stage="documents", dump=job.dump) for table in tables}
    row = run.record(
        n_rows_in=counts["n_records"],
        n_rows_out=counts["n_documents"],
        n_faults=counts["n_quarantined"],
        n_skipped=counts["n_skipped"],
        n_unread_files=len(unread),
        output_versions={table: version for table, version in versions.items() if version is not None},
        attempt_id=plan.attempt_id,
    )
    return Outcome(row, is_new=True)


def default_batch_files(warehouse: Warehouse) -> int:
    """Returns the number of files in each commit: 16 for each core of a local session, else 1,000.

    Small batches waste time: at the end of each, cores wait for its last file. Large ones lose work: after a kill, a
    batch that is not closed is read again.
    """
    master = warehouse.spark.conf.get("spark.master", "") or ""
    if not master.startswith("local"):
        return 1_000
    cores = master.removeprefix("local").strip("[]").split(",")[0]
    return 16 * (int(cores) if cores.isdigit() else os.cpu_count() or 1)


def _check_faults(run: dict[str, Any], recipe: Recipe) -> None:
    """Raises an error if a larger share of a run's records is in quarantine than the recipe allows."""
    n_faults, n_records = run["n_faults"], run["n_rows_in"]
    if n_faults > recipe.max_fault_share * n_records:  # files that could not be read raise `UnreadFilesError` instead
        raise FaultLimitError(
            f"{n_faults:,} of {n_records:,} records of {run['dump']} ({n_faults / n_records:.1%}) are in quarantine, "
            f"more than the recipe's limit of {recipe.max_fault_share:.1%}; all is written: `dclm-spark funnel` "
            "shows the kinds, --max-fault-share raises the limit"
        )
