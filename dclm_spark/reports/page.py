"""Explains a page in a warehouse by all rows that the tables hold of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.finished import Places
from dclm_spark.lake.runs import Key, made_from
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe import as_json
from dclm_spark.reports.cluster_page import find_duplicates
from dclm_spark.reports.explain import corrected_lines, judge
from dclm_spark.stages.repeats import DUPLICATE_ID


def explain_page(warehouse: Warehouse, page: str, *, upstream: Warehouse | None = None) -> list[dict[str, Any]]:
    """Returns the explanations of a page in a warehouse, one for each time that it was read, also into quarantine.

    `fetched_at` is a text in UTC, such as `2022-01-17T00:00:00Z`, for any time zone of machine and session.

    A document that the recipe keeps has `duplicates`, the result of `cluster_page.find_duplicates`, if its dump has
    been compared. It has `deduplication` if its dump has been deduplicated: `removed_by`, `value` and `detail` as in
    `removed`, null if it is kept, and `cuts`: number (from 0), `text`, `reason`, `value` and `detail` of each removed
    paragraph.

    Args:
        warehouse: The warehouse.
        page: A URL or a doc_id.
        upstream: Another warehouse, for tables that `warehouse` does not hold.

    Raises:
        WarehouseError: No table holds the page.
    """
    page = page.encode(errors="replace").decode()  # command-line arguments may hold bytes that are not UTF-8
    places = Places(warehouse, upstream)
    found: list[dict[str, Any]] = []
    for place in places.places:
        if place.exists("documents"):
            rows = place.read("documents").where((F.col("doc_id") == page) | (F.col("url") == page))
            # Read as a number: Spark returns local time, and fails for years that Python does not support.
            rows = rows.withColumn("fetched_at", F.expr("unix_micros(fetched_at)"))
            for row in rows.orderBy("dump", "warc_path", "warc_offset").collect():
                document = row.asDict()
                found.append(_explain_document(document | {"fetched_at": _in_utc(document["fetched_at"])}, places))
        if place.exists("quarantine"):
            faults = place.read("quarantine").where((F.col("url") == page) | (F.col("warc_record_id") == page))
            found += [row.asDict() for row in faults.orderBy("dump", "warc_path", "warc_offset").collect()]
    if not found:
        raise WarehouseError(
            [f"{places} has no document or quarantined record {page!r}; expected a URL as crawled, or a doc_id"]
        )
    return found


def _in_utc(micros: int | None) -> str | None:
    """Formats a time, given in microseconds since 1970, as text.

    >>> _in_utc(1642377600000000), _in_utc(None)
    ('2022-01-17T00:00:00Z', None)
    """
    if micros is None:
        return None
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")
    except OverflowError:  # tables of earlier versions may hold any year
        return f"{micros} microseconds since 1970"


def _explain_document(document: dict[str, Any], places: Places) -> dict[str, Any]:
    dump, doc_id = document["dump"], document["doc_id"]
    measured = places.finished.get(Key(dump, "annotated"))
    if measured is None:
        return document
    is_row = (F.col("doc_id") == doc_id) & F.col("url").eqNullSafe(F.lit(document["url"]))
    row = measured.warehouse.read("annotated", dump=dump).where(is_row).head()
    if row is None:  # `documents` has been made again since
        return document
    filtered = places.finished.get(Key(dump, "filtered"), measured)
    recipe = as_json.from_json(filtered.run["recipe_json"])
    annotated = row.asDict(recursive=True)
    explained = {
        **document,
        "recipe": recipe.name,
        **judge(annotated, recipe),
        "lines": corrected_lines(document["text"], recipe.annotation),
        "text": annotated["text"],
    }
    if explained["removed_by"]:
        return explained
    if _is_repeat(document, filtered.warehouse, places):
        return explained | {"removed_by": DUPLICATE_ID}
    further = {
        "duplicates": find_duplicates(places, dump, doc_id),
        "deduplication": _find_deduplication(places, annotated, filtered_by=filtered.run_id),
    }
    return explained | {name: found for name, found in further.items() if found is not None}


def _is_repeat(document: dict[str, Any], filtering: Warehouse, places: Places) -> bool:
    """Returns whether this row was dropped because another row of the same document was kept."""
    dump = document["dump"]
    is_it = F.col("doc_id") == document["doc_id"]
    if not filtering.exists("removed"):
        return False
    removed = filtering.read("removed", dump=dump, stage="filtered").where(is_it)
    if removed.where(F.col("removed_by") == DUPLICATE_ID).head() is None:
        return False
    kept = filtering.read("filtered", dump=dump).where(is_it).head()
    read = places.finished.get(Key(dump, "documents"))
    if kept is None or read is None:
        return False
    # Equal rows cannot be distinguished; the first in the files is shown as the one that was kept.
    rows = read.warehouse.read("documents", dump=dump).where(is_it & F.col("url").eqNullSafe(F.lit(kept["url"])))
    first = rows.orderBy("warc_path", "warc_offset").select("warc_path", "warc_offset").head()
    return first is not None and tuple(first) != (document["warc_path"], document["warc_offset"])


def _find_deduplication(places: Places, document: dict[str, Any], *, filtered_by: str) -> dict[str, Any] | None:
    """Finds what `deduplicated` removed of a document; null if it was not made from the rows of this run."""
    dump = document["dump"]
    found = places.finished.get(Key(dump, "deduplicated"))
    if found is None or made_from(found.run).get(Key(dump, "filtered")) != filtered_by:
        return None
    place = found.warehouse

    def rows(table: str) -> list[dict[str, Any]]:
        if not place.exists(table):
            return []
        own = place.read(table, dump=dump, stage="deduplicated").where(F.col("doc_id") == document["doc_id"])
        return [row.asDict() for row in own.distinct().collect()]

    removed = next((row for row in rows("removed") if row["removed_by"] != DUPLICATE_ID), {})
    paragraphs = document["text"].split("\n")
    cuts = [
        # Empty if `annotated` has been made again since, with fewer paragraphs.
        {"paragraph": row["paragraph"], "text": "".join(paragraphs[row["paragraph"] :][:1])}
        | {name: row[name] for name in ("reason", "value", "detail")}
        for row in sorted(rows("cuts"), key=lambda row: row["paragraph"])
    ]
    return {name: removed.get(name) for name in ("removed_by", "value", "detail")} | {"cuts": cuts}
