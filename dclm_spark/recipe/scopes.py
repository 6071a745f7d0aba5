"""Defines the scopes of deduplication, the same for near-duplicates, exact keys and n-grams."""

from collections.abc import Iterable, Sequence

from dclm_spark.errors import unknown

SCOPES = ("dump", "shards", "all", "incremental")
"""Which documents a document is compared with: those of its `dump`; of its shard, where the documents of all dumps of a
run are divided into N `shards`; of `all` dumps of a run; or of its dump and all dumps before it (`incremental`)."""

AT_ONCE = ("all", "shards")
"""Scopes that process all dumps of a run together."""

MAX_SHARDS = 1 << 20
"""Largest number of shards of a method."""


def takes_at_once(scopes: Iterable[str]) -> bool:
    """Returns whether one of these scopes processes all dumps of a run together."""
    return not set(AT_ONCE).isdisjoint(scopes)


def groups_of(dumps: Sequence[str], scopes: Iterable[str]) -> list[tuple[str, ...]]:
    """Divides dumps into the groups whose rows are made together, in the order in which they are made.

    >>> groups_of(["B", "A"], ["dump", "shards"]), groups_of(["B", "A"], ["incremental"])
    ([('A', 'B')], [('B',), ('A',)])
    """
    return [tuple(sorted(dumps))] if takes_at_once(scopes) else [(dump,) for dump in dumps]


def scope_problems(where: str, scope: str, n_shards: int) -> list[str]:
    """Lists what is wrong with a scope and its number of shards, one sentence each; empty if nothing is."""
    found = unknown(f"{where}.scope", scope, SCOPES)
    if not 1 <= n_shards <= MAX_SHARDS:
        found.append(f"{where}.n_shards is {n_shards}; expected 1 to {MAX_SHARDS:,}")
    return found
