"""The commands that make tables: all stages of a dump, or one."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from dclm_spark.cli import lsh
from dclm_spark.cli.resolve import recipe_of, storage_options_of, warehouse_of
from dclm_spark.errors import InputError
from dclm_spark.lake.locations import misread
from dclm_spark.recipe.deduplication import scope_of, warnings
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.recipe.scopes import takes_at_once
from dclm_spark.terminal import shown


def run(arguments: argparse.Namespace) -> tuple[Any, str]:
    """The stages of a dump, as far as the recipe goes: the rows of `runs`, and the funnel in words."""
    recipe = recipe_of(arguments)
    stages = ("documents", "annotated", "filtered")
    if recipe.duplicates is not None:
        # All at once takes dumps that are not there yet.
        stages += ("signatures",) if takes_at_once((recipe.duplicates.scope,)) else ("signatures", "duplicates")
    if recipe.methods and not is_of_several_dumps(recipe):
        stages += ("deduplicated",)
    if not arguments.input:
        if not arguments.upstream:
            raise InputError(["nothing to read: give --input, or --upstream with a warehouse that holds the documents"])
        stages = stages[1:]
    return _make(arguments, recipe, stages)


def is_of_several_dumps(recipe: Recipe) -> bool:
    """True if the recipe deduplicates dumps that may not be there yet, when one of them is made."""
    scopes = {scope_of(method) for method in recipe.methods}
    scopes |= {recipe.duplicates.scope} if recipe.duplicates is not None else set()
    return takes_at_once(scopes)


def make_one(arguments: argparse.Namespace) -> tuple[Any, str]:
    """One stage: its rows of `runs`, and the funnel in words where it filters."""
    is_near = arguments.stage in ("signatures", "duplicates", "deduplicated")
    return _make(arguments, recipe_of(arguments, finds_near=is_near), (arguments.stage,))


def _make(arguments: argparse.Namespace, recipe: Recipe, stages: Sequence[str]) -> tuple[Any, str]:
    from dclm_spark.pipeline import chain, deduplicated, near_duplicates
    from dclm_spark.pipeline.ingest_plan import Source
    from dclm_spark.pipeline.job import check_request

    dumps = arguments.dump if isinstance(arguments.dump, list) else [arguments.dump]
    source = None
    if "documents" in stages:
        source = Source(arguments.input, arguments.base_url, storage_options_of(arguments))
    # Nobody should wait for Java to hear of a slip of the pen.
    places = [place for place in (arguments.warehouse, arguments.upstream) if place]
    check_request(recipe, dumps[0], source, warehouse_problems=[said for place in places for said in misread(place)])
    job = chain.Job(
        warehouse=warehouse_of(arguments, arguments.warehouse),
        dump=dumps[0],
        recipe=recipe,
        upstream=warehouse_of(arguments, arguments.upstream) if arguments.upstream else None,
        is_forced=arguments.force,
        is_quiet=arguments.quiet,
    )

    def make_documents(job: chain.Job) -> chain.Outcome:
        return chain.make_documents(
            job,
            source,
            batch_files=arguments.batch_files,
            restart=arguments.restart,
            skip_unreadable=arguments.skip_unreadable,
        )

    makers = {
        "documents": make_documents,
        "annotated": chain.make_annotated,
        "filtered": chain.make_filtered,
        "signatures": near_duplicates.make_signatures,
        "duplicates": lambda job: near_duplicates.make_duplicates(job, dumps),
        "deduplicated": lambda job: deduplicated.make_deduplicated(job, dumps),
    }
    if "deduplicated" in stages:
        for sentence in warnings(recipe.methods):
            print(f"warning: {shown(sentence)}", file=sys.stderr)
    forced = chain.forced_stages(job, stages) if arguments.force else set()
    outcomes = []
    for stage in stages:
        if stage == "signatures" and not arguments.json and not arguments.quiet:
            print(lsh.curve(recipe.signatures), file=sys.stderr)
        made = makers[stage](dataclasses.replace(job, is_forced=stage in forced))
        for outcome in made if isinstance(made, list) else [made]:
            outcomes.append(outcome)
            if not arguments.json:
                print(shown(_sentence(outcome)), file=sys.stderr)
    words = ""
    if {"filtered", "deduplicated"} & set(stages):
        from dclm_spark.reports.funnel import count_funnel, format_funnel

        counted = [count_funnel(job.warehouse, dump=dump, upstream=job.upstream) for dump in dumps]
        words = "\n\n".join(map(format_funnel, counted))
    return [{**outcome.run, "is_new": outcome.is_new} for outcome in outcomes], words


def _sentence(outcome) -> str:
    run = outcome.run
    what = f"{run['stage']} {run['dump']}"
    if outcome.is_lent:
        return f"{what}: lent by the upstream, {run['n_rows_out']:,} rows; nothing done (--force makes one's own)"
    if not outcome.is_new:
        without = f" without {_unread(run)}" if run["n_unread_files"] else ""
        return f"{what}: up to date, {run['n_rows_out']:,} rows{without}; nothing done (--force redoes it)"
    counts = [f"{run['n_rows_in']:,} in", f"{run['n_rows_out']:,} out"]
    counts += [f"{run[name]:,} {word}" for name, word in _COUNTS.items() if run[name]]
    counts += [_unread(run)] if run["n_unread_files"] else []
    return f"{what}: {', '.join(counts)}, {run['seconds']:.1f} s"


_COUNTS = {"n_removed": "removed", "n_faults": "in quarantine", "n_skipped": "skipped"}


def _unread(run) -> str:
    n = run["n_unread_files"]
    return f"{n:,} file{'s' if n > 1 else ''} that could not be read"
