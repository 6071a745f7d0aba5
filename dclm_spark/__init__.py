"""Turns Common Crawl into training mixes for language models on Spark and Delta Lake, by the DataComp-LM recipe.

The verbs work on DataFrames and are lazy: `documents.transform(dclm.annotate, recipe=dclm.DCLM_BASELINE)`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a type checker and an editor see; `_HOMES` says the same to Python
    from dclm_spark.exports.pools import export_table
    from dclm_spark.files.inputs import list_files, open_source
    from dclm_spark.lake.warehouse import Warehouse
    from dclm_spark.recipe.annotation import Annotation, C4Lines, DomainList
    from dclm_spark.recipe.bounds import Bound, LineBound, LinePattern, LinePhrase
    from dclm_spark.recipe.builtin import DCLM_BASELINE, DCLM_BASELINE_FAITHFUL, RECIPES
    from dclm_spark.recipe.extraction import Extraction
    from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
    from dclm_spark.recipe.recipe import Recipe
    from dclm_spark.spark.session import get_session
    from dclm_spark.stages.annotated import annotate
    from dclm_spark.stages.components import connected_components
    from dclm_spark.stages.deduplicated import drop_duplicates
    from dclm_spark.stages.documents import extract_documents
    from dclm_spark.stages.duplicates import find_duplicates
    from dclm_spark.stages.edges import find_edges
    from dclm_spark.stages.filtered import filter_documents
    from dclm_spark.stages.signatures import sign_documents

__version__ = "0.2.0"

_HOMES = {
    "DCLM_BASELINE": "recipe.builtin",
    "DCLM_BASELINE_FAITHFUL": "recipe.builtin",
    "Annotation": "recipe.annotation",
    "C4Lines": "recipe.annotation",
    "Bound": "recipe.bounds",
    "DomainList": "recipe.annotation",
    "Extraction": "recipe.extraction",
    "LineBound": "recipe.bounds",
    "LinePattern": "recipe.bounds",
    "LinePhrase": "recipe.bounds",
    "MinHash": "recipe.near_duplicates",
    "NearDuplicates": "recipe.near_duplicates",
    "RECIPES": "recipe.builtin",
    "Recipe": "recipe.recipe",
    "Warehouse": "lake.warehouse",
    "annotate": "stages.annotated",
    "connected_components": "stages.components",
    "drop_duplicates": "stages.deduplicated",
    "export_table": "exports.pools",
    "extract_documents": "stages.documents",
    "filter_documents": "stages.filtered",
    "find_duplicates": "stages.duplicates",
    "find_edges": "stages.edges",
    "get_session": "spark.session",
    "list_files": "files.inputs",
    "open_source": "files.inputs",
    "sign_documents": "stages.signatures",
}

__all__ = [
    "Annotation",
    "Bound",
    "C4Lines",
    "DCLM_BASELINE",
    "DCLM_BASELINE_FAITHFUL",
    "DomainList",
    "Extraction",
    "LineBound",
    "LinePattern",
    "LinePhrase",
    "MinHash",
    "NearDuplicates",
    "RECIPES",
    "Recipe",
    "Warehouse",
    "annotate",
    "connected_components",
    "drop_duplicates",
    "export_table",
    "extract_documents",
    "filter_documents",
    "find_duplicates",
    "find_edges",
    "get_session",
    "list_files",
    "open_source",
    "sign_documents",
]


def __getattr__(name: str) -> Any:
    # A worker that runs one kernel, and a script without pyspark, import only what they use.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
