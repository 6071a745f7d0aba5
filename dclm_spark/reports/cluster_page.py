"""Reports one page's near-duplicates: its cluster, the members, and word by word how they differ from the survivor."""

from typing import Any

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.finished import DocumentKey, Places
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.reports.clusters import describe, gather
from dclm_spark.reports.word_diff import MAX_CHARS, diff_words

MAX_PAGES = 20
"""Largest number of documents that are shown if a URL was crawled several times."""

MAX_MEMBERS = 20
"""Largest number of members of a cluster that are listed; its figures count all members."""

DIFFS = 3
"""Number of members that are compared with the survivor if the page is the survivor itself."""

MAX_DIFFS = 100
"""Largest number of members that are compared with the survivor: their texts are in memory at the same time."""

_MEMBERSHIP = ("scope", "cluster_id", "cluster_size", "similarity", "is_kept")


def show_page(
    warehouse: Warehouse, page: str, *, n_diffs: int | None = None, upstream: Warehouse | None = None
) -> list[dict[str, Any]]:
    """Returns one entry for each document in `filtered` with this URL or doc_id, at most `MAX_PAGES`, with its cluster.

    An entry has `doc_id`, `dump`, `url`, `duplicates` (from `find_duplicates`), `cluster` and `diffs`. `cluster` is
    null for a page in no cluster; else it is a row of `clusters.count_clusters` with `members`: the survivor, the page,
    then the members least similar to the survivor, at most `MAX_MEMBERS` or `n_diffs`. `diffs` compares the survivor's
    words with those of some members (`word_diff.diff_words`). A later page of the same cluster has neither.

    Args:
        warehouse: The warehouse.
        page: A URL or a doc_id.
        n_diffs: Number of members to compare with the survivor; null: the page, or `DIFFS` members if it is the
            survivor.
        upstream: Another warehouse, for tables that `warehouse` does not hold.

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
    """Returns the near-duplicate decision on a page of `filtered`; null if its dump has not been compared.

    It has `scope`, `cluster_id`, `cluster_size`, `similarity` and `is_kept` as in the page's row of `duplicates`, and
    `survivor_url`. For a page without near-duplicates `cluster_id` and `similarity` are null, and `cluster_size` is 1.
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
    url = pages[min(pages)]["url"] if pages else None  # null if the page is no longer in `filtered`
    return {name: row[name] for name in _MEMBERSHIP} | {"survivor_url": url}


def _alone(places: Places, dump: str) -> dict[str, Any] | None:
    """Returns the result of `find_duplicates` for a page without a row."""
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
    """Returns `cluster` with its members, and `diffs`."""
    scope, cluster_id = cluster
    of_cluster = (F.col("scope") == scope) & (F.col("cluster_id") == cluster_id)
    rows = places.clusters.read("duplicates").where(of_cluster)
    is_survivor = F.col("doc_id") == F.col("cluster_id")
    is_page = (F.col("dump") == page[0]) & (F.col("doc_id") == page[1])
    ordered = rows.orderBy(F.desc(is_survivor), F.desc(is_page), F.asc_nulls_last("similarity"), "dump", "doc_id")
    # One more than are compared, because the survivor is the first of them.
    members = ordered.limit(max(MAX_MEMBERS, 1 + (n_diffs or 0))).collect()
    keys = [(row["dump"], row["doc_id"]) for row in members]
    has_survivor = keys[0][1] == cluster_id
    beside = keys[1:][:n_diffs] if has_survivor else []  # all of them, if null
    if has_survivor and n_diffs is None:
        beside = beside[:DIFFS] if page[1] == cluster_id else [page]
    # Only texts to compare are read, and of these one character more than is compared, which shows that there is more.
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
