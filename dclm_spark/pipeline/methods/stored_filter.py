"""Reads the stored filter that a later dump is added to, and checks that this run's settings fit it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pyspark.sql import functions as F

from dclm_spark.errors import WarehouseError
from dclm_spark.kernels.ngrams.bloom import Geometry
from dclm_spark.kernels.ngrams.ngrams import HASHES
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.recipe.deduplication import Bloom


class StoredFilter(NamedTuple):
    """Describes the filter that a dump is added to.

    Attributes:
        key: Partition of its rows in `filter_blocks`.
        version: Version of `filter_blocks` that holds them.
        found: Pairs of the settings that it was made for (JSON of `made_for`) and the dumps that it holds; one pair,
            unless another program has written to the table.
        n_ngrams: Number of n-grams that it holds.
        geometry: Its number of blocks and of buckets in each.
    """

    key: Mapping[str, Any]
    version: int
    found: Sequence[tuple[str, tuple[str, ...]]]
    n_ngrams: int
    geometry: Geometry

    def problems(self, method: DedupMethod[Bloom]) -> list[str]:
        """Lists why the method's dumps cannot be added to this filter, one sentence each; empty if they can."""
        where = f"the filter of {self.key['dump']} in {method.warehouse}"
        found = []
        for made, dumps in self.found:
            needed = json.loads(made_for(method.settings, self.geometry))
            stored = json.loads(made)
            different = [name for name in needed if stored.get(name) != needed[name]]
            if different:
                had = ", ".join(f"{name} {stored.get(name)!r}" for name in different)
                needs = ", ".join(f"{name} {needed[name]!r}" for name in different)
                found.append(
                    f"{where} was written with {had}; this run needs {needs}: make the filter again with --force, or "
                    "use the version and the recipe that wrote it"
                )
            if dumps != method.earlier:
                found.append(f"{where} holds {', '.join(dumps)}; expected {', '.join(method.earlier)}")
        return found


def stored_filter(method: DedupMethod[Bloom]) -> StoredFilter | None:
    """Reads the description of the filter that the method's dumps are added to.

    Null if there are no earlier dumps, or if these have no n-grams.

    Raises:
        WarehouseError: The dumps cannot be added to the filter.
    """
    if not method.earlier:
        return None
    key: dict[str, Any] = {"dump": method.earlier[-1], "step": method.number}
    version = method.version("filter_blocks")
    blocks = method.warehouse.read("filter_blocks", version=version, **key)
    rows = blocks.groupBy("made_for", "dumps").agg(F.sum("n_ngrams").alias("n_ngrams")).collect()
    if not rows:
        return None
    stored = StoredFilter(
        key=key,
        version=version,
        found=[(row["made_for"], tuple(row["dumps"])) for row in rows],
        n_ngrams=sum(row["n_ngrams"] for row in rows),
        geometry=Geometry(*json.loads(rows[0]["made_for"])["geometry"]),
    )
    if problems := stored.problems(method):
        raise WarehouseError(problems)
    return stored


def made_for(bloom: Bloom, geometry: Geometry) -> str:
    """Returns, as JSON, the settings that must be the same for every dump that is added to a filter."""
    names = ("min_ngram", "max_ngram", "seed", "word_breaker", "filter", "scope")
    settings: dict[str, Any] = {name: getattr(bloom, name) for name in names}
    settings |= {"hashes": HASHES, "unit": "document" if bloom.mode == "document" else "paragraph"}
    return json.dumps(settings | {"geometry": list(geometry)}, sort_keys=True)
