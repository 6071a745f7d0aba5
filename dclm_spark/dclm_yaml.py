"""DCLM's own configurations (`baselines/baselines_configs/*.yaml`) as recipes, steps that have no counterpart named.

The recipe is the faithful one: what DCLM's code does under that configuration, mistakes included.
"""

from typing import Any

import yaml

from dclm_spark.dclm_steps import STEPS, Building, Options, ReadDomains, ReadWords, Unsupported
from dclm_spark.errors import RecipeError
from dclm_spark.recipe import Recipe
from dclm_spark.recipes import DCLM_BASELINE_FAITHFUL


def recipe_from_yaml(text: str, *, name: str, read_words: ReadWords, read_domains: ReadDomains) -> Recipe:
    """The recipe that does what DCLM's `process.py` does with a configuration.

    Args:
        text: The configuration.
        name: The recipe's name.
        read_words: Reads a `banlist_from_fname`.
        read_domains: Reads one whose entries are compared with whole domains.

    Raises:
        RecipeError: The text is no such configuration, or has steps without a counterpart; all of them are named.
    """
    steps = _steps_of(text)
    building = Building(read_words, read_domains)
    problems = []
    for number, step in enumerate(steps, 1):
        function = step.get("func")
        options = {key: value for key, value in step.items() if key not in ("func", "_aggregate")}
        try:
            if function not in STEPS:
                raise Unsupported("has no counterpart here")
            take = Options(options)
            STEPS[function](building, take)
            take.check()
        except Unsupported as reason:
            problems.append(f"step {number}, {function}: {reason}")
    if problems:
        raise RecipeError(problems)
    return Recipe(
        name,
        extraction=DCLM_BASELINE_FAITHFUL.extraction,
        annotation=building.annotation,
        bounds=tuple(building.bounds),
        max_fault_share=DCLM_BASELINE_FAITHFUL.max_fault_share,
    )


def _steps_of(text: str) -> list[dict[str, Any]]:
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError([f"the recipe is no YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(loaded, list) or len(loaded) != 1 or not isinstance(loaded[0], dict):
        raise RecipeError(["the recipe is no configuration of DCLM's: expected a list of one source with its steps"])
    steps = loaded[0].get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, dict) and "func" in step for step in steps):
        raise RecipeError(["the recipe is no configuration of DCLM's: expected `steps`, each with a `func`"])
    return steps
