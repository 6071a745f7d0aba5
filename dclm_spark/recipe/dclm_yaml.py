"""DCLM's own configurations (`baselines/baselines_configs/*.yaml`) as recipes, steps that have no counterpart named.

The recipe is the faithful one: what DCLM's code does under that configuration, mistakes included.
"""

from typing import Any

import yaml

from dclm_spark.errors import ProblemsError, RecipeError, abbreviated
from dclm_spark.recipe.as_json import canonical_json, from_json
from dclm_spark.recipe.builtin import DCLM_BASELINE_FAITHFUL
from dclm_spark.recipe.dclm_steps import STEPS, Building, Options, ReadDomains, ReadWords, Unsupported
from dclm_spark.recipe.recipe import Recipe


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
            # A text where a number is meant, a list where a text is: DCLM's code fails of it in ways of its own.
            if isinstance(error, ProblemsError):  # of a list of words, say
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
        return from_json(canonical_json(recipe))  # which looks at the kind of each value
    except (TypeError, OverflowError):
        raise RecipeError(["the recipe has an option that is neither a text, a number nor a list of those"]) from None


def _steps_of(text: str) -> list[dict[str, Any]]:
    try:
        _check_size(text)
        loaded = yaml.safe_load(text)
    # ValueError: of a date or a number that is none.
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


_MAX_DEPTH = 20  # DCLM's own configurations have 4
_MAX_NODES = 1_000_000


def _check_size(text: str) -> None:
    """Refuses what a few lines make endless: deep nesting, and aliases of aliases.

    Raises:
        ValueError: It says what is too large.
    """
    depth = n_nodes = 0
    sizes: dict[str | None, int] = {}  # of what an alias stands for, aliases in it counted in full
    open_: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"the alias {abbreviated(event.anchor)} stands for nothing, or for what it is part of")
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
            raise ValueError(f"it has more than {_MAX_NODES:,} values, with what its aliases stand for")
