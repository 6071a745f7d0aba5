"""Defines the rules that recipes consist of: bounds on the signals of a page, and corrections of lines."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from dclm_spark import schemas

_SAME_SIDE = {"at_least": "above", "above": "at_least", "at_most": "below", "below": "at_most"}

NO_TEXT = "no_text"
"""The `removed_by` of a document whose text is empty: nothing was extracted from the page, so it breaks rules on
text."""
NO_TEXT_WORDS = "nothing was extracted"


def is_empty(value_of: Callable[[str], Any]) -> bool:
    """Returns whether a document's text is empty, judged by its signals, as `columns.removed_by` does for rows.

    Args:
        value_of: Function from the name of a signal to its value, null if it was not measured.

    >>> is_empty({"quality.n_words_split": 0}.get), is_empty({"language.p_target": 0.2, "language.code": "en"}.get)
    (True, False)
    """
    for count in ("quality.n_words_split", "gopher.n_tokens"):
        if value_of(count) is not None:
            return value_of(count) == 0
    return value_of("language.p_target") is not None and value_of("language.code") is None


@dataclass(frozen=True)
class Bound:
    """A rule on a page: the page is kept if its signal lies within limits. A null signal (not measured) breaks no
    bound.

    Args:
        signal: `group.name` of a number in `annotated`; also the `removed_by` of pages that break the bound.
        at_least: Smallest value kept.
        above: Values must be larger than this.
        at_most: Largest value kept.
        below: Values must be smaller than this.
        language: The `language.code` of the pages that the rule holds for; null: it holds for all pages.

    >>> Bound("quality.n_words", at_least=50, at_most=100_000).breaks(49)
    True
    >>> Bound("quality.n_words", at_least=50).breaks(None)
    False
    >>> Bound("quality.n_words", at_least=50, language="de").breaks(49, language="ja")
    False
    >>> str(Bound("language.p_target", above=0.65)), str(Bound("quality.n_words", at_least=50, language="de"))
    ('> 0.65', '>= 50 (de)')
    """

    signal: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    language: str | None = None

    def breaks(self, value: float | None, *, language: str | None = None) -> bool:
        """Returns whether a page in this language with this value of the signal is removed."""
        if value is None or not self.holds_for(language):
            return False
        return (
            (self.at_least is not None and value < self.at_least)
            or (self.above is not None and value <= self.above)
            or (self.at_most is not None and value > self.at_most)
            or (self.below is not None and value >= self.below)
        )

    def holds_for(self, language: str | None) -> bool:
        """Returns whether the rule holds for pages in this language."""
        return self.language is None or self.language == language

    def with_limits(self, **limits: float | None) -> "Bound":
        """Returns the bound with changed limits; a limit that is not given keeps its value.

        Args:
            limits: `at_least`, `above`, `at_most`, `below`; null means not given. `at_least` and `above` replace each
                other, and so do `at_most` and `below`.

        >>> str(Bound("quality.n_words", at_least=50, at_most=100_000).with_limits(above=80))
        '> 80 and <= 100000'
        """
        given = {name: limit for name, limit in limits.items() if limit is not None}
        changed: dict[str, Any] = {_SAME_SIDE[name]: None for name in given} | given
        return replace(self, **changed)

    @property
    def group(self) -> str:
        """The signal group that the bound's signal belongs to."""
        return self.signal.partition(".")[0]

    def __str__(self) -> str:
        words = {">=": self.at_least, ">": self.above, "<=": self.at_most, "<": self.below}
        limits = " and ".join(f"{sign} {limit:g}" for sign, limit in words.items() if limit is not None)
        return f"{limits} ({self.language})" if self.language else limits

    def problems(self) -> list[str]:
        """Lists what is wrong with this bound, one sentence each; empty if nothing is."""
        lows = [limit for limit in (self.at_least, self.above) if limit is not None]
        highs = [limit for limit in (self.at_most, self.below) if limit is not None]
        found = []
        if self.signal not in set(schemas.signals()):
            found.append(f"bound on an unknown signal {self.signal!r}; known are: {', '.join(schemas.signals())}")
        if not lows and not highs:
            found.append(f"the bound on {self.signal} limits nothing; give at_least, above, at_most or below")
        if any(not isfinite(limit) for limit in lows + highs):
            found.append(f"the bound on {self.signal} has a limit that is not a number, or not a finite one")
        if lows and highs:
            low, high = max(lows), min(highs)
            is_open = (self.above is not None and self.above == low) or (self.below is not None and self.below == high)
            if low > high or (low == high and is_open):
                found.append(f"the bounds on {self.signal} cross ({self}): no page could pass")
        return found


