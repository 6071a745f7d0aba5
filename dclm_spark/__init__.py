"""Common Crawl -> training mixes for language models, on Apache Spark and Delta Lake, by the DataComp-LM recipe.

The verbs work on DataFrames and are lazy: `documents.transform(dclm.annotate, recipe=dclm.DCLM_BASELINE)`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "DCLM_BASELINE": "recipe.builtin",
    "DCLM_BASELINE_FAITHFUL": "recipe.builtin",
    "Annotation": "recipe.recipe",
    "C4Lines": "recipe.recipe",
    "Bound": "recipe.bounds",
    "DomainList": "recipe.recipe",
    "Extraction": "recipe.recipe",
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

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    # A worker that runs one kernel, and a script that has no pyspark, import what they use and nothing else.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
