"""Compares choices of deduplication methods and scopes, by measuring what each keeps of the same dumps.

Each choice is made in its own warehouse below a scratch folder, and reads `filtered`, and other existing tables, from
the job's warehouse.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from dclm_spark.errors import InputError, RecipeError, WarehouseError
from dclm_spark.lake.finished import Places
from dclm_spark.lake.runs import is_made_by, last_runs
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.deduplicated import STAGE, make_deduplicated
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.groups import named_twice
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.run_stage import Outcome
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.reports.survey_choices import NONE, Choice, default_choices
from dclm_spark.reports.survey_words import MEASURES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

N_DOMAINS = 10
OTHERS = "others"
UNKNOWN = "unknown"
_WORD = r"(?U)\S+"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def survey(
    job: Job, dumps: Sequence[str], choices: Sequence[Choice] | None = None, *, scratch: str | None = None
) -> list[dict[str, Any]]:
    """Measures what each choice keeps, and its share: in total, and by dump, domain, length and age.

    Returns one entry for each choice, `none` first. Words are separated by white space, bytes are those of UTF-8, both
    of the text that is kept. `by` holds the same numbers for each dump, for the ten hosts with most words and all
    others, for ranges of the number of words before deduplication (powers of two, by `n_words` of `filtered`), and, if
    the table `documents` exists, for the month of the crawl.

    Args:
        job: The recipe and warehouses. These are not written, unless `scratch` is null.
        dumps: Names of the dumps, the same for all choices.
        choices: The choices to compare; null: `default_choices`.
        scratch: Folder for the choices' warehouses; null: `survey` in the job's warehouse.

    Raises:
        InputError: A dump or choice is named twice, or there is no folder for the choices' warehouses.
        RecipeError: A choice is not valid.
        WarehouseError: A dump has no `filtered`, or the dumps' `filtered` are in different warehouses.
    """
    choices = default_choices(job.recipe) if choices is None else choices
    choices = (NONE, *(choice for choice in choices if choice != NONE))
    folder = _check(job, dumps, choices, scratch)
    source = _source(job, dumps)
    spark = source.spark
    filtered = source.read("filtered", dump=list(dumps))
    largest, months = _largest_domains(filtered), _months(job, dumps)
    signatures: Warehouse | None = None
    found = []
    for choice in choices:
        rows, outcomes = filtered, []
        if choice != NONE:
            if choice.near is not None and signatures is None:
                signatures = _signatures(job, dumps, choice, source, Warehouse(spark, f"{folder}/signatures"))
            lake = Warehouse(spark, f"{folder}/{choice.name}")
            own = replace(job, warehouse=lake, upstream=source, recipe=choice.recipe(job.recipe))
            outcomes = _make(own, dumps, signatures if choice.near is not None else None)
            rows = _left(own, dumps, outcomes)
        found.append((choice, any(outcome.is_new for outcome in outcomes), _measure(rows, largest, months)))
    return _entries(found, dumps, largest)


def _check(job: Job, dumps: Sequence[str], choices: Sequence[Choice], scratch: str | None) -> str:
    """Reports every problem of the arguments at once, then returns the folder of the choices' warehouses."""
    problems = named_twice(dumps)
    names = [choice.name for choice in choices]
    problems += [f"two choices are called {name}" for name in sorted({one for one in names if names.count(one) > 1})]
    problems += [
        f"{name!r} cannot name a choice and its folder; expected letters, digits, '-' and '_'"
        for name in names
        if not _NAME.fullmatch(name) or name == "signatures"
    ]
    if scratch is None and job.warehouse.is_catalog:
        problems.append(f"{job.warehouse} is a catalog's; name a folder for what the survey makes: --scratch FOLDER")
    elif scratch is not None and Warehouse(job.warehouse.spark, scratch).is_catalog:
        problems.append(f"--scratch {scratch} is a catalog's; expected a folder, a path or a URL")
    if problems:
        raise InputError(problems)
    folder = Warehouse(job.warehouse.spark, scratch or f"{job.warehouse}/survey")
    for dump in dumps:
        replace(job, dump=dump, warehouse=folder).check()
    wrong = [f"{one.name}: {problem}" for one in choices for problem in one.recipe(job.recipe).problems()]
    if wrong:
        raise RecipeError(wrong)
    return folder.location


