"""A page in a warehouse: every row that its tables hold of it."""

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
    """The explanations of a page in a warehouse, one for each time it was read: as a document or in quarantine.

    `fetched_at` is a text in UTC, as `2022-01-17T00:00:00Z`, whatever the time zones of machine and session.

    A document that the recipe keeps has `duplicates` where its dump has been compared: as
    `cluster_pages.find_duplicates`. It has `deduplication` where its dump has been deduplicated: `removed_by`, `value`
    and `detail` as in `removed`, null if it stays, and its `cuts`, of each paragraph its number, from 0, its `text`,
    `reason`, `value` and `detail`.

    Args:
        warehouse: The warehouse.
        page: A URL, or a doc_id.
        upstream: The warehouse that lends the tables this one does not hold.

    Raises:
        WarehouseError: No table knows the page.
    """
    page = page.encode(errors="replace").decode()  # of arguments, bytes that are no UTF-8
    places = Places(warehouse, upstream)
    found: list[dict[str, Any]] = []
    for place in places.places:
        if place.exists("documents"):
            rows = place.read("documents").where((F.col("doc_id") == page) | (F.col("url") == page))
            # As a number: Spark's own way gives local time, and fails of years that Python does not know there.
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
    """A moment in microseconds since 1970 as text.

    >>> _in_utc(1642377600000000), _in_utc(None)
    ('2022-01-17T00:00:00Z', None)
    """
    if micros is None:
        return None
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")
    except OverflowError:  # in a table of an earlier version, which took any year
        return f"{micros} microseconds since 1970"


def _explain_document(document: dict[str, Any], places: Places) -> dict[str, Any]:
    dump, doc_id = document["dump"], document["doc_id"]
    measured = places.finished.get(Key(dump, "annotated"))
    if measured is None:
        return document
    is_row = (F.col("doc_id") == doc_id) & F.col("url").eqNullSafe(F.lit(document["url"]))
    row = measured.warehouse.read("annotated", dump=dump).where(is_row).head()
    if row is None:  # `documents` was made anew since
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
    """Whether another row of the same document stays in the place of this one."""
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
    # Rows that have all in common are one as good as the other; the first in the files is the one that is shown.
    rows = read.warehouse.read("documents", dump=dump).where(is_it & F.col("url").eqNullSafe(F.lit(kept["url"])))
    first = rows.orderBy("warc_path", "warc_offset").select("warc_path", "warc_offset").head()
    return first is not None and tuple(first) != (document["warc_path"], document["warc_offset"])


def _find_deduplication(places: Places, document: dict[str, Any], *, filtered_by: str) -> dict[str, Any] | None:
    """What `deduplicated` took of a document; null where it was not made, or from other rows than those of this run."""
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
        # No text where `annotated` was made anew since, and has fewer paragraphs.
        {"paragraph": row["paragraph"], "text": "".join(paragraphs[row["paragraph"] :][:1])}
        | {name: row[name] for name in ("reason", "value", "detail")}
        for row in sorted(rows("cuts"), key=lambda row: row["paragraph"])
    ]
    return {name: removed.get(name) for name in ("removed_by", "value", "detail")} | {"cuts": cuts}
