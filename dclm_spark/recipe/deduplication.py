"""Defines the settings of deduplication methods, one class for each method, and checks those of a recipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dclm_spark import schemas
from dclm_spark.errors import unknown
from dclm_spark.recipe.near_duplicates import NORMALIZATIONS, ORDERS
from dclm_spark.recipe.options import Option
from dclm_spark.recipe.scopes import AT_ONCE, scope_problems

KEYS = ("text", "url")
MODES = ("paragraph", "document", "old_both", "naive_both", "both", "exact")
SHARD_ONLY_MODES = ("naive_both", "both", "exact")
INSERTS = ("always", "kept")
FILTERS = ("bloom", "exact")
SHARD_RULES = ("doc_id", "dump", "warc_file")
WORD_BREAKERS = ("16.0", "15.1", "15.0")
BLOOM_ORDERS = ("longest_text", "preferred_domains")

MAX_NGRAM = 255
MAX_PREFERRED_DOMAINS = (1 << 12) - 1
"""Largest number of domains in `Bloom.preferred_domains`. The rank of a domain, the length of the text and the first
bits of the doc_id share 52 bits. Two equal texts of one host have the same rank and length; with this limit, the
probability that their doc_ids agree in those first bits too, so that neither comes first, is at most 1 in 65,536."""


@dataclass(frozen=True)
class Exact:
    """Keeps one of all documents with the same text or the same URL.

    Args:
        method: Name of this method in a recipe.
        by: What is compared: `text` (128-bit hash of the normalized text), or `url` (its canonical form, see
            `kernels.ngrams.exact_keys`).
        normalization: How the text is normalized first: `none`, `lower` or `datatrove`, see `MinHash`.
        scope: Which documents are compared with each other: those of the same `dump`; of the same shard (`shards`); of
            `all` dumps of a run; or each dump with itself and the documents kept of all dumps before it
            (`incremental`).
        n_shards: Number of shards, for the scope `shards`. A document's doc_id decides its shard.
        survivor: Criteria for the document that is kept, the most important first, see `NearDuplicates`.
        preferred_domains: Hosts for the criterion `preferred_domains`, the most preferred first. Each includes all
            hosts below it.
    """

    method: str = "exact"
    by: str = "text"
    normalization: str = "none"
    scope: str = "dump"
    n_shards: int = 1
    survivor: tuple[str, ...] = ("earliest_dump",)
    preferred_domains: tuple[str, ...] = ()

    help: ClassVar[str] = "equal keys"
    options: ClassVar[tuple[Option, ...]] = ()

    @property
    def name(self) -> str:
        """Name of the method on the command line."""
        return self.by

    def problems(self, where: str = "exact") -> list[str]:
        """Lists what is wrong with these values, one sentence each; empty if nothing is."""
        signals = set(schemas.signals())
        return [
            *unknown(f"{where}.by", self.by, KEYS),
            *unknown(f"{where}.normalization", self.normalization, NORMALIZATIONS),
            *scope_problems(where, self.scope, self.n_shards),
            *_order_problems(where, self.survivor, self.preferred_domains, (*ORDERS, *signals), may_reverse=True),
        ]


@dataclass(frozen=True)
class Near:
    """Removes the documents that the clusters of `duplicates` do not keep.

    If earlier methods have removed all documents that a cluster keeps, the first of its remaining ones is kept.

    Args:
        method: Name of this method in a recipe.
    """

    method: str = "near"

    help: ClassVar[str] = "the clusters of duplicates"
    options: ClassVar[tuple[Option, ...]] = ()

    @property
    def name(self) -> str:
        """Name of the method on the command line."""
        return self.method

    def problems(self, where: str = "near") -> list[str]:
        """Returns an empty list: there are no settings that could be wrong."""
        return []


@dataclass(frozen=True)
class Bloom:
    """Removes paragraphs or documents most of whose n-grams of tokens were seen before, as BFF does for DCLM.

    A unit is a paragraph (the text between two newlines) or a document. Tokens are the segments of UAX #29 that are not
    white space; case is not changed. A unit of `max_ngram` tokens or more has all its n-grams of that size. A shorter
    one of `min_ngram` tokens or more is one n-gram. A still shorter one has no n-grams and is kept.

    Args:
        method: Name of this method in a recipe.
        mode: `paragraph` and `document` remove units of whose n-grams a larger share than `threshold` was seen.
            `old_both` does so for paragraphs, then for documents, by the n-grams of all their paragraphs together. For
            the scope `shards` only: `naive_both` and `both` reproduce mistakes of BFF (see `warnings`), `exact`
            compares whole texts.
        min_ngram: Smallest number of tokens of a unit that has an n-gram.
        max_ngram: Number of tokens in an n-gram, except in units that are shorter.
        threshold: Largest share of a unit's n-grams that were seen if the unit is kept, [0, 1].
        inserts: Which n-grams later units are compared with: those of all units (`always`), or of `kept` units, as in
            BFF.
        filter: `bloom`, in which some new n-grams count as seen, or `exact`, which has no such false positives.
        fp_rate: False-positive rate of a full Bloom filter: probability that a new n-gram counts as seen, (0, 1).
        capacity: Number of n-grams that the filter is sized for; null: estimated from a sample. A Bloom filter that
            later dumps are added to needs a number.
        scope: See `Exact`. For `shards`, one worker reads the documents of a shard in order, with a filter in its
            memory; for the other scopes, the filter is divided among workers.
        n_shards: Number of shards, for the scope `shards`.
        shard_by: What decides a document's shard: its `doc_id`, its `dump` (each dump is a shard), or its `warc_file`.
        order: Criteria for the order in which documents are compared, the most important first: `longest_text`,
            `preferred_domains`. The doc_id breaks ties. All documents of a dump come before those of the next; dumps
            are sorted by name, or, for the scope `incremental`, by the order in which they are added.
        preferred_domains: Hosts for the criterion `preferred_domains`, the most preferred first, at most 4,095. Each
            includes all hosts below it.
        word_breaker: Version of Unicode whose Word_Break property divides tokens.
        seed: Seed of the n-grams' hashes, below 2^32.
    """

    method: str = "bloom"
    mode: str = "old_both"
    min_ngram: int = 13
    max_ngram: int = 13
    threshold: float = 0.8
    inserts: str = "always"
    filter: str = "bloom"
    fp_rate: float = 0.01
    capacity: int | None = None
    scope: str = "dump"
    n_shards: int = 1
    shard_by: str = "doc_id"
    order: tuple[str, ...] = ()
    preferred_domains: tuple[str, ...] = ()
    word_breaker: str = "16.0"
    seed: int = 1

    help: ClassVar[str] = "n-grams"
    options: ClassVar[tuple[Option, ...]] = (
        Option("--shard-by", "what decides a document's shard: doc_id, dump or warc_file", ("shard_by",)),
        Option(
            "--mode",
            "mode of bloom: paragraph, document or old_both (DCLM's); in shards also naive_both, both, exact",
            ("mode",),
        ),
        Option("--ngram", "tokens of an n-gram: one size, or MIN MAX", ("min_ngram", "max_ngram"), int, "N"),
        Option("--share", "remove a unit if a larger share of its n-grams was seen before", ("threshold",), float),
        Option("--inserts", "insert the n-grams of all units (always), or of units that are kept (kept)", ("inserts",)),
        Option("--filter", "bloom, or exact (no false positives)", ("filter",)),
        Option("--fp-rate", "false-positive rate of a full filter", ("fp_rate",), float),
        Option("--capacity", "number of n-grams that the filter is sized for", ("capacity",), int, "N"),
    )

    @property
    def name(self) -> str:
        """Name of the method on the command line."""
        return self.method

    def problems(self, where: str = "bloom") -> list[str]:
        """Lists what is wrong with these values, one sentence each; empty if nothing is."""
        found = [
            *unknown(f"{where}.mode", self.mode, MODES),
            *unknown(f"{where}.inserts", self.inserts, INSERTS),
            *unknown(f"{where}.filter", self.filter, FILTERS),
            *unknown(f"{where}.shard_by", self.shard_by, SHARD_RULES),
            *unknown(f"{where}.word_breaker", self.word_breaker, WORD_BREAKERS),
            *scope_problems(where, self.scope, self.n_shards),
            *_order_problems(where, self.order, self.preferred_domains, BLOOM_ORDERS, may_reverse=False),
        ]
        if len(self.preferred_domains) > MAX_PREFERRED_DOMAINS:
            found.append(
                f"{where}.preferred_domains names {len(self.preferred_domains):,} domains; expected at most "
                f"{MAX_PREFERRED_DOMAINS:,}: name those above them, or leave out the last"
            )
        if not 1 <= self.min_ngram <= self.max_ngram <= MAX_NGRAM:
            found.append(
                f"{where} has n-grams of {self.min_ngram} to {self.max_ngram} tokens; expected 1 <= min_ngram <= "
                f"max_ngram <= {MAX_NGRAM}"
            )
        if not 0 <= self.threshold <= 1:
            found.append(f"{where}.threshold is {self.threshold}; expected a share from 0 to 1")
        if not 1e-9 <= self.fp_rate <= 0.5:
            found.append(f"{where}.fp_rate is {self.fp_rate}; expected a probability from 1e-9 to 0.5")
        if self.capacity is not None and self.capacity < 1:
            found.append(f"{where}.capacity is {self.capacity}; expected 1 n-gram or more, or null")
        if self.mode in SHARD_ONLY_MODES and self.scope != "shards":
            found.append(f"{where}.mode {self.mode!r} compares documents one by one: it needs the scope 'shards'")
        if self.mode in ("naive_both", "both") and self.inserts != "kept":
            found.append(
                f"{where}.mode {self.mode!r} reproduces BFF, which inserts kept units only: inserts must be 'kept'"
            )
        if self.scope == "incremental" and self.filter == "bloom" and self.capacity is None:
            found.append(
                f"{where}.capacity is null; a filter that later dumps are added to is sized for the n-grams of all: "
                "`dclm-spark dedup plan` estimates those of one dump"
            )
        if not 0 <= self.seed < 1 << 32:
            found.append(f"{where}.seed is {self.seed}; expected 0 to {(1 << 32) - 1}")
        return found


Method = Exact | Near | Bloom

DEFAULTS: tuple[Method, ...] = (Exact(by="text"), Exact(by="url"), Near(), Bloom())
"""The methods that the command line knows by name, with their default settings."""


def named(name: str, methods: Sequence[Method]) -> Method:
    """Returns the first of the methods that has this name on the command line.

    >>> named("text", (Exact(by="text", scope="all"), *DEFAULTS)).scope
    'all'
    """
    return next(one for one in methods if one.name == name)


def methods_problems(methods: tuple[Method, ...]) -> list[str]:
    """Lists what is wrong with these methods and their combination, one sentence each; empty if nothing is."""
    found = [problem for number, one in enumerate(methods) for problem in one.problems(f"deduplication[{number}]")]
    scopes = {scope_of(one) for one in methods}
    at_once = [scope for scope in AT_ONCE if scope in scopes]
    if "incremental" in scopes and at_once:
        found.append(
            "deduplication has methods of scope 'incremental', which adds each dump to those before it, and of "
            f"scope {at_once[0]!r}, which compares all dumps at once; expected only one of the two"
        )
    if sum(isinstance(one, Near) for one in methods) > 1:
        found.append("deduplication names 'near' twice; the clusters of `duplicates` can be applied once only")
    return found


def scope_of(method: Method) -> str:
    """Returns the scope of a method. That of `near` is `dump`: the clusters of `duplicates` are complete already."""
    return getattr(method, "scope", "dump")


def warnings(methods: tuple[Method, ...]) -> list[str]:
    """Describes the effect of methods that reproduce mistakes of BFF, one sentence each; empty if there are none."""
    words = {
        "naive_both": "mode naive_both inserts a document's n-grams before it compares its paragraphs: every new "
        "document loses all paragraphs that have n-grams, as in BFF",
        "both": "mode both never compares a document's second paragraph: only the first one can be removed, as in BFF",
    }
    return [words[one.mode] for one in methods if isinstance(one, Bloom) and one.mode in words]


def _order_problems(
    where: str, order: tuple[str, ...], domains: tuple[str, ...], known: tuple[str, ...], *, may_reverse: bool
) -> list[str]:
    """Lists what is wrong with an order of documents and its domains, one sentence each; empty if nothing is.

    Args:
        where: Path of the settings in the recipe, for the sentences.
        order: The criteria.
        domains: The preferred domains.
        known: The criteria that exist.
        may_reverse: Whether a minus sign before a signal reverses its order.
    """
    found = [
        f"{where} orders by {word!r}; expected some of: {', '.join(word for word in known if '.' not in word)}"
        + (", or a signal, with or without a minus sign" if may_reverse else "")
        for word in order
        if (word.removeprefix("-") if may_reverse and "." in word else word) not in known
    ]
    if ("preferred_domains" in order) != bool(domains):
        found.append(f"{where}.preferred_domains and 'preferred_domains' in its order must be given together")
    return found
