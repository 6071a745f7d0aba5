"""`documents`: one row is one page's main text."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from dclm_spark.errors import refuse_recipe
from dclm_spark.kernels.archive import pages
from dclm_spark.kernels.html.extract import check_extractor
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.recipe import Extraction, Recipe
from dclm_spark.spark.workers import map_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


OpenFile = Callable[[str], BinaryIO]
"""Opens a path for reading; runs in the worker, so it must be importable or a `functools.partial` of what is."""


def extract_documents(
    files: "DataFrame", *, dump: str, open_file: OpenFile, recipe: Recipe = DCLM_BASELINE
) -> "DataFrame":
    """Rows of four sorts, told apart by the column that is set: documents, faults, tallies of files, files not read.

    Columns are those of `kernels.archive.pages.SCHEMA`: `text` is set in a document, `kind` in a fault, `n_records` in
    a tally,
    `unread` in the one row that says that a file (`warc_path`) could not be opened or read to its end. Such a file has
    no tally, and its other rows are to be left out: they are not all of it.

    Args:
        files: Rows with `path`, as `columns.one_a_task` gives them; one file is one unit of work.
        dump: The dump they belong to.
        open_file: Opens a path in the worker.
        recipe: Its `extraction` is used.

    Raises:
        RecipeError: The recipe has problems, or its extractor cannot be used.
    """
    extraction = recipe.extraction
    refuse_recipe([*recipe.problems(), *check_extractor(extraction.extractor, extraction.options)])
    return with_pages(files, dump=dump, extraction=extraction, open_file=open_file)


def with_pages(files: "DataFrame", *, dump: str, extraction: Extraction, open_file: OpenFile) -> "DataFrame":
    """Rows of `kernels.archive.pages.SCHEMA` for rows that have a `path`."""

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
