"""Recipes as JSON: the form in which they are recorded, compared and written by users."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from dclm_spark.errors import RecipeError
from dclm_spark.recipe import Recipe


def canonical_json(value: Any, *, is_whole: bool = False) -> str:
    """A recipe or one of its parts as JSON with sorted keys: equal text means equal choices.

    A field whose metadata says in which version it was `added` is left out while it has its default, so that a recipe
    from before has the hash that it had.

    Args:
        value: The recipe, or any value of one.
        is_whole: Leave nothing out, for a reader.
    """

    def is_shown(item: Any, f: dataclasses.Field) -> bool:
        return is_whole or "added" not in f.metadata or getattr(item, f.name) != f.default

    def plain(item: Any) -> Any:
        if dataclasses.is_dataclass(item):
            return {f.name: plain(getattr(item, f.name)) for f in dataclasses.fields(item) if is_shown(item, f)}
        if isinstance(item, Mapping):
            return {str(key): plain(entry) for key, entry in item.items()}
        if isinstance(item, list | tuple):
            return [plain(entry) for entry in item]
        # 50 and 50.0 are one bound.
        return int(item) if isinstance(item, float) and item.is_integer() else item

    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False)


def differences(one: Recipe, other: Recipe) -> list[tuple[str, Any, Any]]:
    """Where two recipes differ: the field, its value in the one and in the other, null where it has none.

    A bound is found by its signal and language, so that one more is one difference; their order is one of its own.

    >>> from dclm_spark.rules import Bound
    >>> from dclm_spark.recipes import DCLM_BASELINE
    >>> longer = dataclasses.replace(DCLM_BASELINE, bounds=(Bound("quality.n_words", at_least=80),))
    >>> [found for found in differences(DCLM_BASELINE, longer) if "n_words." in found[0]]
    [('bounds.quality.n_words.at_least', 50, 80), ('bounds.quality.n_words.at_most', 100000, None)]
    """
    wholes = (json.loads(canonical_json(recipe, is_whole=True)) for recipe in (one, other))
    left, right = (dict(_leaves(whole)) for whole in wholes)
    return [
        (name, left.get(name), right.get(name))
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values of a recipe's JSON, each with its path."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "signal" in value[0]:
        keys = [entry["signal"] + (f"[{entry['language']}]" if entry.get("language") else "") for entry in value]
        yield f"{name} (order)", keys
        limits = [{key: entry[key] for key in entry if key not in ("signal", "language")} for entry in value]
        value = dict(zip(keys, limits, strict=True))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        value = {str(number): entry for number, entry in enumerate(value, 1)}
    if not isinstance(value, dict):
        yield name, value
        return
    for key, entry in value.items():
        yield from _leaves(entry, f"{name}.{key}" if name else key)


def recipe_hash(value: Any) -> str:
    """The first 32 hex letters of the SHA-256 of a recipe's (or a part's) canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:32]


def from_json(text: str) -> Recipe:
    """The recipe that a JSON text describes; fields left out have their defaults.

    Raises:
        RecipeError: The text is no JSON object, or names a field that no recipe has.
    """
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecipeError([f"the recipe is no JSON: {error}"]) from None
    problems: list[str] = []
    recipe = _build(Recipe, loaded, "recipe", problems)
    if problems:
        raise RecipeError(problems)
    return recipe


def _build(kind: Any, given: Any, where: str, problems: list[str]) -> Any:
    """A value of the type that a field declares, from what JSON gave; what does not fit is added to the problems."""
    origin, inner = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        if not isinstance(given, dict):
            problems.append(f"{where} is {json.dumps(given)}; expected an object")
            return None
        fields = {f.name: f for f in dataclasses.fields(kind)}
        hints = get_type_hints(kind)
        for name in sorted(given.keys() - fields.keys()):
            problems.append(f"{where} has an unknown field {name!r}; known are: {', '.join(fields)}")
        missing = [
            name
            for name, f in fields.items()
            if name not in given and f.default is f.default_factory is dataclasses.MISSING
        ]
        problems.extend(f"{where} lacks the field {name!r}" for name in missing)
        known = given.keys() & fields.keys()
        values = {name: _build(hints[name], given[name], f"{where}.{name}", problems) for name in known}
        return None if missing else kind(**values)
    if origin is tuple and isinstance(given, list):
        return tuple(_build(inner[0], item, f"{where}[{i}]", problems) for i, item in enumerate(given))
    if origin is UnionType:
        if given is None:
            return None
        options = [option for option in inner if option is not type(None)]
        return _build(_best_fit(options, given), given, where, problems)
    expected, word = _JSON_TYPES[origin or kind]
    if not isinstance(given, expected) or (isinstance(given, bool) and kind is not bool):
        problems.append(f"{where} is {json.dumps(given)}; expected {word}")
    return given


def _best_fit(options: list[Any], given: Any) -> Any:
    """Of several types the one with the most of the given fields; an object need not name its type."""
    if len(options) == 1 or not isinstance(given, dict):
        return options[0]
    for option in options:
        # A method of deduplication does name itself.
        if given.get("method") == getattr(option, "method", ()):
            return option
    return max(options, key=lambda option: len(given.keys() & {f.name for f in dataclasses.fields(option)}))


_JSON_TYPES: dict[Any, tuple[Any, str]] = {
    str: (str, "a text"),
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    tuple: (list, "a list"),
    Mapping: (dict, "an object"),
}
