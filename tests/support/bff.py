"""BFF's rules in plain Python over an exact set of n-grams, as an oracle.

BFF is the Bloom filter with which DCLM removes repeated paragraphs and documents. Its filter answers yes for a few
n-grams that it never saw; a set does not. Else this decides as BFF does with one thread, over texts in their order.
"""

import itertools
import sys
from collections.abc import Iterable, Sequence

import numpy as np

from dclm_spark.kernels.text import unicode as u

MODES = ("paragraph", "document", "old_both", "naive_both", "both", "exact")
"""What is removed: units that are paragraphs; whole documents; paragraphs, and then the document for the n-grams of all
its paragraphs; the document, and if it stays, its paragraphs against a set that has it in already; the document, or
its first paragraph, by n-grams that run on over line feeds; documents whose text, unchanged, was there before."""
WORD_BREAKER = "15.1"
WHITE_SPACE = "".join(map(chr, [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]))
WHITE_SPACE += "\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space: what `str.isspace` takes, but for U+001C to U+001F, which are tokens here."""

NGram = tuple[str, ...]

_WORD = (u.ALETTER, u.HEBREW_LETTER, u.NUMERIC, u.EXTEND_NUM_LET)
_JOINED = {
    *itertools.product(_WORD, _WORD),
    *itertools.product((u.KATAKANA, u.EXTEND_NUM_LET), (u.KATAKANA, u.EXTEND_NUM_LET)),
}
_LETTERS = (u.ALETTER, u.HEBREW_LETTER)
_IN_WORD = (u.MID_LETTER, u.MID_NUM_LET, u.SINGLE_QUOTE)
_IN_NUMBER = (u.MID_NUM, u.MID_NUM_LET, u.SINGLE_QUOTE)
_LOOKED_THROUGH = (u.EXTEND, u.FORMAT, u.ZWJ)


def deduplicate(
    texts: Sequence[str],
    *,
    mode: str,
    min_ngram: int,
    max_ngram: int,
    threshold: float,
    inserts: str = "kept",
) -> list[str]:
    """What BFF leaves of each text, "" where it drops the document.

    Args:
        texts: The documents in the order in which BFF reads them.
        mode: One of `MODES`.
        min_ngram: A unit (paragraph or document) of fewer tokens has no n-grams.
        max_ngram: A unit of as many tokens has the n-grams of this size; a shorter one is a single n-gram.
        threshold: The share of n-grams seen before above which a unit goes; from which on, for "both".
        inserts: "kept" inserts the n-grams of kept units alone, as BFF does; "always" those of all.
    """
    if mode not in MODES or inserts not in ("kept", "always"):
        raise ValueError(f"mode is {mode!r} and inserts {inserts!r}")
    seen: set[NGram] = set()
    sizes = (min_ngram, max_ngram)
    inserts_all = inserts == "always"
    found = []
    for text in texts:
        if mode == "exact":
            left = "".join(_unseen_units([text], [[(text,)]], seen, 0, inserts_all)[0])
        elif mode == "both":
            left = _both(text, sizes, seen, threshold, inserts_all)
        else:
            left = text
            if mode in ("document", "naive_both"):
                left = _by_units([text], sizes, seen, threshold, inserts_all)[0]
            if mode in ("paragraph", "old_both") or (mode == "naive_both" and left):
                left, share = _by_units(paragraphs(text), sizes, seen, threshold, inserts_all)
                if mode == "old_both" and share > threshold:
                    left = ""
        found.append(left if left.strip(WHITE_SPACE) else "")
    return found


def _by_units(
    units: list[str], sizes: tuple[int, int], seen: set[NGram], threshold: float, inserts_all: bool
) -> tuple[str, float]:
    """The text of the units that are kept, and the share of n-grams of all units that were seen before."""
    kept, share = _unseen_units(
        units, (ngrams(tokens_of(unit), *sizes) for unit in units), seen, threshold, inserts_all
    )
    return "".join(kept), share


def _unseen_units(
    units: list[str], ngrams_of_units: Iterable[list[NGram]], seen: set[NGram], threshold: float, inserts_all: bool
) -> tuple[list[str], float]:
    """The units that are kept, and the share of n-grams of all units that were seen before.

    A unit is inserted before the next is looked up, but after all of its own n-grams are.
    """
    kept = []
    n_seen = n_all = 0
    for unit, its_ngrams in zip(units, ngrams_of_units, strict=True):
        n_seen_here = sum(ngram in seen for ngram in its_ngrams)
        n_seen += n_seen_here
        n_all += len(its_ngrams)
        is_kept = not _ratio(n_seen_here, len(its_ngrams)) > threshold
        if is_kept:
            kept.append(unit)
        if is_kept or inserts_all:
            seen.update(its_ngrams)
    return kept, _ratio(n_seen, n_all)


