"""Reads a fastText model file into arrays for predictions, and checks every number before it is used.

The format is that of fastText 0.9, described only by its code (`src/fasttext.cc`, `dictionary.cc`, `quantmatrix.cc`,
`productquantizer.cc`).
"""

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.compiled.jit import helper, kernel

LABEL_PREFIX = "__label__"
HIERARCHICAL_SOFTMAX, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = range(1, 5)
N_CENTROIDS = 256  # of a product quantizer

FNV_BASIS = 2166136261

_MAGIC = 793712314
_VERSION = 12  # older files have other default values than they state
_SUPERVISED = 3
_UNPRUNED = -1
# These limits make the memory grow with the size of the file, not with the numbers in it.
_FREE_BUCKETS = 1 << 24  # buckets of a model with pruned n-grams: eight times fastText's default, 64 MB
_BUCKETS_A_BYTE = 16  # additional buckets for each byte of the file
_MAX_PART = 16  # numbers that one byte of a quantized row encodes; fastText's default is 2
_MAX_NGRAM = 100  # longest n-gram, in characters or words: the work on a text is a multiple of it
_N_ENTRY_BYTES = 10  # smallest size of a dictionary entry: an empty word's zero byte, its count, its kind
_NO_COUNT = 10**15  # of a node of the tree that is not made yet
_WORD, _LABEL = 0, 1
# Magic and version; dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate; t; the
# dictionary's size, words, labels; tokens, pruned n-grams.
_HEAD = struct.Struct("<2i12id3i2q")


class BadModel(ValueError):
    """Raised for a file that is not a usable model; the message continues the sentence "the model ..."."""


class Model(NamedTuple):
    """The arrays of a supervised model.

    Attributes: rows: float32. One row for each input (words, then n-grams). It is a view of the file, shared by all
        processes that map it; for a quantized model it is computed in each process, four bytes for each number
        (lid.176.ftz: 3 MB). outputs: float32. One row for each output (label; inner node of the tree for hierarchical
        softmax). words: The bytes of all dictionary entries, concatenated. starts: Entry i is `words[starts[i]:starts[i
        + 1]]`. slots: Open addressing by the hash that `fnv_step` makes: the number of an entry, or -1. pruned: Bucket
        -> row after those of the words, -1 if the n-gram was pruned; empty if none was. kept: One bit for each bucket,
        set if the n-gram was not pruned; empty if none was. children: Left and right child of each node of the tree, -1
        for a label; empty without a tree. n_words: Number of entries that are words; labels follow them. bucket: Number
        of hash buckets for n-grams. minn, maxn: Lengths of character n-grams, in characters. word_ngrams: Longest
        n-gram of words. loss: One of the four losses above.
    """

    rows: np.ndarray
    outputs: np.ndarray
    words: np.ndarray
    starts: np.ndarray
    slots: np.ndarray
    pruned: np.ndarray
    kept: np.ndarray
    children: np.ndarray
    n_words: int
    bucket: int
    minn: int
    maxn: int
    word_ngrams: int
    loss: int


