"""Defines the options on deduplication by keys and n-grams."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dclm_spark.errors import InputError
from dclm_spark.recipe.deduplication import Bloom, Exact, Method, Near

METHODS: dict[str, Callable[[], Method]] = {
    "text": lambda: Exact(by="text"),
    "url": lambda: Exact(by="url"),
    "near": Near,
    "bloom": Bloom,
}
"""Name on the command line -> the method with its default settings."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds options that replace the recipe's methods or their settings."""
    group = parser.add_argument_group("deduplication (overrides the recipe)")
    group.add_argument(
        "--method",
        dest="methods",
        nargs="+",
        action="extend",
        choices=tuple(METHODS),
        metavar="METHOD",
        help="methods in the order in which they run: text, url (exact), near (clusters of `duplicates`), bloom "
        "(n-grams); --scope and --shards hold for all of them",
    )
    group.add_argument("--shard-by", help="what decides a document's shard: doc_id, dump or warc_file")
    group.add_argument(
        "--mode", help="mode of bloom: paragraph, document or old_both (DCLM's); in shards also naive_both, both, exact"
    )
    group.add_argument("--ngram", type=int, nargs="+", metavar="N", help="tokens of an n-gram: one size, or MIN MAX")
    group.add_argument("--share", type=float, help="remove a unit if a larger share of its n-grams was seen before")
    group.add_argument("--inserts", help="insert the n-grams of all units (always), or of units that are kept (kept)")
    group.add_argument("--filter", help="bloom, or exact (no false positives)")
    group.add_argument("--fp-rate", type=float, help="false-positive rate of a full filter")
    group.add_argument("--capacity", type=int, metavar="N", help="number of n-grams that the filter is sized for")


def with_options(methods: tuple[Method, ...], arguments: argparse.Namespace) -> tuple[Method, ...]:
    """Returns the methods that the options name, or these if none is named, with the settings of the options.

    Raises:
        InputError: An option belongs to a method that is not used.
    """
    if not hasattr(arguments, "methods"):
        return methods
    if arguments.methods:
        known = {name: one for one in methods for name, make in METHODS.items() if _is_same_kind(one, make())}
        methods = tuple(known.get(name) or METHODS[name]() for name in arguments.methods)
    sizes = arguments.ngram or ()
    if len(sizes) > 2:
        raise InputError([f"--ngram takes one size, or the least and the largest; found {len(sizes)}"])
    of_bloom = {
        "mode": arguments.mode,
        "min_ngram": sizes[0] if sizes else None,
        "max_ngram": sizes[-1] if sizes else None,
        "threshold": arguments.share,
        "inserts": arguments.inserts,
        "filter": arguments.filter,
        "fp_rate": arguments.fp_rate,
        "capacity": arguments.capacity,
        "shard_by": arguments.shard_by,
    }
    of_all = {"scope": arguments.scope, "n_shards": arguments.n_shards}
    if any(value is not None for value in of_bloom.values()) and not any(isinstance(one, Bloom) for one in methods):
        names = ", ".join(name for name, value in of_bloom.items() if value is not None)
        raise InputError([f"{names}: settings of bloom, which is no method here; add it with --method"])
    return tuple(
        one
        if isinstance(one, Near)
        else replace(one, **_given(of_all), **(_given(of_bloom) if isinstance(one, Bloom) else {}))
        for one in methods
    )


def _is_same_kind(one: Method, other: Method) -> bool:
    return one.method == other.method and getattr(one, "by", None) == getattr(other, "by", None)


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
