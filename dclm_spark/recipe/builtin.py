"""Defines the built-in recipes: each in a fixed variant, under its plain name, and in a faithful one.

The faithful variant reproduces the mistakes of the code that made the original corpus; the fixed one corrects them.
"""

from dataclasses import replace

from dclm_spark.recipe.annotation import Annotation, C4Lines
from dclm_spark.recipe.bounds import Bound, LineBound, LinePhrase, LineRule
from dclm_spark.recipe.deduplication import Bloom
from dclm_spark.recipe.extraction import Extraction
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe

# Lists of domains and words are files of the user's. Without a list its signal is null, which breaks no bound.
_URLS = (
    Bound("urls.n_banned_domains", at_most=0),
    Bound("urls.n_strict_words", at_most=0),
    Bound("urls.n_hard_words", at_most=0),
    Bound("urls.n_soft_words", at_most=1),
)
_LANGUAGE = (Bound("language.p_target", above=0.65),)

_TOP_NGRAMS = ((2, 0.20), (3, 0.18), (4, 0.16))
_DUPLICATE_NGRAMS = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))


def _repetition(group: str, *segments: tuple[str, float]) -> tuple[Bound, ...]:
    """Returns Gopher's limits (Rae et al. 2021, table A1) on the signals of a group, first those of the segments."""
    return (
        *(Bound(f"{group}.frac_duplicate_{segment}", at_most=share) for segment, share in segments),
        *(Bound(f"{group}.frac_top_{size}gram_chars", at_most=share) for size, share in _TOP_NGRAMS),
        *(Bound(f"{group}.frac_duplicate_{size}gram_chars", at_most=share) for size, share in _DUPLICATE_NGRAMS),
    )


# -- RefinedWeb and DCLM ----------------------------------------------------------------------------------------------

# The rules of DCLM-Baseline (baselines/baselines_configs/dclm_baseline_refinedweb.yaml) in its order. They come from
# RefinedWeb (Penedo et al. 2023, appendix G) and Gopher (Rae et al. 2021, table A1). DCLM_BASELINE, REFINEDWEB and the
# faithful twins of both share them.
_DCLM_BOUNDS = (
    *_URLS,
    *_LANGUAGE,
    Bound("quality.n_words", at_least=50, at_most=100_000),
    Bound("quality.mean_word_chars", at_least=3, at_most=10),
    Bound("quality.symbols_per_word", at_most=0.1),
    Bound("quality.frac_bullet_lines", at_most=0.9),
    Bound("quality.frac_ellipsis_lines", at_most=0.3),
    Bound("quality.frac_words_without_letter", at_most=0.2),
    Bound("quality.n_stop_words", at_least=2),
    *_repetition("repetition", ("lines", 0.30), ("paragraphs", 0.30), ("line_chars", 0.20), ("paragraph_chars", 0.20)),
    Bound("lines.frac_words_removed", at_most=0.05),
)


def _line_rules(*, is_faithful: bool) -> tuple[LineRule, ...]:
    """Returns the corrections of lines of DCLM-Baseline, in its order."""
    return (
        LineBound("frac_upper_chars", at_most=0.5),
        LineBound("frac_digit_chars", at_most=0.999999),  # removes lines of digits only
        LineBound("is_counter", at_most=0),
        LineBound("n_words", at_least=2),
        LinePhrase("items in cart", max_words=10),
        LinePhrase("Read more...", location="end", max_words=10, dots_match_any=is_faithful),
        LinePhrase("Sign-in", location="start", max_words=10),
    )


# DCLM's settings (dedup/bff/README.md): n-grams of 13 tokens, more than .8 of them seen, `old-both`, and ten shards
# (the name of the dataset in exp_data: bff_minngram13_10shards_all). BFF breaks words by Unicode 15.1.
_BFF = Bloom(scope="shards", n_shards=10, inserts="kept", word_breaker="15.1")

DCLM_BASELINE = Recipe(
    "dclm_baseline",
    annotation=Annotation(line_rules=_line_rules(is_faithful=False)),
    bounds=_DCLM_BOUNDS,
    deduplication=(Bloom(scope="all"),),
)
"""DCLM-Baseline's rules with its mistakes fixed: charsets are detected, URLs are removed from every text, a banned
domain bans all hosts below it, the full stops of "Read more..." match full stops only, and one filter holds all dumps,
where BFF divided them into ten shards to fit a machine's memory."""

