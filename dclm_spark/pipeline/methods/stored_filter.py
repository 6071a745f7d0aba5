"""The filter that a later dump is added to: what it was made for, and whether this run may ask it."""

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
    """The filter that a dump is added to.

    Attributes:
        key: The partition of its rows.
        version: Of `filter_blocks`.
        found: What it was made for, as `made_for` has it, and the dumps that it holds; one entry unless something else
            has written to it.
        n_ngrams: n-grams that it holds.
        geometry: Its blocks.
    """

    key: Mapping[str, Any]
    version: int
    found: Sequence[tuple[str, tuple[str, ...]]]
    n_ngrams: int
    geometry: Geometry

    def problems(self, method: DedupMethod[Bloom]) -> list[str]:
        """Why the method's dumps cannot be added to it, one sentence each."""
        where = f"the filter of {self.key['dump']} in {method.warehouse}"
        found = []
        for made, dumps in self.found:
            asked = json.loads(made_for(method.settings, self.geometry))
            stored = json.loads(made)
            different = [f"{name} {stored.get(name)!r}" for name in asked if stored.get(name) != asked[name]]
            if different:
                wanted = ", ".join(f"{name} {asked[name]!r}" for name in asked if stored.get(name) != asked[name])
                found.append(
                    f"{where} was written with {', '.join(different)}; this run asks with {wanted}: begin anew with "
                    "--force, or use the version and the recipe that wrote it"
                )
            if dumps != method.earlier:
                found.append(f"{where} holds {', '.join(dumps)}; expected {', '.join(method.earlier)}")
        return found


def stored_filter(method: DedupMethod[Bloom]) -> StoredFilter | None:
    """The filter that the method's dumps are added to; null if they are the first of which any n-gram is kept.

    Raises:
        WarehouseError: It cannot be added to.
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
    """What all who ask a filter must have in common, as JSON."""
    names = ("min_ngram", "max_ngram", "seed", "word_breaker", "filter", "scope")
    settings: dict[str, Any] = {name: getattr(bloom, name) for name in names}
    settings |= {"hashes": HASHES, "unit": "document" if bloom.mode == "document" else "paragraph"}
    return json.dumps(settings | {"geometry": list(geometry)}, sort_keys=True)
