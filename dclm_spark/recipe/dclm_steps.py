"""Translates each step of DCLM's configurations to its part of a recipe.

Default values are those of the functions in `baselines/mappers` that the steps name.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dclm_spark.errors import abbreviated
from dclm_spark.recipe.annotation import Annotation, DomainList
from dclm_spark.recipe.bounds import Bound, LineBound, LinePattern, LinePhrase, LineRule
from dclm_spark.recipe.builtin import DCLM_BASELINE_FAITHFUL

ReadWords = Callable[[str], tuple[str, ...]]
"""Function that reads a list of words, given its path in the configuration."""
ReadDomains = Callable[[str], DomainList]
"""Function that reads a list of domains, given its path in the configuration."""


class Unsupported(Exception):
    """Raised for a step that no recipe can express; the message says why."""


class Options:
    """Holds the options of one step; `check` refuses options that were not taken."""

    def __init__(self, options: Mapping[str, Any]):
        self._remaining = dict(options)

    def take(self, name: str, default: Any = None) -> Any:
        """Returns the value of an option, or its default value if the step does not set it."""
        return self._remaining.pop(name, default)

    def expect(self, name: str, only: Any, default: Any = None) -> None:
        """Takes an option of which only one value is supported."""
        value = self.take(name, only if default is None else default)
        if value != only:
            raise Unsupported(f"{name} is {abbreviated(value)}; only {only!r} has a counterpart here")

    def check(self) -> None:
        """Raises `Unsupported` if the step sets options that were not taken."""
        if self._remaining:
            raise Unsupported(f"unknown options {', '.join(sorted(map(str, self._remaining)))[:300]}")


class Building:
    """Collects a recipe's annotation and bounds, step by step."""

    def __init__(self, read_words: ReadWords, read_domains: ReadDomains):
        self.annotation = Annotation(url_removal="none", max_newlines=None, domain_match="faithful")
        self.bounds: list[Bound] = []
        self._read_words = read_words
        self.read_domains = read_domains

    def set(self, **changes: Any) -> None:
        """Changes fields of the annotation."""
        self.annotation = replace(self.annotation, **changes)

    def bound(self, signal: str, **limits: float | None) -> None:
        """Adds a bound on the whole page, which here is measured before its lines are corrected."""
        if self.annotation.line_rules and not signal.startswith("lines."):
            raise Unsupported("comes after corrections of lines; here a page is measured before them")
        if any(bound.signal == signal for bound in self.bounds):
            raise Unsupported(f"a second bound on {signal}")
        self.bounds.append(Bound(signal).with_limits(**limits))

    def line_rule(self, *rules: LineRule) -> None:
        """Adds corrections of lines after those that the recipe has already."""
        self.set(line_rules=(*self.annotation.line_rules, *rules))

    def words(self, options: Options) -> tuple[str, ...]:
        """Takes the words of a step: those of its file if it names one, else those that it lists."""
        path, words = options.take("banlist_from_fname"), options.take("banlist", ())
        if path is not None:
            return self._read_words(path)
        return (words,) if isinstance(words, str) else tuple(words)


# -- steps: each takes its options and adds to the recipe -------------------------------------------------------------


def _nothing(building: Building, options: Options) -> None:
    """Ignores a step that is not needed here: a document always has its URL and text, and words are always counted."""
    for name in ("key", "old_key", "new_key"):
        options.take(name)


def _url_list(building: Building, options: Options) -> None:
    options.expect("case_sensitive", False, False)
    if options.take("exact_domain_match", False):
        _url_domains(building, options)
    else:
        _url_words(building, options)


def _url_domains(building: Building, options: Options) -> None:
    options.expect("ignore_chars", ["www"], [])
    path = options.take("banlist_from_fname")
    if path is None:
        building.set(excluded_domains=building.words(options))
        building.bound("urls.n_excluded_domains", at_most=0)
    else:
        building.set(banned_domains=building.read_domains(path))
        building.bound("urls.n_banned_domains", at_most=0)


def _url_words(building: Building, options: Options) -> None:
    ignored, n_banned = options.take("ignore_chars", []), options.take("num_banned_substrs", 1)
    if options.take("match_substrings", True):
        if sorted(ignored) != ["-", "."] or n_banned != 1:
            raise Unsupported("words anywhere in a URL need ignore_chars ['-', '.'] and num_banned_substrs 1")
        kind = "strict"
    elif ignored:
        raise Unsupported("whole words in a URL need no ignore_chars")
    else:
        kind = "hard" if n_banned == 1 else "soft"
    building.set(**{f"{kind}_words": building.words(options)})
    building.bound(f"urls.n_{kind}_words", at_most=n_banned - 1)


def _url_removal(building: Building, options: Options) -> None:
    options.take("tlds_filepath")
    building.set(url_removal="faithful")


def _newlines(building: Building, options: Options) -> None:
    building.set(max_newlines=options.take("max_consecutive", 2))


def _language_model(building: Building, options: Options) -> None:
    options.expect("model", "fasttext", "")
    options.take("key_prefix")


def _language(building: Building, options: Options) -> None:
    options.take("key")
    building.set(languages=tuple(options.take("keep_languages", ())))
    building.bound("language.p_target", above=options.take("threshold", 0.0))


