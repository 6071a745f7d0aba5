"""Defines `Recipe`: every choice that changes a row of the output, as frozen data.

A recipe is what `dclm-spark --recipe` names, what `runs` records as JSON and what `dataclasses.replace` varies. Each
stage uses one part of it. If a part changes, its stage and all later stages are run again; earlier stages are not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dclm_spark import schemas
from dclm_spark.errors import abbreviated, refuse_recipe
from dclm_spark.recipe.bounds import Bound, LineRule
from dclm_spark.recipe.deduplication import WORD_BREAKERS, Method, Near, methods_problems
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates

MIB = 1 << 20
"""Bytes in a mebibyte."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
FETCH_YEARS = (1990, 2027)
"""Years from the web's first to the year after this version's release. They are constants, not read from a clock, so
that the same input always gives the same rows."""


@dataclass(frozen=True)
class Extraction:
    """Says how an archive record becomes a document: the part of a recipe that the stage `documents` uses.

    Args:
        extractor: `resiliparse` or `trafilatura`.
        options: The extractor's keyword arguments.
        charset: `detect` (from HTTP header, meta tag and content; bytes that cannot be decoded become U+FFFD; XHTML
            sent as XML is parsed as XML), or `utf-8` (strict, as DCLM's script decodes: a page in another charset is
            quarantined).
        content_types: Media types of pages to extract; records of other types are skipped and counted. Empty means
            every type.
        http_statuses: HTTP statuses of pages to extract; records with another are skipped and counted. Empty means
            every status.
        max_page_bytes: Largest page that is read; larger pages are quarantined. This limits a worker's memory.
        digests: What to do with a record whose bytes do not match its WARC-Block-Digest or WARC-Payload-Digest: `count`
            counts it and uses it as it is, `quarantine` sends it to quarantine, `ignore` checks no digests.
        max_page_seconds: CPU seconds that the extractor may use for one page; a page that needs more is
            quarantined. Most need milliseconds. Only for a page that needs about this long can the outcome differ
            between machines.
        max_memory_bytes: Memory that the extractor may use for one page; a page that needs more is quarantined.
        max_text_bytes: Longest extracted text, in bytes of UTF-8; a page with a longer one is quarantined. Nested
            lists can give a text that is larger than the page.
        fetch_years: First and last year (UTC) in which a page may have been fetched. A date in any other year, or one
            that cannot be parsed, becomes null and is counted.
    """

    extractor: str = "resiliparse"
    options: Mapping[str, Any] = field(default_factory=lambda: {"main_content": True})
    charset: str = "detect"
    content_types: tuple[str, ...] = ("text/html", "application/xhtml+xml")
    http_statuses: tuple[int, ...] = (200,)
    max_page_bytes: int = 8 * MIB
    digests: str = field(default="count", metadata={"added": "0.2.0"})
    max_page_seconds: float = field(default=10.0, metadata={"added": "0.2.0"})
    max_memory_bytes: int = field(default=1024 * MIB, metadata={"added": "0.2.0"})
    max_text_bytes: int = field(default=8 * MIB, metadata={"added": "0.2.0"})
    fetch_years: tuple[int, ...] = field(default=FETCH_YEARS, metadata={"added": "0.2.0"})


@dataclass(frozen=True)
class DomainList:
    """Refers to a list of domains that is too long to be part of a recipe: its path and the hash of its content.

    Args:
        path: Local path, or any URL that fsspec opens. The path may change: two lists are equal if their content is.
        sha256: SHA-256 of the uncompressed text, 64 hex digits. A file with another hash is refused.
        n_domains: Number of lines that are neither blank nor comments. It is there for people who read the recipe.
    """

    path: str
    sha256: str
    n_domains: int


@dataclass(frozen=True)
class C4Lines:
    """Configures C4's rules for lines (Raffel et al. 2020, section 2.2), as datatrove's `C4QualityFilter` has them.

    Args:
        cleans_text: Whether lines that break a rule are removed from the text; if false, they are only counted.
        max_word_chars: Longest word, in characters, of a line that is kept; null allows words of any length.
        removes_citations: Whether `[1]`, `[edit]` and `[citation needed]` are removed from lines.
        needs_end_mark: Whether a line is removed that ends in `...`, or that does not end in one of `.?!"'` (with the
            reading `fixed`, also of `”’`).
        min_words: Smallest number of words, separated by white space, of a line that is kept.
        code_phrases: Phrases, in any case, that remove a line. They are searched before curly brackets are.
        policy_phrases: Phrases, in any case, that remove a line. They are searched after curly brackets are.
    """

    cleans_text: bool = False
    max_word_chars: int | None = 1000
    removes_citations: bool = True
    needs_end_mark: bool = True
    min_words: int = 3
    code_phrases: tuple[str, ...] = ("javascript",)
    policy_phrases: tuple[str, ...] = (
        "terms of use",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
    )


