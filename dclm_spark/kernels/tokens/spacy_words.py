r"""Splits texts into the words of spaCy's English tokenizer, which datatrove's English filters use.

Source: spaCy 3.8, `tokenizer.pyx` with `spacy.blank("en")`, as datatrove calls it (`utils/word_tokenizers.py`): the
text is cut at white space; each piece loses prefixes and suffixes until nothing comes off or a special case is left
("don't"); what is left is a special case, a URL, or is cut at its infixes. At the end, tokens in a row that make up a
special case which affixes took apart (":" and ")") become that special case. White-space tokens are left out.

Where we differ:

- Letters, numbers and punctuation are those of Unicode 16.0, where spaCy uses those of the Python that runs it.
- The word `IS_ALPHA` stays what it is. spaCy fails on it from the second time on, and datatrove then deletes it.

All loops are linear in the length of the text, whatever the text.
"""

import numpy as np
import pyarrow as pa

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.text.unicode import IS_SPACE, char_room, char_tables, decode, utf8_buffers
from dclm_spark.kernels.tokens.spacy_affixes import infix_length, prefix_length, suffix_length
from dclm_spark.kernels.tokens.spacy_specials import join_specials, put_special
from dclm_spark.kernels.tokens.spacy_tables import (
    IS_ASCII_DIGIT,
    IS_FULL_STOP,
    IS_INFIX,
    IS_PREFIX,
    IS_PUNCTUATION,
    IS_SENTENCE_END,
    IS_SPECIAL,
    IS_SUFFIX,
    SPLITS,
    class_of,
    spacy_tables,
    term_at,
)
from dclm_spark.kernels.tokens.spacy_urls import is_url

# A string of other characters has no affix and is no URL: letters of any kind, and what spaCy does not know.
_MAY_SPLIT = IS_PREFIX | IS_SUFFIX | IS_INFIX | IS_ASCII_DIGIT
_SPACE = ord(" ")


@helper
def fill_spacy_tokens(points, flags, start, stop, tables, starts, ends):
    """Writes where the tokens of the characters from `start` to `stop` start and end, and returns how many there are.

    White space is no token. `starts` and `ends` need room for `stop - start` numbers, one for each character; what is
    behind the tokens is overwritten as far as that.
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
            n_tokens = put_special(first, at, terms[term, SPLITS], starts, ends, n_tokens)
        elif classes_inside & _MAY_SPLIT:
            may_be_url = classes_inside & IS_FULL_STOP != 0
            n_tokens = _split(
                points, flags, first, at, start, may_be_url, classes, terms, slots, starts, ends, n_tokens
            )
        else:
            starts[n_tokens], ends[n_tokens] = first, at
            n_tokens += 1
    return join_specials(points, n_tokens, stop - start, classes, terms, slots, starts, ends)


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
        n_tokens = put_special(start, stop, terms[term, SPLITS], starts, ends, n_tokens)
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
def count_sentences(points, stop, n_tokens, tables, starts, ends):
    """Counts the sentences of points[:stop], whose tokens `fill_spacy_tokens` has written; 1 for no characters.

    White space counts too: after a full stop, what is neither one space between tokens nor punctuation starts a
    sentence.
    """
    classes = tables.classes
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
        counts[row] = fill_spacy_tokens(points, flags, 0, n_chars, tables, starts, ends)
        if is_sentences:
            counts[row] = count_sentences(points, n_chars, counts[row], tables, starts, ends)
    return counts


def _count(text: pa.Array, is_sentences: bool) -> pa.Int32Array:
    data, offsets = utf8_buffers(text)
    counts = _count_rows(data, offsets, char_tables(), spacy_tables(), is_sentences)
    return pa.array(counts, mask=text.is_null().to_numpy(zero_copy_only=False))


def count_words_spacy(text: pa.Array) -> pa.Int32Array:
    """Counts the tokens of spaCy's English tokenizer in each text, including punctuation; null for null.

    datatrove's `len(split_into_words(text))`.

    >>> count_words_spacy(pa.array(["I don't know.", "", None])).to_pylist()
    [5, 0, None]
    """
    return _count(text, is_sentences=False)


def count_sentences_spacy(text: pa.Array) -> pa.Int32Array:
    r"""Counts the sentences of each text, as spaCy's `sentencizer` ends them; null for null, 1 for an empty text.

    datatrove's `len(split_into_sentences(text))`. At the end, white space other than one space is a sentence by itself.

    >>> count_sentences_spacy(pa.array(["Mr. Fox can't jump. He's brown.", "Really?!\n", "", None])).to_pylist()
    [2, 2, 1, None]
    """
    return _count(text, is_sentences=True)


def words_spacy(text: str) -> list[str]:
    """Returns the tokens of one text in order, by spaCy's English tokenizer, including punctuation.

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
