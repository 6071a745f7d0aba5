r"""The words of spaCy's English tokenizer, those of datatrove's English filters, as compiled loops.

Source: spaCy 3.8, `tokenizer.pyx` with `spacy.blank("en")`, as datatrove calls it (`utils/word_tokenizers.py`): the
text is cut at white space; each piece loses prefixes and suffixes until nothing comes off or a special case is left
("don't"); what is left is a special case, a URL, or is cut at its infixes. At the end, tokens in a row that make up a
special case which affixes took apart (":" and ")") become that special case. White-space tokens are left out.

Where we differ:

- Letters, numbers and punctuation are those of Unicode 16.0, where spaCy asks the Python that it runs in.
- The word `IS_ALPHA` stays what it is. spaCy fails on it from the second time on, and datatrove then deletes it.

All loops are linear in the length of the text, whatever the text.
"""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.jit import helper, kernel
from dclm_spark.kernels.spacy_affixes import infix_length, prefix_length, suffix_length
from dclm_spark.kernels.spacy_tables import (
    IS_ALPHA,
    IS_ASCII_DIGIT,
    IS_FULL_STOP,
    IS_INFIX,
    IS_PATTERN,
    IS_PATTERN_START,
    IS_PREFIX,
    IS_PUNCTUATION,
    IS_SECOND,
    IS_SENTENCE_END,
    IS_SPECIAL,
    IS_SUFFIX,
    KINDS,
    LONGEST_TERM,
    PATTERN_SPLITS,
    SPLITS,
    class_of,
    spacy_tables,
    term_at,
)
from dclm_spark.kernels.spacy_urls import is_url
from dclm_spark.kernels.unicode import IS_SPACE, char_room, char_tables, decode, utf8_buffers

# A string of other characters has no affix and is no URL: letters of any kind, and what spaCy does not know.
_MAY_SPLIT = IS_PREFIX | IS_SUFFIX | IS_INFIX | IS_ASCII_DIGIT
_WORDLIKE = IS_ALPHA | IS_ASCII_DIGIT
_SPACE = ord(" ")
_SEEN = 1  # a token in a pattern, for the choice among overlapping ones; more is the size of a chosen one


@helper
def fill_spacy_tokens(points, flags, start, stop, tables, starts, ends):
    """Writes where the tokens of the characters from `start` to `stop` start and end, and returns how many there are.

    White space is no token. `starts` and `ends` need room for `stop - start` numbers, one for each character.
    """
    classes, terms, slots = tables.classes, tables.terms, tables.slots
    n_tokens = 0
    at = start
    while at < stop:
        if flags[at] & IS_SPACE:
            at += 1
            continue
        first = at
        classes_inside = 0
        while at < stop and not flags[at] & IS_SPACE:
            classes_inside |= class_of(points[at], classes)
            at += 1
        term = term_at(points, first, at, IS_SPECIAL, terms, slots)
        if term >= 0:
            n_tokens = _put_term(first, at, terms[term, SPLITS], starts, ends, n_tokens)
        elif classes_inside & _MAY_SPLIT:
            may_be_url = classes_inside & IS_FULL_STOP != 0
            n_tokens = _split(
                points, flags, first, at, start, may_be_url, classes, terms, slots, starts, ends, n_tokens
            )
        else:
            starts[n_tokens], ends[n_tokens] = first, at
            n_tokens += 1
    return _join_specials(points, n_tokens, classes, terms, slots, starts, ends)


@helper
def _put_term(start, stop, splits, starts, ends, n_tokens):
    """Writes the tokens of a term, which start where bits of `splits` are set; returns how many there are then."""
    starts[n_tokens] = start
    for at in range(start + 1, stop):
        if splits >> (at - start) & 1:
            ends[n_tokens] = at
            n_tokens += 1
            starts[n_tokens] = at
    ends[n_tokens] = stop
    return n_tokens + 1


