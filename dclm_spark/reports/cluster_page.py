"""One page's near-duplicates: the cluster that it is in, its members, and word by word where they differ."""

from typing import Any

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.finished import DocumentKey, Places
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.reports.clusters import describe, gather
from dclm_spark.reports.word_diff import MAX_CHARS, diff_words

MAX_PAGES = 20
"""Documents that are looked into where a URL was crawled more often."""

MAX_MEMBERS = 20
"""Members of a cluster that are listed; its figures count all."""

DIFFS = 3
"""Members that are laid beside the survivor where the page is the survivor itself."""

MAX_DIFFS = 100
"""The most that are laid beside it: their texts are in memory at once."""

_MEMBERSHIP = ("scope", "cluster_id", "cluster_size", "similarity", "is_kept")


def show_page(
    warehouse: Warehouse, page: str, *, n_diffs: int | None = None, upstream: Warehouse | None = None
) -> list[dict[str, Any]]:
    """One entry each document of this URL or doc_id in `filtered`, `MAX_PAGES` at most: what its cluster is.

    An entry has `doc_id`, `dump`, `url`, `duplicates` (as `find_duplicates`) and `cluster`, null for a page that is in
    none: a row of `clusters.count_clusters` with `members`, which are the survivor, the page, then those least alike to
    the survivor, `MAX_MEMBERS` or `n_diffs` at most; and `diffs`, what became of the survivor's words in some of them
    (`word_diff.diff_words`). A later page of the same cluster has neither.

    Args:
        warehouse: The warehouse.
        page: A URL, or a doc_id.
        n_diffs: Members to lay beside the survivor; null takes the page, or `DIFFS` where it is the survivor.
        upstream: The warehouse that lends the tables this one does not hold.

    Raises:
        WarehouseError: There is no table `duplicates`, no such page, or the page's dump has not been compared.
    """
    places = Places(warehouse, upstream)
    duplicates = places.clusters.read("duplicates")
    filtered = places.rows("filtered")
    found = []
    if filtered is not None:
        rows = filtered.where((F.col("doc_id") == page) | (F.col("url") == page)).select("doc_id", "dump", "url")
        found = rows.distinct().orderBy("dump", "doc_id").limit(MAX_PAGES).collect()
    if not found:
        raise WarehouseError(
            [
                f"{places} has no page {page!r} in filtered; expected a URL as crawled, or a doc_id; "
                "`dclm-spark explain` shows whether a rule removed it"
            ]
        )
    near = duplicates.where(F.col("dump").isin(sorted({row["dump"] for row in found})))
    near = near.where(F.col("doc_id").isin(sorted({row["doc_id"] for row in found})))
    memberships = {(row["dump"], row["doc_id"]): row for row in near.collect()}
    entries, shown = [], {}
    for row in found:
        key = (row["dump"], row["doc_id"])
        member = memberships.get(key)
        if member is None:
            alone = _alone(places, row["dump"])
            if alone is None:
                problem = (
                    f"no duplicates of dump {row['dump']} in {places.clusters}; `dclm-spark duplicates` makes them"
                )
                raise WarehouseError([problem])
            entries.append({**row.asDict(), "duplicates": alone, "cluster": None})
            continue
        of = (member["scope"], member["cluster_id"])
        more = {}
        if of not in shown:
            more = shown[of] = _show_cluster(places, of, key, n_diffs)
        membership = {name: member[name] for name in _MEMBERSHIP} | {"survivor_url": shown[of]["cluster"]["url"]}
        entries.append({**row.asDict(), "duplicates": membership, **more})
    return entries


def find_duplicates(places: Places, dump: str, doc_id: str) -> dict[str, Any] | None:
    """What became of a page of `filtered` among its near-duplicates; null where its dump has not been compared.

    `scope`, `cluster_id`, `cluster_size`, `similarity`, `is_kept` as in its row of `duplicates`, and `survivor_url`. A
    page that is alike to no other has no `cluster_id` and no `similarity`, and a `cluster_size` of 1.
    """
    if places.having_clusters is None:
        return None
    duplicates = places.clusters.read("duplicates")
    row = duplicates.where((F.col("dump") == dump) & (F.col("doc_id") == doc_id)).head()
    if row is None:
        return _alone(places, dump)
    survivor = row["cluster_id"]
    of_survivor = (F.col("doc_id") == survivor) & (F.col("cluster_id") == survivor)
    survivors = {(other["dump"], survivor) for other in duplicates.where(of_survivor).select("dump").limit(2).collect()}
    pages = places.pages(survivors, F.col("url"))
    url = pages[min(pages)]["url"] if pages else None  # null where its text is gone since
    return {name: row[name] for name in _MEMBERSHIP} | {"survivor_url": url}


def _alone(places: Places, dump: str) -> dict[str, Any] | None:
    """As `find_duplicates`, of a page that has no row."""
    run = places.run_of_duplicates(dump)
    if run is not None:
        scope = places.settings_of_duplicates(dump).scope
    else:
        other = places.clusters.read("duplicates", dump=dump).head()
        if other is None:
            return None
        scope = other["scope"]
    unlike = {"cluster_id": None, "cluster_size": 1, "similarity": None, "is_kept": True, "survivor_url": None}
    return {"scope": scope, **unlike}


def _show_cluster(places: Places, cluster: tuple[str, str], page: DocumentKey, n_diffs: int | None) -> dict[str, Any]:
    """`cluster` with its members, and `diffs`."""
    scope, cluster_id = cluster
    of_cluster = (F.col("scope") == scope) & (F.col("cluster_id") == cluster_id)
    rows = places.clusters.read("duplicates").where(of_cluster)
    is_survivor = F.col("doc_id") == F.col("cluster_id")
    is_page = (F.col("dump") == page[0]) & (F.col("doc_id") == page[1])
    ordered = rows.orderBy(F.desc(is_survivor), F.desc(is_page), F.asc_nulls_last("similarity"), "dump", "doc_id")
    # One more than are to be laid beside the survivor, which is the first of them.
    members = ordered.limit(max(MAX_MEMBERS, 1 + (n_diffs or 0))).collect()
    keys = [(row["dump"], row["doc_id"]) for row in members]
    has_survivor = keys[0][1] == cluster_id
    beside = keys[1:][:n_diffs] if has_survivor else []  # all of them, if null
    if has_survivor and n_diffs is None:
        beside = beside[:DIFFS] if page[1] == cluster_id else [page]
    # Only texts that are compared are fetched, and of those a character more than is, which says that there is more.
    compared = F.col("doc_id").isin([doc_id for _, doc_id in [keys[0], *beside]])
    text = F.when(compared, F.substring("text", 1, MAX_CHARS + 1)).alias("text")
    pages = places.pages(keys, F.col("url"), F.col("n_words"), text)
    texts = {key: page["text"] for key, page in pages.items()}
    listed = [
        {
            "doc_id": row["doc_id"],
            "dump": row["dump"],
            "url": pages.get(key, {}).get("url"),
            "similarity": row["similarity"],
            "is_kept": row["is_kept"],
            "n_words": pages.get(key, {}).get("n_words"),
        }
        for key, row in zip(keys, members, strict=True)
    ]
    url = listed[0]["url"] if has_survivor else None
    return {
        "cluster": {**describe(gather(rows).head(), url), "members": listed},
        "diffs": [
            {"doc_id": key[1], "dump": key[0], **diff_words(texts[keys[0]], texts[key])}
            for key in beside
            if key in texts and keys[0] in texts
        ],
    }
