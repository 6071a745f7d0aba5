"""Packs many (key, text, order) entries into one binary value, so that a shuffle moves few large rows.

An entry says that a text has a band key. Entries are packed by the block of their key, sorted by key, which compresses
well: of the 24 bytes of an entry about 13 are sent. Spark moves packets to their block, and `buckets` joins the entries
of a block.
"""

from typing import NamedTuple

import numpy as np

from dclm_spark.kernels.bytes.packed import pack_arrays, unpack_arrays

# Eight bits of a key are not sent: with 10^10 texts, about a thousand pairs in each band then agree by chance, and are
# verified.
_LEFT_BEHIND = np.uint64(9)  # and one bit for a mark
_KEPT = np.uint64(~0x1FF & (1 << 64) - 1)
IS_FIRST_BAND = np.uint64(0x100)
SURVIVOR_ORDER_BITS = 48
"""Bits of an order below the dump's index in the scope, which has 15: as much of the survivor order as fits."""


class Entries(NamedTuple):
    """Entries of one block or of all blocks: three arrays of equal length.

    Args:
        keys: uint64. Band keys without their lowest nine bits, which hold only `IS_FIRST_BAND`: whether the key is that
            of the text's first band.
        texts: int64. Hash of the text.
        orders: uint64. Smallest order of the documents that have the text.
    """

    keys: np.ndarray
    texts: np.ndarray
    orders: np.ndarray


class Repeated(NamedTuple):
    """Texts that several documents have: their hashes (int64), and the index of the dump of the last such document
    (int64)."""

    texts: np.ndarray
    last_dumps: np.ndarray


def distinct_texts(texts: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray, Repeated]:
    """Finds the distinct texts of documents: the row and the order of each text's first document, and repeated texts.

    >>> rows, orders, repeated = distinct_texts(np.array([7, 5, 7]), np.array([3, 9, 2], dtype=np.uint64))
    >>> rows.tolist(), orders.tolist(), repeated.texts.tolist()
    ([1, 2], [9, 2], [7])
    """
    by_text = np.lexsort((orders, texts))
    sorted_texts = texts[by_text]
    is_first = np.ones(len(texts), dtype=bool)
    is_first[1:] = sorted_texts[1:] != sorted_texts[:-1]
    firsts = np.flatnonzero(is_first)
    lasts = np.append(firsts[1:], len(texts)) - 1
    is_repeated = lasts > firsts
    # Sorted by order, so the last document of a text has the highest index of a dump.
    last_dumps = (orders[by_text[lasts[is_repeated]]] >> np.uint64(SURVIVOR_ORDER_BITS)).astype(np.int64)
    rows = by_text[firsts]
    return rows, orders[rows], Repeated(sorted_texts[firsts[is_repeated]], last_dumps)


def keys_of_shards(keys: np.ndarray, shards: np.ndarray) -> np.ndarray:
    """Changes band keys, a uint64 matrix (texts, bands), so that no two shards have equal ones; shard 0 is unchanged.

    A shard's number, at most 20 bits, changes the lowest bits that are sent, because the highest bits decide the block.

    >>> keys_of_shards(np.array([[1 << 40], [1 << 40]], dtype=np.uint64), np.array([0, 1], dtype=np.uint64)).tolist()
    [[1099511627776], [1099511628288]]
    """
    return keys ^ (shards << _LEFT_BEHIND)[:, np.newaxis]


def entries_of(keys: np.ndarray, texts: np.ndarray, orders: np.ndarray) -> Entries:
    """Makes the entries of texts from their band keys, a uint64 matrix (texts, bands); they are not sorted."""
    n_bands = keys.shape[1]
    marked = keys & _KEPT
    marked[:, 0] |= IS_FIRST_BAND
    return Entries(marked.ravel(), np.repeat(texts, n_bands), np.repeat(orders, n_bands))


def pack(entries: Entries, repeated: Repeated, *, n_blocks: int) -> tuple[np.ndarray, list[bytes]]:
    """Packs entries: returns the blocks that have any, and a packet for each, for `unpack`.

    A block is a range of keys, the same for all packets. A repeated text goes to a block by its hash.

    Args:
        entries: Entries of any blocks, in any order.
        repeated: Repeated texts of any blocks.
        n_blocks: Number of blocks, a power of two, at most 2^31.
    """
    shift = np.uint64(65 - n_blocks.bit_length())
    by_key = np.argsort(entries.keys)
    keys, texts, orders = (column[by_key] for column in entries)
    by_text = np.argsort(repeated.texts)
    repeats, last_dumps = repeated.texts[by_text], repeated.last_dumps[by_text]
    limits = np.arange(1, n_blocks, dtype=np.uint64) << shift if n_blocks > 1 else np.empty(0, dtype=np.uint64)
    # Hashes of texts are signed, so their blocks begin with the negative ones.
    by_sign = repeats.view(np.uint64) ^ np.uint64(1 << 63)
    ends = np.append(np.searchsorted(keys, limits), len(keys))
    lasts = np.append(np.searchsorted(by_sign, limits), len(repeats))
    blocks, packets = [], []
    start, first = 0, 0
    for block, (end, last) in enumerate(zip(ends, lasts, strict=True)):
        if end > start or last > first:
            of_entries = keys[start:end], texts[start:end], orders[start:end]
            blocks.append(block)
            packets.append(pack_arrays([*of_entries, repeats[first:last], last_dumps[first:last]]))
        start, first = end, last
    return np.array(blocks, dtype=np.int32), packets


def unpack(packet: bytes) -> tuple[Entries, Repeated]:
    """Reads a packet of `pack`; entries are sorted by key, repeated texts by hash."""
    columns = unpack_arrays(packet)
    return Entries(*columns[:3]), Repeated(*columns[3:])
