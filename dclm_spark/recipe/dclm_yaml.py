"""Converts DCLM's configurations (`baselines/baselines_configs/*.yaml`) to recipes.

The recipe is faithful: it does what DCLM's code does under that configuration, mistakes included. Steps that no recipe
can express are reported by name.
"""

from typing import Any

import yaml

from dclm_spark.errors import ProblemsError, RecipeError, abbreviated
from dclm_spark.recipe.as_json import canonical_json, from_json
from dclm_spark.recipe.builtin import DCLM_BASELINE_FAITHFUL
from dclm_spark.recipe.dclm_steps import STEPS, Building, Options, ReadDomains, ReadWords, Unsupported
from dclm_spark.recipe.recipe import Recipe


def recipe_from_yaml(text: str, *, name: str, read_words: ReadWords, read_domains: ReadDomains) -> Recipe:
    """Builds the recipe that does what DCLM's `process.py` does with a configuration.

    Args:
        text: The configuration, as YAML text.
        name: The recipe's name.
        read_words: Reads a `banlist_from_fname` that is a list of words.
        read_domains: Reads a `banlist_from_fname` whose entries are compared with whole domains.

    Raises:
        RecipeError: The text is not such a configuration, or it has steps without a counterpart; all of these are
            named.
    """
    steps = _steps_of(text)
    building = Building(read_words, read_domains)
    problems = []
    for number, step in enumerate(steps, 1):
        function = step["func"]
        options = {key: value for key, value in step.items() if key not in ("func", "_aggregate")}
        try:
            if function not in STEPS:
                raise Unsupported("has no counterpart here")
            take = Options(options)
            STEPS[function](building, take)
            take.check()
        except Unsupported as reason:
            problems.append(f"step {number}, {function[:60]}: {reason}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # An option has the wrong type, such as a text where a number is expected. DCLM's code fails on it too, in
            # other ways.
            if isinstance(error, ProblemsError):  # for instance from reading a list of words
                raise
            problems.append(f"step {number}, {function[:60]}: an option is of the wrong kind ({str(error)[:100]})")
    if problems:
        raise RecipeError(problems)
    recipe = Recipe(
        name,
        extraction=DCLM_BASELINE_FAITHFUL.extraction,
        annotation=building.annotation,
        bounds=tuple(building.bounds),
        max_fault_share=DCLM_BASELINE_FAITHFUL.max_fault_share,
    )
    try:
        return from_json(canonical_json(recipe))  # checks the type of each value
    except (TypeError, OverflowError):
        raise RecipeError(["the recipe has an option that is neither a text, a number nor a list of those"]) from None


def _steps_of(text: str) -> list[dict[str, Any]]:
    """Parses a configuration and returns its steps, each with the name of its function in `func`."""
    try:
        _check_size(text)
        loaded = yaml.safe_load(text)
    # ValueError: raised for an invalid date or number.
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError([f"the recipe is no YAML: {' '.join(str(error).split())[:300]}"]) from None
    if not isinstance(loaded, list) or len(loaded) != 1 or not isinstance(loaded[0], dict):
        raise RecipeError(["the recipe is no configuration of DCLM's: expected a list of one source with its steps"])
    steps = loaded[0].get("steps")
    if not isinstance(steps, list) or not all(
        isinstance(step, dict) and isinstance(step.get("func"), str) for step in steps
    ):
        raise RecipeError(["the recipe is no configuration of DCLM's: expected `steps`, each with a `func`, a name"])
    return steps


_MAX_DEPTH = 20  # levels of nesting; DCLM's own configurations have 4
_MAX_NODES = 1_000_000  # values, aliases expanded


def _check_size(text: str) -> None:
    """Refuses a short text that would expand without limit: deep nesting, or aliases of aliases.

    Raises:
        ValueError: The text is nested too deeply or has too many values; the message says which.
    """
    depth = n_nodes = 0
    sizes: dict[str | None, int] = {}  # anchor -> number of values in its node, aliases expanded
    open_: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"the alias {abbreviated(event.anchor)} names no value, or one that contains it")
            n_nodes += sizes[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            n_nodes += 1
            if isinstance(event, yaml.ScalarEvent):
                sizes[event.anchor] = 1
            else:
                open_.append((event.anchor, n_nodes - 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            sizes[anchor] = n_nodes - before
        depth = max(depth, len(open_))
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
        if n_nodes > _MAX_NODES:
            raise ValueError(f"it has more than {_MAX_NODES:,} values, its aliases expanded")
