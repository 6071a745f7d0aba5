"""The options that speak of deduplication by keys and n-grams."""

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
"""Name on the command line -> the method with its defaults."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what takes the place of the recipe's own methods and of their settings."""
    group = parser.add_argument_group("deduplication (in place of the recipe's own)")
    group.add_argument(
        "--method",
        dest="methods",
        nargs="+",
        action="extend",
        choices=tuple(METHODS),
        metavar="METHOD",
        help="methods in their order: text, url (exact), near (the clusters of duplicates), bloom (n-grams); --scope "
        "and --shards hold for all of them",
    )
    group.add_argument("--shard-by", help="doc_id, dump or warc_file")
    group.add_argument(
        "--mode", help="of bloom: paragraph, document or old_both (DCLM's); in shards naive_both, both, exact too"
    )
    group.add_argument("--ngram", type=int, nargs="+", metavar="N", help="tokens of an n-gram: one size, or MIN MAX")
    group.add_argument("--share", type=float, help="more n-grams than this share seen before: the unit goes")
    group.add_argument("--inserts", help="n-grams that later ones are compared with: of all units (always), or of kept")
    group.add_argument("--filter", help="bloom, or exact (no false positives)")
    group.add_argument("--fp-rate", type=float, help="of false positives, of a full filter")
    group.add_argument("--capacity", type=int, metavar="N", help="n-grams that the filter is made for")


def with_options(methods: tuple[Method, ...], arguments: argparse.Namespace) -> tuple[Method, ...]:
    """The methods that the options name, else these, with the settings that the options name.

    Raises:
        InputError: A setting is of no method that there is.
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