def _source(job: Job, dumps: Sequence[str]) -> Warehouse:
    """Finds the warehouse that holds `filtered` of all dumps; a job has only one upstream."""
    places: dict[str, tuple[Warehouse, list[str]]] = {}
    problems: list[str] = []
    for dump in dumps:
        try:
            place = replace(job, dump=dump).ledger().finished("filtered").warehouse
        except WarehouseError as error:
            problems += error.problems
        else:
            places.setdefault(str(place), (place, []))[1].append(dump)
    if len(places) > 1:
        where = ", ".join(f"{' '.join(names)} in {place}" for place, names in places.values())
        problems.append(f"the dumps' filtered lie in two warehouses ({where}); a survey reads one")
    if problems:
        raise WarehouseError(problems)
    return next(iter(places.values()))[0]


# -- what is made -----------------------------------------------------------------------------------------------------


def _signatures(job: Job, dumps: Sequence[str], choice: Choice, source: Warehouse, lake: Warehouse) -> Warehouse:
    """Returns the warehouse with the signatures of all dumps: the source if it has them, else a scratch one."""
    own = replace(job, warehouse=lake, upstream=source, recipe=choice.recipe(job.recipe))
    lent = {dump: make_signatures(replace(_over(own, "signatures"), dump=dump)).is_lent for dump in dumps}
    if all(lent.values()):
        return source
    for dump in (
        dump for dump, is_lent in lent.items() if is_lent
    ):  # a choice could not read signatures from two warehouses
        make_signatures(replace(own, dump=dump, is_forced=True))
    return lake


def _make(job: Job, dumps: Sequence[str], signatures: Warehouse | None) -> list[Outcome]:
    """Makes `deduplicated`, and before it clusters if there are signatures; returns its outcomes."""
    if signatures is not None:
        lender: Warehouse | None = signatures
        near = job.recipe.duplicates
        assert near is not None  # a choice that has signatures looks for near-duplicates
        if any("." in order for order in near.survivor) and signatures is not job.upstream:
            # Signals come from the source, so everything is read from it, and signatures are made again next to them.
            lender = job.upstream
            for dump in dumps:
                make_signatures(replace(_over(job, "signatures"), dump=dump))
        make_duplicates(_over(replace(job, upstream=lender), "duplicates"), dumps)
    return make_deduplicated(_over(job, STAGE), dumps)


def _over(job: Job, stage: str) -> Job:
    """Returns the job, forced if another recipe's rows must be replaced, which no user of a survey wants to keep."""
    runs = [run for (_, name), run in last_runs(job.warehouse).items() if name == stage]
    return replace(job, is_forced=job.is_forced or any(not is_made_by(run, job.recipe) for run in runs))


def _left(job: Job, dumps: Sequence[str], outcomes: Sequence[Outcome]) -> "DataFrame":
    """Reads rows of `deduplicated`: those of the choice's warehouse, or those of the source."""
    lent = sorted({outcome.run["dump"] for outcome in outcomes if outcome.is_lent})
    own = [dump for dump in dumps if dump not in lent]
    both = ((job.warehouse, own), (job.upstream, lent))
    places = [(place, names) for place, names in both if place is not None and names]
    return reduce(lambda one, other: one.unionByName(other), (place.read(STAGE, dump=names) for place, names in places))


# -- what is measured -------------------------------------------------------------------------------------------------


def _domain():
    return F.coalesce(F.regexp_replace("host", r"^www\.", ""), F.lit(UNKNOWN))


def _largest_domains(filtered: "DataFrame") -> list[str]:
    """Returns the hosts with most words, by `n_words` of `filtered`."""
    by_host = filtered.groupBy(_domain().alias("domain")).agg(
        F.sum("n_words").alias("n_words"), F.count("*").alias("n")
    )
    rows = by_host.orderBy(F.desc_nulls_last("n_words"), F.desc("n"), "domain").limit(N_DOMAINS).collect()
    return [row["domain"] for row in rows]


