"""Reads a dump's files in batches and writes `documents`, `quarantine` and `files`; files already read are skipped.

A file that cannot be read writes no row. Before its batch is written, the stored plan moves the file to a new batch
after all others, so that the files of a batch number never change after rows have been written under it. These new
batches are read again after all others, and by later runs. Each try gets a new number, since Delta ignores a number
that it has seen, and first deletes the rows that an interrupted run may have written for these files.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.files.addresses import identity_of
from dclm_spark.files.inputs import open_source
from dclm_spark.kernels.archive.pages import MISSING
from dclm_spark.lake.runs import Run
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.ingest_plan import STAGE, Plan, Source, rewrite_plan
from dclm_spark.spark.progress import Progress
from dclm_spark.spark.rows import frame_of
from dclm_spark.stages.columns import one_a_task
from dclm_spark.stages.documents import extract_documents

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AGAIN_SECONDS = 15.0
"""Seconds to wait before files that the store failed to deliver are read again."""


class Read(NamedTuple):
    """Says what has been read of a dump, by this run and earlier ones.

    Args:
        counts: The numbers n_records, n_documents, n_quarantined and n_skipped.
        unread: Path of each file that was not read -> the reason.
    """

    counts: dict[str, int]
    unread: dict[str, str]


def read_batches(
    warehouse: Warehouse,
    plan: Plan,
    run: Run,
    source: Source,
    progress: Progress,
    *,
    is_new: bool,
    is_finished: bool = False,
) -> Read:
    """Reads all files of a plan that are not closed yet and writes their rows; retries unreadable files at the end.

    Args:
        warehouse: The warehouse.
        plan: The plan of the attempt.
        run: The run that begins or continues the attempt.
        source: Says how the files are opened.
        progress: Is told of each finished batch.
        is_new: Whether the attempt is new, so that no batch can be closed yet.
        is_finished: Whether the dump is already finished, without some files that could not be read.
    """
    reading = _Reading(warehouse, plan, run, source, progress, is_new=is_new, is_finished=is_finished)
    reading.read_all()
    counts = {name: reading.counts[name] for name in _COUNTS}
    counts["n_skipped"] = counts["n_records"] - counts["n_documents"] - counts["n_quarantined"]
    return Read(counts, {path: reading.plan.unread[path] for path in reading.not_closed()})


_COUNTS = ("n_records", "n_documents", "n_quarantined")
_TALLY = schemas.FILES.names[schemas.FILES.get_field_index("path") + 1 :]


class _Reading:
    """Reads the files of an attempt for one run."""

    def __init__(
        self,
        warehouse: Warehouse,
        plan: Plan,
        run: Run,
        source: Source,
        progress: Progress,
        *,
        is_new: bool,
        is_finished: bool,
    ):
        self.warehouse, self.plan, self.run, self.progress = warehouse, plan, run, progress
        self.listed = {
            file.path: (file.address, file.named_hosts)
            for file in source.listing.files
            if file.address != file.path or file.named_hosts is not None
        }
        self.open_source = partial(open_source, storage_options=dict(source.storage_options))
        self.is_new, self.is_finished = is_new, is_finished
        self.counts: Counter[str] = Counter()
        self.closed: set[str] = set()

    def not_closed(self) -> list[str]:
        """Lists the files that are not closed, in the plan's order."""
        return [path for *_, path, _ in self.plan.files if path not in self.closed]

    def read_all(self) -> None:
        """Reads the files that are not closed: first those never tried, then those that could not be read before."""
        if not self.is_new:
            for row in self.warehouse.read("files", dump=self.run.dump).select("path", *_COUNTS).collect():
                self.closed.add(identity_of(row["path"]))
                self.counts.update({name: row[name] for name in _COUNTS})
        self.progress.start(len(self.plan.files), "files", done=len(self.closed))
        size = max(Counter(batch for batch, *_ in self.plan.files).values())
        waited_for = [path for path in self.not_closed() if path in self.plan.unread]
        for batch, paths in self.plan.batches(set(self.not_closed()).difference(waited_for)).items():
            self._read_batch(paths, batch)
        if unread := self.not_closed():
            if any(not self.plan.unread[path].startswith(MISSING) for path in set(unread).difference(waited_for)):
                time.sleep(AGAIN_SECONDS)
            for start in range(0, len(unread), size):
                self._read_batch(unread[start : start + size], None)

    def _store(self, plan: Plan) -> None:
        """Replaces the plan, here and in the warehouse."""
        self.plan = plan
        rewrite_plan(self.warehouse, plan, self.run)

    def _prepare_again(self, paths: Sequence[str], unread: Mapping[str, str], *, is_any_read: bool) -> None:
        """Prepares the plan and the tables for another try to read these files."""
        # Files that were read remain in this batch; the others are moved to another one.
        plan = self.plan.put_off({path: self.plan.unread[path] for path in paths}).put_off(unread)
        if self.is_finished and not is_any_read:
            self.plan = plan  # only for the message: a dump that is finished without these files does not change
            return
        if self.is_finished:
            # While the dump grows, no reader may think that it is finished.
            self.warehouse.delete("runs", dump=self.run.dump, stage=STAGE)
            self.is_finished = False
        self._store(plan)
        if not self.is_new:
            # An interrupted run may have written rows of these files without closing them.
            self.warehouse.delete("documents", files=paths, dump=self.run.dump)
            self.warehouse.delete("quarantine", files=paths, dump=self.run.dump, stage=STAGE)

    def _read_batch(self, paths: Sequence[str], batch: int | None) -> None:
        """Writes the rows of all files among these that can be read, and closes those files.

        Args:
            paths: Paths of the files.
            batch: Number of their batch; null for files that could not be read before, which get a new batch.
        """
        warehouse, lineage = self.warehouse, self.run.lineage
        # Credentials are sent with the code, never in a Spark plan, since plans are displayed.
        listed = {path: self.listed[path] for path in paths if path in self.listed}
        pages = extract_documents(
            one_a_task(warehouse.spark, paths),
            dump=self.run.dump,
            open_file=partial(_open_listed, open_file=self.open_source, listed=listed),
            recipe=self.run.recipe,
        ).persist()  # written to up to three tables, read once
        try:
            ends = pages.where("n_records IS NOT NULL OR unread IS NOT NULL")
            tallies = ends.select("warc_path", *_TALLY, "unread").collect()
            unread = {row["warc_path"]: row["unread"] for row in tallies if row["unread"] is not None}
            tallies = sorted(row[:-1] for row in tallies if row["unread"] is None)
            counts = Counter(
                {name: sum(row[index] for row in tallies) for index, name in enumerate(_TALLY, 1) if name in _COUNTS}
            )
            whole = _whole_files(pages, unread)
            number = self.plan.n_batches if batch is None else batch
            if batch is None:
                self._prepare_again(paths, unread, is_any_read=bool(tallies))
            elif unread:
                self._store(self.plan.put_off(unread))
            once = self.plan.attempt_id, number
            if counts["n_quarantined"]:
                warehouse.append(whole.where("kind IS NOT NULL"), "quarantine", lineage=lineage, batch=once)
            if counts["n_documents"]:
                warehouse.append(whole.where("text IS NOT NULL"), "documents", lineage=lineage, batch=once)
            if tallies:
                rows = [(self.run.dump, self.plan.attempt_id, number, *row) for row in tallies]
                closing = frame_of(warehouse.spark, rows, schemas.FILES)
                warehouse.append(closing, "files", lineage=lineage, batch=once)
        finally:
            pages.unpersist()
        self.closed.update(row[0] for row in tallies)
        self.counts.update(counts)
        self.progress.advance(len(tallies), n_rows=counts["n_documents"])


def _open_listed(
    path: str, *, open_file: Callable[..., BinaryIO], listed: Mapping[str, tuple[str, tuple[str, ...] | None]]
) -> BinaryIO:
    """Opens a file of the plan by its address; a path that is not listed is its own address."""
    if path not in listed:
        return open_file(path)
    address, named_hosts = listed[path]
    return open_file(address, named_hosts=named_hosts)


def _whole_files(pages: "DataFrame", unread: Collection[str]) -> "DataFrame":
    """Keeps the rows of files that were read to their ends.

    Rows that are lost with an executor are read again. If the store fails then, the write must fail too, because the
    counts come from the first reading.
    """
    whole = pages.where(~F.col("warc_path").isin(list(unread))) if unread else pages
    words = F.concat(F.lit("a file was read, and could not be read again: "), F.col("warc_path"))
    checked = F.when(F.col("unread").isNull(), F.col("dump")).otherwise(F.raise_error(words))
    for column in ("kind", "text"):
        # Rows with `unread` pass the filters of both writes, so that the error is raised.
        whole = whole.withColumn(column, F.when(F.col("unread").isNull(), F.col(column)).otherwise(F.lit("")))
    return whole.withColumn("dump", checked)
