"""Defines the options on deduplication by keys and n-grams."""

import argparse
from dataclasses import fields, replace
from typing import Any

from dclm_spark.errors import InputError
from dclm_spark.recipe.deduplication import DEFAULTS, Method, named
from dclm_spark.recipe.options import Option

_OF_ALL = ("scope", "n_shards")
"""Fields of most methods; `near_options` adds their options, since near-duplicates have them too."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds options that replace the recipe's methods or their settings."""
    group = parser.add_argument_group("deduplication (overrides the recipe)")
    group.add_argument(
        "--method",
        dest="methods",
        nargs="+",
        action="extend",
        choices=tuple(one.name for one in DEFAULTS),
        metavar="METHOD",
        help="methods in the order in which they run: "
        + ", ".join(f"{one.name} ({one.help})" for one in DEFAULTS)
        + "; --scope and --shards hold for all of them",
    )
    for option in _options():
        number = "+" if len(option.fields) > 1 else None
        group.add_argument(option.flag, help=option.help, type=option.kind, metavar=option.metavar, nargs=number)


def with_options(methods: tuple[Method, ...], arguments: argparse.Namespace) -> tuple[Method, ...]:
    """Returns the methods that the options name, or these if none is named, with the settings of the options.

    Raises:
        InputError: An option belongs to a method that is not used.
    """
    if not hasattr(arguments, "methods"):
        return methods
    if arguments.methods:
        methods = tuple(named(name, (*methods, *DEFAULTS)) for name in arguments.methods)
    for one in DEFAULTS:
        given = _given(one.options, arguments)
        if given and not any(type(other) is type(one) for other in methods):
            names = ", ".join(given)
            raise InputError([f"{names}: settings of {one.name}, which is no method here; add it with --method"])
    of_all = {name: getattr(arguments, name) for name in _OF_ALL if getattr(arguments, name) is not None}
    changes = [of_all | _given(one.options, arguments) for one in methods]
    return tuple(
        replace(one, **{f.name: changed[f.name] for f in fields(one) if f.name in changed})
        for one, changed in zip(methods, changes, strict=True)
    )


def _options() -> tuple[Option, ...]:
    """Lists the options of all methods, each once."""
    return tuple(dict.fromkeys(option for one in DEFAULTS for option in one.options))


def _given(options: tuple[Option, ...], arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields that options set, and their values."""
    found: dict[str, Any] = {}
    for option in options:
        found |= option.values(getattr(arguments, option.flag.removeprefix("--").replace("-", "_")))
    return found