def _page_length(building: Building, options: Options) -> None:
    unit, model = options.take("length_type"), options.take("model", "fasttext")
    no_punctuation = options.take("ignore_punctuation", False)
    signals = {
        ("word", "fasttext", True): "quality.n_words",
        ("word", "uniseg", True): "repetition.n_words",
        ("word", "split", False): "quality.n_words_split",
        ("char", "fasttext", False): "quality.n_chars",
        ("line", "fasttext", False): "quality.n_lines",
    }
    if (unit, model, no_punctuation) not in signals:
        kinds = f"model {abbreviated(model)} and ignore_punctuation {abbreviated(no_punctuation)}"
        raise Unsupported(f"length_type {abbreviated(unit)} with {kinds}")
    at_least, at_most = options.take("min_length", 1), options.take("max_length")
    building.bound(signals[unit, model, no_punctuation], at_least=at_least, at_most=at_most)


def _limit(signal: str, option: str, default: float) -> Callable[[Building, Options], None]:
    """Makes a step that filters with one option, the largest value kept."""

    def step(building: Building, options: Options) -> None:
        building.bound(signal, at_most=options.take(option, default))

    return step


def _word_length(building: Building, options: Options) -> None:
    at_least, at_most = options.take("min_length", 0), options.take("max_length")
    building.bound("quality.mean_word_chars", at_least=at_least, at_most=at_most)


def _stop_words(building: Building, options: Options) -> None:
    options.expect("count_unique", False, False)
    building.bound("quality.n_stop_words", at_least=options.take("min_stop_word", 2))


def _repetition(building: Building, options: Options) -> None:
    skips_paragraphs = options.take("skip_paragraph", False)
    for bound in DCLM_BASELINE_FAITHFUL.bounds:
        if bound.signal.startswith("repetition.") and not (skips_paragraphs and "paragraph" in bound.signal):
            building.bound(bound.signal, at_most=bound.at_most)


def _line_share(measure: str, default: float) -> Callable[[Building, Options], None]:
    def step(building: Building, options: Options) -> None:
        building.line_rule(LineBound(measure, at_most=options.take("max_ratio", default)))

    return step


def _counter_lines(building: Building, options: Options) -> None:
    building.line_rule(LineBound("is_counter", at_most=0))


def _line_words(building: Building, options: Options) -> None:
    at_least, at_most = options.take("min_length", 0), options.take("max_length")
    building.line_rule(LineBound("n_words", at_least=at_least, at_most=at_most))


def _line_phrases(building: Building, options: Options) -> None:
    options.expect("case_sensitive", False, False)
    location = {"any": "any", "prefix": "start", "suffix": "end"}[options.take("location", "any")]
    removes_line = not options.take("remove_substring_only", False)
    max_words = options.take("max_length")
    phrases = building.words(options)
    # DCLM searches the phrases of one step as alternatives of one expression. Removed one after the other, a phrase
    # could match only because an earlier one was removed.
    if len(phrases) != 1 and not removes_line:
        raise Unsupported("more than one phrase to remove")
    for phrase in phrases:
        if set(phrase) & set(r"\^$*+?{}[]|()"):
            raise Unsupported(
                f"{abbreviated(phrase)} is a regular expression; of those only the full stop has a counterpart"
            )
        building.line_rule(LinePhrase(phrase, location, max_words, removes_line, dots_match_any="." in phrase))


def _end_marks(building: Building, options: Options) -> None:
    building.line_rule(LineBound("has_end_mark", at_least=1))
    if options.take("remove_ellipses", False):
        building.line_rule(LineBound("has_end_ellipsis", at_most=0))


def _citations(building: Building, options: Options) -> None:
    building.line_rule(LinePattern("citations"))


def _longest_words(building: Building, options: Options) -> None:
    max_chars = options.take("max_length", 1000)
    options.expect("model", "split", "fasttext")
    building.line_rule(LineBound("longest_word_chars", at_most=max_chars))


def _page_substrings(building: Building, options: Options) -> None:
    raise Unsupported("no signal says which pages hold a phrase; substring_line_modifier removes lines that hold it")


def _words_removed(building: Building, options: Options) -> None:
    options.take("prev_word_count_key")
    building.bound("lines.frac_words_removed", at_most=options.take("max_removed_ratio", 0.05))


STEPS: dict[str, Callable[[Building, Options], None]] = {
    "move_url_modifier": _nothing,
    "key_name_modifier": _nothing,
    "word_counter_enricher": _nothing,
    "url_substring_filter": _url_list,
    "url_removal_modifier": _url_removal,
    "newline_removal_modifier": _newlines,
    "detect_lang_whole_page_enricher": _language_model,
    "language_filter": _language,
    "page_length_filter": _page_length,
    "word_length_filter": _word_length,
    "symbol_ratio_filter": _limit("quality.symbols_per_word", "max_symbol_to_word_ratio", 0.1),
    "bullet_count_filter": _limit("quality.frac_bullet_lines", "max_bullet_start_ratio", 0.9),
    "ellipsis_count_filter": _limit("quality.frac_ellipsis_lines", "max_ellipsis_end_ratio", 0.3),
    "alphabetic_word_ratio_filter": _limit("quality.frac_words_without_letter", "max_ratio", 0.2),
    "stop_word_filter": _stop_words,
    "massive_web_repetition_filters": _repetition,
    "uppercase_ratio_line_modifier": _line_share("frac_upper_chars", 0.5),
    "numeric_ratio_line_modifier": _line_share("frac_digit_chars", 1.0),
    "counter_line_modifier": _counter_lines,
    "line_length_modifier": _line_words,
    "substring_line_modifier": _line_phrases,
    "punctuation_line_modifier": _end_marks,
    "citation_removal_modifier": _citations,
    "word_length_modifier": _longest_words,
    "substring_filter": _page_substrings,
    "word_removal_ratio_filter": _words_removed,
}
"""Name of a DCLM function -> the function that adds its step to a recipe."""