@dataclass(frozen=True)
class Annotation:
    """Says how a document is corrected and measured: the part of a recipe that the stage `annotated` uses.

    Args:
        url_removal: What happens to URLs in the text: `none` keeps them, `fixed` removes them, `faithful` removes them
            only from texts that begin with the letters of a top-level domain, as DCLM's `url_removal_modifier` does by
            mistake.
        max_newlines: Longer runs of newlines are shortened to this number; null keeps them.
        language_model: `lid.176.ftz` (bundled), or the path or URL of any fastText language model.
        language_model_hash: 128-bit xxh3 hash of the model's bytes, 32 hex digits; a file with another hash is refused.
            Null: any file, whose hash is computed when runs are compared. Commands fill it in.
        languages: Labels of the languages to keep, as the language model names them.
        newline: Text that replaces each newline before the language is identified (DCLM: empty, which joins two words).
        stop_words: Words that `quality.n_stop_words` and `gopher.n_stop_words` count.
        stop_words_of: Language label -> the words counted instead of `stop_words` in pages of that language.
        banned_domains: The list for `urls.n_banned_domains`. Null: the signal is not measured.
        excluded_domains: Domains for `urls.n_excluded_domains`: a short list, as part of the recipe.
        domain_match: `fixed` bans a listed domain and all hosts below it. `faithful` removes "www" from the URL's
            authority and compares the result, as DCLM's `url_substring_filter` does: by mistake, a URL with a port, or
            one whose "www." leaves a full stop behind, matches no domain.
        strict_words: Words banned anywhere in a URL, hyphens and full stops ignored. Null: the signal is not measured.
        hard_words: Words banned in a URL as whole words. Null: the signal is not measured.
        soft_words: Words of which a URL may hold one, but not two different ones. Null: the signal is not measured.
        line_rules: Corrections of lines, in the order in which they are applied, after the signals of the whole text
            are measured.
        word_breaker: Version of Unicode whose Word_Break property divides words by UAX #29: `16.0` (that of uniseg
            0.10, which DCLM uses), `15.1` (that of BFF) or `15.0`.
        tokens: What `gopher`, `c4` and `fineweb` count as tokens: `spacy_en` (tokens of spaCy's English tokenizer,
            which datatrove uses), or `uax29` (segments of UAX #29 that are not white space; in scripts without spaces
            each character is one).
        reading: How the groups `gopher`, `c4` and `fineweb` are measured: `faithful` to datatrove's code, mistakes
            included, or `fixed`.
        c4: C4's rules for lines, which the group `c4` counts or applies.
        bad_words: Words and phrases that `c4.n_bad_words` counts. Null: the signal is not measured.
        short_line_chars: Length, in characters, of the longest line that `fineweb.frac_short_lines` counts as short.
    """

    url_removal: str = "fixed"
    max_newlines: int | None = 2
    language_model: str = "lid.176.ftz"
    language_model_hash: str | None = field(default=None, metadata={"added": "0.2.0"})
    languages: tuple[str, ...] = ("en",)
    newline: str = ""
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")
    stop_words_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    banned_domains: DomainList | None = None
    excluded_domains: tuple[str, ...] = ()
    domain_match: str = "fixed"
    strict_words: tuple[str, ...] | None = None
    hard_words: tuple[str, ...] | None = None
    soft_words: tuple[str, ...] | None = None
    line_rules: tuple[LineRule, ...] = ()
    word_breaker: str = "16.0"
    tokens: str = "spacy_en"
    reading: str = "fixed"
    c4: C4Lines = C4Lines()
    bad_words: tuple[str, ...] | None = None
    short_line_chars: int = 30


