"""Loads the recipe that a command line names, with the word lists, domain list and model that its options name."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dclm_spark.errors import InputError, RecipeError, abbreviated, refuse_recipe
from dclm_spark.files.domain_lists import describe_domain_list
from dclm_spark.kernels.fasttext.identify import BUNDLED_MODEL, model_fingerprint
from dclm_spark.recipe import as_json, builtin
from dclm_spark.recipe.annotation import Annotation
from dclm_spark.recipe.dclm_yaml import recipe_from_yaml
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe


def load_recipe(
    name: str,
    *,
    words: Mapping[str, str | None] | None = None,
    banned_domains: str | None = None,
    language_model: str | None = None,
    extractor: str | None = None,
    max_fault_share: float | None = None,
    all_signals: bool = False,
    near: Mapping[str, Any] | None = None,
    finds_near: bool = False,
) -> Recipe:
    """Loads a recipe, and replaces the fields that are given.

    Args:
        name: One of `builtin.RECIPES`, a JSON file, or one of DCLM's YAML configurations (`.yaml`, `.yml`).
        words: Field of `Annotation` -> path of a text file, one word a line.
        banned_domains: Path or URL of a list of domains.
        language_model: Path or URL of a fastText model.
        extractor: `resiliparse` or `trafilatura`, with the options that built-in recipes have for it.
        max_fault_share: Largest share of faults, [0, 1].
        all_signals: Whether to measure every signal group; if false, the recipe decides.
        near: Field of `MinHash` or `NearDuplicates` -> its value; null values are ignored.
        finds_near: Whether a recipe without settings of near-duplicates gets the default ones.

    Raises:
        RecipeError: The recipe does not exist, or its file does not describe a recipe.
        InputError: A file cannot be read.
    """
    recipe = _named(name)
    refuse_recipe(as_json.value_problems(recipe))
    given: dict[str, Any] = {field: read_words(path) for field, path in (words or {}).items() if path is not None}
    if banned_domains is not None:
        given["banned_domains"] = describe_domain_list(banned_domains)
    if language_model is not None:
        given |= {"language_model": language_model, "language_model_hash": None}
    if extractor is not None:
        options = {chosen.extraction.extractor: chosen.extraction.options for chosen in builtin.RECIPES.values()}
        extraction = replace(recipe.extraction, extractor=extractor, options=options.get(extractor, {}))
        recipe = replace(recipe, extraction=extraction)
    recipe = replace(
        recipe,
        annotation=_with_model_hash(replace(recipe.annotation, **given)),
        all_signals=all_signals or recipe.all_signals,
    )
    recipe = _with_near(
        recipe, {field: value for field, value in (near or {}).items() if value is not None}, finds_near
    )
    return recipe if max_fault_share is None else replace(recipe, max_fault_share=max_fault_share)


def _with_model_hash(annotation: Annotation) -> Annotation:
    """Fills in the hash of a model that is not the bundled one, so that the recipe's record says which it was."""
    model = annotation.language_model
    if model == BUNDLED_MODEL or annotation.language_model_hash is not None:
        return annotation
    try:
        return replace(annotation, language_model_hash=model_fingerprint(model))
    except (OSError, ImportError, ValueError):
        return annotation  # the job's check reports it, with all other problems


def _with_near(recipe: Recipe, given: Mapping[str, Any], finds_near: bool) -> Recipe:
    if not given and (recipe.signatures or not finds_near):
        return recipe
    minhash, duplicates = recipe.signatures or MinHash(), recipe.duplicates or NearDuplicates()
    of_minhash = {field.name for field in fields(MinHash)} & given.keys()
    if given.get("verify") == "exact":
        minhash = replace(minhash, stores_shingles=True)
    return replace(
        recipe,
        signatures=replace(minhash, **{name: given[name] for name in of_minhash}),
        duplicates=replace(duplicates, **{name: given[name] for name in given.keys() - of_minhash}),
    )


def _named(name: str) -> Recipe:
    if name in builtin.RECIPES:
        return builtin.RECIPES[name]
    path = Path(name)
    if not _is_file(path):
        known = ", ".join(builtin.RECIPES)
        raise RecipeError(
            [f"no recipe {abbreviated(name)}: neither one of {known}, nor a file (JSON, or YAML of DCLM's)"]
        )
    if (n_bytes := path.stat().st_size) > _MAX_BYTES:
        raise RecipeError([f"the recipe {name} has {n_bytes:,} bytes; expected at most {_MAX_BYTES:,}"])
    if path.suffix not in (".yaml", ".yml"):
        return as_json.from_json(_text(name))
    return recipe_from_yaml(
        _text(name),
        name=path.stem,
        read_words=lambda listed: read_words(_beside(path, listed)),
        read_domains=lambda listed: describe_domain_list(_beside(path, listed)),
    )


_MAX_BYTES = 16 << 20


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # not a valid name of a file
        return False


def _beside(path: Path, listed: str) -> str:
    """Finds a file that a configuration names; DCLM's paths are relative to the top of its checkout."""
    folders = (Path(), *path.resolve().parents)
    return next((str(folder / listed) for folder in folders if (folder / listed).is_file()), listed)


def read_words(path: str) -> tuple[str, ...]:
    """Reads the words of a text file, one a line; ignores empty lines.

    Raises:
        InputError: The file cannot be read.
    """
    if not Path(path).is_file():
        raise InputError([f"no word list {path}; expected a text file, one word a line"])
    return tuple(line for line in _text(path).splitlines() if line)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([f"{path} cannot be read as UTF-8 text: {error}"]) from None
