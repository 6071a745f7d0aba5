"""Counts what other bounds would keep, from signals that are already measured, without reading texts."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.errors import RecipeError, WarehouseError
from dclm_spark.lake.finished import Places
from dclm_spark.lake.runs import Key, measured_groups
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe import as_json
from dclm_spark.recipe.bounds import NO_TEXT, NO_TEXT_WORDS, Bound
from dclm_spark.reports.funnel import bounds_in_words
from dclm_spark.stages.columns import removed_by

_CHANGE = re.compile(r"(?P<signal>\w+\.\w+)(?:\[(?P<language>[\w-]+)\])?\s*(?P<sign>>=|<=|=|>|<)\s*(?P<limit>\S+)")
_LIMITS = {">=": "at_least", ">": "above", "<=": "at_most", "<": "below"}
_KEPT = "filtered"


def change_bounds(bounds: Sequence[Bound], changes: Sequence[str]) -> tuple[Bound, ...]:
    """Applies changes to bounds; a signal without a bound gets a new one, after the others.

    Args:
        bounds: A recipe's bounds.
        changes: `SIGNAL=80` changes the bound's limit to 80, the lower one if it has two; `SIGNAL>=80`, `>`, `<=` and
            `<` name the limit to change; `SIGNAL=none` drops the bound; `SIGNAL[de]=80` changes the bound for one
            language, if the recipe has one.

    Raises:
        RecipeError: A change cannot be parsed, or makes a bound that no page can pass.

    >>> bounds = (Bound("quality.n_words", at_least=50, at_most=100_000), Bound("language.p_target", above=0.65))
    >>> [str(bound) for bound in change_bounds(bounds, ["quality.n_words=80", "language.p_target=none"])]
    ['>= 80 and <= 100000']
    """
    changed = {(bound.signal, bound.language): bound for bound in bounds}
    problems = []
    for change in changes:
        try:
            key, bound = _changed(changed, change)
        except ValueError as error:
            problems.append(str(error))
            continue
        if bound is None:
            del changed[key]
        else:
            changed[key] = bound
            problems += bound.problems()
    if problems:
        raise RecipeError(problems)
    return tuple(changed.values())


_Key = tuple[str, str | None]
"""A bound's signal and language."""


def _changed(bounds: dict[_Key, Bound], change: str) -> tuple[_Key, Bound | None]:
    match = _CHANGE.fullmatch(change.strip())
    if match is None:
        raise ValueError(f"{change!r} is no change of a bound; expected SIGNAL=80, SIGNAL>=80 or SIGNAL=none")
    signal, language, sign = match["signal"], match["language"], match["sign"]
    bound = bounds.get((signal, language))
    named = f"{signal}[{language}]" if language else signal
    others = [code for name, code in bounds if name == signal and code != language]
    if bound is None and others:
        known = ", ".join(f"{signal}[{code}]" if code else signal for code in others)
        raise ValueError(f"{change!r}: the recipe has no bound on {named}, but on {known}; name one of them")
    if match["limit"] == "none":
        if sign != "=" or bound is None:
            raise ValueError(f"{change!r}: the recipe has no bound on {named} to drop")
        return (signal, language), None
    try:
        limit = float(match["limit"])
    except ValueError:
        raise ValueError(f"{change!r}: {match['limit']!r} is no number") from None
    if sign == "=":
        side = next((name for name in ("at_least", "above", "at_most", "below") if _limit(bound, name) is not None), "")
        if not side:
            raise ValueError(f"{change!r}: the recipe has no bound on {named}; name the side, as in {named}>=80")
    else:
        side = _LIMITS[sign]
    return (signal, language), (bound or Bound(signal, language=language)).with_limits(**{side: limit})


def _limit(bound: Bound | None, name: str) -> float | None:
    return None if bound is None else getattr(bound, name)


