"""Exports a table's texts to a folder of files that DCLM's code reads: one JSON object a line."""

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
from dclm_spark.lake.dumps import check_dump
from dclm_spark.lake.finished import Finished, Places
from dclm_spark.lake.runs import Key, outdated
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.spark import interrupts
from dclm_spark.spark.progress import Progress
from dclm_spark.spark.types import spark_type
from dclm_spark.spark.workers import map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FILE_ROWS = 50_000
"""Default number of documents in a file: about 200 MB of text. DCLM's code holds a whole file in memory."""

MAX_FILES = 99_999

_FACTS = ("fetched_at", "warc_record_id", "metadata")  # columns of a text that only `documents` has

Rows = Mapping[Key, Finished]
"""The finished rows of every stage of every dump."""


_TIES = ("url", "metadata")
CreateFile = Callable[[str], AbstractContextManager[BinaryIO]]
"""Function that opens a path for writing; it runs in the worker, as `OpenFile` does."""
WRITTEN = pa.schema([("name", pa.string()), ("n_rows", pa.int64()), ("n_bytes", pa.int64())])
"""One row is one written file."""


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
    """Writes the rows of a table as a pool; returns what was written, one entry for each dump.

    A line has `url` and `text`. A document from a pool keeps the other fields of its line; a document from an archive
    gets `metadata` with its WARC headers, and `dclm_spark` with its doc_id and dump. The doc_id and the number of files
    decide a document's file, and the doc_id its position in the file: the same rows give the same bytes, however Spark
    distributes them.

    Args:
        warehouse: The warehouse.
        table: Name of a stage's table whose rows have a text.
        to: A new or empty folder: a path, or any URL that fsspec can write.
        dump: Only this dump.
        upstream: Another warehouse, for tables that `warehouse` does not hold.
        form: One of `kernels.archive.pools.FORMATS`.
        n_files: Number of files for each dump; null: one for every `FILE_ROWS` documents. Empty files are not written.
        storage_options: Options of fsspec for the file system; never recorded.
        is_quiet: Whether to show no progress.

    If the export fails, the folder is empty again.

    Raises:
        InputError: The table or format does not exist, or the folder is not empty.
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
        # No reader can take a part for the whole, and the same command finds the folder empty again.
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
    """Adds `file`, the number of each row's file; all rows of a file are in one partition, in the order of doc_id.

    A file holds a range of ids, which are hashes, so all files get about the same number of rows.
    """
    ids = F.conv(F.substring("doc_id", 1, 8), 16, 10).cast("bigint")  # the first 32 of 128 bits
    file = F.shiftright(ids * F.lit(n_files).cast("bigint"), 32).cast("int")
    # Lines of a pool may have the same id; then the other columns decide the order.
    return rows.withColumn("file", file).repartition(n_files, "file").sortWithinPartitions("file", "doc_id", *_TIES)


def _texts(finished: Rows, dump: str, table: str) -> "DataFrame":
    """Reads doc_id, dump, url, text and `_FACTS`, which are joined from `documents` if the table lacks them."""
    rows = _rows(finished, dump, table)
    if table == "documents":
        return rows.select("doc_id", "dump", "url", "text", *_facts(rows))
    documents = _rows(finished, dump, "documents")
    # Lines with the same id and text are one document: one line with the document's URL represents all of them.
    facts = F.struct(*_facts(documents)).alias("facts")
    known = documents.select(F.col("doc_id").alias("its_id"), F.col("url").alias("its_url"), facts)
    known = known.groupBy("its_id", "its_url").agg(F.min("facts").alias("facts"))
    is_its = (F.col("doc_id") == F.col("its_id")) & F.col("url").eqNullSafe(F.col("its_url"))
    joined = rows.select("doc_id", "dump", "url", "text").join(known, is_its)
    return joined.select("doc_id", "dump", "url", "text", *(F.col(f"facts.{name}").alias(name) for name in _FACTS))


def _facts(documents: "DataFrame") -> list:
    """Returns `_FACTS` as columns; null for a column that an older table lacks."""
    types = {field.name: spark_type(field.type) for field in schemas.DOCUMENTS}
    return [F.col(name) if name in documents.columns else F.lit(None).cast(types[name]).alias(name) for name in _FACTS]


def _rows(finished: Rows, dump: str, table: str) -> "DataFrame":
    place = finished[Key(dump, table)].warehouse
    # A fixed version, because Spark reads the rows more than once.
    return place.read(table, version=place.version(table), dump=dump)


def _stale(finished: Rows, dump: str, table: str) -> Iterable[str]:
    """Lists why a dump cannot be exported: each text needs the document that it was made from."""
    if (dump, "documents") not in finished:
        yield f"no finished documents of {dump}, which know where its texts are from; name the --upstream that has them"
        return
    for (name, stage), before in outdated({key: found.run for key, found in finished.items()}, dump, table):
        of = f"{before[1]}" if before[0] == name else f"{before[1]} of {before[0]}"
        if before in finished:
            yield f"the {stage} of {name} are out of date: {of} were made again since; `dclm-spark run` first"
        else:
            yield (
                f"the {stage} of {name} are out of date, or come from an upstream: no finished {of} here, which they "
                "were made from; `dclm-spark run` first, or name the --upstream that has them"
            )


def _check(files: Sequence, folder: str, options: Mapping[str, Any], *, n_rows: int, what: str) -> None:
    """Raises an error if rows or files are missing after the export.

    Raises:
        WarehouseError: Rows or files are missing; the message says which.
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
    """Formats what was written, one line for each dump."""
    return "\n".join(
        f"{entry['table']} {entry['dump']}: {entry['n_rows']:,} documents in {entry['n_files']:,} files, "
        f"{entry['n_bytes']:,} bytes, in {entry['folder']}"
        for entry in entries
    )


def write_pool(rows: "DataFrame", *, form: str, prefix: str, create_file: CreateFile) -> "DataFrame":
    """Writes each file in the task that holds its rows, when the DataFrame is evaluated; returns rows of `WRITTEN`.

    Args:
        rows: Rows with `file`, doc_id, dump, url, text, fetched_at, warc_record_id and metadata. The rows of a file are
            in one partition, one after the other.
        form: One of `kernels.archive.pools.FORMATS`.
        prefix: Beginning of each file's address; the file's number and the format's suffix follow.
        create_file: Function that opens an address for writing, in the worker.
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
