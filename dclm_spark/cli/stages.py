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
from dclm_spark.pipeline.registry import STAGES, Stage
from dclm_spark.recipe.deduplication import warnings
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.terminal import shown


def run(arguments: argparse.Namespace) -> tuple[Any, str]:
    """The stages of a dump, as far as the recipe goes: the rows of `runs`, and the funnel in words."""
    recipe = recipe_of(arguments)
    stages = [stage for stage in STAGES.values() if stage.is_wanted(recipe)]
    if not arguments.input:
        if not arguments.upstream:
            raise InputError(["nothing to read: give --input, or --upstream with a warehouse that holds the documents"])
        stages = [stage for stage in stages if stage.reads]
    return _make(arguments, recipe, stages)


def make_one(arguments: argparse.Namespace) -> tuple[Any, str]:
    """One stage: its rows of `runs`, and the funnel in words where it filters."""
    stage = STAGES[arguments.stage]
    return _make(arguments, recipe_of(arguments, finds_near=stage.needs_near), (stage,))


def _make(arguments: argparse.Namespace, recipe: Recipe, stages: Sequence[Stage]) -> tuple[Any, str]:
    from dclm_spark.pipeline.ingest_plan import Source
    from dclm_spark.pipeline.job import Job, check_request
    from dclm_spark.pipeline.run_stage import forced_stages

    dumps = arguments.dump if isinstance(arguments.dump, list) else [arguments.dump]
    source, reading = None, {}
    if not all(stage.reads for stage in stages):
        source = Source(arguments.input, arguments.base_url, storage_options_of(arguments))
        reading = {name: getattr(arguments, name) for name in ("batch_files", "restart", "skip_unreadable")}
    # Nobody should wait for Java to hear of a slip of the pen.
    places = [place for place in (arguments.warehouse, arguments.upstream) if place]
    check_request(recipe, dumps[0], source, warehouse_problems=[said for place in places for said in misread(place)])
    job = Job(
        warehouse=warehouse_of(arguments, arguments.warehouse),
        dump=dumps[0],
        recipe=recipe,
        upstream=warehouse_of(arguments, arguments.upstream) if arguments.upstream else None,
        is_forced=arguments.force,
        is_quiet=arguments.quiet,
    )

    if any(stage.needs_methods for stage in stages):
        for sentence in warnings(recipe.methods):
            print(f"warning: {shown(sentence)}", file=sys.stderr)
    forced = forced_stages(job, [stage.name for stage in stages]) if arguments.force else set()
    outcomes = []
    for stage in stages:
        if stage.name == "signatures" and not arguments.json and not arguments.quiet:
            print(lsh.curve(recipe.signatures), file=sys.stderr)
        own = dataclasses.replace(job, is_forced=stage.name in forced)
        for outcome in stage.outcomes(own, dumps, **({} if stage.reads else {"source": source, **reading})):
            outcomes.append(outcome)
            if not arguments.json:
                print(shown(_sentence(outcome)), file=sys.stderr)
    words = ""
    if any(stage.removes for stage in stages):
        from dclm_spark.reports.funnel import count_funnel
        from dclm_spark.reports.funnel_words import format_funnel

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
