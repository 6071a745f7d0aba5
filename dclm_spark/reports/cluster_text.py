"""Formats reports on near-duplicate clusters as text: figures, bars of sizes, differences between a page and
survivor."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dclm_spark.reports.word_diff import format_diff, shown_safely

_BAR = 40  # characters of the longest bar

Answer = Mapping[str, Any]


def became(duplicates: Answer, *, doc_id: str) -> str:
    """Describes the near-duplicate decision on a page in one clause.

    Args:
        duplicates: The result of `cluster_page.find_duplicates`.
        doc_id: The page's doc_id.

    >>> alone = {"cluster_id": None, "cluster_size": 1, "similarity": None, "is_kept": True, "survivor_url": None}
    >>> became(alone, doc_id="b")
    'similar to no other page'
    >>> became(alone | {"cluster_id": "a", "cluster_size": 3, "similarity": 0.93, "is_kept": False}, doc_id="b")
    'near-duplicate of a (-), similarity 0.93, cluster of 3, removed'
    """
    cluster_id, size = duplicates["cluster_id"], duplicates["cluster_size"]
    if cluster_id is None:
        return "similar to no other page"
    if cluster_id == doc_id:
        return f"survivor of a cluster of {size:,}"
    url = shown_safely(duplicates["survivor_url"] or "-")
    similarity = "not verified" if duplicates["similarity"] is None else f"similarity {duplicates['similarity']:.2f}"
    verdict = "kept" if duplicates["is_kept"] else "removed"
    return f"near-duplicate of {cluster_id} ({url}), {similarity}, cluster of {size:,}, {verdict}"


def format_clusters(answer: Answer) -> str:
    """Formats the figures of all clusters, and the largest clusters."""
    if not answer["overall"]["clusters"]:
        return "no clusters: no two documents are similar"
    lines = [f"{'scope ' + ', '.join(answer['scopes']):<32}" + "".join(f"{title:>14}" for title in _FIGURES.values())]
    for name, found in [("all", answer["overall"]), *((entry["dump"], entry) for entry in answer["by_dump"])]:
        lines.append(f"  {name:<30}" + "".join(f"{_number(found[figure]):>14}" for figure in _FIGURES))
    return "\n".join([*lines, "", "largest clusters", *_list(answer["largest"])])


_FIGURES = {
    "documents": "documents",
    "clusters": "clusters",
    "kept": "kept",
    "removed": "removed",
    "median_size": "median size",
    "largest_size": "largest size",
}


def format_chained(clusters: Sequence[Answer]) -> str:
    """Formats clusters sorted by the similarity of their farthest member."""
    if not clusters:
        return "no clusters in which a similarity is known"
    return "\n".join(["clusters whose members are least similar to the survivor", *_list(clusters)])


def _list(clusters: Sequence[Answer]) -> list[str]:
    lines = [f"{'size':>13}{'kept':>13}{'least similar':>15}{'mean':>8}   dumps, the survivor's doc_id and url"]
    for cluster in clusters:
        dumps = cluster["dumps"]
        where = dumps[0] + (f" and {len(dumps) - 1} more" if len(dumps) > 1 else "")
        lines.append(
            f"{cluster['size']:>13,}{cluster['n_kept']:>13,}{_similarity(cluster['min_similarity']):>15}"
            f"{_similarity(cluster['mean_similarity']):>8}   {where}"
        )
        lines.append(f"{'':>16}{cluster['cluster_id']}  {shown_safely(cluster['url'] or '-')}")
        if cluster["farthest"]:
            lines.append(f"{'':>16}{cluster['farthest']}  is least similar")
    return lines


def format_sizes(sizes: Sequence[Answer]) -> str:
    """Formats the distribution of cluster sizes as logarithmic bars, because sizes follow a power law."""
    if not sizes:
        return "no clusters: no two documents are similar"
    longest = math.log2(max(entry["clusters"] for entry in sizes) + 1)
    lines = [f"{'size':>21}{'clusters':>13}{'documents':>15}   (bars are logarithmic)"]
    for entry in sizes:
        least, most = entry["least"], entry["most"]
        size = f"{least:,}" if least == most else f"{least:,}-{most:,}"
        bar = "#" * round(_BAR * math.log2(entry["clusters"] + 1) / longest)
        lines.append(f"{size:>21}{entry['clusters']:>13,}{entry['documents']:>15,}   {bar}".rstrip())
    return "\n".join(lines)


def format_giants(giants: Sequence[Answer]) -> str:
    """Formats giant buckets, each with pages as examples."""
    if not giants:
        return "no giant buckets"
    lines = []
    for giant in giants:
        lines.append(f"bucket of {giant['size']:,} texts")
        for page in giant["examples"]:
            lines.append(f"  {page['doc_id']}  {page['dump']}  {shown_safely(page['url'] or '-')}")
            start = "-" if page["text"] is None else " ".join(page["text"].split())
            lines.append(f"    {page['n_documents']:,} with this text: {shown_safely(start)}")
    return "\n".join(lines)


def format_merged(rows: Sequence[Answer]) -> str:
    """Formats clusters that a later dump has merged."""
    if not rows:
        return "no merged clusters: no later dump has merged two of them"
    return "\n".join(
        f"{row['dump']} ({row['scope']}): {row['merged_id']} has become a part of {row['cluster_id']}" for row in rows
    )


def format_pages(entries: Sequence[Answer], *, has_colour: bool = False) -> str:
    """Formats a page's cluster with its members and the words that differ; one block for each document of a URL."""
    return "\n\n".join("\n".join(_page(entry, has_colour)) for entry in entries)


