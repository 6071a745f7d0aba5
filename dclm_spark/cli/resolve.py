"""What a command's options ask for: a warehouse, a recipe, settings of Spark and of storage."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dclm_spark.cli import dedup_options, failures, near_options, recipe_files
from dclm_spark.errors import InputError
from dclm_spark.lake.locations import check_catalog, schema_of
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark import interrupts
from dclm_spark.spark.s3a import is_s3

if TYPE_CHECKING:
    from dclm_spark.lake.warehouse import Warehouse


def warehouse_of(arguments: argparse.Namespace, location: str) -> "Warehouse":
    """The warehouse of a place, in the session that is asked for, which starts where there is none.

    Raises:
        WarehouseError: The place may be meant as a catalog's schema, and is none.
    """
    from dclm_spark.spark.session import get_session, is_active

    schema = schema_of(location)
    config = dict(_pairs(arguments.conf, "--conf"))
    arguments.owns_session = getattr(arguments, "owns_session", False) or not is_active()
    # What starts with the first of several warehouses must serve the others.
    places = [location, *(getattr(arguments, name, None) for name in ("warehouse", "upstream", "scratch"))]
    s3_options = storage_options_of(arguments) if any(map(is_s3, filter(None, places))) else None
    spark = get_session(master=arguments.master, remote=arguments.remote, config=config, s3_options=s3_options)
    if arguments.owns_session:
        interrupts.retake()
        failures.watch_java()
    from dclm_spark.lake.warehouse import Warehouse

    if schema is not None:
        check_catalog(spark, schema, location, ends_with_command=arguments.owns_session)
    return Warehouse(spark, location)


def upstream_of(arguments: argparse.Namespace) -> "Warehouse | None":
    """The warehouse of `--upstream`; null where none is named."""
    return warehouse_of(arguments, arguments.upstream) if arguments.upstream else None


def recipe_of(arguments: argparse.Namespace, name: str | None = None, *, finds_near: bool = False) -> Recipe:
    """The recipe that `--recipe`, or a name in its place, and the options of single fields make.

    Args:
        arguments: The options.
        name: A recipe's name or file; null takes `--recipe`.
        finds_near: A recipe that finds no near-duplicates gets the settings for it.
    """
    recipe = recipe_files.load_recipe(
        name or arguments.recipe,
        words={kind: getattr(arguments, kind) for kind in ("strict_words", "hard_words", "soft_words", "bad_words")},
        banned_domains=arguments.banned_domains,
        language_model=arguments.language_model,
        extractor=arguments.extractor,
        max_fault_share=arguments.max_fault_share,
        all_signals=arguments.all_signals,
        near=near_options.near_fields(arguments),
        finds_near=finds_near,
    )
    return replace(recipe, deduplication=dedup_options.with_options(recipe.deduplication, arguments))


def storage_options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What fsspec is given: `--storage-option`, "true" and "false" as such, and `--anonymous`."""
    options: dict[str, Any] = dict(_pairs(getattr(arguments, "storage_option", ()), "--storage-option"))
    options = {key: {"true": True, "false": False}.get(value.lower(), value) for key, value in options.items()}
    return options | ({"anon": True} if getattr(arguments, "anonymous", False) else {})


def _pairs(values: Sequence[str], option: str) -> list[tuple[str, str]]:
    wrong = [value for value in values if "=" not in value]
    if wrong:
        raise InputError([f"{option} {value!r}: expected KEY=VALUE" for value in wrong])
    return [tuple(value.split("=", 1)) for value in values]  # type: ignore[misc]
