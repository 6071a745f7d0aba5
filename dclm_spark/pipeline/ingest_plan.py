"""Plans how a dump's archive files are read in batches, so that a run that was killed can continue where it stopped.

The plan of files and batches is stored under an attempt id before the first record is read. A batch is read once, kept,
and written in three idempotent appends: `quarantine`, `documents`, and last `files`, which closes the files that it
names. A rerun reads the batches that are not closed; a restart is a new attempt. The module `batches` reads them.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from dclm_spark import schemas
from dclm_spark.errors import InputError
from dclm_spark.files.addresses import identity_of
from dclm_spark.files.inputs import Listing, list_files
from dclm_spark.lake.runs import Run, part_hash
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.rows import frame_of

STAGE = "documents"
CLEARING = "clearing"
"""Attempt id of a plan whose dump still holds rows of an earlier attempt; they must be deleted, then planned again."""
LAST_BATCH = 1 << 62
"""A number above all batch numbers. Once it is committed for an attempt, the attempt can commit nothing more."""


@dataclass(frozen=True)
class Source:
    """Says which files a dump is read from.

    Args:
        inputs: Paths, globs, folders, URLs or lists of them, as `inputs.list_files` accepts them.
        base_url: URL or folder that relative entries of a list are joined to.
        storage_options: Passed to fsspec, in the driver and in the workers; never recorded.
    """

    # Not shown: all three may hold credentials.
    inputs: Sequence[str] = field(repr=False)
    base_url: str | None = field(default=None, repr=False)
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def listing(self) -> Listing:
        """The files that the inputs name; looked up once."""
        return list_files(self.inputs, base_url=self.base_url, storage_options=self.storage_options)


@dataclass(frozen=True)
class Plan:
    """The stored plan of a dump's current attempt.

    Args:
        attempt_id: Id of the attempt.
        part_hash: Hash of the recipe's extraction.
        files: The files, each as (batch, position, path, bytes).
        n_skipped_files: See `schemas.PLANS`.
        unread: Path of each file that could not be read at its last try -> the reason; some may have been read since.
    """

    attempt_id: str
    part_hash: str
    files: tuple[tuple[int, int, str, int | None], ...]
    n_skipped_files: int
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_batches(self) -> int:
        """Number of batches; the last one has the number below it."""
        return max(batch for batch, *_ in self.files) + 1

    def sizes(self) -> dict[str, int | None]:
        """Returns the size in bytes of each file, by path; null where it is not known."""
        return {path: n_bytes for *_, path, n_bytes in self.files}

    def batches(self, paths: Collection[str]) -> dict[int, list[str]]:
        """Returns batch -> its files that are in `paths`, in order; batches ascend."""
        found: dict[int, list[str]] = {}
        for batch, _, path, _ in sorted(self.files, key=lambda file: file[:2]):
            if path in paths:
                found.setdefault(batch, []).append(path)
        return found

    def put_off(self, unread: Mapping[str, str]) -> "Plan":
        """Returns the plan with these files moved to a new batch after all others."""
        last = self.n_batches
        files = tuple((last if path in unread else batch, position, path, n) for batch, position, path, n in self.files)
        return replace(self, files=files, unread={**self.unread, **unread})


def make_plan(listing: Listing, *, batch_files: int, part: str) -> Plan:
    """Plans a new attempt: files in the listing's order, `batch_files` in each batch, the largest of a batch first.

    If a long task started last, all other cores would wait for it.
    """
    files = []
    for start in range(0, len(listing.files), batch_files):
        batch = sorted(listing.files[start : start + batch_files], key=lambda file: -(file.n_bytes or 0))
        files += [(start // batch_files, position, file.path, file.n_bytes) for position, file in enumerate(batch)]
    return Plan(uuid.uuid4().hex, part, tuple(files), len(listing.skipped))


def stored_plan(warehouse: Warehouse, dump: str) -> Plan | None:
    """Reads the plan of the dump's current attempt; null if the dump was never begun."""
    if not warehouse.exists("plans"):
        return None
    rows = warehouse.read("plans", dump=dump).orderBy("batch", "position").collect()
    if not rows:
        return None
    # Version 0.1 stored addresses with their credentials.
    files = tuple((row["batch"], row["position"], identity_of(row["path"]), row["file_bytes"]) for row in rows)
    unread = {row["path"]: row["unread"] for row in rows if row["unread"] is not None}
    return Plan(rows[0]["attempt_id"], rows[0]["part_hash"], files, rows[0]["n_skipped_files"], unread)


def list_changes(plan: Plan, listing: Listing) -> str | None:
    """Describes how the files of the listing differ from those of the plan; null if they are the same."""
    planned, found = plan.sizes(), {file.path: file.n_bytes for file in listing.files}
    changes = {
        "new": sorted(found.keys() - planned.keys()),
        "missing": sorted(planned.keys() - found.keys()),
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
    """Raises an error if an attempt was planned for other files or another recipe.

    Raises:
        InputError: The files or the recipe differ; the message names the files and says what to do.
    """
    changes = list_changes(plan, listing)
    if changes:
        raise InputError(
            [f"the files of {dump} are not those it was begun with: {changes}; --restart replaces the dump"]
        )
    if plan.part_hash != part_hash(recipe, STAGE):
        raise InputError(
            [
                f"{dump} was begun with another recipe's extraction: finish it with that recipe, "
                "or --restart replaces the dump"
            ]
        )


def store_plan(warehouse: Warehouse, plan: Plan, run: Run, *, before: Plan | None, is_first: bool) -> None:
    """Deletes all rows of earlier attempts, then stores the plan of a new one, so that all rows of the dump belong to
    it.

    Args:
        warehouse: The warehouse.
        plan: The new attempt.
        run: The run that begins the attempt.
        before: The plan of the previous attempt, if any.
        is_first: Whether the dump has never had a plan, so that there is nothing to delete.
    """
    if not is_first:
        # The run's row is deleted first, so that no reader takes a half-deleted dump for a finished one; then the old
        # plan, so that no rerun continues it.
        warehouse.delete("runs", dump=run.dump, stage=STAGE)
        if before is not None and before.attempt_id != CLEARING:
            # A process that still works on the previous attempt can append nothing more.
            for table in ("quarantine", "documents", "files"):
                warehouse.close_batches(table, (before.attempt_id, LAST_BATCH))
        rewrite_plan(warehouse, replace(plan, attempt_id=CLEARING), run)
        warehouse.delete("documents", dump=run.dump)
        warehouse.delete("files", dump=run.dump)
        warehouse.delete("quarantine", dump=run.dump, stage=STAGE)
    rewrite_plan(warehouse, plan, run)


def rewrite_plan(warehouse: Warehouse, plan: Plan, run: Run) -> None:
    """Replaces the dump's stored plan, in one commit."""
    rows = [
        (run.dump, plan.attempt_id, plan.part_hash, *file, plan.n_skipped_files, plan.unread.get(file[2]))
        for file in plan.files
    ]
    frame = frame_of(warehouse.spark, rows, schemas.PLANS)
    warehouse.overwrite(frame, "plans", lineage=run.lineage, dump=run.dump)
