"""Derives the limits of a recipe's bounds for other languages from pages of a reference corpus.

This follows FineWeb-2 (Penedo et al. 2025), which derives new limits where they depend on how a language is written,
and takes the most frequent words as stop words. A limit is the one that removes a tenth of the reference pages
(`tail`), the one that removes the same share as the recipe's limit removes in English (`quantile`), the one as many
standard deviations from the mean as in English (`mean_std`), or the recipe's limit times the ratio of the medians
(`median_ratio`). `auto` means `mean_std` for repetition, of which good pages have almost none, and `tail` for the rest.
All but `tail` need reference pages in English.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import Window
from pyspark.sql import functions as F

from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.lake.runs import last_runs, measured_groups
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe import as_json
from dclm_spark.recipe.bounds import Bound
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.stages.columns import breaks
from dclm_spark.stages.word_counts import with_word_counts

METHODS = ("auto", "tail", "quantile", "mean_std", "median_ratio")
_ENGLISH = "en"
_LIMITS = ("at_least", "above", "at_most", "below")
_MIN_STOP_WORDS = 8


@dataclass(frozen=True)
class Reference:
    """Says which pages limits are derived from, and how.

    Args:
        languages: Labels of the languages to derive limits for.
        dumps: Dumps whose `annotated` holds the pages; empty: all dumps of the warehouse.
        method: One of `METHODS`.
        tail: Share of the pages that `tail` removes, (0, 1).
        stop_word_share: Smallest share of a language's words that a stop word has, (0, 1).
        min_pages: Smallest number of reference pages in a language.
    """

    languages: tuple[str, ...]
    dumps: tuple[str, ...] = ()
    method: str = "auto"
    tail: float = 0.1
    stop_word_share: float = 0.008
    min_pages: int = 100

    def problems(self) -> list[str]:
        """Lists what is wrong with these values, one sentence each; empty if nothing is."""
        found = [] if self.languages else ["no languages; name at least one label of the language model"]
        if self.method not in METHODS:
            found.append(f"the method is {self.method!r}; expected one of {', '.join(METHODS)}")
        for name in ("tail", "stop_word_share"):
            if not 0 < getattr(self, name) < 1:
                found.append(f"{name} is {getattr(self, name)}; expected a share between 0 and 1")
        return found


_REPETITION = re.compile(r"\w+\.frac_(duplicate_(lines|paragraphs|\d+gram_chars)|top_\d+gram_chars)")
_WRITING = re.compile(
    r"(gopher|quality)\.(mean_word_chars|frac_tokens_with_letter|frac_words_without_letter)"
    r"|fineweb\.(frac_punctuated_lines|newlines_per_token)"
)


def is_derived(bound: Bound) -> bool:
    """Returns whether a bound's limits depend on how a language is written."""
    return bound.language is None and bool(_REPETITION.fullmatch(bound.signal) or _WRITING.fullmatch(bound.signal))


def derive_recipe(
    warehouse: Warehouse, recipe: Recipe, reference: Reference, *, name: str
) -> tuple[Recipe, list[dict]]:
    """Derives a recipe with limits and stop words for each language; also returns the old and new value of each limit.

    Each bound that depends on the language is replaced by one bound for each language; the others are kept, in their
    order.

    Args:
        warehouse: The warehouse whose `annotated` holds the reference pages, measured with the annotation of `recipe`.
        recipe: The recipe whose limits are for English.
        reference: The reference pages and the method.
        name: Name of the new recipe.

    Raises:
        InputError: The reference is not valid.
        WarehouseError: There are no such pages, too few in a language, or they lack a signal.
    """
    if problems := reference.problems():
        raise InputError(problems)
    pages = _pages(warehouse, recipe, reference)
    bounds = [bound for bound in recipe.bounds if is_derived(bound)]
    statistics = _statistics(pages, bounds, reference)
    derived: dict[str, list[Bound]] = {bound.signal: [] for bound in bounds}
    entries = []
    for language in reference.languages:
        for bound in bounds:
            limits: dict[str, Any] = _limits(bound, language, statistics, reference)
            derived[bound.signal].append(replace(bound, language=language, **limits))
            entries.append(
                {
                    "language": language,
                    "signal": bound.signal,
                    "bound": str(bound),
                    "derived": str(replace(bound, **limits)),
                    "n_pages": statistics[language]["n_pages"],
                }
            )
    stop_words = _stop_words(pages, reference)
    annotation = replace(recipe.annotation, languages=reference.languages, stop_words_of=stop_words)
    all_bounds = [new for bound in recipe.bounds for new in (derived[bound.signal] if is_derived(bound) else [bound])]
    return replace(recipe, name=name, annotation=annotation, bounds=tuple(all_bounds)), entries


