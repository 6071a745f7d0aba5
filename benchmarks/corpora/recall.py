"""Which pairs of near-duplicates are found, by brute force: python -m benchmarks.corpora.recall DOCS.parquet...

Two tables by the exact Jaccard index of a pair's word 5-grams: one of pairs made to have it, one of all pairs of some
thousand documents, of which identical texts are taken once. For each tenth: how many pairs there are; the share of
them that share a band, what the theory says of it, 1 - (1 - s^rows)^bands, and how many standard errors lie between
the two (all pairs are not independent: there the number is only a hint); the share that is verified too, and the
share that ends in one cluster. `--clusters JSON` adds a column for clusters that another made of the documents,
{id: cluster}. `benchmarks.corpora.near_pages` makes DOCS.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.corpora.jaccard import all_pairs, known_pairs
from dclm_spark.kernels.bytes.binary import fixed_width
from dclm_spark.kernels.near.firsts import Firsts
from dclm_spark.kernels.near.minhash import sign
from dclm_spark.kernels.near.similarity import estimate
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates

N_BINS = 10
N_KNOWN = 20_000
N_PAGES = 2_000
FAR = 0.5  # a pair below it in one cluster is a blunder

ClustersOf = Callable[[pa.Table], Mapping[str, object]]
"""Documents (`doc_id`, `dump`, `text`) -> the cluster of each that is not alone in one, by its doc_id."""


# -- what is decided --------------------------------------------------------------------------------------------------


class Signed:
    """Documents by what `sign` says of them; a pair of them is given as two arrays of their positions."""

    def __init__(self, text: pa.Array, minhash: MinHash):
        self.minhash = minhash
        signed = sign(text, minhash)
        self.is_signed = pc.is_valid(signed["keys"]).to_numpy(zero_copy_only=False)
        self.signature = signed["signature"]
        keys = b"".join(key if key is not None else bytes(8 * minhash.n_bands) for key in signed["keys"].to_pylist())
        self.keys = np.frombuffer(keys, "<u8").reshape(len(text), minhash.n_bands)

    def are_candidates(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Whether they share a band."""
        shares = np.zeros(len(left), bool)
        for band in self.keys.T:
            shares |= band[left] == band[right]
        return shares & self.is_signed[left] & self.is_signed[right]

    def estimates(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The similarity that their signatures show."""
        return np.asarray(estimate(self.signature.take(pa.array(left)), self.signature.take(pa.array(right))))

    def stars(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that a bucket gives: each document with the bucket's first."""
        edges = []
        (position,) = np.nonzero(self.is_signed)
        for band in self.keys[position].T:
            _, first, bucket = np.unique(band, return_index=True, return_inverse=True)
            edges.append(np.stack([position[first[bucket]], position]))
        left, right = np.unique(np.concatenate(edges, axis=1), axis=1)
        return left[left != right], right[left != right]

    def alike(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that meet in buckets and are alike: members and firsts, and members and delegates."""
        firsts, members = self.stars()
        own = np.unique(firsts)
        firsts, members = np.concatenate([own, firsts]), np.concatenate([own, members])
        in_order = np.lexsort((members, firsts))  # a bucket's first comes first of all
        firsts, members = firsts[in_order], members[in_order]
        signatures = fixed_width(self.signature.take(pa.array(members)), "<u2", self.minhash.n_permutations)
        at_hand = Firsts(self.minhash.n_bands, self.minhash.n_rows, threshold=threshold)
        similarity, met = at_hand.meet(members, firsts, np.ones(len(members), bool), signatures)
        is_alike = (similarity >= threshold) & (members != firsts)
        left = np.concatenate([firsts[is_alike], met.others])
        return left, np.concatenate([members[is_alike], members[met.rows]])

    def clusters(self, threshold: float | None) -> np.ndarray:
        """The cluster of each document: what is found alike in buckets; all edges of stars without a threshold."""
        left, right = self.stars() if threshold is None else self.alike(threshold)
        n = len(self.keys)
        return connected_components(coo_array((np.ones(len(left)), (left, right)), shape=(n, n)), directed=False)[1]


def labels(documents: pa.Table, clusters: Mapping[str, object]) -> np.ndarray:
    """The cluster of each document as a number; one that is in none has a number of its own."""
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(clusters.get(doc_id, ("alone", doc_id)), len(numbers))
            for doc_id in documents["doc_id"].to_pylist()
        ]
    )


# -- what is counted --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Pairs of documents with their exact Jaccard index."""

    documents: pa.Table
    left: np.ndarray
    right: np.ndarray
    jaccard: np.ndarray


def made_pairs(n_pairs: int) -> Pairs:
    """Of known index."""
    *texts, jaccard = zip(*known_pairs(n_pairs), strict=True)
    ids = [f"{pair}{side}" for side in "ab" for pair in range(n_pairs)]
    documents = pa.table({"doc_id": ids, "dump": ["known"] * len(ids), "text": [*texts[0], *texts[1]]})
    return Pairs(documents, np.arange(n_pairs), np.arange(n_pairs) + n_pairs, np.array(jaccard))


def all_pairs_of(path: Path, n_pages: int) -> Pairs:
    """All pairs of those documents whose names, the last part of the URL, have the lowest hashes, so that a page comes
    together with its other versions."""
    table = pq.read_table(path, columns=["doc_id", "dump", "url", "text"]).to_pylist()
    by_text = {" ".join(page["text"].lower().split()): page for page in table}
    chosen = sorted(by_text.values(), key=lambda page: (_hash(page["url"].rpartition("/")[2]), page["doc_id"]))[
        :n_pages
    ]
    jaccard = all_pairs([page["text"] for page in chosen])
    left, right = np.triu_indices(len(chosen), 1)
    is_some = ~np.isnan(jaccard[left, right])
    left, right = left[is_some], right[is_some]
    return Pairs(pa.Table.from_pylist(chosen), left, right, jaccard[left, right])


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())


def decide(pairs: Pairs, minhash: MinHash, threshold: float) -> dict[str, np.ndarray]:
    """Decisions on each pair, by name: the columns of a table."""
    signed = Signed(pairs.documents["text"].combine_chunks(), minhash)
    left, right = pairs.left, pairs.right
    candidate = signed.are_candidates(left, right)
    alike = candidate.copy()
    alike[candidate] = signed.estimates(left[candidate], right[candidate]) >= threshold
    joined, together = (signed.clusters(limit) for limit in (None, threshold))
    return {
        "share a band": candidate,
        "joined by stars": joined[left] == joined[right],
        "alike": alike,
        "in one cluster": together[left] == together[right],
    }


def s_curve(jaccard: np.ndarray, minhash: MinHash) -> np.ndarray:
    """The chance to share a band."""
    return 1 - (1 - jaccard**minhash.n_rows) ** minhash.n_bands


def table(jaccard: np.ndarray, decisions: Mapping[str, np.ndarray], minhash: MinHash) -> list[str]:
    """Lines of Markdown, one for each tenth that has pairs."""
    first, *others = decisions
    head = ["Jaccard", "pairs", first, "theory", "standard errors", *others]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    bin_of = np.minimum((jaccard * N_BINS).astype(int), N_BINS - 1)
    for number in np.unique(bin_of):
        in_bin = bin_of == number
        n, chance = in_bin.sum(), s_curve(jaccard[in_bin], minhash)
        error = (decisions[first][in_bin].sum() - chance.sum()) / max(np.sqrt((chance * (1 - chance)).sum()), 1e-12)
        name = f"{number / N_BINS:.1f} - {(number + 1) / N_BINS:.1f}"
        shares = [f"{decisions[column][in_bin].mean():.4f}" for column in (first, *others)]
        lines.append(
            f"| {' | '.join([name, f'{n:,}', shares[0], f'{chance.mean():.4f}', f'{error:+.1f}', *shares[1:]])} |"
        )
    return lines


def precision(jaccard: np.ndarray, decision: np.ndarray, threshold: float) -> str:
    """Of the pairs that are accepted, how many deserve it; and of those that deserve it, how many are accepted."""
    accepted, deserving = jaccard[decision], jaccard >= threshold
    right = (accepted >= threshold).sum() / max(len(accepted), 1)
    return (
        f"{len(accepted):,} pairs, {right:.4f} of them at {threshold} or above, {(accepted < FAR).sum():,} below {FAR};"
        f" recall {decision[deserving].mean():.4f} of {deserving.sum():,}"
    )


def report(
    title: str, pairs: Pairs, *, minhash: MinHash, threshold: float, others: Mapping[str, ClustersOf]
) -> dict[str, np.ndarray]:
    """Prints what is decided on the pairs, by us in this process and by others, and returns it."""
    decisions = decide(pairs, minhash, threshold)
    for name, clusters_of in others.items():
        label = labels(pairs.documents, clusters_of(pairs.documents))
        decisions[name] = label[pairs.left] == label[pairs.right]
    print(f"\n{title}: {pairs.documents.num_rows:,} documents, {len(pairs.jaccard):,} pairs\n")
    print(*table(pairs.jaccard, decisions, minhash), "", sep="\n")
    for name, decision in decisions.items():
        print(f"- {name}: {precision(pairs.jaccard, decision, threshold)}")
    n_apart = (decisions["alike"] & ~decisions["in one cluster"]).sum()
    print(f"- {n_apart:,} pairs are alike and in different clusters: they have not met")
    return decisions


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora.recall", description=__doc__.partition("\n")[0])
    parser.add_argument("docs", type=Path, nargs="+", help="Parquet with doc_id, dump, url and text")
    parser.add_argument(
        "--clusters", type=Path, action="append", default=[], metavar="JSON", help="of the same documents"
    )
    parser.add_argument("--n-pages", type=int, default=N_PAGES, help="%(default)s")
    parser.add_argument("--n-known", type=int, default=N_KNOWN, help="%(default)s")
    parser.add_argument("--threshold", type=float, default=NearDuplicates().threshold, help="%(default)s")
    arguments = parser.parse_args()
    settings = {"minhash": MinHash(), "threshold": arguments.threshold}
    report("Pairs of known similarity", made_pairs(arguments.n_known), others={}, **settings)
    theirs = {path.parent.name or path.name: json.loads(path.read_text()) for path in arguments.clusters}
    for path in arguments.docs:
        pairs = all_pairs_of(path, arguments.n_pages)
        ids = set(pairs.documents["doc_id"].to_pylist())
        others = {name: _same(clusters) for name, clusters in theirs.items() if not ids.isdisjoint(clusters)}
        report(f"All pairs of {path.stem}", pairs, others=others, **settings)


def _same(clusters: Mapping[str, object]) -> ClustersOf:
    return lambda _: clusters


if __name__ == "__main__":
    main()
