"""Deduplication as data: which methods a recipe takes, in which order, and how far each of them reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dclm_spark import schemas
from dclm_spark.errors import InputError, unknown
from dclm_spark.recipe.near_duplicates import NORMALIZATIONS, ORDERS
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
"""Of `Bloom.order`. Rank, length and the beginning of the doc_id share 52 bits: two equal texts of one host, which have
the same rank and length, then have the same beginning, and do not see each other, with a chance of 1 in 65,536."""


@dataclass(frozen=True)
class Option:
    """A command-line option that sets fields of a method.

    Args:
        flag: The option, with its dashes.
        help: What it sets, for a person.
        fields: The fields that it sets. Where there are several, it takes one value for all of them, or one for each.
        kind: The type of a value.
        metavar: What the help calls a value; null is the flag in capitals.
    """

    flag: str
    help: str
    fields: tuple[str, ...]
    kind: type = str
    metavar: str | None = None

    def values(self, given: Any) -> Mapping[str, Any]:
        """The fields and their values for what the command line gives; none where it gives nothing.

        >>> sizes = Option("--ngram", "tokens", ("min_ngram", "max_ngram"), kind=int)
        >>> sizes.values([5]), sizes.values([5, 13]), sizes.values(None)
        ({'min_ngram': 5, 'max_ngram': 5}, {'min_ngram': 5, 'max_ngram': 13}, {})
        """
        if given is None:
            return {}
        if len(self.fields) == 1:
            return {self.fields[0]: given}
        if len(given) not in (1, len(self.fields)):
            expected = f"1 value, or {len(self.fields)} ({', '.join(self.fields)})"
            raise InputError([f"{self.flag} takes {expected}; found {len(given)}"])
        return dict(zip(self.fields, given if len(given) > 1 else given * len(self.fields), strict=True))


@dataclass(frozen=True)
class Exact:
    """Of documents with the same text, or the same URL, one stays.

    Args:
        method: What names this method in a recipe.
        by: `text` (128-bit hash of the normalized text), or `url` (its canonical form, see
            `kernels.ngrams.exact_keys`).
        normalization: Of the text before: `none`, `lower` or `datatrove`, as `MinHash` has them.
        scope: Documents are compared with those of the same `dump`, of the same of `n_shards` shards, of `all` dumps
            that a run is given, or, one dump after the other, with what was kept of all that came before
            (`incremental`).
        n_shards: Of scope `shards`: a document's shard is decided by its doc_id.
        survivor: What decides which document stays, as `NearDuplicates` has it.
        preferred_domains: Hosts, and all hosts below them, for `preferred_domains`.
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
        """What the command line calls it."""
        return self.by

    def problems(self, where: str = "exact") -> list[str]:
        """What is wrong with these values, one sentence each; empty if nothing is."""
        signals = set(schemas.signals())
        return [
            *unknown(f"{where}.by", self.by, KEYS),
            *unknown(f"{where}.normalization", self.normalization, NORMALIZATIONS),
            *scope_problems(where, self.scope, self.n_shards),
            *_order_problems(where, self.survivor, self.preferred_domains, (*ORDERS, *signals), may_turn=True),
        ]


@dataclass(frozen=True)
class Near:
    """The clusters of `duplicates` are honoured: of each, what it keeps stays.

    Where a method before has taken all that a cluster keeps, the first of its documents that are left stays.

    Args:
        method: What names this method in a recipe.
    """

    method: str = "near"

    help: ClassVar[str] = "the clusters of duplicates"
    options: ClassVar[tuple[Option, ...]] = ()

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.method

    def problems(self, where: str = "near") -> list[str]:
        """Nothing can be wrong with it."""
        return []


