"""The funnel: how many records came in, what went where and why, what is left."""

from typing import Any

from pyspark.sql import functions as F

from dclm_spark import recipe_json
from dclm_spark.errors import WarehouseError
from dclm_spark.runs import last_runs
from dclm_spark.tables import Warehouse


def count_funnel(warehouse: Warehouse, *, dump: str | None = None, upstream: Warehouse | None = None) -> list[dict]:
    """One entry a dump, in order of name: records, skips, faults, documents, removals, filtered, and the balance.

    Every number is counted in the tables themselves, none is taken from `runs`, so that the balance is a test.

    Args:
        warehouse: The warehouse.
        dump: Only this dump.
        upstream: The warehouse that lends the tables this one does not hold.

    Raises:
        WarehouseError: There is no such dump, or nothing at all.
    """
    runs = {**(last_runs(upstream) if upstream is not None else {}), **last_runs(warehouse)}
    held = last_runs(warehouse)
    dumps = sorted({name for name, _ in runs} if dump is None else {name for name, _ in runs} & {dump})
    if not dumps:
        what = f"dump {dump}" if dump else "finished stage"
        raise WarehouseError([f"no {what} in {warehouse}; `dclm-spark run` makes one"])

    def home(name: str, stage: str) -> Warehouse | None:
        if (name, stage) in held:
            return warehouse
        return upstream if (name, stage) in runs else None

    return [_count_dump(name, runs, lambda stage, name=name: home(name, stage)) for name in dumps]


def _count_dump(dump: str, runs: dict[tuple[str, str], dict[str, Any]], home) -> dict[str, Any]:
    entry: dict[str, Any] = {"dump": dump}
    documents = home("documents")
    if documents is not None:
        tallies = documents.read("files", dump=dump)
        sums = tallies.agg(
            F.count("*").alias("files"), F.coalesce(F.sum("n_records"), F.lit(0)).alias("records")
        ).head()
        skips = tallies.select(F.explode("skips").alias("reason", "n"))
        entry |= {
            "files": sums["files"],
            # Files of the input's folders whose names are no archive's.
            "skipped_files": documents.read("plans", dump=dump).agg(F.max("n_skipped_files").alias("n")).head()["n"],
            "records": sums["records"],
            "skipped": _counts(skips.groupBy("reason").agg(F.sum("n").alias("n")), "reason"),
            "quarantined": _counts(_grouped(documents.read("quarantine", dump=dump), "kind"), "kind"),
            "documents": documents.read("documents", dump=dump).count(),
        }
        skipped, faults = sum(entry["skipped"].values()), sum(entry["quarantined"].values())
        balanced = entry["records"] == skipped + faults + entry["documents"]
        entry["is_balanced"] = balanced
    filtered = home("filtered")
    if filtered is not None:
        recipe = recipe_json.from_json(runs[dump, "filtered"]["recipe_json"])
        removed = _counts(_grouped(filtered.read("removed", dump=dump, stage="filtered"), "removed_by"), "removed_by")
        entry |= {
            "recipe": recipe.name,
            "bounds": {bound.signal: str(bound) for bound in recipe.bounds},
            # In the recipe's order, and rules that removed nothing too: a rule that never bites is worth knowing.
            "removed": {bound.signal: removed.get(bound.signal, 0) for bound in recipe.bounds},
            "filtered": filtered.read("filtered", dump=dump).count(),
        }
        if (dump, "annotated") in runs and (dump, "documents") in runs:
            entry["is_stale"] = not (
                _was_made_from(runs, dump, "annotated", "documents")
                and _was_made_from(runs, dump, "filtered", "annotated")
            )
        if "documents" in entry:
            n_left = entry["filtered"] + sum(entry["removed"].values())
            entry["is_balanced"] = entry["is_balanced"] and entry["documents"] == n_left
    return entry


def _was_made_from(runs: dict[tuple[str, str], dict[str, Any]], dump: str, stage: str, before: str) -> bool:
    return runs[dump, stage]["upstream_runs"].get(before) == runs[dump, before]["run_id"]


def _grouped(rows, column: str):
    return rows.groupBy(column).agg(F.count("*").alias("n"))


def _counts(rows, column: str) -> dict[str, int]:
    return {row[column]: row["n"] for row in rows.orderBy(F.desc("n"), column).collect()}


def format_funnel(entries: list[dict]) -> str:
    """The funnel as text, a block a dump; shares are of the records above the line `documents`, of documents below."""
    return "\n\n".join(_format_dump(entry) for entry in entries)


def _format_dump(entry: dict[str, Any]) -> str:
    lines = [entry["dump"] + (f"   recipe {entry['recipe']}" if "recipe" in entry else "")]

    def line(label: str, n: int, of: int | None = None, note: str = "", indent: int = 2) -> None:
        share = f"{n / of:8.1%}" if of else " " * 8
        lines.append(f"{' ' * indent}{label:<{42 - indent}}{n:>13,}{share}   {note}".rstrip())

    if "documents" in entry:
        records = entry["records"]
        line("files", entry["files"])
        if entry["skipped_files"]:
            line("other files, passed over", entry["skipped_files"])
        line("records read", records)
        line("skipped", sum(entry["skipped"].values()), records)
        for reason, n in entry["skipped"].items():
            line(reason, n, records, indent=4)
        line("quarantined", sum(entry["quarantined"].values()), records)
        for kind, n in entry["quarantined"].items():
            line(kind, n, records, indent=4)
        line("documents", entry["documents"], records)
    if "filtered" in entry:
        documents = entry["filtered"] + sum(entry["removed"].values())
        line("removed", sum(entry["removed"].values()), documents)
        for signal, n in entry["removed"].items():
            line(signal, n, documents, note=entry["bounds"][signal], indent=4)
        line("filtered", entry["filtered"], documents)
    if entry.get("is_stale"):
        lines.append("  out of date: a table was made anew since; `dclm-spark run` brings those after it up to date")
    if "is_balanced" in entry:
        word = "adds up" if entry["is_balanced"] else "DOES NOT ADD UP"
        lines.append(f"  {word}: records = skipped + quarantined + documents, documents = removed + filtered")
    return "\n".join(lines)
