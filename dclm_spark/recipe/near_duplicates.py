"""Defines the settings of near-duplicate removal: how signatures are made, and which documents of a cluster survive."""

from dataclasses import dataclass

from dclm_spark import schemas
from dclm_spark.errors import unknown
from dclm_spark.recipe.scopes import scope_problems

SHINGLES = ("words", "chars")
WORDS = ("split", "uax29", "spacy_en")
NORMALIZATIONS = ("none", "lower", "datatrove")
PERMUTATIONS = ("affine64", "mersenne61")
VERIFICATIONS = ("signature", "exact", "none")
CLUSTERS = ("components", "anchored")
GIANT_RULES = ("keep", "ignore")
ORDERS = ("earliest_dump", "latest_dump", "longest_text", "preferred_domains")

MAX_SHINGLE_SIZE = 64
"""Largest number of words or characters in a shingle."""
MAX_PERMUTATIONS = 1 << 16
"""Largest number of values in a signature."""


@dataclass(frozen=True)
class MinHash:
    """Says how a text becomes a MinHash signature and band keys: the part of a recipe that the stage `signatures` uses.

    Args:
        shingles: What shingles consist of: `words`, or `chars` (code points, including white space) for scripts without
            spaces.
        shingle_size: Number of words or characters in a shingle. A text with fewer has no signature.
        words: What counts as a word: `split` (separated by white space), `uax29` (segments that begin with a letter or
            digit) or `spacy_en` (tokens of spaCy's English tokenizer, which datatrove uses). Not used if shingles are
            `chars`.
        normalization: How the text is normalized first: `none`, `lower` (lower case), or `datatrove` (its
            `simplify_text`: lower case, numbers become 0, punctuation becomes a space, marks are dropped).
        n_bands: Number of bands. Two documents are a candidate pair if they agree in all rows of at least one band.
        n_rows: Number of rows (permutations) in a band.
        permutations: Family of the hash functions: `affine64` (odd multiplier, addition, modulo 2^64), or `mersenne61`
            (that of datasketch).
        seed: Seed of shingle hashes and permutations, below 2^32.
        stores_shingles: Whether the hashes of a document's distinct shingles are stored too, which exact verification
            needs.
    """

    shingles: str = "words"
    shingle_size: int = 5
    words: str = "split"
    normalization: str = "lower"
    n_bands: int = 14
    n_rows: int = 8
    permutations: str = "affine64"
    seed: int = 1
    stores_shingles: bool = False

    @property
    def n_permutations(self) -> int:
        """Number of values in a signature."""
        return self.n_bands * self.n_rows

    def problems(self) -> list[str]:
        """Lists what is wrong with these values, one sentence each; empty if nothing is."""
        found = [
            *unknown("signatures.shingles", self.shingles, SHINGLES),
            *unknown("signatures.words", self.words, WORDS),
            *unknown("signatures.normalization", self.normalization, NORMALIZATIONS),
            *unknown("signatures.permutations", self.permutations, PERMUTATIONS),
        ]
        if not 1 <= self.shingle_size <= MAX_SHINGLE_SIZE:
            found.append(f"signatures.shingle_size is {self.shingle_size}; expected 1 to {MAX_SHINGLE_SIZE}")
        if self.n_bands < 1 or self.n_rows < 1 or self.n_permutations > MAX_PERMUTATIONS:
            found.append(
                f"signatures has {self.n_bands} bands of {self.n_rows} rows; expected 1 or more of each, and at most "
                f"{MAX_PERMUTATIONS:,} permutations"
            )
        if not 0 <= self.seed < 1 << 32:
            found.append(f"signatures.seed is {self.seed}; expected 0 to {(1 << 32) - 1}")
        return found


@dataclass(frozen=True)
class NearDuplicates:
    """Says which documents are near-duplicates and which survive: the part of a recipe that the stage `duplicates`
    uses.

    Args:
        scope: Which documents are compared with each other: those of the same `dump`; of the same shard (`shards`); of
            `all` dumps of a run; or each dump with itself and all dumps before it (`incremental`). A document that an
            earlier run has kept is kept, whatever later dumps hold.
        n_shards: Number of shards, for the scope `shards`. A document's doc_id decides its shard.
        threshold: Smallest similarity of two near-duplicates: the Jaccard index of their shingles, [0, 1].
        verify: How the similarity of each candidate pair is checked against the threshold. `signature`: estimated from
            the signatures (standard error .04 at .7 with 112 permutations). `exact`: estimated so, and where the
            estimate is near the threshold, computed from the stored shingles. `none`: not checked; to agree in one band
            is enough.
        survivor: Criteria for the document of a cluster that survives, the most important first: `earliest_dump`,
            `latest_dump`, `longest_text`, `preferred_domains`, or a signal of `annotated` such as `quality.n_words`
            (largest value) or `-quality.symbols_per_word` (smallest value; null comes last). The doc_id breaks ties.
        preferred_domains: Hosts for the criterion `preferred_domains`, the most preferred first. Each includes all
            hosts below it.
        clusters: How clusters are formed. `components`: a cluster is a connected component of the near-duplicate pairs,
            and one document of it survives. `anchored`: only documents that are themselves similar to the survivor are
            removed; of the remaining ones of the component the next in order survives too, and so on.
        giant_bucket: A bucket with more distinct texts than this is reported in `edges`, with examples.
        giant_rule: How such a bucket is treated: `keep` (each text is compared with the bucket's first text, as in any
            bucket), or `ignore` (the bucket makes no candidate pairs).
    """

    scope: str = "dump"
    n_shards: int = 1
    threshold: float = 0.7
    verify: str = "signature"
    survivor: tuple[str, ...] = ("earliest_dump", "longest_text")
    preferred_domains: tuple[str, ...] = ()
    clusters: str = "components"
    giant_bucket: int = 10_000
    giant_rule: str = "keep"

    def problems(self) -> list[str]:
        """Lists what is wrong with these values, one sentence each; empty if nothing is."""
        found = [
            *scope_problems("duplicates", self.scope, self.n_shards),
            *unknown("duplicates.verify", self.verify, VERIFICATIONS),
            *unknown("duplicates.clusters", self.clusters, CLUSTERS),
            *unknown("duplicates.giant_rule", self.giant_rule, GIANT_RULES),
        ]
        signals = set(schemas.signals())
        for order in self.survivor:
            if order not in ORDERS and order.removeprefix("-") not in signals:
                found.append(
                    f"duplicates.survivor names {order!r}; expected a signal, with or without a minus sign, or one of: "
                    f"{', '.join(ORDERS)}"
                )
        if not 0 <= self.threshold <= 1:
            found.append(f"duplicates.threshold is {self.threshold}; expected a similarity from 0 to 1")
        if self.clusters == "anchored" and self.verify == "none":
            found.append("duplicates.clusters 'anchored' needs similarities; verify must not be 'none'")
        if ("preferred_domains" in self.survivor) != bool(self.preferred_domains):
            found.append(
                "duplicates.preferred_domains and 'preferred_domains' in duplicates.survivor must be given together"
            )
        if self.giant_bucket < 2:
            found.append(f"duplicates.giant_bucket is {self.giant_bucket}; expected 2 or more")
        return found