@dataclass(frozen=True)
class Bloom:
    """Paragraphs or documents go whose n-grams of tokens were nearly all seen before, as BFF has it (DCLM).

    Tokens are segments of UAX #29 that are not white space, in the letters' own case. A unit, a paragraph (between
    newlines) or a document, of `max_ngram` tokens or more has all its n-grams of that size; one of `min_ngram` or more
    is one n-gram; a shorter one has none and stays.

    Args:
        method: What names this method in a recipe.
        mode: `paragraph` and `document` take out units of which more than `threshold` was seen; `old_both` does so with
            paragraphs, then with the documents of whose n-grams, all paragraphs taken together, more was seen. BFF's
            `naive_both` and `both`, which do what nobody would want, and `exact` (whole texts) are for shards alone.
        min_ngram: See above.
        max_ngram: See above.
        threshold: A share of a unit's n-grams, [0, 1].
        inserts: n-grams of `kept` units only are what later ones are compared with, as BFF has it, or those of
            all (`always`).
        filter: `bloom`, which sometimes takes for seen what was not, or `exact`.
        fp_rate: Of a Bloom filter that holds all that it is made for: the chance that a new n-gram seems seen, (0, 1).
        capacity: n-grams that the filter is made for; null plans it from a sample. A filter that later dumps are added
            to has to be told.
        scope: As `Exact` has it. A shard's documents are read one after the other, by one filter in the worker; in all
            other scopes the filter is divided among workers.
        n_shards: Of scope `shards`.
        shard_by: What decides a document's shard: its `doc_id`, its `dump` (each is one), or its `warc_file`.
        order: Which document comes first: `longest_text`, `preferred_domains`; the doc_id decides what they leave open.
            Dumps come first of all, in the order of their names, or of a run where the scope is `incremental`.
        preferred_domains: Hosts, and all hosts below them, for `preferred_domains`; 4,095 at most.
        word_breaker: The version of Unicode whose Word_Break property divides tokens.
        seed: Of the hashes.
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
        """What the command line calls it."""
        return self.method

    def problems(self, where: str = "bloom") -> list[str]:
        """What is wrong with these values, one sentence each; empty if nothing is."""
        found = [
            *unknown(f"{where}.mode", self.mode, MODES),
            *unknown(f"{where}.inserts", self.inserts, INSERTS),
            *unknown(f"{where}.filter", self.filter, FILTERS),
            *unknown(f"{where}.shard_by", self.shard_by, SHARD_RULES),
            *unknown(f"{where}.word_breaker", self.word_breaker, WORD_BREAKERS),
            *scope_problems(where, self.scope, self.n_shards),
            *_order_problems(where, self.order, self.preferred_domains, BLOOM_ORDERS, may_turn=False),
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
            found.append(f"{where}.fp_rate is {self.fp_rate}; expected a chance from 1e-9 to 0.5")
        if self.capacity is not None and self.capacity < 1:
            found.append(f"{where}.capacity is {self.capacity}; expected 1 n-gram or more, or null")
        if self.mode in SHARD_ONLY_MODES and self.scope != "shards":
            found.append(f"{where}.mode {self.mode!r} is read document by document: it needs the scope 'shards'")
        if self.mode in ("naive_both", "both") and self.inserts != "kept":
            found.append(f"{where}.mode {self.mode!r} is BFF's own and inserts as BFF does: inserts must be 'kept'")
        if self.scope == "incremental" and self.filter == "bloom" and self.capacity is None:
            found.append(
                f"{where}.capacity is null; a filter that dumps are added to has to be made for all of them: "
                "`dclm-spark dedup plan` counts the n-grams of one"
            )
        if not 0 <= self.seed < 1 << 32:
            found.append(f"{where}.seed is {self.seed}; expected 0 to {(1 << 32) - 1}")
        return found


Method = Exact | Near | Bloom

DEFAULTS: tuple[Method, ...] = (Exact(by="text"), Exact(by="url"), Near(), Bloom())
"""Every method that the command line knows by a name, with its default settings."""


def named(name: str, methods: Sequence[Method]) -> Method:
    """The first of the methods that has a name of the command line.

    >>> named("text", (Exact(by="text", scope="all"), *DEFAULTS)).scope
    'all'
    """
    return next(one for one in methods if one.name == name)


def methods_problems(methods: tuple[Method, ...]) -> list[str]:
    """What is wrong with methods taken together, one sentence each, and with each of them."""
    found = [problem for number, one in enumerate(methods) for problem in one.problems(f"deduplication[{number}]")]
    scopes = {scope_of(one) for one in methods}
    at_once = [scope for scope in AT_ONCE if scope in scopes]
    if "incremental" in scopes and at_once:
        found.append(
            "deduplication has methods of scope 'incremental', one dump after the other, and of scope "
            f"{at_once[0]!r}, all dumps at once; expected one or the other"
        )
    if sum(isinstance(one, Near) for one in methods) > 1:
        found.append("deduplication names 'near' twice; the clusters of `duplicates` are honoured once")
    return found


def scope_of(method: Method) -> str:
    """How far a method reaches; `near` reaches as far as `duplicates` did, and asks for nothing itself."""
    return getattr(method, "scope", "dump")


def warnings(methods: tuple[Method, ...]) -> list[str]:
    """What a user has to know of methods that do what BFF does by mistake, one sentence each."""
    words = {
        "naive_both": "mode naive_both inserts a document's n-grams before it looks at its paragraphs: every document "
        "that is new loses all its paragraphs of n-grams, as in BFF",
        "both": "mode both never goes on to a document's second paragraph: of the paragraphs only the first can go, as "
        "in BFF",
    }
    return [words[one.mode] for one in methods if isinstance(one, Bloom) and one.mode in words]


def _order_problems(
    where: str, order: tuple[str, ...], domains: tuple[str, ...], known: tuple[str, ...], *, may_turn: bool
) -> list[str]:
    found = [
        f"{where} orders by {word!r}; expected some of: {', '.join(word for word in known if '.' not in word)}"
        + (", or a signal, with or without a minus sign" if may_turn else "")
        for word in order
        if (word.removeprefix("-") if may_turn and "." in word else word) not in known
    ]
    if ("preferred_domains" in order) != bool(domains):
        found.append(f"{where}.preferred_domains and 'preferred_domains' in its order go together")
    return found
