"""Recipes: every choice that changes a row, as frozen data.

A recipe is what `dclm-spark --recipe` names, what `runs` records as JSON and what `dataclasses.replace` varies. Each
stage takes one part of it, so that a changed part redoes that stage and what follows, nothing before it.
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

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
FETCH_YEARS = (1990, 2027)
"""From the web's first year to the one after this version's. No clock decides: the same input gives the same rows."""


@dataclass(frozen=True)
class Extraction:
    """How a record becomes a document: the part of a recipe that `documents` takes.

    Args:
        extractor: `resiliparse` or `trafilatura`.
        options: The extractor's keyword arguments.
        charset: `detect` (header, meta, content; what cannot be decoded becomes U+FFFD; XHTML sent as XML is read
            so), or `utf-8` (strict, as DCLM's script decodes: another charset sends the page to quarantine).
        content_types: Media types that are pages; others are counted skips. Empty means every type.
        http_statuses: Statuses that are pages; others are counted skips. Empty means every status.
        max_page_bytes: Larger pages go to quarantine, unread. Bounds a worker's memory.
        digests: Of a record whose bytes have other digests than WARC-Block-Digest and WARC-Payload-Digest say: `count`
            counts it and takes it as it is, `quarantine` refuses it, `ignore` does not look.
        max_page_seconds: CPU time that the extractor may take for a page; one that takes more goes to quarantine. Most
            take thousandths. Only a page that takes about as long as this may fare differently on another machine.
        max_memory_bytes: Memory that the extractor may take for a page; one that takes more goes to quarantine.
        max_text_bytes: Longer texts, as UTF-8, go to quarantine: lists in lists make text that is larger than the page.
        fetch_years: The first and the last year, UTC, in which a page may have been fetched. A date of another year,
            as one that cannot be read, is null and counted.
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
    """A list of domains that is too long for a recipe: where it is, and what it holds.

    Args:
        path: A local path, or any URL that fsspec opens. It may change: a list counts by its content.
        sha256: Of its text, uncompressed, as 64 hex letters. A file with another is refused.
        n_domains: Its lines that are neither blank nor comments, for a reader of the recipe.
    """

    path: str
    sha256: str
    n_domains: int


@dataclass(frozen=True)
class C4Lines:
    """C4's rules of lines (Raffel et al. 2020, section 2.2), as datatrove's `C4QualityFilter` has them.

    Args:
        cleans_text: The lines go from the text; else they are only counted.
        max_word_chars: A line with a longer word goes; null looks at no word.
        removes_citations: `[1]`, `[edit]` and `[citation needed]` are cut from lines.
        needs_end_mark: A line that ends in none of `.?!"'` (read as `fixed`: nor in `”’`), or in `...`, goes.
        min_words: A line of fewer words, between white space, goes.
        code_phrases: A line that says one of these, in any case, goes before curly brackets are looked for.
        policy_phrases: The same, after they are.
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
    """How a document is corrected and measured: the part of a recipe that `annotated` takes.

    Args:
        url_removal: URLs in the text: `none` keeps them, `fixed` removes them, `faithful` removes them only from texts
            that begin with the letters of a top-level domain, as DCLM's `url_removal_modifier` does by mistake.
        max_newlines: Longer runs of newlines are cut to this; null leaves them.
        language_model: `lid.176.ftz` (bundled), or a path or URL of any fastText language model.
        languages: Labels of the languages wanted, as the model names them.
        newline: What a newline is replaced by before the language is identified (DCLM: nothing, joining two words).
        stop_words: Words counted by `n_stop_words` of `quality` and `gopher`.
        stop_words_of: Language label -> the words counted in their place in pages of that language.
        banned_domains: The list for `urls.n_banned_domains`. Null measures nothing.
        excluded_domains: A few domains for `urls.n_excluded_domains`.
        domain_match: `fixed` bans a listed domain and all hosts below it; `faithful` takes "www" out of the URL's
            authority and compares the rest, as DCLM's `url_substring_filter` does, so that ports and what "www" leaves
            of "www." escape by mistake.
        strict_words: Banned in a URL anywhere, hyphens and full stops ignored. Null measures nothing.
        hard_words: Banned in a URL as a word of its own.
        soft_words: Banned in a URL where two distinct ones meet.
        line_rules: Corrections of lines in their order, after the signals of the whole text are measured.
        word_breaker: The version of Unicode whose Word_Break property divides words by UAX #29: `16.0` (uniseg 0.10, so
            DCLM's), `15.1` (BFF's) or `15.0`.
        tokens: What `gopher`, `c4` and `fineweb` count as tokens: `spacy_en` (those of spaCy's English tokenizer, which
            datatrove counts), or `uax29` (UAX #29 segments that are not white space; in scripts without spaces each
            character is one).
        reading: How those three groups are measured: `faithful` to datatrove's code, mistakes included, or `fixed`.
        c4: Rules of lines for `c4`.
        bad_words: Words and phrases for `c4.n_bad_words`. Null measures nothing.
        short_line_chars: The longest line that is short to `fineweb.frac_short_lines`.
    """

    url_removal: str = "fixed"
    max_newlines: int | None = 2
    language_model: str = "lid.176.ftz"
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
    """All choices of one chain of tables.

    Args:
        name: What lineage and reports call it.
        extraction: The part of `documents`.
        annotation: The part of `annotated`.
        bounds: The part of `filtered`: rules in the order in which a page meets them.
        signatures: The part of `signatures`; null looks for no near-duplicates.
        duplicates: The part of `duplicates`; it comes with `signatures`.
        deduplication: The part of `deduplicated`: methods in their order. Without any the clusters of `duplicates` are
            honoured, if it has those.
        all_signals: Every signal group is measured; else those that bounds speak of, and `urls`.
        max_fault_share: Largest share of the records read that may end in quarantine before a job fails, [0, 1]. No
            part of any stage: it changes no row.
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
        """Its name and its size: a whole recipe is a hundred lines, which `dclm-spark recipe show` prints."""
        return f"<Recipe {self.name}, {len(self.bounds)} bounds>"

    def part(self, stage: str) -> Any:
        """What the stage named takes from the recipe; a stage is up to date while its part is unchanged.

        Null for a stage that takes nothing.
        """
        return {
            "documents": self.extraction,
            "annotated": self.annotation,
            "filtered": self.bounds,
            "signatures": self.signatures,
            "duplicates": self.duplicates,
            "deduplicated": self.deduplication or None,  # null: all that it does is decided before
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
        """The recipe with one bound changed, all other rules as they are; a signal without a bound gets one, the last.

        The limit that is not given stays: `with_bound("quality.n_words", at_least=200)` leaves the largest number of
        words as it was. The name stays too; `dataclasses.replace` gives another.

        Args:
            signal: `group.name` of a number in `annotated`.
            at_least: Smallest value kept; takes the place of `above`.
            above: Values must be larger than this; takes the place of `at_least`.
            at_most: Largest value kept; takes the place of `below`.
            below: Values must be smaller than this; takes the place of `at_most`.
            language: Change the bound for pages in this language.

        Raises:
            RecipeError: There is no such signal, no limit is given, no page could pass, or the signal has bounds of
                languages of which none is named.
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
        """The signals that bounds speak of and nothing measures, since the recipe names no list for them."""
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
        """The methods of `deduplicated`, in their order; none if the recipe has nothing to deduplicate by."""
        return self.deduplication or ((Near(),) if self.duplicates is not None else ())

    @property
    def groups(self) -> tuple[str, ...]:
        """The signal groups that `annotated` measures, in the order of its schema; the others are null there."""
        if self.all_signals:
            return tuple(schemas.SIGNAL_GROUPS)
        # `filtered` carries the host of each page; a bound of one language asks for the page's.
        needed = {"urls", *(bound.group for bound in self.bounds)}
        if self.annotation.stop_words_of or any(bound.language for bound in self.bounds):
            needed.add("language")
        return tuple(group for group in schemas.SIGNAL_GROUPS if group in needed)

    def problems(self) -> list[str]:
        """What is wrong with the recipe's own values, one sentence each; empty if nothing is."""
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
            found.append("signatures and duplicates go together; found one without the other")
        found += [problem for part in (self.signatures, self.duplicates) if part for problem in part.problems()]
        found += methods_problems(self.deduplication)
        if self.duplicates is None and any(isinstance(method, Near) for method in self.deduplication):
            found.append("deduplication names 'near', but the recipe has no duplicates, so no clusters to honour")
        is_exact = self.duplicates is not None and self.duplicates.verify == "exact"
        if is_exact and self.signatures and not self.signatures.stores_shingles:
            found.append("duplicates.verify 'exact' needs signatures.stores_shingles")
        if not 0 <= self.max_fault_share <= 1:
            found.append(f"max_fault_share is {self.max_fault_share}; expected a share from 0 to 1")
        return found