def read_model(path: Path) -> tuple[Model, tuple[str, ...]]:
    """Reads a model file; returns the model, and the names of its labels without their prefix.

    The file must be complete. fastText itself accepts some truncated files without a message and predicts nonsense, and
    crashes on others.

    Raises:
        BadModel: The file is not a model, not a classifier, or truncated.
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return _read(_Bytes(data))
        except (struct.error, IndexError, ValueError) as error:
            if isinstance(error, BadModel):
                raise
            raise BadModel("is no fastText model, or is clipped") from None  # shorter than its header states


class _Bytes:
    """Reads a memory-mapped file from beginning to end; views of it stay valid when the file is deleted."""

    def __init__(self, data: mmap.mmap) -> None:
        self.all = np.frombuffer(data, np.uint8)
        self._data = data
        self.at = 0

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from(layout, self._data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def array(self, dtype: str, *shape: int) -> np.ndarray:
        n = int(np.prod(shape, dtype=object))
        if n < 0 or self.at + n * np.dtype(dtype).itemsize > len(self.all):
            raise IndexError("ends early")
        values = np.frombuffer(self._data, dtype, n, self.at).reshape(shape)
        self.at += values.nbytes
        return values


def _read(data: _Bytes) -> tuple[Model, tuple[str, ...]]:
    head = data.take(_HEAD.format)
    magic, version, dim = head[:3]
    word_ngrams, loss, kind, bucket, minn, maxn = head[7:13]
    n_entries, n_words, n_labels, _, n_pruned = head[15:]
    if magic != _MAGIC:
        raise BadModel("is no fastText model")
    if version > _VERSION:
        raise BadModel(f"has format version {version}, newer than {_VERSION}")
    if kind != _SUPERVISED:
        raise BadModel("holds word vectors and cannot label a text")
    if version < _VERSION:
        maxn = 0  # files of this version do not use character n-grams, although they state a number
    if not (
        n_entries == n_words + n_labels
        and n_words >= 0 < n_labels
        and HIERARCHICAL_SOFTMAX <= loss <= ONE_VS_ALL
        and dim > 0
        and (1 if maxn > 0 or word_ngrams > 1 else 0) <= bucket
        and n_pruned >= _UNPRUNED
    ):
        raise BadModel("contradicts itself: it is damaged")
    if max(maxn, word_ngrams) > _MAX_NGRAM:
        raise BadModel(f"has n-grams of up to {max(maxn, word_ngrams):,}; expected at most {_MAX_NGRAM}")
    if n_pruned != _UNPRUNED and bucket > max(_FREE_BUCKETS, _BUCKETS_A_BYTE * len(data.all)):
        raise BadModel(f"asks for {bucket:,} buckets of n-grams, too many for its {len(data.all):,} bytes")
    if _N_ENTRY_BYTES * n_entries > len(data.all):
        raise IndexError("ends early")
    starts, counts, kinds, end = _read_entries(data.all, data.at, n_entries)
    if end < 0 or not (kinds[:n_words] == _WORD).all() or not (kinds[n_words:] == _LABEL).all():
        raise BadModel("is no fastText model, or is clipped")
    words, starts = _pack(data.all, starts)
    data.at = int(end)
    pruned = np.empty(0, np.int32)
    if n_pruned != _UNPRUNED:
        pairs = data.array("<i4", n_pruned, 2)
        if ((pairs < 0) | (pairs >= (bucket, max(n_pruned, 1)))).any():
            raise BadModel("has n-grams beyond its own account: it is damaged")
        pruned = np.full(bucket, -1, np.int32)
        pruned[pairs[:, 0]] = pairs[:, 1]
    (is_quantized,) = data.take("<?")
    rows = _read_matrix(data, dim, is_quantized)
    (is_output_quantized,) = data.take("<?")
    outputs = _read_matrix(data, dim, is_quantized and is_output_quantized)
    if data.at != len(data.all):
        raise BadModel(f"has {len(data.all)} bytes where its own head announces {data.at}: clipped or damaged")
    if len(outputs) != n_labels or len(rows) < n_words + (bucket if n_pruned == _UNPRUNED else n_pruned):
        raise BadModel("has too few rows for its words and labels: it is damaged")
    names = [words[starts[i] : starts[i + 1]].tobytes().decode("utf-8", "replace") for i in range(n_words, n_entries)]
    has_tree = loss == HIERARCHICAL_SOFTMAX
    if has_tree and ((counts[n_words:] < 0).any() or sum(map(int, counts[n_words:])) >= _NO_COUNT):
        raise BadModel("has impossible counts of its labels: it is damaged")
    model = Model(
        rows=rows,
        outputs=np.ascontiguousarray(outputs),
        words=words,
        starts=starts,
        slots=_slots(words, starts),
        pruned=pruned,
        kept=np.packbits(pruned >= 0, bitorder="little"),
        children=_tree(counts[n_words:]) if has_tree else np.empty((0, 2), np.int32),
        n_words=n_words,
        bucket=bucket,
        minn=minn,
        maxn=maxn,
        word_ngrams=word_ngrams,
        loss=loss,
    )
    return model, tuple(name.removeprefix(LABEL_PREFIX) for name in names)


def _read_matrix(data: _Bytes, dim: int, is_quantized: bool) -> np.ndarray:
    if not is_quantized:
        n_rows, n_columns = data.take("<2q")
        if n_columns != dim:
            raise BadModel("has rows of two lengths: it is damaged")
        return data.array("<f4", n_rows, n_columns)
    has_norms, n_rows, n_columns, n_codes = data.take("<?2qi")
    codes = data.array("u1", n_codes)
    centroids, n_parts, part, last = _read_quantizer(data)
    is_whole = n_rows >= 0 and n_parts > 0 and 0 < last <= part and part * (n_parts - 1) + last == dim
    if not is_whole or n_columns != dim or len(centroids) != dim * N_CENTROIDS or n_codes != n_rows * n_parts:
        raise BadModel("is quantized in a way that contradicts itself: it is damaged")
    if part > _MAX_PART:
        raise BadModel(f"has rows quantized in parts of {part:,} numbers; expected at most {_MAX_PART}")
    norms = np.ones(n_rows, np.float32)
    if has_norms:
        norm_codes = data.array("u1", n_rows)
        norms = _read_quantizer(data)[0][norm_codes]
    rows = np.empty((n_rows, dim), np.float32)
    for number, code in enumerate(codes.reshape(n_rows, n_parts).T):
        width = last if number == n_parts - 1 else part
        table = centroids[number * N_CENTROIDS * part :][: N_CENTROIDS * width].reshape(N_CENTROIDS, width)
        # In float32, as fastText does it for each row that it adds.
        rows[:, number * part : number * part + width] = norms[:, None] * table[code]
    return rows


def _read_quantizer(data: _Bytes) -> tuple[np.ndarray, int, int, int]:
    """Reads a quantizer: centroids, number of parts of a row, length of a part, length of the last part."""
    dim, n_parts, part, last = data.take("<4i")
    return data.array("<f4", dim * N_CENTROIDS), n_parts, part, last


@kernel
def _read_entries(data, at, n):
    """Reads n dictionary entries: start and end of each word, counts and kinds, and the end of the entries.

    The end is -1 if the data is too short.
    """
    starts, counts, kinds = np.empty((n, 2), np.int64), np.empty(n, np.int64), np.empty(n, np.uint8)
    for entry in range(n):
        starts[entry, 0] = at
        while at < len(data) and data[at] != 0:
            at += 1
        starts[entry, 1] = at
        if at + 10 > len(data):
            return starts, counts, kinds, -1
        count = np.int64(0)
        for byte in range(8):
            count |= np.int64(data[at + 1 + byte]) << (8 * byte)
        counts[entry], kinds[entry] = count, data[at + 9]
        at += 10
    return starts, counts, kinds, at


def _pack(data: np.ndarray, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the words, concatenated, and the start of each."""
    lengths = spans[:, 1] - spans[:, 0]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    words = data[np.arange(starts[-1]) + np.repeat(spans[:, 0] - starts[:-1], lengths)]
    return words, starts