def _both(text: str, sizes: tuple[int, int], seen: set[NGram], threshold: float, inserts_all: bool) -> str:
    """BFF's mode `both`: n-grams run over all paragraphs, and only the first of these can go on its own.

    The n-grams of the first paragraph are those that end in it; all others are of no paragraph. None of the document
    is inserted if the first paragraph goes. BFF fails where `max_ngram` is 1.
    """
    tokens = tokens_of(text)
    all_ngrams = ngrams(tokens, *sizes)
    if not all_ngrams:
        return text
    seen_before = [ngram in seen for ngram in all_ngrams]
    if inserts_all:
        seen.update(all_ngrams)
    if _ratio(sum(seen_before), len(all_ngrams)) >= threshold:
        return ""
    first = paragraphs(text)[0]
    # No token goes on beyond a line feed. The one n-gram of a short document is of no paragraph either.
    n_first = 0 if len(tokens) < sizes[1] else max(0, len(tokens_of(first)) - sizes[1] + 1)
    if n_first and _ratio(sum(seen_before[:n_first]), n_first) >= threshold:
        left = text[len(first) :]
    else:
        left = text
        seen.update(all_ngrams)
    return left.rstrip(WHITE_SPACE)


def _ratio(part: int, whole: int) -> float:
    """A quotient of doubles; nothing of nothing is not a number, which is neither above nor below any threshold."""
    return part / whole if whole else float("nan")


def paragraphs(text: str) -> list[str]:
    r"""The paragraphs of a text; each but the first begins with its line feed.

    >>> paragraphs("one\n\ntwo\n")
    ['one', '\n', '\ntwo', '\n']
    """
    first, *others = text.split("\n")
    return [first, *("\n" + other for other in others)]


def ngrams(tokens: list[str], min_ngram: int, max_ngram: int) -> list[NGram]:
    """The n-grams of a unit in order: runs of `max_ngram` tokens, or all its tokens if there are fewer.

    >>> ngrams(["a", "b", "c"], 2, 2), ngrams(["a", "b", "c"], 2, 4), ngrams(["a", "b", "c"], 4, 4)
    ([('a', 'b'), ('b', 'c')], [('a', 'b', 'c')], [])
    """
    size = max(max_ngram, 1)
    if len(tokens) >= size:
        return list(zip(*(itertools.islice(tokens, first, None) for first in range(size)), strict=False))
    return [tuple(tokens)] if len(tokens) >= min_ngram else []


def tokens_of(text: str) -> list[str]:
    """The segments of a text that are not white space alone, as they are: nothing is stripped or lower-cased.

    >>> tokens_of("It can't be 3.5, can it?")
    ['It', "can't", 'be', '3.5', ',', 'can', 'it', '?']
    """
    segments = (text[start:end] for start, end in itertools.pairwise(segment_bounds(text)))
    return [sys.intern(segment) for segment in segments if segment.strip(WHITE_SPACE)]


def segment_bounds(text: str) -> list[int]:
    """Where the UAX #29 word segments of a text begin and end, as the crate unicode-segmentation 1.11.0 has them.

    It departs from UAX #29 where a pictograph follows a zero-width joiner: the pictograph joins whatever came before,
    even a mark that was to be left out for want of a letter after it (a.ZWJ.pictograph), and then joins no letter,
    even if it is one (Ⓜ).

    >>> segment_bounds("a.b c.")
    [0, 3, 4, 5, 6]
    """
    classes, pictographs = _properties(text)
    bounds = [0]
    at = 0
    while at < len(text):
        at = _segment_end(classes, pictographs, at)
        bounds.append(at)
    return bounds


def _properties(text: str) -> tuple[list[int], list[bool]]:
    tables = u.char_tables(WORD_BREAKER)
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    flags = tables.flags[tables.blocks[points >> 8], points & 0xFF]
    return (flags & u.WORD_BREAK).tolist(), (flags & u.IS_PICTOGRAPHIC != 0).tolist()


def _segment_end(classes: list[int], pictographs: list[bool], start: int) -> int:
    stop = len(classes)
    before = classes[start]  # the class of the last character that is not looked through
    at = start + 1
    if before in (u.CR, u.LF, u.NEWLINE):
        return at + (before == u.CR and at < stop and classes[at] == u.LF)
    is_odd_flag = before == u.REGIONAL_INDICATOR
    required: tuple[int, ...] = ()  # classes of which the next character has to be, lest the segment ends at `mark`
    mark = start
    while at < stop:
        current = classes[at]
        if current in _LOOKED_THROUGH:
            at += 1
            continue
        was_looked_through = at - 1 > start and classes[at - 1] in _LOOKED_THROUGH
        if classes[at - 1] == u.ZWJ and pictographs[at]:
            before, required, is_odd_flag = u.OTHER, (), False
        elif required:
            if current not in required:
                return mark
            before, required = current, ()
        elif (before, current) in _JOINED:
            before = current
        elif before == u.WSEG_SPACE and current == u.WSEG_SPACE and not was_looked_through:
            pass
        elif is_odd_flag and current == u.REGIONAL_INDICATOR:
            is_odd_flag = False
        elif before in _LETTERS and current in _IN_WORD:
            required, mark = _LETTERS, at
            if before == u.HEBREW_LETTER and current == u.SINGLE_QUOTE:
                mark = at + 1
                while mark < stop and classes[mark] in _LOOKED_THROUGH:
                    mark += 1
        elif before == u.HEBREW_LETTER and current == u.DOUBLE_QUOTE:
            required, mark = (u.HEBREW_LETTER,), at
        elif before == u.NUMERIC and current in _IN_NUMBER:
            required, mark = (u.NUMERIC,), at
        else:
            return at
        at += 1
    return mark if required else stop