DCLM_BASELINE_FAITHFUL = Recipe(
    "dclm_baseline_faithful",
    # DCLM's script (tools/commoncrawl/process_common_crawl_w_ray.py) takes every response, decodes it as strict UTF-8
    # and skips without a message what fails; here those pages are quarantined, so the limit on faults is higher.
    extraction=Extraction(charset="utf-8", content_types=(), http_statuses=()),
    annotation=Annotation(url_removal="faithful", domain_match="faithful", line_rules=_line_rules(is_faithful=True)),
    bounds=_DCLM_BOUNDS,
    deduplication=(_BFF,),
    max_fault_share=0.5,
)
"""DCLM-Baseline's rules as its code applies them, mistakes included."""

# Sites that RefinedWeb excludes because curated corpora hold them (Penedo et al. 2023, appendix G.1; also in DCLM's
# refinedweb.yaml).
_CURATED_ELSEWHERE = (
    *("arxiv.org", "askubuntu.com", "stackoverflow.com", "stackapps.com", "stackexchange.com", "mathoverflow.net"),
    *("exporter.nih.gov", "ncbi.nlm.nih.gov", "github.com", "irclogs.ubuntu.com", "news.ycombinator.com"),
    *("courtlistener.com", "reddit.com", "statmt.org", "uspto.gov", "en.wikipedia.org"),
)


def _refinedweb(recipe: Recipe, name: str) -> Recipe:
    """Derives a recipe of RefinedWeb from one of DCLM-Baseline: the same rules, and curated sites are excluded."""
    banned, *others = recipe.bounds
    return replace(
        recipe,
        name=name,
        annotation=replace(recipe.annotation, excluded_domains=_CURATED_ELSEWHERE),
        bounds=(banned, Bound("urls.n_excluded_domains", at_most=0), *others),
        deduplication=(),
    )


REFINEDWEB = _refinedweb(DCLM_BASELINE, "refinedweb")
"""RefinedWeb's rules as DCLM has them (refinedweb.yaml), with the same mistakes fixed: the rules of DCLM-Baseline, and
no pages of sites that curated corpora hold."""

REFINEDWEB_FAITHFUL = _refinedweb(DCLM_BASELINE_FAITHFUL, "refinedweb_faithful")
"""RefinedWeb's rules as DCLM's code applies them, mistakes included."""

# -- Gopher, C4 and FineWeb, as datatrove has them --------------------------------------------------------------------

# datatrove measures the text as it was extracted, and joins lines with a space before it identifies the language.
_FIXED = Annotation(url_removal="none", max_newlines=None, newline=" ")
_FAITHFUL = replace(_FIXED, reading="faithful")

# The order of datatrove's GopherRepetitionFilter and GopherQualityFilter.
_GOPHER_REPETITION = _repetition(
    "gopher", ("paragraphs", 0.30), ("paragraph_chars", 0.20), ("lines", 0.30), ("line_chars", 0.20)
)
_GOPHER_QUALITY = (
    Bound("gopher.n_words", at_least=50, at_most=100_000),
    Bound("gopher.mean_word_chars", at_least=3, at_most=10),
    Bound("gopher.hashes_per_token", at_most=0.1),
    Bound("gopher.ellipses_per_token", at_most=0.1),
    Bound("gopher.frac_bullet_lines", at_most=0.9),
    Bound("gopher.frac_ellipsis_lines", at_most=0.3),
    Bound("gopher.frac_tokens_with_letter", at_least=0.8),
    Bound("gopher.n_stop_words", at_least=2),
)
_GOPHER_BOUNDS = (*_URLS, *_LANGUAGE, *_GOPHER_REPETITION, *_GOPHER_QUALITY)

GOPHER = Recipe("gopher", annotation=_FIXED, bounds=_GOPHER_BOUNDS)
"""Gopher's rules on repetition and quality, with datatrove's mistakes fixed: all copies but the first are
duplicates."""

GOPHER_FAITHFUL = Recipe("gopher_faithful", annotation=_FAITHFUL, bounds=_GOPHER_BOUNDS)
"""Gopher's rules as datatrove's GopherRepetitionFilter and GopherQualityFilter apply them, mistakes included."""

# C4 requires a probability of 0.99 from langdetect. Probabilities of different models cannot be compared; 0.65 is the
# usual limit for fastText.
_C4_PAGES = (
    Bound("c4.n_lorem_ipsum", at_most=0),
    Bound("c4.n_curly_brackets", at_most=0),
    Bound("c4.n_sentences", at_least=5),
)
_C4_BOUNDS = (*_URLS, *_LANGUAGE, *_C4_PAGES, Bound("c4.n_bad_words", at_most=0))
_C4_LINES = C4Lines(cleans_text=True)

