"""Common Crawl -> training mixes for language models, on Apache Spark and Delta Lake, by the DataComp-LM recipe.

The verbs work on DataFrames and are lazy: `documents.transform(dclm.annotate, recipe=dclm.DCLM_BASELINE)`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "DCLM_BASELINE": "recipes",
    "DCLM_BASELINE_FAITHFUL": "recipes",
    "Annotation": "recipe",
    "C4Lines": "recipe",
    "Bound": "rules",
    "DomainList": "recipe",
    "Extraction": "recipe",
    "LineBound": "rules",
    "LinePattern": "rules",
    "LinePhrase": "rules",
    "MinHash": "near_duplicates",
    "NearDuplicates": "near_duplicates",
    "RECIPES": "recipes",
    "Recipe": "recipe",
    "Warehouse": "tables",
    "annotate": "stages.annotated",
    "connected_components": "components",
    "drop_duplicates": "stages.deduplicated",
    "export_table": "export",
    "extract_documents": "stages.documents",
    "filter_documents": "stages.filtered",
    "find_duplicates": "stages.duplicates",
    "find_edges": "stages.edges",
    "get_session": "session",
    "list_files": "sources",
    "open_source": "sources",
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
