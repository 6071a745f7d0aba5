"""A table's texts -> a folder of files that DCLM's own code reads: one JSON object a line."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.files.targets import create_file, file_sizes, make_target, remove_files
from dclm_spark.kernels.archive import pools
from dclm_spark.kernels.archive.pools import FORMATS
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.lake.finished import Finished, Places
from dclm_spark.lake.runs import Key, outdated
from dclm_spark.lake.warehouse import Warehouse, check_dump
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.spark import interrupts
from dclm_spark.spark.progress import Progress
from dclm_spark.spark.types import spark_type
from dclm_spark.spark.workers import map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FILE_ROWS = 50_000
"""Documents to a file where nobody says how many files: some 200 MB of text. DCLM's code holds a file in memory."""

MAX_FILES = 99_999

_FACTS = ("fetched_at", "warc_record_id", "metadata")  # what `documents` alone knows of a text

Rows = Mapping[Key, Finished]
"""The finished rows of every stage of every dump."""


_TIES = ("url", "metadata")
CreateFile = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a path for writing; runs in the worker, as `OpenFile` does."""
WRITTEN = pa.schema([("name", pa.string()), ("n_rows", pa.int64()), ("n_bytes", pa.int64())])
"""One row is a file that was written."""


def export_table(
    warehouse: Warehouse,
    table: str,
    *,
    to: str,
    dump: str | None = None,
    upstream: Warehouse | None = None,
    form: str = FORMATS[0],
    n_files: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
    is_quiet: bool = True,
) -> list[dict[str, Any]]:
    """Writes the rows of a table as a pool, and says what was written: one entry a dump.

    A line has `url`, `text`, and the other fields of the pool's line that its document came from, or for a document
    from an archive `metadata` with its WARC headers, and `dclm_spark` with its doc_id and dump. A document's file
    follows from its doc_id and the number of files, its place in the file from its doc_id: the same rows give the same
    bytes, however Spark spreads them.

    Args:
        warehouse: The warehouse.
        table: The table of a stage, one whose rows have a text.
        to: The folder, new or empty: a path or any URL that fsspec writes.
        dump: Only this dump.
        upstream: The warehouse that lends the tables this one does not hold.
        form: One of `kernels.archive.pools.FORMATS`.
        n_files: Files a dump; null makes one of every `FILE_ROWS` documents. One that would be empty is not written.
        storage_options: Of the remote file system, in fsspec's words; never recorded.
        is_quiet: No progress.

    What fails on the way leaves the folder empty.

    Raises:
        InputError: There is no such table or form, or the folder is not empty.
        WarehouseError: A table is not finished, or is out of date.
    """
    options = dict(storage_options or {})
    problems = [] if dump is None else check_dump(dump)
    tables = [stage.name for stage in STAGES.values() if stage.has_text]
    if table not in tables:
        problems.append(f"no table {table!r} with texts to export; expected one of {', '.join(tables)}")
    if form not in FORMATS:
        problems.append(f"no format {form!r}; expected one of {', '.join(FORMATS)}")
    if n_files is not None and not 1 <= n_files <= MAX_FILES:
        problems.append(f"{n_files} files a dump; expected 1 to {MAX_FILES}")
    if problems:
        raise InputError(problems)
    places = Places(warehouse, upstream)
    finished = places.finished
    dumps = sorted(name for name, stage in finished if stage == table and dump in (None, name))
    if not dumps:
        what = f"finished {table}" + (f" of {dump}" if dump else "")
        raise WarehouseError([f"no {what} in {places}; `dclm-spark run` makes one"])
    stale = [problem for name in dumps for problem in _stale(finished, name, table)]
    if stale:
        raise WarehouseError(stale)
    folder = make_target(to, storage_options=options)
    try:
        done = []
        for name in dumps:
            clearing = interrupts.undoing(lambda: remove_files(folder, f"{table}-", storage_options=options))
            with clearing, Progress(warehouse.spark, f"export {table} {name}", quiet=is_quiet):
                done.append(_export_dump(finished, name, table, folder, form=form, n_files=n_files, options=options))
        return done
    except BaseException:
        # Nobody takes a part for the whole, and the same command finds the folder empty again.
        remove_files(folder, f"{table}-", storage_options=options)
        raise


def _export_dump(
    finished: Rows, dump: str, table: str, folder: str, *, form: str, n_files: int | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    n_rows = finished[Key(dump, table)].n_rows
    size = n_files or min(max(math.ceil(n_rows / FILE_ROWS), 1), MAX_FILES)
    files = write_pool(
        in_files(_texts(finished, dump, table), size),
        form=form,
        prefix=f"{folder}/{table}-{dump}",
        create_file=partial(create_file, storage_options=options),
    ).collect()
    _check(files, folder, options, n_rows=n_rows, what=f"{table} of {dump}")
    totals = {f"n_{key}": sum(file[f"n_{key}"] for file in files) for key in ("rows", "bytes")}
    return {"dump": dump, "table": table, "folder": folder, "n_files": len(files), **totals}


def in_files(rows: "DataFrame", n_files: int) -> "DataFrame":
    """The rows with `file`, the number of their file: all rows of a file in one partition, in the order of doc_id.

    A file is a range of ids, which are hashes: all files get about as many rows.
    """
    ids = F.conv(F.substring("doc_id", 1, 8), 16, 10).cast("bigint")  # the first 32 of 128 bits
    file = F.shiftright(ids * F.lit(n_files).cast("bigint"), 32).cast("int")
    # Lines of a pool may share an id; the other columns then say which comes first.
    return rows.withColumn("file", file).repartition(n_files, "file").sortWithinPartitions("file", "doc_id", *_TIES)


def _texts(finished: Rows, dump: str, table: str) -> "DataFrame":
    """Rows with doc_id, dump, url, text and `_FACTS`, which are joined where the table does not have them."""
    rows = _rows(finished, dump, table)
    if table == "documents":
        return rows.select("doc_id", "dump", "url", "text", *_facts(rows))
    documents = _rows(finished, dump, "documents")
    # Of lines that share an id and a text, and so are one document, one of those with its URL stands for all.
    facts = F.struct(*_facts(documents)).alias("facts")
    known = documents.select(F.col("doc_id").alias("its_id"), F.col("url").alias("its_url"), facts)
    known = known.groupBy("its_id", "its_url").agg(F.min("facts").alias("facts"))
    is_its = (F.col("doc_id") == F.col("its_id")) & F.col("url").eqNullSafe(F.col("its_url"))
    joined = rows.select("doc_id", "dump", "url", "text").join(known, is_its)
    return joined.select("doc_id", "dump", "url", "text", *(F.col(f"facts.{name}").alias(name) for name in _FACTS))


def _facts(documents: "DataFrame") -> list:
    """`_FACTS` as columns; null where the table is older than one of them."""
    types = {field.name: spark_type(field.type) for field in schemas.DOCUMENTS}
    return [F.col(name) if name in documents.columns else F.lit(None).cast(types[name]).alias(name) for name in _FACTS]


def _rows(finished: Rows, dump: str, table: str) -> "DataFrame":
    place = finished[Key(dump, table)].warehouse
    # One version throughout: Spark looks at the rows more than once.
    return place.read(table, version=place.version(table), dump=dump)


def _stale(finished: Rows, dump: str, table: str) -> Iterable[str]:
    """Why a dump cannot be exported: a text must find the document that it was made from."""
    if (dump, "documents") not in finished:
        yield f"no finished documents of {dump}, which know where its texts are from; name the --upstream that has them"
        return
    for (name, stage), before in outdated({key: found.run for key, found in finished.items()}, dump, table):
        of = f"{before[1]}" if before[0] == name else f"{before[1]} of {before[0]}"
        if before in finished:
            yield f"the {stage} of {name} are out of date: {of} were made anew since; `dclm-spark run` first"
        else:
            yield (
                f"the {stage} of {name} are out of date, or lent: no finished {of} here, which they were made from; "
                "`dclm-spark run` first, or name the --upstream that has them"
            )


def _check(files: Sequence, folder: str, options: Mapping[str, Any], *, n_rows: int, what: str) -> None:
    """Refuses to call it done where rows or files are missing.

    Raises:
        WarehouseError: It says which.
    """
    written = sum(file["n_rows"] for file in files)
    if written != n_rows:
        raise WarehouseError(
            [f"{written:,} lines were written for {n_rows:,} {what}: has another job written to the table?"]
        )
    seen = file_sizes(folder, storage_options=options) if files else {}
    missing = [file["name"] for file in files if seen.get(file["name"]) != file["n_bytes"]]
    if missing:
        raise WarehouseError(
            [
                f"{len(missing)} of {len(files)} files are not in {folder} as seen from here ({missing[0]}, ...): each "
                "executor has written to its own disk; name a folder that all machines share, or a bucket"
            ]
        )


def format_export(entries: Sequence[Mapping[str, Any]]) -> str:
    """What was written, in words: a line a dump."""
    return "\n".join(
        f"{entry['table']} {entry['dump']}: {entry['n_rows']:,} documents in {entry['n_files']:,} files, "
        f"{entry['n_bytes']:,} bytes, in {entry['folder']}"
        for entry in entries
    )


def write_pool(rows: "DataFrame", *, form: str, prefix: str, create_file: CreateFile) -> "DataFrame":
    """Rows of `WRITTEN`: each file is written by the task that holds its rows, when the DataFrame is evaluated.

    Args:
        rows: Rows with `file`, doc_id, dump, url, text, fetched_at, warc_record_id and metadata: those of a file one
            after the other, in one partition.
        form: One of `kernels.archive.pools.FORMATS`.
        prefix: What a file's address begins with; its number and the format's ending follow.
        create_file: Opens an address in the worker.
    """

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, lines in groupby(pools.numbered_lines(sized(batches)), key=itemgetter(0)):
            address = f"{prefix}-{number:05d}.{form}"
            n_rows = 0
            with create_file(address) as stream:
                with pools.compress(stream, form) as out:
                    for _, line in lines:
                        out.write(line)
                        n_rows += 1
                n_bytes = stream.tell()
            row = {"name": address.rpartition("/")[2], "n_rows": n_rows, "n_bytes": n_bytes}
            yield pa.RecordBatch.from_pylist([row], schema=WRITTEN)

    return map_arrow(rows, write, WRITTEN)
