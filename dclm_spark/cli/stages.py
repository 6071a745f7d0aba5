"""Defines the commands `dclm-spark STAGE`, which make one table each: one command for every stage of the registry."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dclm_spark.cli import dedup_options, near_options, options
from dclm_spark.cli.resolve import recipe_of, storage_options_of, upstream_of, warehouse_of
from dclm_spark.lake.locations import misread
from dclm_spark.pipeline.registry import Stage
from dclm_spark.recipe.deduplication import warnings
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.terminal import shown


@dataclass(frozen=True)
class StageCommand:
    """Command that makes the table of one stage, as the registry describes it.

    Args:
        stage: The stage.
    """

    stage: Stage

    CONTINUES = True

    @property
    def NAME(self) -> str:
        return self.stage.name

    @property
    def HELP(self) -> str:
        return self.stage.help

    @property
    def EXAMPLES(self) -> str:
        return self.stage.examples

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options of every stage, and those that only some stages need."""
        options.warehouse_options(parser)
        options.recipe_options(parser)
        if self.stage.needs_near:
            near_options.add_options(parser)
        options.session_options(parser)
        options.work_options(parser, is_of_several_dumps=self.stage.is_of_several_dumps)
        if self.stage.needs_methods:
            dedup_options.add_options(parser)
        if not self.stage.reads:
            options.input_options(parser)

    def answer(self, arguments: argparse.Namespace) -> tuple[Any, str]:
        """Makes the table; returns the rows of `runs`, and the funnel as text if the stage removes rows."""
        return make_tables(arguments, recipe_of(arguments, finds_near=self.stage.needs_near), (self.stage,))


def make_tables(arguments: argparse.Namespace, recipe: Recipe, stages: Sequence[Stage]) -> tuple[Any, str]:
    """Makes stages in order; returns the rows of `runs`, and the funnel as text if one of them removes rows."""
    from dclm_spark.kernels.near.lsh import text_curve
    from dclm_spark.pipeline.ingest_plan import Source
    from dclm_spark.pipeline.job import Job, check_request
    from dclm_spark.pipeline.run_stage import forced_stages

    dumps = arguments.dump if isinstance(arguments.dump, list) else [arguments.dump]
    source, reading = None, {}
    if not all(stage.reads for stage in stages):
        source = Source(arguments.input, arguments.base_url, storage_options_of(arguments))
        reading = {name: getattr(arguments, name) for name in ("batch_files", "restart", "skip_unreadable")}
    # Typing errors are reported before Java is started, which takes seconds.
    places = [place for place in (arguments.warehouse, arguments.upstream) if place]
    check_request(recipe, dumps[0], source, warehouse_problems=[said for place in places for said in misread(place)])
    job = Job(
        warehouse=warehouse_of(arguments, arguments.warehouse),
        dump=dumps[0],
        recipe=recipe,
        upstream=upstream_of(arguments),
        is_forced=arguments.force,
        is_quiet=arguments.quiet,
    )

    if any(stage.needs_methods for stage in stages):
        for sentence in warnings(recipe.methods):
            print(f"warning: {shown(sentence)}", file=sys.stderr)
    forced = forced_stages(job, [stage.name for stage in stages]) if arguments.force else set()
    outcomes = []
    for stage in stages:
        minhash = recipe.signatures
        if stage.name == "signatures" and minhash is not None and not arguments.json and not arguments.quiet:
            print(text_curve(minhash.n_bands, minhash.n_rows), file=sys.stderr)
        own = replace(job, is_forced=stage.name in forced)
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
        return f"{what}: up to date in the upstream, {run['n_rows_out']:,} rows; nothing done (--force makes it here)"
    if not outcome.is_new:
        without = f" without {_unread(run)}" if run["n_unread_files"] else ""
        return f"{what}: up to date, {run['n_rows_out']:,} rows{without}; nothing done (--force makes it again)"
    counts = [f"{run['n_rows_in']:,} in", f"{run['n_rows_out']:,} out"]
    counts += [f"{run[name]:,} {word}" for name, word in _COUNTS.items() if run[name]]
    counts += [_unread(run)] if run["n_unread_files"] else []
    return f"{what}: {', '.join(counts)}, {run['seconds']:.1f} s"


_COUNTS = {"n_removed": "removed", "n_faults": "in quarantine", "n_skipped": "skipped"}


def _unread(run) -> str:
    n = run["n_unread_files"]
    return f"{n:,} file{'s' if n > 1 else ''} that could not be read"
