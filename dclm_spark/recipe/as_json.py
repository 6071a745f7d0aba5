"""Converts recipes to JSON and back: the form in which they are recorded, compared, and written by users."""

import dataclasses
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from dclm_spark.errors import RecipeError, abbreviated
from dclm_spark.recipe.recipe import Recipe


def canonical_json(value: Any, *, is_whole: bool = False) -> str:
    """Returns a recipe, or one of its parts, as JSON with sorted keys: equal texts mean equal choices.

    A field whose metadata says in which version it was `added` is omitted while it has its default value. So a recipe
    written before that version keeps its hash.

    Args:
        value: A recipe, or any value of one.
        is_whole: Whether to include every field, for people who read the JSON.
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
        # 50 and 50.0 are the same bound.
        return int(item) if isinstance(item, float) and item.is_integer() else item

    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False)


def differences(first: Recipe, second: Recipe) -> list[tuple[str, Any, Any]]:
    """Lists the differences of two recipes: the field, its value in the first and in the second, null where missing.

    Bounds are matched by their signal and language, so that an added bound is one difference. Another order of the
    bounds is a separate difference.

    >>> from dclm_spark.recipe.bounds import Bound
    >>> from dclm_spark.recipe.builtin import DCLM_BASELINE
    >>> longer = dataclasses.replace(DCLM_BASELINE, bounds=(Bound("quality.n_words", at_least=80),))
    >>> [found for found in differences(DCLM_BASELINE, longer) if "n_words." in found[0]]
    [('bounds.quality.n_words.at_least', 50, 80), ('bounds.quality.n_words.at_most', 100000, None)]
    """
    wholes = (json.loads(canonical_json(recipe, is_whole=True)) for recipe in (first, second))
    left, right = (dict(_leaves(whole)) for whole in wholes)
    return [
        (name, left.get(name), right.get(name))
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the path and the value of each plain value in a recipe's JSON."""
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
    """Returns the first 32 hex digits of the SHA-256 of the canonical JSON of a recipe or a part of one."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:32]


def from_json(text: str) -> Recipe:
    """Builds a recipe from JSON text; fields that are missing have their default values.

    Raises:
        RecipeError: The text is not a JSON object, names a field twice, names an unknown field, or gives a field a
            value of the wrong type.
    """
    try:
        loaded = json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        raise RecipeError(["the recipe is no recipe: its JSON is nested too deeply"]) from None
    except json.JSONDecodeError as error:
        raise RecipeError([f"the recipe is no JSON: {error}"]) from None
    except ValueError as error:
        said = str(error) if isinstance(error, _Twice) else "it has a number of thousands of digits"
        raise RecipeError([f"the recipe is no JSON that a recipe can be read from: {said}"]) from None
    problems: list[str] = []
    recipe = _build(Recipe, loaded, "recipe", problems)
    if problems:
        raise RecipeError(problems)
    return recipe


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if repeated := [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]:
        raise _Twice(f"an object names {abbreviated(repeated[0])} twice")
    return dict(pairs)


class _Twice(ValueError):
    """Raised for a JSON object that has a field twice, so that the value is ambiguous."""


def value_problems(value: Any, where: str = "recipe") -> list[str]:
    """Lists values that no recipe may hold, one sentence each: numbers beyond 64 bits or not finite, lone surrogates.

    Args:
        value: A recipe, or any value of one.
        where: Path of the value, for the sentences.
    """
    if dataclasses.is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return [problem for name, item in value.items() for problem in value_problems(item, f"{where}.{name}")]
    if isinstance(value, Mapping):
        named = [(item, f"{where}[{abbreviated(key)}]") for key, item in value.items()]
        return [problem for pair in [*((key, where) for key in value), *named] for problem in value_problems(*pair)]
    if isinstance(value, list | tuple):
        return [problem for i, item in enumerate(value) for problem in value_problems(item, f"{where}[{i}]")]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return [f"{where} is a number of {value.bit_length():,} bits; expected one of at most 63"]
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{where} is {value}; expected a finite number"]
    if isinstance(value, str) and _SURROGATE.search(value):
        return [f"{where} is {ascii(value[:60])}, with half a character (a lone surrogate); expected whole ones"]
    return []


_SURROGATE = re.compile("[\ud800-\udfff]")


def _build(kind: Any, given: Any, where: str, problems: list[str]) -> Any:
    """Converts a JSON value to the type that a field declares; adds a sentence to `problems` for what does not fit."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(given, dict):
            problems.append(f"{where} is {_in_json(given)}; expected an object")
            return None
        fields = {f.name: f for f in dataclasses.fields(kind)}
        hints = get_type_hints(kind)
        for name in sorted(given.keys() - fields.keys()):
            problems.append(f"{where} has an unknown field {abbreviated(name)}; known are: {', '.join(fields)}")
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
    if origin is Mapping and isinstance(given, dict):
        return {key: _build(inner[1], item, f"{where}[{abbreviated(key)}]", problems) for key, item in given.items()}
    expected, word = _JSON_TYPES[origin or kind]
    if not isinstance(given, expected) or (isinstance(given, bool) and kind not in (bool, Any)):
        problems.append(f"{where} is {_in_json(given)}; expected {word}")
    elif kind is Any and isinstance(given, list) and not all(isinstance(item, str) for item in given):
        problems.append(f"{where} is {_in_json(given)}; expected texts in a list")
    return given


def _in_json(value: Any) -> str:
    """Formats a value for an error message: as JSON if that is short, else abbreviated."""
    return abbreviated(value) if isinstance(value, dict | list | str) else json.dumps(value)[:80]


def _best_fit(options: list[Any], given: Any) -> Any:
    """Returns the type that has most of the given fields; so an object need not name its type."""
    if len(options) == 1 or not isinstance(given, dict):
        return options[0]
    for option in options:
        # A deduplication method names its type.
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
    Any: ((bool, int, float, str, list, type(None)), "a plain value or a list of texts"),
}
