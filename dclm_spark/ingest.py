"""Archive files -> `documents`, batch by batch, so that a run that was killed goes on where it stopped.

The plan of files and batches is stored before the first record is read, under an attempt id. A batch is read once,
kept, and written in three idempotent appends: `quarantine`, `documents`, and last `files`, which closes it. A rerun
takes the batches that are not closed; a restart is a new attempt.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from dclm_spark import schemas
from dclm_spark.columns import one_a_task
from dclm_spark.errors import InputError
from dclm_spark.progress import Progress
from dclm_spark.recipe import Recipe
from dclm_spark.runs import Run, part_hash
from dclm_spark.sources import Listing, list_files, open_source
from dclm_spark.stages.documents import extract_documents
from dclm_spark.tables import Warehouse, frame_of

STAGE = "documents"
CLEARING = "clearing"
"""The attempt id of a plan whose dump still holds rows of an earlier attempt: to be cleared, and planned anew."""


@dataclass(frozen=True)
class Source:
    """Which files a dump is read from.

    Args:
        inputs: Paths, globs, folders, URLs or lists of them, as `sources.list_files` takes them.
        base_url: What a list's relative entries are joined to.
        storage_options: Passed to fsspec, in the driver and in the workers; never recorded.
    """

    inputs: Sequence[str]
    base_url: str | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def listing(self) -> Listing:
        """What the inputs name, looked up once."""
        return list_files(self.inputs, base_url=self.base_url, storage_options=self.storage_options)


@dataclass(frozen=True)
class Plan:
    """The files of a dump's current attempt, as they were stored: (batch, position, path, bytes) each."""

    attempt_id: str
    part_hash: str
    files: tuple[tuple[int, int, str, int | None], ...]
    n_skipped_files: int

    @property
    def n_batches(self) -> int:
        return max(batch for batch, *_ in self.files) + 1

    def sizes(self) -> dict[str, int | None]:
        return {path: n_bytes for *_, path, n_bytes in self.files}


