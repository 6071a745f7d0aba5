"""Plans the size of a filter: estimates the number of n-grams from a sample, and the bytes that the filter needs."""

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from dclm_spark.errors import InputError
from dclm_spark.kernels.ngrams.bloom import HASH_BITS, Geometry, geometry_for, n_blocks_for
from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.stages.ngrams import count_sample

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE_DOCUMENTS = 4096
"""Approximate number of documents in the sample."""
N_ERRORS = 5
"""Number of standard errors that is added to the estimate: one filter in three million is then too small, and is made
again."""
EXACT_BYTES = 48
"""Largest number of bytes of memory for each n-gram of an exact filter: a hash and a number in a table that may be only
a quarter full, and the smaller table that it is copied from when it grows."""
MAX_FILTER_BYTES = 4 << 30
"""Largest size in bytes of the filter that one worker holds, of a block or of a shard."""


@dataclass(frozen=True)
class Plan:
    """Estimates the n-grams of some documents, from which the size of a filter follows.

    Args:
        n_documents: Number of documents in all shards.
        n_bytes: Number of bytes of their texts, in UTF-8.
        n_ngrams: Estimated number of their n-grams.
        standard_error: Standard error of `n_ngrams`; 0 if the n-grams of all documents were counted.
        n_shards: Number of shards that have documents; 1 if one filter holds all.
        largest_share: Share of the bytes that the largest shard has, (0, 1].
    """

    n_documents: int
    n_bytes: int
    n_ngrams: int
    standard_error: float
    n_shards: int = 1
    largest_share: float = 1.0

    def capacity(self, bloom: Bloom) -> int:
        """Returns the number of n-grams that the filter of all documents, or of the largest shard, is sized for."""
        if bloom.capacity is not None:
            return bloom.capacity
        expected = self.n_ngrams * self.largest_share
        # A shard is a part of the documents, so its n-grams vary more, in relation to their number, than those of all.
        error = self.standard_error * math.sqrt(self.largest_share)
        return max(1, math.ceil(expected + N_ERRORS * error))


