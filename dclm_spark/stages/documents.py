"""Makes `documents`: one row is one page's main text."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from dclm_spark.errors import refuse_recipe
from dclm_spark.kernels.archive import pages
from dclm_spark.kernels.html.extract import check_extractor
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.extraction import Extraction
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.workers import map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


OpenFile = Callable[[str], BinaryIO]
"""Function that opens a path for reading. It runs in the worker, so it must be importable, or a `functools.partial` of
an importable function."""


def extract_documents(
    files: "DataFrame", *, dump: str, open_file: OpenFile, recipe: Recipe = DCLM_BASELINE
) -> "DataFrame":
    """Reads archive files into rows of four kinds: documents, faults, counts of a file, and files that were not read.

    Columns are those of `kernels.archive.pages.SCHEMA`. The column that is not null tells the kind: `text` for a
    document, `kind` for a fault, `n_records` for the counts of a file, `unread` for a file (`warc_path`) that could not
    be opened or read to its end. Such a file has no row with counts, and its other rows must be ignored, since they are
    incomplete.

    Args:
        files: Rows with `path`, as `columns.one_a_task` makes them; one file is one unit of work.
        dump: Name of the dump that the files belong to.
        open_file: Function that opens a path, in the worker.
        recipe: Its `extraction` is used.

    Raises:
        RecipeError: The recipe has problems, or its extractor cannot be used.
    """
    extraction = recipe.extraction
    refuse_recipe([*recipe.problems(), *check_extractor(extraction.extractor, extraction.options)])
    return with_pages(files, dump=dump, extraction=extraction, open_file=open_file)


def with_pages(files: "DataFrame", *, dump: str, extraction: Extraction, open_file: OpenFile) -> "DataFrame":
    """Reads the file of each row's `path` into rows of `kernels.archive.pages.SCHEMA`."""

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path in batch.column("path").to_pylist():
                yield from _read_file(path, dump, extraction, open_file)

    return map_arrow(files, read, pages.SCHEMA)


def _read_file(path: str, dump: str, extraction: Extraction, open_file: OpenFile) -> Iterator[pa.RecordBatch]:
    try:
        stream = open_file(path)
    except OSError as error:
        yield pages.unread_file(path, dump, error)
        return
    with stream:
        yield from pages.read_pages(stream, path=path, dump=dump, extraction=extraction)
