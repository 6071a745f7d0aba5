"""Defines the command `dclm-spark recipe`, which prints a recipe as JSON, or the differences of two."""

import argparse
import json
from typing import Any

from dclm_spark.cli import options
from dclm_spark.cli.resolve import recipe_of
from dclm_spark.errors import InputError, refuse_recipe
from dclm_spark.recipe import as_json

NAME = "recipe"
HELP = "print a recipe as JSON, or the differences of two recipes"
EXAMPLES = """\
Example:
  dclm-spark recipe --hard-words banned.txt show dclm_baseline > mine.json
  dclm-spark recipe diff dclm_baseline mine.json

  Convert one of DCLM's configurations to a recipe; steps that no recipe can express are named:
  dclm-spark recipe show dclm/baselines/baselines_configs/dclm_baseline_refinedweb.yaml
"""
CONTINUES = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the action and the recipes."""
    options.recipe_options(parser)
    parser.add_argument("action", nargs="?", choices=("show", "diff"), default="show", help="what to do (%(default)s)")
    parser.add_argument("names", nargs="*", metavar="RECIPE", help="one to show, two to compare")


def answer(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Returns the recipe, or the fields that differ, as data and as text."""
    names = arguments.names or [arguments.recipe]
    expected = 1 if arguments.action == "show" else 2
    if len(names) != expected:
        raise InputError(
            [f"recipe {arguments.action} takes {expected} of them, found {len(names)}: {', '.join(names)}"]
        )
    found = [recipe_of(arguments, name) for name in names]
    refuse_recipe([problem for recipe in found for problem in recipe.problems()])
    if arguments.action == "diff":
        rows = as_json.differences(*found)
        changes = [dict(zip(("field", "one", "other"), row, strict=True)) for row in rows]
        lines = [f"{field}: {json.dumps(one)} -> {json.dumps(other)}" for field, one, other in rows]
        return changes, "\n".join(lines) or "the same"
    loaded = json.loads(as_json.canonical_json(found[0], is_whole=True))
    return loaded, json.dumps(loaded, indent=2, ensure_ascii=False)