def _pages(warehouse: Warehouse, recipe: Recipe, reference: Reference):
    runs = {dump: run for (dump, stage), run in last_runs(warehouse).items() if stage == "annotated"}
    dumps = reference.dumps or tuple(sorted(runs))
    problems = [f"no annotated dump {dump} in {warehouse}" for dump in dumps if dump not in runs]
    if not dumps:
        problems.append(f"no annotated dump in {warehouse}; `dclm-spark annotated` makes one")
    needed = {"language", *(bound.group for bound in recipe.bounds if is_derived(bound))}
    for dump in dumps:
        if dump in runs and (missing := needed - set(measured_groups(runs[dump]))):
            problems.append(f"the annotated of {dump} hold no signals of {', '.join(sorted(missing))}")
        if dump in runs and as_json.from_json(runs[dump]["recipe_json"]).annotation.tokens != recipe.annotation.tokens:
            problems.append(f"the annotated of {dump} were measured with other tokens than {recipe.annotation.tokens}")
    if problems:
        raise WarehouseError(problems)
    wanted = {*reference.languages, _ENGLISH}
    rows = warehouse.read("annotated").where(F.col("dump").isin(*dumps) & F.col("language.code").isin(*wanted))
    # Pages whose language is uncertain tell little about a language.
    return rows.where(F.col("language.p_code") > 0.65)


def _statistics(pages, bounds: Sequence[Bound], reference: Reference) -> dict[str, dict[str, Any]]:
    """Computes the statistics that the method needs: language -> n_pages, and `signal:statistic` -> value."""
    columns = [F.count("*").alias("n_pages")]
    for bound in bounds:
        signal = F.col(bound.signal)
        columns += [
            F.avg(signal).alias(f"{bound.signal}:mean"),
            F.stddev_pop(signal).alias(f"{bound.signal}:std"),
            F.percentile(signal, F.lit(0.5)).alias(f"{bound.signal}:median"),
            F.percentile(signal, F.lit(reference.tail)).alias(f"{bound.signal}:low"),
            F.percentile(signal, F.lit(1 - reference.tail)).alias(f"{bound.signal}:high"),
        ]
        for limit in _LIMITS:
            if getattr(bound, limit) is not None:
                half = Bound(bound.signal, **{limit: getattr(bound, limit)})
                columns.append(F.avg(breaks(half).cast("double")).alias(f"{bound.signal}:{limit}"))
    by_language = pages.groupBy(F.col("language.code").alias("code")).agg(*columns).collect()
    found = {row["code"]: row.asDict() for row in by_language}
    needed = {*reference.languages, *([] if reference.method == "tail" else [_ENGLISH])}
    few = [
        f"{found.get(code, {}).get('n_pages', 0)} reference pages in {code}; expected {reference.min_pages} or more"
        for code in sorted(needed)
        if found.get(code, {}).get("n_pages", 0) < reference.min_pages
    ]
    if few:
        raise WarehouseError(few)
    if reference.method == "quantile":
        _add_quantiles(pages, bounds, reference, found)
    return found


