"""The funnel: how many records came in, what went where and why, what is left."""

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
"""(dump, what is counted) -> reason, "" where there is only one -> rows."""


def count_funnel(warehouse: Warehouse, *, dump: str | None = None, upstream: Warehouse | None = None) -> list[dict]:
    """One entry a dump, in order of name: records, skips, faults, documents, removals, filtered, and the balance.

    A stage that removes rows has those it kept by its name, and those it removed by reason, under the name that its
    record in the registry gives: `duplicates_removed` of `deduplicated`. `cuts`, where paragraphs were cut from what
    stays, has how many `paragraphs`, and of how many `documents`.

    `bad_digests`, where there are some, has how many records read have other digests than their headers say.
    `bad_dates`, where there are some, has how many documents are without `fetched_at` because their date could not be
    read, or lies in another year than the recipe's.

    `not_measured` names the rules of the recipe whose lists were not given, so that they removed nothing.

    `lost` is there where the log of a table has lost the version that a run has recorded: table -> version.
    `unfinished` lists the stages of which there are rows without a finished run.

    Every number is counted in the tables themselves, none is taken from `runs`, so that the balance is a test.

    `unread` is there where files of the dump were not read: how many, by reason, and the first of them. A dump that is
    not finished for that has no balance.

    Args:
        warehouse: The warehouse.
        dump: Only this dump.
        upstream: The warehouse that lends the tables this one does not hold.

    Raises:
        WarehouseError: There is no such dump, or nothing at all.
    """
    finished = dict(Places(warehouse, upstream).finished)
    # An upstream's survivors are those of its own `filtered`, and none of a recipe that borrows what comes before.
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
        """The dumps whose rows of a stage this warehouse holds; those that it lends, if it is the upstream."""
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
    """True if a run was made from other rows than those that were kept before it."""
    if not stage.removes or not STAGES[stage.reads[0]].removes:
        return False
    source = Key(dump, stage.reads[0])
    made = finished[source].run_id if source in finished else None
    return made_from(finished[Key(dump, stage.name)].run).get(source) != made


# Each counts one table: rows of (dump, what, reason, n). All are one query, since a query has its price and a table
# that is counted here has few partitions.


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
        # Files of the input's folders whose names are no archive's.
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
            # In the recipe's order, and rules that removed nothing too: a rule that never bites is worth knowing.
            # What no rule has removed comes last: rows of documents that are there more than once.
            "removed": {name: 0 for name in (NO_TEXT,) if name in removed}
            | {bound.signal: 0 for bound in recipe.bounds}
            | removed,
            # They removed nothing because nobody has looked.
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
    if is_begun:  # an interrupted batch may lie half written
        del entry["is_balanced"]
    return entry


def _honoured(run: Mapping[str, Any]) -> dict[str, int]:
    """`near_duplicate` and 0, where a run of `deduplicated` has honoured clusters."""
    names_near = Near() in as_json.from_json(run["recipe_json"]).methods
    return {"near_duplicate": 0} if names_near or "duplicates" in run["upstream_runs"] else {}


def bounds_in_words(bounds: Iterable[Bound]) -> dict[str, str]:
    """Signal -> its bound, or those of several languages, in words.

    >>> bounds_in_words([Bound("gopher.n_stop_words", at_least=2, language=code) for code in ("de", "ja")])
    {'gopher.n_stop_words': '>= 2 (de), >= 2 (ja)'}
    """
    words: dict[str, str] = {}
    for bound in bounds:
        words[bound.signal] = f"{words[bound.signal]}, {bound}" if bound.signal in words else str(bound)
    return words


def _is_stale(runs: Mapping[Key, Mapping[str, Any]], dump: str, stage: str) -> bool:
    """True if a table that the stage was made from, near or far, was made anew since."""
    return any(before in runs for _, before in outdated(runs, dump, stage))