def make_plan(listing: Listing, *, batch_files: int, part: str) -> Plan:
    """A new attempt: files in the listing's order, `batch_files` to a batch, the largest of a batch first.

    A long task that starts last keeps all other cores waiting.
    """
    files = []
    for start in range(0, len(listing.files), batch_files):
        batch = sorted(listing.files[start : start + batch_files], key=lambda file: -(file.n_bytes or 0))
        files += [(start // batch_files, position, file.path, file.n_bytes) for position, file in enumerate(batch)]
    return Plan(uuid.uuid4().hex, part, tuple(files), len(listing.skipped))


def stored_plan(warehouse: Warehouse, dump: str) -> Plan | None:
    """The plan of the dump's current attempt; null if the dump was never begun."""
    if not warehouse.exists("plans"):
        return None
    rows = warehouse.read("plans", dump=dump).orderBy("batch", "position").collect()
    if not rows:
        return None
    files = tuple((row["batch"], row["position"], row["path"], row["file_bytes"]) for row in rows)
    return Plan(rows[0]["attempt_id"], rows[0]["part_hash"], files, rows[0]["n_skipped_files"])


def list_changes(plan: Plan, listing: Listing) -> str | None:
    """How the files named now differ from the plan's, in words; null if they are the same."""
    planned, found = plan.sizes(), {file.path: file.n_bytes for file in listing.files}
    changes = {
        "new": sorted(found.keys() - planned.keys()),
        "gone": sorted(planned.keys() - found.keys()),
        "of another size": sorted(
            path
            for path in planned.keys() & found.keys()
            if None not in (planned[path], found[path]) and planned[path] != found[path]
        ),
    }
    words = [
        f"{len(paths)} {what} ({', '.join(paths[:3])}{', …' if len(paths) > 3 else ''})"
        for what, paths in changes.items()
        if paths
    ]
    return "; ".join(words) or None


def check_plan(plan: Plan, listing: Listing, recipe: Recipe, dump: str) -> None:
    """Refuses to go on with an attempt that was planned for other files or another recipe.

    Raises:
        InputError: It names the files, and what to do.
    """
    changes = list_changes(plan, listing)
    if changes:
        raise InputError(
            [f"the files of {dump} are not those it was begun with: {changes}; --restart replaces the dump"]
        )
    if plan.part_hash != part_hash(recipe, STAGE):
        raise InputError(
            [
                f"{dump} was begun with another recipe's extraction: finish it with that one, "
                "or --restart replaces the dump"
            ]
        )


def store_plan(warehouse: Warehouse, plan: Plan, run: Run, *, is_first: bool) -> None:
    """Stores the plan of a new attempt, once nothing of an earlier one is left: every row of the dump is then its own.

    Args:
        warehouse: The warehouse.
        plan: The new attempt.
        run: The run that begins it.
        is_first: True if the dump has never had a plan, so that there is nothing to clear.
    """
    if not is_first:
        # The run's row goes first, so that no reader takes a half-cleared dump for a finished one; then the plan that
        # the other tables' rows belong to, so that no rerun goes on with it.
        warehouse.delete("runs", dump=run.dump, stage=STAGE)
        _store(warehouse, replace(plan, attempt_id=CLEARING), run)
        warehouse.delete("documents", dump=run.dump)
        warehouse.delete("files", dump=run.dump)
        warehouse.delete("quarantine", dump=run.dump, stage=STAGE)
    _store(warehouse, plan, run)


def _store(warehouse: Warehouse, plan: Plan, run: Run) -> None:
    rows = [(run.dump, plan.attempt_id, plan.part_hash, *file, plan.n_skipped_files) for file in plan.files]
    frame = frame_of(warehouse.spark, rows, schemas.PLANS)
    warehouse.overwrite(frame, "plans", lineage=run.lineage, dump=run.dump)


def read_batches(
    warehouse: Warehouse, plan: Plan, run: Run, source: Source, progress: Progress, *, is_new: bool
) -> dict[str, int]:
    """Reads and writes the batches that are not closed yet.

    Args:
        warehouse: The warehouse.
        plan: The attempt.
        run: The run that makes it or goes on with it.
        source: How its files are opened.
        progress: Told of each batch.
        is_new: True if no batch of the attempt can be closed.

    Returns:
        What became of the dump's records, closed batches included: n_records, n_documents, n_quarantined, n_skipped.
    """
    counts, closed = Counter(), set()
    if not is_new:
        for row in warehouse.read("files", dump=run.dump).select("batch", *_COUNTS).collect():
            closed.add(row["batch"])
            counts.update({name: row[name] for name in _COUNTS})
    progress.start(len(plan.files), "files", done=sum(batch in closed for batch, *_ in plan.files))
    for batch in range(plan.n_batches):
        if batch not in closed:
            paths = [path for number, _, path, _ in plan.files if number == batch]
            read = _read_batch(warehouse, paths, batch, plan, run, source)
            counts.update(read)
            progress.advance(len(paths), n_rows=read["n_documents"])
    n_skipped = counts["n_records"] - counts["n_documents"] - counts["n_quarantined"]
    return {**{name: counts[name] for name in _COUNTS}, "n_skipped": n_skipped}


_COUNTS = ("n_records", "n_documents", "n_quarantined")
_TALLY = schemas.FILES.names[schemas.FILES.get_field_index("path") + 1 :]


def _read_batch(
    warehouse: Warehouse, paths: Sequence[str], batch: int, plan: Plan, run: Run, source: Source
) -> Counter[str]:
    """Writes the rows of one batch; returns the sums of its files' tallies."""
    spark, once = warehouse.spark, (plan.attempt_id, batch)
    pages = extract_documents(
        one_a_task(spark, paths),
        dump=run.dump,
        open_file=partial(open_source, storage_options=dict(source.storage_options)),
        recipe=run.recipe,
    ).persist()  # written to up to three tables, read once
    try:
        tallies = pages.where("n_records IS NOT NULL").select("warc_path", *_TALLY).collect()
        counts = Counter({name: sum(row[name] for row in tallies) for name in _COUNTS})
        if counts["n_quarantined"]:
            warehouse.append(pages.where("kind IS NOT NULL"), "quarantine", lineage=run.lineage, batch=once)
        if counts["n_documents"]:
            warehouse.append(pages.where("text IS NOT NULL"), "documents", lineage=run.lineage, batch=once)
        closing = [(run.dump, plan.attempt_id, batch, *row) for row in sorted(tallies)]
        warehouse.append(frame_of(spark, closing, schemas.FILES), "files", lineage=run.lineage, batch=once)
    finally:
        pages.unpersist()
    return counts