def plan_ngrams(documents: "DataFrame", *, bloom: Bloom, n_documents: int) -> Plan:
    """Counts the n-grams of a sample and the bytes of all documents, and estimates the n-grams of all.

    Args:
        documents: Rows of doc_id, dump, text and shard.
        bloom: The settings.
        n_documents: Approximate number of documents; it decides which share of them is sampled.
    """
    n_shares = max(1, n_documents // SAMPLE_DOCUMENTS)
    shards = count_sample(documents, bloom=bloom, n_shares=n_shares).collect()

    def total(name: str) -> float:
        return sum(row[name] for row in shards)

    n_found, n_bytes = int(total("n_documents")), int(total("n_bytes"))
    n_sampled_bytes = total("n_sampled_bytes")
    if not n_sampled_bytes:
        return Plan(n_found, n_bytes, 0, 0.0, max(1, len(shards)))
    ratio = total("n_ngrams") / n_sampled_bytes
    # The ratio estimator (Cochran 1977, chapter 6): its error follows from the squared differences between the n-grams
    # of each sampled document and the number that the ratio predicts.
    squares = total("ngrams_by_ngrams") - 2 * ratio * total("bytes_by_ngrams") + ratio**2 * total("bytes_by_bytes")
    unseen = max(0.0, 1 - total("n_sampled") / n_found)
    error = math.sqrt(max(0.0, squares) * unseen) * n_bytes / n_sampled_bytes
    largest = max(row["n_bytes"] for row in shards) / n_bytes
    return Plan(n_found, n_bytes, round(ratio * n_bytes), error, len(shards), largest)


def geometry_of(bloom: Bloom, capacity: int, n_blocks: int | None = None) -> Geometry:
    """Returns the geometry of a filter of whole dumps. An exact filter has no buckets.

    Args:
        bloom: The settings.
        capacity: Number of n-grams that the filter is sized for.
        n_blocks: Number of blocks, a power of two; null: it follows from the capacity.
    """
    if bloom.filter == "exact":
        return Geometry(n_blocks or n_blocks_for(4 * capacity), 0)
    return geometry_for(capacity, bloom.fp_rate, n_blocks=n_blocks)


def check_plan(plan: Plan, bloom: Bloom, *, max_bytes: int = MAX_FILTER_BYTES) -> None:
    """Raises an error for settings that cannot work.

    Raises:
        InputError: The documents have more n-grams than the recipe's capacity, or the filter of a shard is larger than
            `max_bytes`.
    """
    problems = []
    expected = math.ceil(plan.n_ngrams * plan.largest_share)
    if bloom.capacity is not None and expected - N_ERRORS * plan.standard_error > bloom.capacity:
        problems.append(
            f"the filter is made for {bloom.capacity:,} n-grams, and the documents have about {expected:,}: its "
            f"false-positive rate would exceed {bloom.fp_rate}; set capacity to "
            f"{plan.capacity(replace(bloom, capacity=None)):,} or more"
        )
    if bloom.scope == "shards":
        n_bytes = worker_bytes(bloom, plan.capacity(bloom))
        if n_bytes > max_bytes:
            wanted = f"at least {math.ceil(plan.n_shards * n_bytes / max_bytes):,} shards"
            if bloom.shard_by == "dump":
                wanted = "another rule for shards"
            problems.append(
                f"a shard's filter of {plan.capacity(bloom):,} n-grams needs {n_bytes:,} bytes, and a worker may hold "
                f"{max_bytes:,}; use {wanted}, or the scope 'all', in which workers share one filter"
            )
    if problems:
        raise InputError(problems)


def worker_bytes(bloom: Bloom, capacity: int) -> int:
    """Returns the size in bytes of the filter that one worker holds: that of a shard or of a block."""
    if bloom.scope == "shards":
        return EXACT_BYTES * capacity if bloom.filter == "exact" else geometry_for(capacity, bloom.fp_rate).n_bytes
    geometry = geometry_of(bloom, capacity)
    if bloom.filter == "exact":
        return EXACT_BYTES * capacity // geometry.n_blocks
    return geometry.n_bytes // geometry.n_blocks


def shuffle_bytes(bloom: Bloom, plan: Plan) -> int:
    """Returns the approximate number of bytes that Spark shuffles: texts to shards, or n-grams to blocks."""
    if bloom.scope == "shards":
        return plan.n_bytes
    return plan.n_ngrams * (8 if bloom.filter == "exact" else HASH_BITS // 8)


def describe(plan: Plan, bloom: Bloom) -> dict[str, Any]:
    """Returns the plan as plain data, with the sizes that follow from it and the settings."""
    capacity = plan.capacity(bloom)
    entry: dict[str, Any] = asdict(plan) | {"capacity": capacity}
    entry["n_blocks"] = plan.n_shards if bloom.scope == "shards" else geometry_of(bloom, capacity).n_blocks
    entry["worker_bytes"] = worker_bytes(bloom, capacity)
    entry["shuffle_bytes"] = shuffle_bytes(bloom, plan)
    return entry | {"settings": asdict(bloom)}


def format_plan(entry: dict[str, Any]) -> str:
    """Formats the result of `describe` for a person."""
    settings = entry["settings"]
    sizes = "-".join(str(size) for size in sorted({settings["min_ngram"], settings["max_ngram"]}))
    in_shards = settings["scope"] == "shards"
    exact = settings["filter"] == "exact"
    rows = [
        ("documents", f"{entry['n_documents']:,}"),
        ("bytes of text", f"{entry['n_bytes']:,}"),
        (f"{sizes}-grams", f"{entry['n_ngrams']:,} +- {entry['standard_error']:,.0f} (standard error)"),
        ("made for", f"{entry['capacity']:,}" + (" in the largest shard" if in_shards else "")),
        ("shards" if in_shards else "blocks", f"{entry['n_blocks']:,}"),
        (
            "bytes of each",
            f"{entry['worker_bytes']:,}" + (" at most" if exact else f" at a rate of {settings['fp_rate']}"),
        ),
        ("bytes shuffled", f"about {entry['shuffle_bytes']:,}"),
    ]
    words = f"mode {settings['mode']}, scope {settings['scope']}, threshold {settings['threshold']}, "
    words += f"inserts {settings['inserts']}, filter {settings['filter']}, seed {settings['seed']}"
    return "\n".join([words, *(f"  {name:<16}{value}" for name, value in rows)])
