"""Kernels on DataFrames: one pass of `mapInArrow` over the rows, many kernels."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from dclm_spark import schemas
from dclm_spark.kernels.archive import pages, pools
from dclm_spark.kernels.bytes.sized import sized
from dclm_spark.kernels.compiled.machine_code import MachineCode, keep, machine_code
from dclm_spark.kernels.signals.annotate import annotate_batch
from dclm_spark.kernels.signals.domains import BANNING, banning_domains, domain_keys, listed_domains
from dclm_spark.kernels.text.words import words_uax29
from dclm_spark.recipe.recipe import Annotation, Extraction
from dclm_spark.spark.types import spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OpenFile = Callable[[str], BinaryIO]
"""Opens a path for reading; runs in the worker, so it must be importable or a `functools.partial` of what is."""

CreateFile = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a path for writing; runs in the worker, as `OpenFile` does."""

WRITTEN = pa.schema([("name", pa.string()), ("n_rows", pa.int64()), ("n_bytes", pa.int64())])
"""One row is a file that was written."""


def with_pages(files: "DataFrame", *, dump: str, extraction: Extraction, open_file: OpenFile) -> "DataFrame":
    """Rows of `kernels.pages.SCHEMA` for rows that have a `path`."""

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path in batch.column("path").to_pylist():
                yield from _read_file(path, dump, extraction, open_file)

    return files.mapInArrow(read, spark_schema(pages.SCHEMA))


def _read_file(path: str, dump: str, extraction: Extraction, open_file: OpenFile) -> Iterator[pa.RecordBatch]:
    try:
        stream = open_file(path)
    except OSError as error:
        yield pages.unread_file(path, dump, error)
        return
    with stream:
        yield from pages.read_pages(stream, path=path, dump=dump, extraction=extraction)


def with_signals(
    documents: "DataFrame", *, annotation: Annotation, groups: Sequence[str], has_domain_key: bool = False
) -> "DataFrame":
    """Rows of `annotated` for rows that have doc_id, dump, url and text; with `domain_key` where it is asked for."""
    schema = schemas.ANNOTATED.append(BANNING.field("domain_key")) if has_domain_key else schemas.ANNOTATED
    code = code_for(documents, repr((annotation, tuple(groups))), lambda: annotate_batch(SAMPLE, annotation, groups))

    def measure(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep(code)
        for batch in sized(batches):
            columns = annotate_batch(batch, annotation, groups).columns
            if has_domain_key:
                columns.append(domain_keys(batch.column("url"), match=annotation.domain_match))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    # Only these columns travel to the worker.
    needed = documents.select("doc_id", "dump", "url", "text")
    return needed.mapInArrow(measure, spark_schema(schema))


SAMPLE = pa.RecordBatch.from_pylist(
    [{"doc_id": "", "dump": "", "url": "http://example.org/", "text": "The harbour lies west.\nIt is old."}]
)
"""A page that runs every kernel."""


def code_for(rows: "DataFrame", what: str, exercise: Callable[[], object]) -> MachineCode:
    """What the workers will run, compiled on the driver; nothing where the driver is a client of another machine.

    Args:
        rows: What they will run it on.
        what: See `machine_code`.
        exercise: See `machine_code`.
    """
    is_client = ".connect." in type(rows).__module__ and "SPARK_LOCAL_REMOTE" not in os.environ
    return MachineCode() if is_client else machine_code(what, exercise)


def with_word_counts(texts: "DataFrame") -> "DataFrame":
    """Rows of `language`, `word` and `n` for rows of language and text: the words of some texts, in lower case.

    A word comes once for each batch of texts that holds it. Words are those of UAX #29.
    """

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            counted: Counter[tuple[str, str]] = Counter()
            for language, text in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                counted.update((language, word) for word in words_uax29(text.lower()))
            rows = [(language, word, n) for (language, word), n in counted.items()]
            columns = zip(*rows, strict=True) if rows else ((), (), ())
            yield pa.RecordBatch.from_arrays(
                [pa.array(column, field.type) for column, field in zip(columns, _WORD_COUNTS, strict=True)],
                schema=_WORD_COUNTS,
            )

    return texts.select("language", "text").mapInArrow(count, spark_schema(_WORD_COUNTS))


_WORD_COUNTS = pa.schema([("language", pa.string()), ("word", pa.string()), ("n", pa.int64())])


def with_banning_domains(documents: "DataFrame", *, match: str) -> "DataFrame":
    """Rows of `kernels.domains.BANNING` for rows that have a url; a key may come more than once."""

    def look_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in sized(batches):
            yield banning_domains(batch.column("url"), match=match)

    return documents.select("url").mapInArrow(look_up, spark_schema(BANNING))


def with_listed_domains(lines: "DataFrame", *, match: str) -> "DataFrame":
    """The entries of a list, as `domain`, for rows that have a line of it as `domain`."""
    schema = pa.schema([BANNING.field("domain")])

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_arrays([listed_domains(batch.column("domain"), match=match)], schema=schema)

    return lines.select("domain").mapInArrow(read, spark_schema(schema))


def write_pool(rows: "DataFrame", *, form: str, prefix: str, create_file: CreateFile) -> "DataFrame":
    """Rows of `WRITTEN`: each file is written by the task that holds its rows, when the DataFrame is evaluated.

    Args:
        rows: Rows with `file`, doc_id, dump, url, text, fetched_at, warc_record_id and metadata: those of a file one
            after the other, in one partition.
        form: One of `kernels.pools.FORMATS`.
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

    return rows.mapInArrow(write, spark_schema(WRITTEN))