def count_what_if(
    warehouse: Warehouse, changes: Sequence[str], *, dump: str | None = None, upstream: Warehouse | None = None
) -> list[dict[str, Any]]:
    """Counts what each bound removes and what is kept, now and with the changes; one entry for each dump, by name.

    Both numbers are counted from the signals in `annotated`; Spark reads no other columns of it.

    Raises:
        RecipeError: A change is not valid.
        WarehouseError: No dump has been filtered.
    """
    finished = Places(warehouse, upstream).finished
    dumps = sorted(name for name, stage in finished if stage == "annotated")
    entries = []
    for name in dumps if dump is None else [found for found in dumps if found == dump]:
        annotated = finished[Key(name, "annotated")]
        decided = finished.get(Key(name, _KEPT), annotated)
        recipe = as_json.from_json(decided.run["recipe_json"])
        changed = change_bounds(recipe.bounds, changes)
        _check_measured(annotated.run, changed)
        now, then = (F.coalesce(removed_by(bounds), F.lit(_KEPT)) for bounds in (recipe.bounds, changed))
        signals = annotated.warehouse.read("annotated", dump=name).select(*schemas.SIGNAL_GROUPS)
        counted = signals.groupBy(now.alias("now"), then.alias("then")).count().collect()
        entries.append(_entry(name, recipe.name, recipe.bounds, changed, counted))
    if not entries:
        raise WarehouseError(
            [f"no annotated dump{f' {dump}' if dump else ''} in {warehouse}; `dclm-spark run` makes one"]
        )
    return entries


def _check_measured(run: Mapping[str, Any], bounds: Sequence[Bound]) -> None:
    missing = sorted({bound.group for bound in bounds} - set(measured_groups(run)))
    if missing:
        raise WarehouseError(
            [
                f"the annotated of {run['dump']} hold no signals of {', '.join(missing)}, since the recipe "
                f"{run['recipe']} has no bound on any; `dclm-spark annotated --all-signals --force` measures all"
            ]
        )


def _entry(dump: str, recipe: str, bounds: Sequence[Bound], changed: Sequence[Bound], counted) -> dict[str, Any]:
    by_signal = bounds_in_words(changed)
    signals = [*dict.fromkeys(bound.signal for bound in (*bounds, *changed))]
    if any(NO_TEXT in (row["now"], row["then"]) for row in counted):
        by_signal[NO_TEXT] = NO_TEXT_WORDS
        signals.insert(0, NO_TEXT)
    removed = [
        {
            "signal": signal,
            "bound": by_signal.get(signal),
            "now": sum(row["count"] for row in counted if row["now"] == signal),
            "what_if": sum(row["count"] for row in counted if row["then"] == signal),
        }
        for signal in signals
    ]
    return {
        "dump": dump,
        "recipe": recipe,
        "documents": sum(row["count"] for row in counted),
        "removed": removed,
        "filtered": {
            "now": sum(row["count"] for row in counted if row["now"] == _KEPT),
            "what_if": sum(row["count"] for row in counted if row["then"] == _KEPT),
            "lost": sum(row["count"] for row in counted if row["now"] == _KEPT and row["then"] != _KEPT),
            "gained": sum(row["count"] for row in counted if row["then"] == _KEPT and row["now"] != _KEPT),
        },
    }


def format_what_if(entries: Sequence[dict[str, Any]]) -> str:
    """Formats the entries as text, one block for each dump."""
    return "\n\n".join(map(_format_dump, entries))


def _format_dump(entry: dict[str, Any]) -> str:
    lines = [f"{entry['dump']}   recipe {entry['recipe']}"]

    def line(label: str, now: object, then: object, note: str = "", indent: int = 2) -> None:
        lines.append(f"{' ' * indent}{label:<{48 - indent}}{now:>13,}{then:>13,}   {note}".rstrip())

    lines.append(f"  {'':<46}{'now':>13}{'what if':>13}")
    line("documents", entry["documents"], entry["documents"])
    for rule in entry["removed"]:
        line(rule["signal"], rule["now"], rule["what_if"], rule["bound"] or "no bound", indent=4)
    kept = entry["filtered"]
    line("filtered", kept["now"], kept["what_if"], f"{kept['gained']:,} gained, {kept['lost']:,} lost")
    return "\n".join(lines)
