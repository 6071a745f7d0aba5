"""Counts the funnel: the records read, and the documents removed (why) and kept by each stage."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.finished import Finished, Places
from dclm_spark.lake.missing import find_lost, find_unfinished
from dclm_spark.lake.runs import Key, made_from, outdated
from dclm_spark.lake.unread_files import planned_dumps, unread_files
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.registry import STAGES, Stage, since, source_of
from dclm_spark.recipe import as_json
from dclm_spark.recipe.bounds import NO_TEXT, Bound
from dclm_spark.recipe.deduplication import Near

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Numbers = Mapping[tuple[str, str], Mapping[str, int]]
"""(dump, what is counted) -> reason, "" if there is only one -> number of rows."""


def count_funnel(warehouse: Warehouse, *, dump: str | None = None, upstream: Warehouse | None = None) -> list[dict]:
    """Counts the funnel of each dump, in order of name: records, skips, faults, documents, removals, filtered, balance.

    A stage that removes rows has the number of rows kept under its name, and the numbers removed by reason under the
    key `removes` of its record in the registry, such as `duplicates_removed`. `cuts`, if paragraphs were removed from
    documents that are kept, has the number of `paragraphs` and of `documents`.

    `bad_digests`, if there are any, is the number of records read whose digests differ from those in their headers.
    `bad_dates`, if there are any, has the numbers of documents without `fetched_at`, because their date could not be
    parsed, or is not in the recipe's years.

    `not_measured` lists the rules of the recipe that removed nothing because their lists were not given.

    `lost`, if there are any, has the table versions that a run has recorded but the table's log has lost: table ->
    version. `unfinished` lists the stages that have rows but no finished run.

    Every number is counted in the tables themselves, not taken from `runs`, so that the balance is a test.

    `unread`, if files of the dump were not read, has their number, the numbers by reason, and the first files. A dump
    that is not finished for this reason has no balance.

    Args:
        warehouse: The warehouse.
        dump: Only this dump.
        upstream: Another warehouse, for tables that `warehouse` does not hold.

    Raises:
        WarehouseError: The dump does not exist, or the warehouse is empty.
    """
    finished = dict(Places(warehouse, upstream).finished)
    # Survivors of an upstream come from its own `filtered`, so they do not belong to a recipe that filters here.
    for stage in STAGES.values():
        for key in [key for key in finished if key.stage == stage.name and finished[key].warehouse is not warehouse]:
            if _is_of_another_source(finished, key.dump, stage):
                del finished[key]
    runs = {key: found.run for key, found in finished.items()}
    begun = {name for name in planned_dumps(warehouse) if (name, "documents") not in runs}
    stages = {stage.name: stage.removes is not None for stage in STAGES.values()}
    unfinished = find_unfinished(warehouse, finished, dump, stages=stages, begun=begun)
    known = {name for name, _ in runs} | begun | unfinished.keys()
    dumps = sorted(known if dump is None else known & {dump})
    if not dumps:
        what = f"dump {dump}" if dump else "finished stage"
        raise WarehouseError([f"no {what} in {warehouse}; `dclm-spark run` makes one"])

    def dumps_of(stage: str, place: Warehouse | None) -> list[str]:
        """Lists the dumps whose rows of a stage are read from this warehouse."""
        of_runs = {name for name in dumps if (name, stage) in runs and finished[name, stage].warehouse is place}
        unfinished = begun.intersection(dumps) if stage == "documents" and place is warehouse else set()
        return sorted(of_runs | unfinished)

    parts = [
        part
        for place in (warehouse, upstream)
        if place is not None
        for stage in STAGES.values()
        if (stage.removes or not stage.reads) and (names := dumps_of(stage.name, place))
        for part in (_kept_and_removed(place, names, stage) if stage.removes else _documents(place, names))
    ]
    numbers: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in reduce(lambda one, other: one.unionAll(other), parts).collect() if parts else []:
        numbers[row["dump"], row["what"]][row["reason"]] = row["n"]
    entries = [_entry(name, runs, numbers, is_begun=name in begun) for name in dumps]
    for place in (warehouse, upstream):
        if place is None:
            continue
        names = dumps_of("documents", place)
        short = [name for name in names if len({numbers[name, what].get("", 0) for what in ("files", "planned")}) > 1]
        unread = unread_files(place, short) if short else {}
        for entry in entries:
            entry |= {"unread": unread[entry["dump"]]} if entry["dump"] in unread else {}
    missing: dict[str, Mapping[str, Any]] = {"lost": find_lost(finished, dumps), "unfinished": unfinished}
    for what, found in missing.items():
        for entry in entries:
            entry |= {what: found[entry["dump"]]} if entry["dump"] in found else {}
    return entries


def _is_of_another_source(finished: Mapping[Key, Finished], dump: str, stage: Stage) -> bool:
    """Returns whether a run was made from other rows than those that the stage before has kept here."""
    if not stage.removes or not STAGES[stage.reads[0]].removes:
        return False
    source = Key(dump, stage.reads[0])
    made = finished[source].run_id if source in finished else None
    return made_from(finished[Key(dump, stage.name)].run).get(source) != made


# Each function counts one table: rows of (dump, what, reason, n). All are run as one query, because each query has a
# fixed cost, and these tables have few partitions.


def _documents(place: Warehouse, dumps: list[str]) -> list["DataFrame"]:
    files = _rows(place, "files", dumps)
    skips = files.select("dump", F.explode("skips").alias("reason", "records"))
    plans = _rows(place, "plans", dumps)
    dates = files.select("dump", F.explode("bad_dates").alias("reason", "documents"))
    return [
        _count(files, "files"),
        _count(files, "records", n=F.sum("n_records")),
        _count(skips, "skipped", reason="reason", n=F.sum("records")),
        _count(files, "bad_digests", n=F.coalesce(F.sum("n_bad_digests"), F.lit(0))),
        _count(dates, "bad_dates", reason="reason", n=F.sum("documents")),
        # Files in the input's folders that are not archives, by their names.
        _count(plans, "skipped_files", n=F.max("n_skipped_files")),
        _count(plans, "planned"),
        _count(_rows(place, "quarantine", dumps), "quarantined", reason="kind"),
        _count(_rows(place, "documents", dumps), "documents"),
    ]


def _kept_and_removed(place: Warehouse, dumps: list[str], stage: Stage) -> list["DataFrame"]:
    assert stage.removes is not None  # a stage that removes nothing is not counted so
    removed = _rows(place, "removed", dumps).where(F.col("stage") == stage.name)
    counted = [
        _count(removed, stage.removes, reason="removed_by"),
        _count(_rows(place, stage.name, dumps), stage.name),
    ]
    if stage.name == "deduplicated" and place.exists("cuts"):
        cuts = _rows(place, "cuts", dumps).where(F.col("stage") == stage.name)
        counted += [_count(cuts, "cut_documents", n=F.countDistinct("doc_id")), _count(cuts, "cut_paragraphs")]
    return counted


def _rows(place: Warehouse, table: str, dumps: list[str]) -> "DataFrame":
    return place.read(table).where(F.col("dump").isin(dumps))


def _count(rows: "DataFrame", what: str, *, reason: str | None = None, n: "Column | None" = None) -> "DataFrame":
    by = (F.col(reason) if reason else F.lit("")).alias("reason")
    counted = rows.groupBy("dump", by).agg((F.count("*") if n is None else n).cast("bigint").alias("n"))
    return counted.select("dump", F.lit(what).alias("what"), "reason", "n")


def _entry(dump: str, runs: Mapping[Key, Mapping[str, Any]], numbers: Numbers, *, is_begun: bool) -> dict[str, Any]:
    def number(what: str) -> int:
        return numbers.get((dump, what), {}).get("", 0)

    def by_reason(what: str) -> dict[str, int]:
        reasons = numbers.get((dump, what), {})
        return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))

    entry: dict[str, Any] = {"dump": dump}
    if (dump, "documents") in runs or is_begun:
        entry |= {what: number(what) for what in ("files", "skipped_files", "records")}
        entry |= {what: by_reason(what) for what in ("skipped", "quarantined")}
        entry["documents"] = number("documents")
        if n_bad_digests := number("bad_digests"):
            entry["bad_digests"] = n_bad_digests
        if bad_dates := by_reason("bad_dates"):
            entry["bad_dates"] = bad_dates
        accounted = sum(entry["skipped"].values()) + sum(entry["quarantined"].values()) + entry["documents"]
        entry["is_balanced"] = entry["records"] == accounted
    if (dump, "filtered") in runs:
        recipe = as_json.from_json(runs[Key(dump, "filtered")]["recipe_json"])
        removed = by_reason("removed")
        entry |= {
            "recipe": recipe.name,
            "bounds": bounds_in_words(recipe.bounds),
            # In the recipe's order, including rules that removed nothing, which is worth knowing. Repeated rows of
            # documents, which no rule has removed, come last.
            "removed": {name: 0 for name in (NO_TEXT,) if name in removed}
            | {bound.signal: 0 for bound in recipe.bounds}
            | removed,
            # These rules removed nothing because their signals were not measured.
            "not_measured": [signal for signal in recipe.unmeasured if signal not in removed],
            "filtered": number("filtered"),
        }
        if (dump, "annotated") in runs and (dump, "documents") in runs:
            entry["is_stale"] = _is_stale(runs, dump, "filtered")
    for stage in STAGES.values():
        if not stage.removes or (dump, stage.name) not in runs:
            continue
        before = source_of(stage)
        assert before is not None  # what it removes was read before
        source = before.name
        if stage.name != "filtered":
            reasons = _honoured(runs[Key(dump, stage.name)]) if stage.name == "deduplicated" else {}
            entry |= {stage.removes: reasons | by_reason(stage.removes), stage.name: number(stage.name)}
            is_stale = any(_is_stale(runs, dump, name) for name in since(stage, source))
            entry["is_stale"] = entry.get("is_stale", False) or is_stale
        if source in entry:
            is_whole = entry[source] == entry[stage.name] + sum(entry[stage.removes].values())
            entry["is_balanced"] = entry.get("is_balanced", True) and is_whole
    if number("cut_paragraphs"):
        entry["cuts"] = {"documents": number("cut_documents"), "paragraphs": number("cut_paragraphs")}
    if is_begun:  # an interrupted batch may be partly written
        del entry["is_balanced"]
    return entry


def _honoured(run: Mapping[str, Any]) -> dict[str, int]:
    """Returns `near_duplicate` -> 0 if a run of `deduplicated` has applied clusters, else nothing."""
    names_near = Near() in as_json.from_json(run["recipe_json"]).methods
    return {"near_duplicate": 0} if names_near or "duplicates" in run["upstream_runs"] else {}


def bounds_in_words(bounds: Iterable[Bound]) -> dict[str, str]:
    """Formats bounds: signal -> its bound, or its bounds for several languages.

    >>> bounds_in_words([Bound("gopher.n_stop_words", at_least=2, language=code) for code in ("de", "ja")])
    {'gopher.n_stop_words': '>= 2 (de), >= 2 (ja)'}
    """
    words: dict[str, str] = {}
    for bound in bounds:
        words[bound.signal] = f"{words[bound.signal]}, {bound}" if bound.signal in words else str(bound)
    return words


def _is_stale(runs: Mapping[Key, Mapping[str, Any]], dump: str, stage: str) -> bool:
    """Returns whether a table that the stage was made from, directly or indirectly, has been made again since."""
    return any(before in runs for _, before in outdated(runs, dump, stage))