LINE_MEASURES = (
    *("frac_upper_chars", "frac_digit_chars", "is_counter", "n_words"),
    *("longest_word_chars", "has_end_mark", "has_end_ellipsis"),
)
LINE_PATTERNS = ("citations",)


@dataclass(frozen=True)
class LineBound:
    """A rule on lines: a line whose measure lies outside the limits is removed. An empty line is always kept.

    Args:
        measure: The measure of a line that is limited. `frac_upper_chars` and `frac_digit_chars` are shares of all
            characters of the line, [0, 1]. `is_counter` is 1 for a line such as "3 likes" or "1.2K views", else 0.
            `n_words` is the number of words separated by white space, `longest_word_chars` the length of the longest in
            characters. `has_end_mark` is 1 for a line that ends in one of `.?!"…`, `has_end_ellipsis` is 1 for a line
            that ends in `...` or `…`, white space after it ignored.
        at_least: Smallest value kept.
        at_most: Largest value kept.
    """

    measure: str
    at_least: float | None = None
    at_most: float | None = None

    def problems(self) -> list[str]:
        """Lists what is wrong with this rule, one sentence each; empty if nothing is."""
        found = []
        if self.measure not in LINE_MEASURES:
            found.append(f"line rule on an unknown measure {self.measure!r}; known are: {', '.join(LINE_MEASURES)}")
        if self.at_least is None and self.at_most is None:
            found.append(f"the line rule on {self.measure} limits nothing; give at_least or at_most")
        elif self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            found.append(f"the limits of the line rule on {self.measure} cross: every line would be removed")
        return found

    def __str__(self) -> str:
        words = {">=": self.at_least, "<=": self.at_most}
        limits = " and ".join(f"{sign} {limit:g}" for sign, limit in words.items() if limit is not None)
        return f"{self.measure} {limits}"


@dataclass(frozen=True)
class LinePhrase:
    """A rule on lines: a phrase is removed from each line, in any case; a line that is blank afterwards is removed.

    Args:
        phrase: The phrase to find. One character of white space before it (at the start of a line: after it) belongs to
            the match.
        location: Where in the line the phrase is searched: `any`, `start` or `end`.
        max_words: Lines with more words (separated by white space) are not changed; null: the rule applies to all
            lines.
        removes_line: Whether the whole line is removed, instead of the phrase alone.
        dots_match_any: Whether a full stop in the phrase matches any character, as in DCLM's `Read more...` by mistake.
    """

    phrase: str
    location: str = "any"
    max_words: int | None = None
    removes_line: bool = False
    dots_match_any: bool = False

    def problems(self) -> list[str]:
        """Lists what is wrong with this rule, one sentence each; empty if nothing is."""
        found = []
        if not self.phrase or "\n" in self.phrase:
            found.append(f"the line phrase {self.phrase!r} is found in no line; expected characters of one line")
        if self.location not in ("any", "start", "end"):
            found.append(
                f"the location of the line phrase {self.phrase!r} is {self.location!r}; expected any, start or end"
            )
        return found

    def __str__(self) -> str:
        return f"{self.phrase!r}"


@dataclass(frozen=True)
class LinePattern:
    """A rule on lines: all matches of a named pattern are removed from each line. The line is kept even if it becomes
    empty.

    Args:
        pattern: Name of the pattern. `citations` matches those of Wikipedia: `[1]`, `[]`, `[edit]` and `[citation
            needed]`.
    """

    pattern: str

    def problems(self) -> list[str]:
        """Lists what is wrong with this rule, one sentence each; empty if nothing is."""
        if self.pattern in LINE_PATTERNS:
            return []
        return [f"line rule on an unknown pattern {self.pattern!r}; known are: {', '.join(LINE_PATTERNS)}"]

    def __str__(self) -> str:
        return self.pattern


LineRule = LineBound | LinePhrase | LinePattern