C4 = Recipe("c4", annotation=replace(_FIXED, c4=_C4_LINES), bounds=_C4_BOUNDS)
"""C4's rules on lines and pages, with datatrove's mistakes fixed."""

C4_FAITHFUL = Recipe("c4_faithful", annotation=replace(_FAITHFUL, c4=_C4_LINES), bounds=_C4_BOUNDS)
"""C4's rules as datatrove's C4QualityFilter and C4BadWordsFilter apply them, mistakes included."""

# datatrove also lets trafilatura drop text that the same process has seen on any earlier page. The result depends on
# the order of work, so neither recipe does it.
_FINEWEB_EXTRACTION = Extraction(
    extractor="trafilatura", options={"favor_precision": True, "include_comments": False, "deduplicate": False}
)
_FINEWEB_LINES = replace(_C4_LINES, needs_end_mark=False)
_FINEWEB_BOUNDS = (
    *_GOPHER_BOUNDS,
    *_C4_PAGES,
    Bound("fineweb.n_lines", at_least=1),
    Bound("fineweb.frac_punctuated_lines", at_least=0.12),
    Bound("fineweb.frac_short_lines", at_most=0.67),
    Bound("fineweb.frac_duplicate_line_chars", at_most=0.01),
    Bound("fineweb.newlines_per_token", at_most=0.3),
)

# FineWeb's near-duplicates: shingles of five words, 14 bands of 8 rows, each dump alone, no pair verified.
_FINEWEB_MINHASH = MinHash(normalization="datatrove", words="spacy_en")

FINEWEB = Recipe(
    "fineweb",
    extraction=_FINEWEB_EXTRACTION,
    annotation=replace(_FIXED, c4=_FINEWEB_LINES),
    bounds=_FINEWEB_BOUNDS,
    signatures=_FINEWEB_MINHASH,
    duplicates=NearDuplicates(),
)
"""FineWeb's rules and near-duplicates (Penedo et al. 2024; datatrove's examples/fineweb.py), with datatrove's mistakes
fixed, each pair verified, and the longest text as the survivor."""

FINEWEB_FAITHFUL = Recipe(
    "fineweb_faithful",
    extraction=_FINEWEB_EXTRACTION,
    annotation=replace(_FAITHFUL, c4=_FINEWEB_LINES),
    bounds=_FINEWEB_BOUNDS,
    signatures=_FINEWEB_MINHASH,
    duplicates=NearDuplicates(verify="none"),
)
"""FineWeb's rules as datatrove's filters apply them, mistakes included; all candidates are near-duplicates, whatever
their similarity. datatrove's survivor is the page that happens to be the root of its union-find; here it is the
longest."""

# FineWeb-2 (Penedo et al. 2025; fineweb-2-pipeline.py) uses no rule of C4, none on paragraphs, since trafilatura keeps
# no paragraphs, and none on short lines. It has one set of limits per language, which `dclm-spark thresholds` derives;
# the limits here are FineWeb's.
_FINEWEB2_BOUNDS = (
    *_URLS,
    Bound("language.p_target", above=0.65),
    *_repetition("gopher", ("lines", 0.30)),
    Bound("fineweb.n_lines", at_least=1),
    Bound("fineweb.frac_punctuated_lines", at_least=0.12),
    Bound("fineweb.frac_duplicate_line_chars", at_most=0.1),
    Bound("fineweb.newlines_per_token", at_most=0.3),
    *_GOPHER_QUALITY,
)

FINEWEB2 = Recipe(
    "fineweb2", extraction=_FINEWEB_EXTRACTION, annotation=replace(_FIXED, tokens="uax29"), bounds=_FINEWEB2_BOUNDS
)
"""FineWeb-2's rules, for any language after `dclm-spark thresholds` has derived its limits and stop words. Tokens are
those of UAX #29 in every language, where FineWeb-2 has a tokenizer for each."""

FINEWEB2_FAITHFUL = replace(FINEWEB2, name="fineweb2_faithful", annotation=replace(_FAITHFUL, tokens="uax29"))
"""FineWeb-2's rules as datatrove applies them, mistakes included."""

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *(DCLM_BASELINE, DCLM_BASELINE_FAITHFUL, REFINEDWEB, REFINEDWEB_FAITHFUL),
        *(GOPHER, GOPHER_FAITHFUL, C4, C4_FAITHFUL),
        *(FINEWEB, FINEWEB_FAITHFUL, FINEWEB2, FINEWEB2_FAITHFUL),
    )
}
