"""Defines the choices that a survey compares: deduplication methods and their scopes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dclm_spark.recipe.deduplication import SHARD_ONLY_MODES, Bloom, Exact, Method, Near
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe

SCOPES = {"none": "none", "dump": "per dump", "shards": "shards", "all": "all dumps"}
"""Scope of a choice -> its label in the picture."""
N_SHARDS = 10  # DCLM's, see `recipes`


OneMethod = TypeVar("OneMethod", bound=Method)


@dataclass(frozen=True)
class Choice:
    """Holds a choice of a method's settings: a point of a curve in the picture.

    Args:
        name: Name in reports, and of the folder.
        method: Name of the curve that it belongs to.
        scope: One of `SCOPES`: the position on the curve.
        methods: The deduplication methods, as in a recipe. If empty, clusters are applied if there are any.
        near: Scope of near-duplicate clusters; null: no clusters are made.
        n_shards: Number of shards of those clusters, for the scope `shards`.
    """

    name: str
    method: str
    scope: str
    methods: tuple[Method, ...] = ()
    near: str | None = None
    n_shards: int = 1

    def recipe(self, recipe: Recipe) -> Recipe:
        """Returns the recipe with this deduplication; other settings of near-duplicates are those of the recipe."""
        changed = replace(recipe, signatures=None, duplicates=None, deduplication=self.methods)
        if self.near is None:
            return changed
        near = replace(recipe.duplicates or NearDuplicates(), scope=self.near, n_shards=self.n_shards)
        return replace(changed, signatures=recipe.signatures or MinHash(), duplicates=near)

    def reach(self, n_documents: Sequence[int]) -> float:
        """Returns the average share of all documents that a document is compared with, given the dumps' numbers of
        documents.

        >>> [Choice("x", "text", scope).reach([10, 10]) for scope in ("none", "dump", "all")]
        [0.0, 0.5, 1.0]
        """
        if self.scope == "dump" and sum(n_documents) > 0:
            return sum(n**2 for n in n_documents) / sum(n_documents) ** 2
        if self.scope == "shards":
            return 1 / max([self.n_shards, *(getattr(method, "n_shards", 1) for method in self.methods)])
        return 0.0 if self.scope == "none" else 1.0


NONE = Choice("none", "none", "none")


def default_choices(recipe: Recipe) -> tuple[Choice, ...]:
    """Returns exact keys, near-duplicates and n-grams, each by dump and global, with the recipe's settings if it has
    any."""
    text, url = (_first_like(Exact(by=by), recipe.methods) for by in ("text", "url"))
    bloom = _first_like(Bloom(), recipe.methods)
    n_shards = bloom.n_shards if bloom.n_shards > 1 else N_SHARDS

    def ngrams(scope: str) -> Bloom:
        # The capacity is planned again, because the recipe's one is for another scope.
        of_scope = replace(bloom, scope=scope, capacity=None, n_shards=1, shard_by="doc_id")
        if scope == "shards":
            return replace(of_scope, n_shards=n_shards)
        if bloom.mode in SHARD_ONLY_MODES:
            return replace(of_scope, scope="shards", shard_by="dump" if scope == "dump" else "doc_id")
        return of_scope

    def exact(method: Exact, scope: str) -> Exact:
        return replace(method, scope=scope, n_shards=1)

    return (
        NONE,
        Choice("text-dump", "text", "dump", (exact(text, "dump"),)),
        Choice("text-all", "text", "all", (exact(text, "all"),)),
        Choice("url-all", "url", "all", (exact(url, "all"),)),
        Choice("near-dump", "near", "dump", near="dump"),
        Choice("near-shards", "near", "shards", near="shards", n_shards=n_shards),
        Choice("near-all", "near", "all", near="all"),
        Choice("bloom-dump", "bloom", "dump", (ngrams("dump"),)),
        Choice("bloom-shards", "bloom", "shards", (ngrams("shards"),)),
        Choice("bloom-all", "bloom", "all", (ngrams("all"),)),
        Choice("together-all", "together", "all", (exact(text, "all"), Near(), ngrams("all")), near="all"),
    )


def _first_like(default: OneMethod, methods: Iterable[Method]) -> OneMethod:
    """Returns the first of the methods that has the default's name, else the default itself."""
    return next((one for one in methods if isinstance(one, type(default)) and one.name == default.name), default)