@helper
def fnv_step(digest, byte):
    """Adds one byte to fastText's hash: 32-bit FNV-1a over *signed* bytes (`Dictionary::hash`)."""
    return np.uint32((digest ^ np.uint32(np.int8(byte))) * np.uint32(16777619))


def _slots(words: np.ndarray, starts: np.ndarray) -> np.ndarray:
    slots = np.full(1 << (2 * len(starts)).bit_length(), -1, np.int32)
    _fill_slots(words, starts, slots)
    return slots


@kernel
def _fill_slots(words, starts, slots):
    for entry in range(len(starts) - 1):
        digest = np.uint32(FNV_BASIS)
        for at in range(starts[entry], starts[entry + 1]):
            digest = fnv_step(digest, words[at])
        slot = digest & (len(slots) - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = entry


def _tree(counts: np.ndarray) -> np.ndarray:
    """Builds the Huffman tree of the labels, most frequent first (`HierarchicalSoftmaxLoss::buildTree`)."""
    n = len(counts)
    weights = [*map(int, counts), *[_NO_COUNT] * (n - 1)]
    children = np.full((2 * n - 1, 2), -1, np.int32)
    leaf, node = n - 1, n
    # Invariant: the leaves above `leaf` and the nodes below `node` have a parent.
    for parent in range(n, 2 * n - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[parent, side], leaf = leaf, leaf - 1
            else:
                children[parent, side], node = node, node + 1
        weights[parent] = sum(weights[child] for child in children[parent])
    return children
