"""Near-duplicates as data: how a document's MinHash signature is made, and which of those that are alike stay."""

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
MAX_PERMUTATIONS = 1 << 16


@dataclass(frozen=True)
class MinHash:
    """How a text becomes a signature and band keys: the part of a recipe that `signatures` takes.

    Args:
        shingles: Of `words`, or of `chars` (code points, white space among them) for scripts without spaces.
        shingle_size: Words or characters of a shingle. A text of fewer has no signature.
        words: `split` (between white space), `uax29` (segments that begin with a letter or digit) or `spacy_en` (those
            of spaCy's English tokenizer, which datatrove takes). Shingles of `chars` ask for none.
        normalization: Of the text before: `none`, `lower` (lower case), or `datatrove` (its `simplify_text`: lower
            case, numbers become 0, punctuation becomes a space, marks are dropped).
        n_bands: Two documents are candidates where they agree in all rows of at least one band.
        n_rows: Permutations of a band.
        permutations: `affine64` (odd multiplier, addition, modulo 2^64), or `mersenne61` (datasketch's family).
        seed: Of shingle hashes and permutations.
        stores_shingles: The hashes of a document's distinct shingles are kept too, which exact verification needs.
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
        """The length of a signature."""
        return self.n_bands * self.n_rows

    def problems(self) -> list[str]:
        """What is wrong with these values, one sentence each; empty if nothing is."""
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
    """Which documents are near-duplicates, and which of them stays: the part of a recipe that `duplicates` takes.

    Args:
        scope: Documents are compared with those of the same `dump`, of the same of `n_shards` shards, of `all` dumps
            that a run is given, or, one dump after the other, with all that came before (`incremental`). A document
            that an earlier run has kept stays, whatever comes later.
        n_shards: Of scope `shards`: a document's shard is decided by its doc_id.
        threshold: Two documents are alike from this similarity on, the Jaccard index of their shingles, [0, 1].
        verify: Whether each candidate pair is checked against the threshold: by `signature` (an estimate, standard
            error .04 at .7 with 112 permutations), by signature and near the threshold `exact`, by the stored shingles,
            or not at all (`none`: to agree in one band is enough).
        survivor: What decides which document of a cluster stays, first things first: `earliest_dump`, `latest_dump`,
            `longest_text`, `preferred_domains`, or a signal of `annotated` such as `quality.n_words` (the largest), or
            `-quality.symbols_per_word` (the smallest; a null comes last). The doc_id decides what they leave open.
        preferred_domains: Hosts, and all hosts below them, for `preferred_domains`: those named first come first.
        clusters: `components` takes alike as transitive: the survivor alone stays of all that hang together.
            `anchored` removes only what is itself alike to the survivor; of the rest of a component the next in order
            is a survivor too, and so on.
        giant_bucket: A bucket of more distinct texts is reported in `edges`, with examples.
        giant_rule: What becomes of it: `keep` (each text is compared with the bucket's first, as in any bucket), or
            `ignore` (the bucket makes no candidates).
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
        """What is wrong with these values, one sentence each; empty if nothing is."""
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
            found.append("duplicates.clusters 'anchored' is a matter of similarity; verify must not be 'none'")
        if ("preferred_domains" in self.survivor) != bool(self.preferred_domains):
            found.append("duplicates.preferred_domains and 'preferred_domains' in duplicates.survivor go together")
        if self.giant_bucket < 2:
            found.append(f"duplicates.giant_bucket is {self.giant_bucket}; expected 2 or more")
        return found