@dataclass(frozen=True, repr=False)
class Recipe:
    """Holds all choices for one chain of tables.

    Args:
        name: Name of the recipe in lineage and reports.
        extraction: The part that the stage `documents` uses.
        annotation: The part that the stage `annotated` uses.
        bounds: The part that the stage `filtered` uses: rules in the order in which they are applied to a page.
        signatures: The part that the stage `signatures` uses; null: near-duplicates are not searched.
        duplicates: The part that the stage `duplicates` uses; null if and only if `signatures` is.
        deduplication: The part that the stage `deduplicated` uses: methods in the order in which they are applied. If
            it is empty and the recipe has `duplicates`, their clusters are applied.
        all_signals: Whether every signal group is measured; if false, only `urls` and the groups that bounds use are.
        max_fault_share: Largest share of the records read that may be quarantined before a job fails, [0, 1]. It
            belongs to no stage, since it changes no row.
    """

    name: str
    extraction: Extraction = Extraction()
    annotation: Annotation = Annotation()
    bounds: tuple[Bound, ...] = ()
    signatures: MinHash | None = None
    duplicates: NearDuplicates | None = None
    deduplication: tuple[Method, ...] = ()
    all_signals: bool = False
    max_fault_share: float = 0.05

    def __repr__(self) -> str:
        """Shows the name and the number of bounds only: the whole recipe has about 100 lines (`recipe show`)."""
        return f"<Recipe {self.name}, {len(self.bounds)} bounds>"

    def part(self, stage: str) -> Any:
        """Returns the part of the recipe that a stage uses; null for a stage that uses none.

        A stage is up to date while its part is unchanged.
        """
        return {
            "documents": self.extraction,
            "annotated": self.annotation,
            "filtered": self.bounds,
            "signatures": self.signatures,
            "duplicates": self.duplicates,
            "deduplicated": self.deduplication or None,  # null: `duplicates` has decided everything
        }.get(stage)

    def with_bound(
        self,
        signal: str,
        *,
        at_least: float | None = None,
        above: float | None = None,
        at_most: float | None = None,
        below: float | None = None,
        language: str | None = None,
    ) -> "Recipe":
        """Returns the recipe with one bound changed; a signal that has no bound gets a new one, after all others.

        A limit that is not given keeps its value: `with_bound("quality.n_words", at_least=200)` does not change the
        largest number of words. The recipe keeps its name; `dataclasses.replace` gives it another.

        Args:
            signal: `group.name` of a number in `annotated`.
            at_least: Smallest value kept; replaces `above`.
            above: Values must be larger than this; replaces `at_least`.
            at_most: Largest value kept; replaces `below`.
            below: Values must be smaller than this; replaces `at_most`.
            language: Label of a language: change the bound that holds for pages in this language only.

        Raises:
            RecipeError: The signal does not exist, no limit is given, no page could pass, or the signal has bounds for
                single languages and `language` names none of them.
        """
        key = (signal, language)
        of_signal = [bound for bound in self.bounds if bound.signal == signal]
        if of_signal and all(bound.language != language for bound in of_signal):
            known = ", ".join(repr(bound.language) for bound in of_signal)
            refuse_recipe([f"{self.name} bounds {signal} for language={known}, not {language!r}; name one of them"])
        limits = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
        if all(limit is None for limit in limits.values()):
            refuse_recipe([f"no limit for {signal}; give at_least, above, at_most or below"])
        bounds = tuple(b.with_limits(**limits) if (b.signal, b.language) == key else b for b in self.bounds)
        if not of_signal:
            bounds = (*bounds, Bound(signal, **limits, language=language))
        refuse_recipe([problem for b in bounds if (b.signal, b.language) == key for problem in b.problems()])
        return replace(self, bounds=bounds)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Signals that have a bound but are not measured, because the recipe names no list for them."""
        lists = {
            "urls.n_banned_domains": self.annotation.banned_domains,
            "urls.n_strict_words": self.annotation.strict_words,
            "urls.n_hard_words": self.annotation.hard_words,
            "urls.n_soft_words": self.annotation.soft_words,
            "c4.n_bad_words": self.annotation.bad_words,
        }
        signals = dict.fromkeys(bound.signal for bound in self.bounds)
        return tuple(signal for signal in signals if signal in lists and lists[signal] is None)

    @property
    def methods(self) -> tuple[Method, ...]:
        """Methods of `deduplicated` in the order in which they run; empty if the recipe does not deduplicate."""
        return self.deduplication or ((Near(),) if self.duplicates is not None else ())

    @property
    def groups(self) -> tuple[str, ...]:
        """Signal groups that `annotated` measures, in the order of its schema; the other groups are null there."""
        if self.all_signals:
            return tuple(schemas.SIGNAL_GROUPS)
        # `filtered` has the host of each page; a bound for one language needs the language of each page.
        needed = {"urls", *(bound.group for bound in self.bounds)}
        if self.annotation.stop_words_of or any(bound.language for bound in self.bounds):
            needed.add("language")
        return tuple(group for group in schemas.SIGNAL_GROUPS if group in needed)

    def problems(self) -> list[str]:
        """Lists what is wrong with the recipe's values, one sentence each; empty if nothing is."""
        found = [problem for rule in (*self.bounds, *self.annotation.line_rules) for problem in rule.problems()]
        extraction, annotation = self.extraction, self.annotation
        if extraction.charset not in ("detect", "utf-8"):
            found.append(f"extraction.charset is {extraction.charset!r}; expected 'detect' or 'utf-8'")
        if extraction.digests not in ("count", "quarantine", "ignore"):
            found.append(f"extraction.digests is {extraction.digests!r}; expected 'count', 'quarantine' or 'ignore'")
        if extraction.max_page_bytes < 1:
            found.append(f"extraction.max_page_bytes is {extraction.max_page_bytes}; expected 1 or more")
        if not 0.01 <= extraction.max_page_seconds <= 86_400:
            found.append(f"extraction.max_page_seconds is {extraction.max_page_seconds}; expected 0.01 to 86400")
        if not 32 * MIB <= extraction.max_memory_bytes <= 1 << 40:
            found.append(
                f"extraction.max_memory_bytes is {extraction.max_memory_bytes}; expected {32 * MIB} (32 MiB) to 1 TiB"
            )
        if extraction.max_text_bytes < 1:
            found.append(f"extraction.max_text_bytes is {extraction.max_text_bytes}; expected 1 or more")
        years = extraction.fetch_years
        if len(years) != 2 or not 1 <= years[0] <= years[1] <= 9999:
            found.append(f"extraction.fetch_years is {list(years)}; expected the first year and the last, 1 to 9999")
        if annotation.url_removal not in ("none", "fixed", "faithful"):
            found.append(
                f"annotation.url_removal is {annotation.url_removal!r}; expected 'none', 'fixed' or 'faithful'"
            )
        if annotation.domain_match not in ("fixed", "faithful"):
            found.append(f"annotation.domain_match is {annotation.domain_match!r}; expected 'fixed' or 'faithful'")
        if annotation.word_breaker not in WORD_BREAKERS:
            known = ", ".join(WORD_BREAKERS)
            found.append(f"annotation.word_breaker is {annotation.word_breaker!r}; expected one of: {known}")
        if annotation.tokens not in ("spacy_en", "uax29"):
            found.append(f"annotation.tokens is {annotation.tokens!r}; expected 'spacy_en' or 'uax29'")
        if annotation.reading not in ("fixed", "faithful"):
            found.append(f"annotation.reading is {annotation.reading!r}; expected 'fixed' or 'faithful'")
        if _CONTROL.search(self.name):
            found.append(f"the name {abbreviated(self.name)} has control characters; expected a line of text")
        if annotation.short_line_chars < 0:
            found.append(f"annotation.short_line_chars is {annotation.short_line_chars}; expected 0 or more")
        if annotation.max_newlines is not None and annotation.max_newlines < 1:
            found.append(f"annotation.max_newlines is {annotation.max_newlines}; expected null, or 1 or more")
        if not annotation.languages:
            found.append("annotation.languages is empty; name at least one label of the language model")
        if (self.signatures is None) != (self.duplicates is None):
            found.append("signatures and duplicates must be given together; found only one of them")
        found += [problem for part in (self.signatures, self.duplicates) if part for problem in part.problems()]
        found += methods_problems(self.deduplication)
        if self.duplicates is None and any(isinstance(method, Near) for method in self.deduplication):
            found.append(
                "deduplication names 'near', but the recipe has no `duplicates`, so there are no clusters to apply"
            )
        is_exact = self.duplicates is not None and self.duplicates.verify == "exact"
        if is_exact and self.signatures and not self.signatures.stores_shingles:
            found.append("duplicates.verify 'exact' needs signatures.stores_shingles")
        if not 0 <= self.max_fault_share <= 1:
            found.append(f"max_fault_share is {self.max_fault_share}; expected a share from 0 to 1")
        return found
