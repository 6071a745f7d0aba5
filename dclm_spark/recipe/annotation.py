"""Defines `Annotation`: how a document's text is corrected and measured, with the lists that this needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dclm_spark.recipe.bounds import LineRule
from dclm_spark.recipe.deduplication import WORD_BREAKERS

_HASH = re.compile("[0-9a-f]{32}")


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

    def problems(self) -> list[str]:
        """Lists what is wrong with these values, one sentence each; empty if nothing is."""
        found = []
        if self.url_removal not in ("none", "fixed", "faithful"):
            found.append(f"annotation.url_removal is {self.url_removal!r}; expected 'none', 'fixed' or 'faithful'")
        if self.domain_match not in ("fixed", "faithful"):
            found.append(f"annotation.domain_match is {self.domain_match!r}; expected 'fixed' or 'faithful'")
        if self.word_breaker not in WORD_BREAKERS:
            known = ", ".join(WORD_BREAKERS)
            found.append(f"annotation.word_breaker is {self.word_breaker!r}; expected one of: {known}")
        if self.tokens not in ("spacy_en", "uax29"):
            found.append(f"annotation.tokens is {self.tokens!r}; expected 'spacy_en' or 'uax29'")
        if self.reading not in ("fixed", "faithful"):
            found.append(f"annotation.reading is {self.reading!r}; expected 'fixed' or 'faithful'")
        if self.short_line_chars < 0:
            found.append(f"annotation.short_line_chars is {self.short_line_chars}; expected 0 or more")
        if self.max_newlines is not None and self.max_newlines < 1:
            found.append(f"annotation.max_newlines is {self.max_newlines}; expected null, or 1 or more")
        if self.language_model_hash is not None and not _HASH.fullmatch(self.language_model_hash):
            found.append(f"annotation.language_model_hash is {self.language_model_hash!r}; expected 32 hex digits")
        if not self.languages:
            found.append("annotation.languages is empty; name at least one label of the language model")
        return found