def _add_quantiles(pages, bounds: Sequence[Bound], reference: Reference, found: dict[str, dict[str, Any]]) -> None:
    """Adds each language's value at the share of pages that the recipe's limit removes in English."""
    columns = []
    for bound in bounds:
        for limit in _LIMITS:
            if getattr(bound, limit) is not None:
                share = found[_ENGLISH][f"{bound.signal}:{limit}"]
                at = share if limit in ("at_least", "above") else 1 - share
                columns.append(F.percentile(F.col(bound.signal), F.lit(at)).alias(f"{bound.signal}:{limit}:quantile"))
    for row in pages.groupBy(F.col("language.code").alias("code")).agg(*columns).collect():
        found[row["code"]] |= row.asDict()


def _limits(
    bound: Bound, language: str, statistics: dict[str, dict[str, Any]], reference: Reference
) -> dict[str, float]:
    own, english = statistics[language], statistics.get(_ENGLISH, {})

    def of(name: str, where: dict[str, Any] = own) -> float:
        return where[f"{bound.signal}:{name}"] or 0.0

    method = reference.method
    if method == "auto":
        method = "mean_std" if _REPETITION.fullmatch(bound.signal) else "tail"
    limits = {}
    for name in _LIMITS:
        limit = getattr(bound, name)
        if limit is None:
            continue
        is_low = name in ("at_least", "above")
        if method == "tail":
            value = of("low" if is_low else "high")
        elif method == "quantile":
            value = of(f"{name}:quantile")
        elif method == "mean_std":
            spread = of("std", english)
            value = of("mean") + ((limit - of("mean", english)) / spread * of("std") if spread else 0.0)
        else:
            value = limit * of("median") / of("median", english) if of("median", english) else limit
        # Rounded to three decimals, in the direction that keeps more pages.
        limits[name] = (math.floor if is_low else math.ceil)(max(value, 0.0) * 1000) / 1000
    return limits


def _stop_words(pages, reference: Reference) -> dict[str, tuple[str, ...]]:
    """Finds the stop words of each language: its most frequent words, those above the share, but at least eight.

    Numbers do not count as words, nor do Latin words in a language that is written in another script.
    """
    texts = pages.where(F.col("language.code").isin(*reference.languages))
    texts = texts.select(F.col("language.code").alias("language"), "text")
    counts = with_word_counts(texts).groupBy("language", "word").agg(F.sum("n").alias("n"))
    counts = counts.where(F.col("word").rlike(r"\p{L}")).withColumn("is_latin", F.col("word").rlike(r"\p{IsLatin}"))
    # One query for all languages: each further one would count the words of all texts again.
    of_language = Window.partitionBy("language")
    n_latin = F.sum(F.when(F.col("is_latin"), F.col("n")).otherwise(0)).over(of_language)
    counts = counts.withColumns({"n_all": F.sum("n").over(of_language), "n_latin": n_latin})
    own = counts.where(~F.col("is_latin") | (2 * F.col("n_latin") >= F.col("n_all")))
    ranked = own.withColumn("rank", F.row_number().over(of_language.orderBy(F.desc("n"), "word")))
    is_frequent = (F.col("n") >= reference.stop_word_share * F.col("n_all")) | (F.col("rank") <= _MIN_STOP_WORDS)
    rows = ranked.where(is_frequent).orderBy("rank").collect()
    return {
        language: tuple(row["word"] for row in rows if row["language"] == language) for language in reference.languages
    }


def format_thresholds(recipe: Recipe, entries: Sequence[dict[str, Any]]) -> str:
    """Formats the derived limits as text, one block for each language."""
    blocks = []
    for language in dict.fromkeys(entry["language"] for entry in entries):
        own = [entry for entry in entries if entry["language"] == language]
        lines = [f"{language}   {own[0]['n_pages']:,} reference pages"]
        lines += [f"  {entry['signal']:<46}{entry['bound']:>18} -> {entry['derived']}" for entry in own]
        lines.append(f"  stop words: {' '.join(recipe.annotation.stop_words_of[language])}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
