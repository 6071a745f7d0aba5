"""How far deduplication reaches: one policy for near-duplicates, exact keys and n-grams."""

from collections.abc import Iterable, Sequence

from dclm_spark.errors import unknown

SCOPES = ("dump", "shards", "all", "incremental")
"""What a document is compared with: those of its `dump`; of its one of N `shards`, into which those of all dumps of a
run are divided; of `all` dumps of a run; or, one dump after the other, of all that came before (`incremental`)."""

AT_ONCE = ("all", "shards")
"""The scopes that take all dumps of a run together."""

MAX_SHARDS = 1 << 20


def takes_at_once(scopes: Iterable[str]) -> bool:
    """True if one of these scopes takes all dumps of a run together."""
    return not set(AT_ONCE).isdisjoint(scopes)


def groups_of(dumps: Sequence[str], scopes: Iterable[str]) -> list[tuple[str, ...]]:
    """The dumps whose rows are made together, group after group.

    >>> groups_of(["B", "A"], ["dump", "shards"]), groups_of(["B", "A"], ["incremental"])
    ([('A', 'B')], [('B',), ('A',)])
    """
    return [tuple(sorted(dumps))] if takes_at_once(scopes) else [(dump,) for dump in dumps]


def scope_problems(where: str, scope: str, n_shards: int) -> list[str]:
    """What is wrong with a scope and its number of shards, one sentence each; empty if nothing is."""
    found = unknown(f"{where}.scope", scope, SCOPES)
    if not 1 <= n_shards <= MAX_SHARDS:
        found.append(f"{where}.n_shards is {n_shards}; expected 1 to {MAX_SHARDS:,}")
    return found