def _months(job: Job, dumps: Sequence[str]) -> "DataFrame | None":
    """Finds the month of each document's crawl: rows of dump, doc_id and month; null without `documents`."""
    documents = Places(job.warehouse, job.upstream).rows("documents")
    if documents is None:
        return None
    rows = documents.where(F.col("dump").isin(list(dumps)))
    # Computed in UTC: `date_format` of a timestamp uses the session's time zone.
    day = F.expr("date_add(DATE'1970-01-01', CAST(floor(unix_micros(fetched_at) / 86400000000) AS INT))")
    rows = rows.select("dump", "doc_id", F.date_format(day, "yyyy-MM").alias("month"))
    return rows.dropDuplicates(["dump", "doc_id"])


def _measure(rows: "DataFrame", largest: Sequence[str], months: "DataFrame | None") -> dict[tuple[str, str], list[int]]:
    """Counts documents, words and bytes in one query, which reads each text once: (breakdown, value) -> the numbers."""
    domain = _domain()
    counted = rows.select(
        "dump",
        "doc_id",
        F.when(domain.isin(list(largest)), domain).otherwise(OTHERS).alias("domain"),
        "n_words",
        F.regexp_count("text", F.lit(_WORD)).cast("bigint").alias("words"),
        F.octet_length("text").cast("bigint").alias("bytes"),
    )
    # Counts the binary digits of a number, which is exact, unlike a logarithm.
    length = F.coalesce("n_words", "words").cast("bigint")
    keys = {"dump": F.col("dump"), "domain": F.col("domain")}
    keys["length"] = F.when(length < 1, 0).otherwise(F.length(F.bin(length)))
    if months is not None:
        counted = counted.join(months, ["dump", "doc_id"], "left")
        keys["age"] = F.coalesce("month", F.lit(UNKNOWN))
    pairs = [F.struct(F.lit(by).alias("by"), key.cast("string").alias("value")) for by, key in keys.items()]
    sets = counted.select("words", "bytes", F.explode(F.array(*pairs)).alias("key"))
    summed = sets.groupBy(F.col("key.by").alias("by"), F.col("key.value").alias("value")).agg(
        F.count("*").alias("documents"), F.sum("words").alias("words"), F.sum("bytes").alias("bytes")
    )
    return {(row["by"], row["value"]): [row[measure] for measure in MEASURES] for row in summed.collect()}


def _entries(
    found: Sequence[tuple[Choice, bool, Mapping[tuple[str, str], list[int]]]],
    dumps: Sequence[str],
    largest: Sequence[str],
) -> list[dict[str, Any]]:
    orders: dict[str, Callable[[str], Any]] = {
        "dump": lambda value: dumps.index(value),
        "domain": lambda value: (*largest, OTHERS).index(value),
        "length": int,
        "age": lambda value: (value == UNKNOWN, value),
    }
    keys = {key for _, _, numbers in found for key in numbers} | {("dump", dump) for dump in dumps}
    values = {by: sorted((value for of, value in keys if of == by), key=order) for by, order in orders.items()}
    before = found[0][2]
    nothing = [0] * len(MEASURES)
    n_documents = [before.get(("dump", dump), nothing)[0] for dump in dumps]
    entries = []
    for choice, is_new, numbers in found:

        def numbers_of(keys: Sequence[tuple[str, str]], numbers=numbers) -> dict[str, Any]:
            here, there = (
                [sum(of_all) for of_all in zip(*(place.get(key, nothing) for key in keys), strict=True)]
                for place in (numbers, before)
            )
            shares = [one / of if of else None for one, of in zip(here, there, strict=True)]
            return dict(zip(MEASURES, here, strict=True)) | {
                f"share_of_{measure}": share for measure, share in zip(MEASURES, shares, strict=True)
            }

        entries.append(
            {
                "choice": choice.name,
                "method": choice.method,
                "scope": choice.scope,
                "reach": choice.reach(n_documents),
                "is_new": is_new,
                **numbers_of([("dump", dump) for dump in dumps]),
                "by": {
                    by: {_label(by, value): numbers_of([(by, value)]) for value in of_by}
                    for by, of_by in values.items()
                    if of_by
                },
            }
        )
    return entries


def _label(by: str, value: str) -> str:
    """Formats a value of a breakdown; a length becomes a range of words.

    >>> [_label("length", digits) for digits in ("0", "1", "7")]
    ['0', '1', '64-127']
    """
    if by != "length" or int(value) < 2:
        return value
    return f"{1 << (int(value) - 1)}-{(1 << int(value)) - 1}"
