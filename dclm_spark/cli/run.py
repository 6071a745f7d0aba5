"""Defines the command `dclm-spark run`, which makes all tables of one dump that the recipe needs."""

import argparse
from typing import Any

from dclm_spark.cli import near_options, options
from dclm_spark.cli.resolve import recipe_of
from dclm_spark.cli.stages import make_tables
from dclm_spark.errors import InputError
from dclm_spark.pipeline.registry import STAGES

NAME = "run"
HELP = "make all tables of one dump from its archive files"
EXAMPLES = """\
Examples:
  dclm-spark run --input 'warc/*.warc.gz' --dump CC-MAIN-2022-05 --warehouse lake

  Common Crawl's own list of a dump's files; the job fails if more than 1 % of the records do:
  dclm-spark run --input https://data.commoncrawl.org/crawl-data/CC-MAIN-2022-05/warc.paths.gz \\
      --dump CC-MAIN-2022-05 --warehouse s3a://bucket/lake --max-fault-share 0.01

  Another recipe's bounds over the same documents and signals; only `filtered` and `removed` are made:
  dclm-spark run --recipe mine.json --dump CC-MAIN-2022-05 --upstream lake --warehouse ablation

If the recipe's scope needs several dumps at once, make `deduplicated` by the command of that name.
The same command again continues where a killed one stopped, and does nothing if nothing has changed.
Exit status: 0, 1 if Spark failed, 2 for an error that you can fix, 3 if the rest is written but more failed than
allowed, 130 if interrupted.
"""
CONTINUES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the files, the warehouse, the recipe, and options on the work."""
    options.warehouse_options(parser)
    options.recipe_options(parser)
    options.session_options(parser)
    options.work_options(parser)
    near_options.add_options(parser)
    options.input_options(parser)


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Makes all tables; returns the rows of `runs`, and the funnel as text.

    Raises:
        InputError: There are neither files to read nor an upstream that has read them.
    """
    recipe = recipe_of(arguments)
    stages = [stage for stage in STAGES.values() if stage.is_wanted(recipe)]
    if not arguments.input:
        if not arguments.upstream:
            raise InputError(["nothing to read: give --input, or --upstream with a warehouse that holds the documents"])
        stages = [stage for stage in stages if stage.reads]
    return make_tables(arguments, recipe, stages)
