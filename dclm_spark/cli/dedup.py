"""Defines the command `dclm-spark dedup`, which helps to choose a deduplication method."""

import argparse
from typing import Any

from dclm_spark.cli import dedup_options, near_options, options
from dclm_spark.cli.resolve import recipe_of, upstream_of, warehouse_of
from dclm_spark.errors import InputError, WarehouseError

NAME = "dedup"
HELP = "compare deduplication methods and scopes by what they would keep, before choosing one"
EXAMPLES = """\
Examples:
  dclm-spark dedup plan --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --scope shards --shards 10
  dclm-spark dedup survey --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --plot survey.svg
  dclm-spark dedup survey --dump CC-MAIN-2022-05 CC-MAIN-2022-21 --warehouse lake --by length --choices near-all

Each choice makes its tables, including the texts kept, below --scratch, and reads `filtered` from the warehouse. The
same command again makes only what has changed. Delete the folder once you have chosen.
"""
CONTINUES = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the actions and their options."""
    options.warehouse_options(parser)
    options.recipe_options(parser)
    near_options.add_options(parser)
    options.session_options(parser)
    options.work_options(parser, is_of_several_dumps=True)
    dedup_options.add_options(parser)
    parser.add_argument(
        "action", choices=tuple(_ACTIONS), help="; ".join(f"{name}: {_HELP[name]}" for name in _ACTIONS)
    )
    group = parser.add_argument_group("survey")
    group.add_argument(
        "--choices",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="only these: text-dump, text-all, url-all, near-dump, near-shards, near-all, bloom-dump, "
        "bloom-shards, bloom-all, together-all (all of them)",
    )
    group.add_argument("--by", default="dump", help="shares by dump, domain, length or age (%(default)s)")
    group.add_argument(
        "--scratch", metavar="FOLDER", help="folder for each choice's tables (folder `survey` in the warehouse)"
    )
    group.add_argument("--plot", metavar="FILE", help="draw the curves to this .png or .svg file (needs matplotlib)")


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Runs the action; returns its result as data and as text."""
    return _ACTIONS[arguments.action](arguments)


def _survey(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dclm_spark.lake.finished import Places
    from dclm_spark.pipeline.job import Job
    from dclm_spark.reports import survey, survey_words
    from dclm_spark.reports.plots import check_plot
    from dclm_spark.reports.survey_choices import default_choices
    from dclm_spark.reports.survey_plot import plot_survey

    problems = []
    if arguments.scope is not None:
        problems.append("--scope: a survey takes every scope; --choices names those wanted")
    if arguments.by not in survey_words.BREAKDOWNS:
        problems.append(f"--by {arguments.by!r}; expected one of: {', '.join(survey_words.BREAKDOWNS)}")
    recipe = recipe_of(arguments, finds_near=True)
    known = {choice.name: choice for choice in default_choices(recipe)}
    names = list(dict.fromkeys(arguments.choices or known))
    problems += [f"--choices {name!r}; expected some of: {', '.join(known)}" for name in names if name not in known]
    if problems:
        raise InputError(problems)
    target = check_plot(arguments.plot) if arguments.plot else None
    job = Job(
        warehouse=warehouse_of(arguments, arguments.warehouse),
        dump=arguments.dump[0],
        recipe=recipe,
        upstream=upstream_of(arguments),
        is_forced=arguments.force,
        is_quiet=arguments.quiet,
    )
    if arguments.by == "age" and Places(job.warehouse, job.upstream).rows("documents") is None:
        raise WarehouseError([f"--by age: no finished documents in {job.warehouse}, which say when pages were fetched"])
    entries = survey.survey(job, arguments.dump, [known[name] for name in names], scratch=arguments.scratch)
    words = survey_words.format_survey(entries, by=arguments.by)
    if target is not None:
        plot_survey(target, entries)
        words += f"\nplot: {target}"
    return entries, words


def _plan(arguments: argparse.Namespace) -> tuple[Any, str]:
    from dataclasses import replace

    from dclm_spark.lake.pinned import Inputs
    from dclm_spark.pipeline.job import Job
    from dclm_spark.pipeline.methods import METHODS
    from dclm_spark.recipe.deduplication import DEFAULTS

    recipe = recipe_of(arguments, finds_near=True)
    found = [(number, one) for number, one in enumerate(recipe.methods) if METHODS[type(one)].can_plan]
    if not found:
        known = " or ".join(one.name for one in DEFAULTS if METHODS[type(one)].can_plan)
        raise InputError([f"the recipe {recipe.name} has no {known} to plan; add it with --method {known}"])
    number, settings = found[0]
    method = METHODS[type(settings)]
    # The recipe may become valid only by what the plan serves to choose, such as a filter's capacity.
    checked = replace(recipe, deduplication=(method.settings_to_plan(settings),))
    dumps = tuple(arguments.dump)
    job = Job(
        warehouse=warehouse_of(arguments, arguments.warehouse),
        dump=dumps[0],
        recipe=checked,
        upstream=upstream_of(arguments),
        is_quiet=arguments.quiet,
    )
    job.check()
    inputs = Inputs({dump: replace(job, dump=dump).ledger().finished for dump in dumps})
    return method(job, number, settings, dumps, (), {}, inputs).plan()


_HELP = {
    "survey": "run methods and scopes, and compare what each keeps",
    "plan": "count n-grams in a sample, and estimate the size of the filter for them",
}
_ACTIONS = {"survey": _survey, "plan": _plan}
