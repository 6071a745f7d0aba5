"""A dump's files, batch by batch, into `documents`, `quarantine` and `files`: those that are left, each once.

A file that cannot be read leaves no row. Before its batch is written it moves, in the stored plan, to a batch of its
own behind all others, so that what a batch number stands for never changes once something is written under it. Those
batches are read again when all else is done, and by later runs, each time under a new number and after what an
interrupted run may have written of their files is deleted: Delta would pass over a number that it has seen.
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
from dclm_spark.lake.warehouse import Warehouse, frame_of
from dclm_spark.pipeline.ingest_plan import STAGE, Plan, Source, rewrite_plan
from dclm_spark.spark.progress import Progress
from dclm_spark.stages.columns import one_a_task
from dclm_spark.stages.documents import extract_documents

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AGAIN_SECONDS = 15.0
"""How long files that the store failed on are left alone before they are read once more."""


class Read(NamedTuple):
    """What has been read of a dump, by this run and those before it.

    Args:
        counts: n_records, n_documents, n_quarantined, n_skipped.
        unread: The files that were not, and why.
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
    """Reads and writes the files that are not closed yet; those that cannot be read, once more when all else is done.

    Args:
        warehouse: The warehouse.
        plan: The attempt.
        run: The run that makes it or goes on with it.
        source: How its files are opened.
        progress: Told of each batch.
        is_new: True if no batch of the attempt can be closed.
        is_finished: True if the dump counts as done, with files that it was allowed to leave out.
    """
    reading = _Reading(warehouse, plan, run, source, progress, is_new=is_new, is_finished=is_finished)
    reading.read_all()
    counts = {name: reading.counts[name] for name in _COUNTS}
    counts["n_skipped"] = counts["n_records"] - counts["n_documents"] - counts["n_quarantined"]
    return Read(counts, {path: reading.plan.unread[path] for path in reading.left()})


_COUNTS = ("n_records", "n_documents", "n_quarantined")
_TALLY = schemas.FILES.names[schemas.FILES.get_field_index("path") + 1 :]


class _Reading:
    """A run's way through the files of an attempt."""

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
            file.path: (file.address, file.asked)
            for file in source.listing.files
            if file.address != file.path or file.asked is not None
        }
        self.open_source = partial(open_source, storage_options=dict(source.storage_options))
        self.is_new, self.is_finished = is_new, is_finished
        self.counts: Counter[str] = Counter()
        self.closed: set[str] = set()

    def left(self) -> list[str]:
        """The files that are not closed, in the plan's order."""
        return [path for *_, path, _ in self.plan.files if path not in self.closed]

    def read_all(self) -> None:
        if not self.is_new:
            for row in self.warehouse.read("files", dump=self.run.dump).select("path", *_COUNTS).collect():
                self.closed.add(identity_of(row["path"]))
                self.counts.update({name: row[name] for name in _COUNTS})
        self.progress.start(len(self.plan.files), "files", done=len(self.closed))
        size = max(Counter(batch for batch, *_ in self.plan.files).values())
        waited_for = [path for path in self.left() if path in self.plan.unread]
        for batch, paths in self.plan.batches(set(self.left()).difference(waited_for)).items():
            self._read_batch(paths, batch)
        if unread := self.left():
            if any(not self.plan.unread[path].startswith(MISSING) for path in set(unread).difference(waited_for)):
                time.sleep(AGAIN_SECONDS)
            for start in range(0, len(unread), size):
                self._read_batch(unread[start : start + size], None)

    def _store(self, plan: Plan) -> None:
        self.plan = plan
        rewrite_plan(self.warehouse, plan, self.run)

    def _prepare_again(self, paths: Sequence[str], unread: Mapping[str, str], *, is_any_read: bool) -> None:
        """Makes way for the rows of files that were not read before, and now are or are not."""
        # The ones that are read stay in this batch, the others leave it.
        plan = self.plan.put_off({path: self.plan.unread[path] for path in paths}).put_off(unread)
        if self.is_finished and not is_any_read:
            self.plan = plan  # for what is said: a dump that is finished without them stays as it is
            return
        if self.is_finished:
            # No reader may take a dump that grows for a finished one.
            self.warehouse.delete("runs", dump=self.run.dump, stage=STAGE)
            self.is_finished = False
        self._store(plan)
        if not self.is_new:
            # An interrupted run may have read and written these files, and not closed them.
            self.warehouse.delete("documents", files=paths, dump=self.run.dump)
            self.warehouse.delete("quarantine", files=paths, dump=self.run.dump, stage=STAGE)

    def _read_batch(self, paths: Sequence[str], batch: int | None) -> None:
        """Writes the rows of some files, as far as they can be read, and closes those.

        Args:
            paths: The files.
            batch: Theirs; null of files that could not be read before, which get a new one.
        """
        warehouse, lineage = self.warehouse, self.run.lineage
        # What gives access travels with the code, and is in no plan of Spark's, which are shown.
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
                {name: sum(row[place] for row in tallies) for place, name in enumerate(_TALLY, 1) if name in _COUNTS}
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
    """A file of the plan, opened by its address; a path that is not listed is its own address."""
    if path not in listed:
        return open_file(path)
    address, asked = listed[path]
    return open_file(address, asked=asked)


def _whole_files(pages: "DataFrame", unread: Collection[str]) -> "DataFrame":
    """The rows of the files that were read to their ends.

    Rows that are lost with an executor are read anew. Where the store fails then, the write must fail as well: the
    tallies are those of the first reading.
    """
    whole = pages.where(~F.col("warc_path").isin(list(unread))) if unread else pages
    words = F.concat(F.lit("a file was read, and could not be read again: "), F.col("warc_path"))
    checked = F.when(F.col("unread").isNull(), F.col("dump")).otherwise(F.raise_error(words))
    for column in ("kind", "text"):
        # Kept by the filters of both writes, so that it is met.
        whole = whole.withColumn(column, F.when(F.col("unread").isNull(), F.col(column)).otherwise(F.lit("")))
    return whole.withColumn("dump", checked)
