"""Makes from a command's options a warehouse, a recipe, and settings of Spark and storage."""

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
    """Opens the warehouse at a location, in the requested Spark session, which is started if there is none.

    Raises:
        WarehouseError: The location may mean a schema of a catalog, but is not a valid one.
    """
    from dclm_spark.spark.session import get_session, is_active

    schema = schema_of(location)
    config = dict(_pairs(arguments.conf, "--conf"))
    arguments.owns_session = getattr(arguments, "owns_session", False) or not is_active()
    # The session is started for the first warehouse, and must fit the others too.
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
    """Opens the warehouse of `--upstream`; null if the option is not given."""
    return warehouse_of(arguments, arguments.upstream) if arguments.upstream else None


def recipe_of(arguments: argparse.Namespace, name: str | None = None, *, finds_near: bool = False) -> Recipe:
    """Loads the recipe, with the fields that options override.

    Args:
        arguments: The parsed options.
        name: A recipe's name or file; null: that of `--recipe`.
        finds_near: Whether a recipe without settings of near-duplicates gets the default ones.
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
    """Returns the options for fsspec: those of `--storage-option`, with "true" and "false" as booleans, and
    `--anonymous`."""
    options: dict[str, Any] = dict(_pairs(getattr(arguments, "storage_option", ()), "--storage-option"))
    options = {key: {"true": True, "false": False}.get(value.lower(), value) for key, value in options.items()}
    return options | ({"anon": True} if getattr(arguments, "anonymous", False) else {})


def _pairs(values: Sequence[str], option: str) -> list[tuple[str, str]]:
    wrong = [value for value in values if "=" not in value]
    if wrong:
        raise InputError([f"{option} {value!r}: expected KEY=VALUE" for value in wrong])
    return [tuple(value.split("=", 1)) for value in values]  # type: ignore[misc]