@helper
def _split(points, flags, first, last, origin, may_be_url, classes, terms, slots, starts, ends, n_tokens):
    """Writes the tokens of the characters from `first` to `last`, no white space among them and no special case in all.

    `origin` is the first character of the whole text; returns how many tokens there are then.
    """
    start, stop = first, last
    term = -1
    while start < stop and term < 0:
        n_prefix = prefix_length(points, start, stop, classes)
        n_suffix = suffix_length(points, start + n_prefix, stop, classes, terms, slots)
        if n_prefix + n_suffix == 0:
            break
        # A special case is left alone: without the prefix only, else without the suffix only, else without both.
        left, right = start + n_prefix, stop - n_suffix
        for attempt in range(3):
            left = start if attempt == 1 else start + n_prefix
            right = stop if attempt == 0 else stop - n_suffix
            if left < right and (left > start or attempt > 0) and (right < stop or attempt == 0):
                term = term_at(points, left, right, IS_SPECIAL, terms, slots)
                if term >= 0:
                    break
        if left > start:
            starts[n_tokens], ends[n_tokens] = start, left
            n_tokens += 1
        if right < stop:
            # Kept for later where no token is yet: there are no more tokens before a character than characters.
            ends[right - origin] = stop
        start, stop = left, right
    if term >= 0:
        n_tokens = _put_term(start, stop, terms[term, SPLITS], starts, ends, n_tokens)
    elif start < stop:
        at = token = start  # of the token that is not written yet
        if may_be_url and is_url(points, flags, start, stop, classes):
            at = stop
        while at < stop:
            n_infix = infix_length(points, at, start, stop, classes)
            if n_infix == 0:
                at += 1
                continue
            if token < at:  # always: an infix at the very start would have been a prefix
                starts[n_tokens], ends[n_tokens] = token, at
                n_tokens += 1
            starts[n_tokens], ends[n_tokens] = at, at + n_infix
            n_tokens += 1
            at = token = at + n_infix
        if token < stop:
            starts[n_tokens], ends[n_tokens] = token, stop
            n_tokens += 1
    while stop < last:
        end = ends[stop - origin]
        starts[n_tokens], ends[n_tokens] = stop, end
        n_tokens += 1
        stop = end
    return n_tokens


@helper
def _join_specials(points, n_tokens, classes, terms, slots, starts, ends):
    """Makes the special cases of the tokens in a row that they consist of; returns how many tokens there are then.

    Of patterns that overlap, the longer one comes first, then the one further left. One is skipped if its first or last
    token is in a pattern that came before, even in a skipped one; and one with a space in it is no special case, but
    comes before others all the same.
    """
    characters = np.empty(LONGEST_TERM, dtype=np.int32)
    sizes = np.empty(0, dtype=np.int32)  # of the patterns that start at each token, as bits; filled if there are any
    all_sizes = 0
    class_before = class_of(points[starts[0]], classes) if n_tokens else 0
    for index in range(1, n_tokens):
        current = class_of(points[starts[index]], classes)
        if current & IS_SECOND and not (current & _WORDLIKE and class_before & _WORDLIKE):
            found = _patterns_at(points, index - 1, n_tokens, terms, slots, starts, ends, characters)
            if found:
                if all_sizes == 0:
                    sizes = np.empty(n_tokens, dtype=np.int32)
                    for before in range(n_tokens):
                        sizes[before] = 0
                sizes[index - 1] = found
                all_sizes |= found
        class_before = current
    return _put_patterns(points, n_tokens, terms, slots, starts, ends, sizes, all_sizes) if all_sizes else n_tokens


@helper
def _patterns_at(points, index, n_tokens, terms, slots, starts, ends, characters):
    """The sizes in tokens, as bits, of the patterns that start at a token; nothing or one space stands inside."""
    found = splits = n_chars = size = 0
    while index + size < n_tokens:
        start, end = starts[index + size], ends[index + size]
        gap = start - ends[index + size - 1] if size else 0
        if n_chars + end - start > LONGEST_TERM or gap > 1 or (gap == 1 and points[start - 1] != _SPACE):
            break
        splits |= 1 << n_chars
        for at in range(start, end):
            characters[n_chars] = points[at]
            n_chars += 1
        size += 1
        if size > 1:
            term = term_at(characters, 0, n_chars, IS_PATTERN | IS_PATTERN_START, terms, slots)
            if term < 0 or terms[term, PATTERN_SPLITS] != splits:
                break
            found |= (terms[term, KINDS] & IS_PATTERN != 0) << size
            if not terms[term, KINDS] & IS_PATTERN_START:
                break
    return found


@helper
def _put_patterns(points, n_tokens, terms, slots, starts, ends, sizes, all_sizes):
    # The size of the pattern chosen at a token, _SEEN or 0; and a copy, since a special case may have more tokens than
    # its pattern ("°C.").
    chosen = np.empty(n_tokens, dtype=np.int32)
    old_starts, old_ends = np.empty(n_tokens, dtype=np.int32), np.empty(n_tokens, dtype=np.int32)
    for index in range(n_tokens):
        chosen[index] = 0
        old_starts[index], old_ends[index] = starts[index], ends[index]
    for size in range(LONGEST_TERM, 1, -1):
        for index in range(n_tokens if all_sizes >> size & 1 else 0):
            if sizes[index] >> size & 1:
                is_free = chosen[index] == 0 and chosen[index + size - 1] == 0
                for inside in range(index, index + size):
                    if chosen[inside] == 0:
                        chosen[inside] = _SEEN
                if is_free:
                    chosen[index] = size
    n_joined = index = 0
    while index < n_tokens:
        size = chosen[index] if chosen[index] > 1 else 1
        first, last = old_starts[index], old_ends[index + size - 1]
        term = term_at(points, first, last, IS_SPECIAL, terms, slots) if size > 1 else -1
        if term >= 0:
            n_joined = _put_term(first, last, terms[term, SPLITS], starts, ends, n_joined)
        else:
            for inside in range(index, index + size):
                starts[n_joined], ends[n_joined] = old_starts[inside], old_ends[inside]
                n_joined += 1
        index += size
    return n_joined