_COMPARED = {
    "dump": "page of {dump}",
    "shards": "page of its shard of the dumps compared with {dump}",
    "all": "page of the dumps compared with {dump}",
    "incremental": "page of {dump} and the dumps before it",
}


def _page(entry: Answer, has_colour: bool) -> list[str]:
    lines = [shown_safely(entry["url"] or "-"), f"  {entry['doc_id']}  {entry['dump']}"]
    duplicates = entry["duplicates"]
    if duplicates["cluster_id"] is None:
        others = _COMPARED[duplicates["scope"]].format(dump=entry["dump"])
        return [*lines, f"  is in no cluster: no other {others} is similar"]
    lines.append("  " + became(duplicates, doc_id=entry["doc_id"]))
    if "cluster" not in entry:
        return [*lines, "  its cluster is shown above"]
    cluster = entry["cluster"]
    members = cluster["members"]
    lines.append(
        f"  cluster {cluster['cluster_id']}, scope {cluster['scope']}: {cluster['size']:,} documents, "
        f"{cluster['n_kept']:,} kept; similarity to the survivor: least {_similarity(cluster['min_similarity'])}, "
        f"mean {_similarity(cluster['mean_similarity'])}"
    )
    lines.append(f"  {'similarity':>10}{'words':>10}   {'':<9}members, least similar first")
    for member in members:
        is_survivor = member["doc_id"] == cluster["cluster_id"]
        verdict = "survivor" if is_survivor else "kept" if member["is_kept"] else "removed"
        lines.append(
            f"  {_similarity(member['similarity']):>10}{_number(member['n_words']):>10}   {verdict:<9}"
            f"{member['doc_id']}  {member['dump']}  {shown_safely(member['url'] or '-')}"
        )
    if cluster["size"] > len(members):
        lines.append(f"  and {cluster['size'] - len(members):,} more")
    for diff in entry["diffs"]:
        lines.append("")
        lines.append(
            f"  {diff['doc_id']}  {diff['dump']} compared with the survivor: {diff['n_same']:,} words the same, "
            f"[-{diff['n_gone']:,} only in the survivor-] {{+{diff['n_new']:,} only here+}}"
        )
        lines += [f"    {line}" for line in format_diff(diff, has_colour=has_colour)]
    return lines


def _similarity(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.10g}"
