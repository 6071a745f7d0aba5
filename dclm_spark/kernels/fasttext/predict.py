"""Predicts the likeliest label of Arrow texts by a fastText model; probabilities equal fastText's bit for bit.

Like fastText, the loops here add one row of the input matrix for each word and n-gram of a text, in float32 and in
their order. They are faster because a page is read from Arrow's buffer without making a string, and because the rows of
a token are cached, where fastText computes them each time.
"""

import math
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, kernel
from dclm_spark.kernels.fasttext.model_file import (
    FNV_BASIS,
    HIERARCHICAL_SOFTMAX,
    LABEL_PREFIX,
    SOFTMAX,
    Model,
    fnv_step,
)
from dclm_spark.kernels.fasttext.output import NO_LABEL, best_leaf, best_output

_EOS = np.frombuffer(b"</s>", np.uint8)
_PREFIX = np.frombuffer(LABEL_PREFIX.encode(), np.uint8)
_NEWLINE, _BELOW, _ABOVE = b"\n<>"
# string.punctuation and the space: a text of only these has no language by DCLM's is_space_or_punct. A newline does not
# count.
_PUNCTUATION = np.zeros(256, np.bool_)
_PUNCTUATION[list(b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")] = True
_SEPARATORS = np.zeros(256, np.bool_)
_SEPARATORS[list(b" \n\r\t\v\f\0")] = True  # `Dictionary::readWord`
_OTHER_BASIS, _OTHER_PRIME = 14695981039346656037, 1099511628211  # FNV-1a of 64 bits

# A longer token is not cached. When a part of the cache is full, the whole cache is emptied, which changes no result.
_MAX_TOKEN_BYTES = 64
_MEMORY_TOKENS, _MEMORY_ROWS = 1 << 18, 1 << 21


class Memory(NamedTuple):
    """A cache of the rows of tokens.

    Attributes:
        entries: Open addressing by fastText's hash, a row (a second hash of 64 bits, place) an entry. A place is where
            the token's row numbers begin, shifted by 32, plus 2 + their number, or plus 1 for a label (which is no
            word); 0 is an empty entry.
        rows: Row numbers of one token after the other. n: Numbers of tokens and rows in use.
    """

    entries: np.ndarray
    rows: np.ndarray
    n: np.ndarray


def empty_memory() -> Memory:
    """Makes an empty cache, which takes 16 MB."""
    entries = np.zeros((2 * _MEMORY_TOKENS, 2), np.uint64)
    return Memory(entries, rows=np.empty(_MEMORY_ROWS, np.int32), n=np.zeros(2, np.int64))


def predict(
    data: np.ndarray, offsets: np.ndarray, *, newline: str, model: Model, memory: Memory
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number of each text's likeliest label (-1 for none) and its probability, float32.

    A text has no label if it is empty, has only ASCII spaces and punctuation, or has no token that the model knows.
    Probabilities can be above 1 by about 1e-4, because fastText takes the logarithm of p + 1e-5. If a model's outputs
    are quantized with norms, the last bits may differ from fastText's, which multiplies by the norm at the end.

    Args:
        data: UTF-8 bytes of all texts.
        offsets: Text i is `data[offsets[i]:offsets[i + 1]]`.
        newline: Text that replaces each newline.
        model: The model.
        memory: Cache of this model's tokens; it is changed.
    """
    in_line = np.frombuffer(newline.encode(), np.uint8)
    return _predict_rows(data, offsets, in_line, model, memory)


@kernel
def _predict_rows(data, offsets, newline, model, memory):
    n = len(offsets) - 1
    labels, probabilities = np.full(n, NO_LABEL, np.int32), np.zeros(n, np.float32)
    longest = 0
    for text in range(n):
        longest = max(longest, offsets[text + 1] - offsets[text])
    line = np.empty(longest * max(1, len(newline)) + len(_EOS), np.uint8)
    hashes = np.empty(len(line) // 2 + 2 if model.word_ngrams > 1 else 0, np.int32)
    padded = np.empty(len(line) + 2, np.uint8)
    hidden = np.empty(model.rows.shape[1], np.float32)
    for text in range(n):
        size = _write_line(data, offsets[text], offsets[text + 1], newline, line)
        if size < 0:
            continue
        hidden.fill(0)
        n_rows = _add_line(line, size, hashes, model, memory, padded, hidden)
        if n_rows == 0:
            continue
        share = np.float32(1.0 / n_rows)
        for at in range(len(hidden)):
            hidden[at] *= share
        if model.loss == HIERARCHICAL_SOFTMAX:
            label, score = best_leaf(hidden, model.outputs, model.children)
        else:
            label, score = best_output(hidden, model.outputs, model.loss == SOFTMAX)
        labels[text] = label
        probabilities[text] = math.exp(score)
    return labels, probabilities


@helper
def _write_line(data, start, stop, newline, line):
    """Writes a text as one line, with newlines replaced, and returns its length; -1 if the text has no language."""
    size = 0
    is_blank = True
    for at in range(start, stop):
        is_blank = is_blank and _PUNCTUATION[data[at]]
        if data[at] == _NEWLINE:
            for byte in newline:
                line[size] = byte
                size += 1
        else:
            line[size] = data[at]
            size += 1
    return -1 if is_blank else size


@helper
def _add_line(line, size, hashes, model, memory, padded, hidden):
    """Adds the rows of all tokens of a line, and of the end of the line, to `hidden`; returns their number."""
    # Taken once, because taking an array out of a tuple costs more than adding a token's rows.
    entries, remembered, _ = memory
    rows, word_ngrams = model.rows, model.word_ngrams
    n_rows = np.int64(0)
    n_tokens = at = 0
    is_end = False
    while not is_end:
        while at < size and _SEPARATORS[line[at]]:
            at += 1
        start = at
        digest, other = np.uint32(FNV_BASIS), np.uint64(_OTHER_BASIS)
        while at < size and not _SEPARATORS[line[at]]:
            digest = fnv_step(digest, line[at])
            other = (other ^ np.uint64(line[at])) * np.uint64(_OTHER_PRIME)
            at += 1
        if start == at:  # the newline at the end of the line, which fastText reads as a token
            for byte in _EOS:
                line[at] = byte
                digest = fnv_step(digest, byte)
                other = (other ^ np.uint64(byte)) * np.uint64(_OTHER_PRIME)
                at += 1
        is_end = at - start == len(_EOS) and _begins_with(line, start, _EOS)
        slot = np.int64(digest) & (len(entries) - 1)
        place = entries[slot, 1]
        while place != 0 and entries[slot, 0] != other:
            slot = (slot + 1) & (len(entries) - 1)
            place = entries[slot, 1]
        if place == 0:
            place = _find(line, start, at, digest, other, model, memory, padded, hidden)
        added = np.int64(place & np.uint64(0xFFFFFFFF)) - 2
        if at - start <= _MAX_TOKEN_BYTES:
            first = np.int64(place >> np.uint64(32))
            for index in range(first, first + added):
                _add_row(hidden, rows, remembered[index])
        if added >= 0:
            n_rows += added
            if word_ngrams > 1:
                hashes[n_tokens] = np.int32(digest)
                n_tokens += 1
    return n_rows + _add_word_ngrams(hashes, n_tokens, model, hidden)


@helper
def _find(line, start, stop, digest, other, model, memory, padded, hidden):
    """Computes the rows of a token that is not in the cache: caches them or, if it is too long, adds them at once."""
    entries, remembered, n = memory
    is_kept = stop - start <= _MAX_TOKEN_BYTES
    # Upper limit of a token's n-grams, plus its own row.
    room = 1 + max(0, model.maxn - model.minn + 1) * (stop - start + 2)
    if is_kept and (2 * n[0] >= len(entries) or n[1] + room > len(remembered)):
        entries.fill(0)
        n.fill(0)
    found = _find_rows(line, start, stop, digest, model, remembered, n[1] if is_kept else -1, padded, hidden)
    place = np.uint64(n[1]) << np.uint64(32) | np.uint64(found + 2)
    if is_kept:
        slot = np.int64(digest) & (len(entries) - 1)
        while entries[slot, 1] != 0:
            slot = (slot + 1) & (len(entries) - 1)
        entries[slot, 0], entries[slot, 1] = other, place
        n[0] += 1
        n[1] += max(found, 0)
    return place


@helper
def _add_word_ngrams(hashes, n_tokens, model, hidden):
    """Adds the rows of n-grams of two or more words to `hidden` (`Dictionary::addWordNgrams`)."""
    n_rows = 0
    for first in range(n_tokens):
        digest = np.uint64(np.int64(hashes[first]))
        for last in range(first + 1, min(n_tokens, first + model.word_ngrams)):
            digest = digest * np.uint64(116049371) + np.uint64(np.int64(hashes[last]))
            row = _row_of_ngram(digest % np.uint64(model.bucket), model.pruned, model.kept, model.n_words)
            if row >= 0:
                _add_row(hidden, model.rows, row)
                n_rows += 1
    return n_rows


@helper
def _find_rows(text, start, stop, digest, model, found, at, padded, hidden):
    """Finds the rows of a token's word and n-grams; writes them to `found` from `at` on, or if `at` < 0 adds them.

    Returns their number; -1 for a label, and for a token that looks like one (`Dictionary::getLine`).
    """
    rows, pruned, kept, n_words, bucket = model.rows, model.pruned, model.kept, model.n_words, model.bucket
    entry = _entry(text, start, stop, digest, model.words, model.starts, model.slots)
    if entry >= n_words or (entry < 0 and stop - start >= len(_PREFIX) and _begins_with(text, start, _PREFIX)):
        return -1
    n_rows = 0
    if entry >= 0:
        n_rows = 1
        if at >= 0:
            found[at] = entry
        else:
            _add_row(hidden, rows, entry)
    if model.maxn <= 0 or (stop - start == len(_EOS) and _begins_with(text, start, _EOS)):
        return n_rows
    # The n-grams of "<" + token + ">": from each character on, the shortest first (`Dictionary::computeSubwords`).
    size = stop - start + 2
    padded[0], padded[size - 1] = _BELOW, _ABOVE
    for byte in range(stop - start):
        padded[1 + byte] = text[start + byte]
    for begin in range(size):
        if padded[begin] & 0xC0 == 0x80:
            continue
        code = np.uint32(FNV_BASIS)
        end = begin
        for length in range(1, model.maxn + 1):
            if end == size:
                break
            code = fnv_step(code, padded[end])
            end += 1
            while end < size and padded[end] & 0xC0 == 0x80:
                code = fnv_step(code, padded[end])
                end += 1
            if length >= model.minn and not (length == 1 and (begin == 0 or end == size)):
                row = _row_of_ngram(code % np.uint32(bucket), pruned, kept, n_words)
                if row >= 0:
                    if at >= 0:
                        found[at + n_rows] = row
                    else:
                        _add_row(hidden, rows, row)
                    n_rows += 1
    return n_rows


@helper
def _entry(text, start, stop, digest, words, starts, slots):
    """Returns the dictionary's entry for a token; -1 if it has none."""
    slot = digest & (len(slots) - 1)
    entry = slots[slot]
    while entry >= 0:
        first = starts[entry]
        if starts[entry + 1] - first == stop - start:
            at = 0
            while at < stop - start and words[first + at] == text[start + at]:
                at += 1
            if at == stop - start:
                break
        slot = (slot + 1) & (len(slots) - 1)
        entry = slots[slot]
    return entry


@helper
def _row_of_ngram(bucket, pruned, kept, n_words):
    """Returns the row of an n-gram's bucket; -1 if it was pruned."""
    at = np.int64(bucket)
    if len(pruned) == 0:
        return n_words + at
    # One bit for each bucket: most n-grams are pruned, and the bits of all buckets fit a core's own cache.
    if kept[at >> 3] >> (at & 7) & 1:
        return n_words + np.int64(pruned[at])
    return np.int64(-1)


@helper
def _add_row(hidden, rows, row):
    for at in range(len(hidden)):
        hidden[at] += rows[row, at]


@helper
def _begins_with(text, start, word):
    at = 0
    while at < len(word) and text[start + at] == word[at]:
        at += 1
    return at == len(word)