@helper
def count_sentences(points, flags, start, stop, tables, starts, ends):
    """The number of sentences of the characters from `start` to `stop`; 1 for none.

    `starts` and `ends` are overwritten and need room as for `fill_spacy_tokens`. White space counts here: after a full
    stop, what is neither one space between tokens nor punctuation starts a sentence.
    """
    classes = tables.classes
    n_tokens = fill_spacy_tokens(points, flags, start, stop, tables, starts, ends)
    n_sentences = 1
    is_after_end = False
    for index in range(n_tokens + 1):
        first = starts[index] if index < n_tokens else stop
        if is_after_end:
            gap = first - ends[index - 1]
            if gap > 1 or (gap == 1 and points[first - 1] != _SPACE):
                n_sentences += 1
                is_after_end = False
        if index == n_tokens:
            break
        if ends[index] - first == 1 and class_of(points[first], classes) & IS_SENTENCE_END:
            is_after_end = True
        elif is_after_end:
            at = first
            while at < ends[index] and class_of(points[at], classes) & IS_PUNCTUATION:
                at += 1
            if at < ends[index]:
                n_sentences += 1
                is_after_end = False
    return n_sentences


@kernel
def _count_rows(text, offsets, char_tables, tables, is_sentences):
    counts = np.zeros(len(offsets) - 1, dtype=np.int32)
    points, flags = char_room(offsets)
    starts, ends = np.empty(len(points), dtype=np.int32), np.empty(len(points), dtype=np.int32)
    for row in range(len(counts)):
        n_chars = decode(text, offsets[row], offsets[row + 1], char_tables, points, flags)
        if is_sentences:
            counts[row] = count_sentences(points, flags, 0, n_chars, tables, starts, ends)
        else:
            counts[row] = fill_spacy_tokens(points, flags, 0, n_chars, tables, starts, ends)
    return counts


def _count(text: pa.Array, is_sentences: bool) -> pa.Int32Array:
    data, offsets = utf8_buffers(text)
    counts = _count_rows(data, offsets, char_tables(), spacy_tables(), is_sentences)
    return pa.array(counts, mask=text.is_null().to_numpy(zero_copy_only=False))


def count_words_spacy(text: pa.Array) -> pa.Int32Array:
    """The number of spaCy's English words of each text, punctuation and all; null for null.

    datatrove's `len(split_into_words(text))`.

    >>> count_words_spacy(pa.array(["I don't know.", "", None])).to_pylist()
    [5, 0, None]
    """
    return _count(text, is_sentences=False)


def count_sentences_spacy(text: pa.Array) -> pa.Int32Array:
    r"""The number of sentences of each text, as spaCy's `sentencizer` ends them; null for null, 1 for an empty text.

    datatrove's `len(split_into_sentences(text))`. At the end, white space other than one space is a sentence by itself.

    >>> count_sentences_spacy(pa.array(["Mr. Fox can't jump. He's brown.", "Really?!\n", "", None])).to_pylist()
    [2, 2, 1, None]
    """
    return _count(text, is_sentences=True)


def words_spacy(text: str) -> list[str]:
    """The words of one text in order, as spaCy's English tokenizer gives them, punctuation and all.

    datatrove's `split_into_words(text)`.

    >>> words_spacy("He's paid $5/h in the U.S.:)")
    ['He', "'s", 'paid', '$', '5', '/', 'h', 'in', 'the', 'U.S.', ':)']
    """
    data, offsets = utf8_buffers(pa.array([text]))
    starts, ends = _word_bounds(data, offsets, char_tables(), spacy_tables())
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


@kernel
def _word_bounds(text, offsets, char_tables, tables):
    points, flags = char_room(offsets)
    n_chars = decode(text, offsets[0], offsets[1], char_tables, points, flags)
    starts, ends = np.empty(n_chars, dtype=np.int32), np.empty(n_chars, dtype=np.int32)
    n_words = fill_spacy_tokens(points, flags, 0, n_chars, tables, starts, ends)
    return starts[:n_words], ends[:n_words]
