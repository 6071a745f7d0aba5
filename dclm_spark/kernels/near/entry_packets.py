"""Packets: many (key, text, order) entries as one binary value, so that a shuffle moves few large rows.

An entry says that a text has a band key. Packed by the block of its key, sorted by it and laid out a byte at a time
(all first bytes, all second bytes, ...), neighbours share what a compressor looks for: of the 24 bytes of an entry some
13 travel. Spark moves packets to their block, `buckets` joins what meets there.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

_CODEC = "zstd"
# Eight bits of a key stay behind: of 10^10 texts some thousand pairs a band then meet by chance, and are verified.
_LEFT_BEHIND = np.uint64(9)  # with the one that is a mark
_KEPT = np.uint64(~0x1FF & (1 << 64) - 1)
IS_FIRST_BAND = np.uint64(0x100)
_HEADER = 16  # bytes: entries, repeated texts
PLACE_SHIFT = 48
"""An order is the dump's place in the scope, 15 bits, above 48 bits of the survivor order as far as they tell."""


class Entries(NamedTuple):
    """Entries of a block, or of all: three arrays of one length.

    Args:
        keys: uint64, their lowest nine bits nothing but `IS_FIRST_BAND`: whether it is that of the text's first band.
        texts: int64. The text's hash.
        orders: uint64. The smallest order of the documents that have the text.
    """

    keys: np.ndarray
    texts: np.ndarray
    orders: np.ndarray


class Repeated(NamedTuple):
    """Texts that several documents have: their hashes (int64) and the last place (int64) of a document that does."""

    texts: np.ndarray
    places: np.ndarray


def distinct_texts(texts: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray, Repeated]:
    """Of documents with these texts and orders: the row of each distinct text's first document, its order, and the
    texts that come more than once.

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
    # Sorted by order, so the last document of a text is in the last place.
    places = (orders[by_text[lasts[is_repeated]]] >> np.uint64(PLACE_SHIFT)).astype(np.int64)
    rows = by_text[firsts]
    return rows, orders[rows], Repeated(sorted_texts[firsts[is_repeated]], places)


def keys_of_shards(keys: np.ndarray, shards: np.ndarray) -> np.ndarray:
    """Band keys, a uint64 matrix (texts, bands), as no two shards share them; in shard 0 they are as they were.

    A shard's number, 20 bits at most, goes into the lowest bits that are not left behind: blocks go by the highest.

    >>> keys_of_shards(np.array([[1 << 40], [1 << 40]], dtype=np.uint64), np.array([0, 1], dtype=np.uint64)).tolist()
    [[1099511627776], [1099511628288]]
    """
    return keys ^ (shards << _LEFT_BEHIND)[:, np.newaxis]


def entries_of(keys: np.ndarray, texts: np.ndarray, orders: np.ndarray) -> Entries:
    """The entries of texts whose band keys are the rows of a uint64 matrix (texts, bands), not sorted."""
    n_bands = keys.shape[1]
    marked = keys & _KEPT
    marked[:, 0] |= IS_FIRST_BAND
    return Entries(marked.ravel(), np.repeat(texts, n_bands), np.repeat(orders, n_bands))


def pack(entries: Entries, repeated: Repeated, *, n_blocks: int) -> tuple[np.ndarray, list[bytes]]:
    """The blocks that have entries, and a packet for each; `unpack` reads it.

    A block is a range of keys, the same for any packet. What is repeated goes to a block by its text.

    Args:
        entries: Of any blocks, in any order.
        repeated: Of any blocks.
        n_blocks: A power of two, at most 2^31.
    """
    shift = np.uint64(65 - n_blocks.bit_length())
    by_key = np.argsort(entries.keys)
    keys, texts, orders = (column[by_key] for column in entries)
    by_text = np.argsort(repeated.texts)
    repeats, places = repeated.texts[by_text], repeated.places[by_text]
    limits = np.arange(1, n_blocks, dtype=np.uint64) << shift if n_blocks > 1 else np.empty(0, dtype=np.uint64)
    # Hashes of texts are signed: their blocks begin with the negative ones.
    by_sign = repeats.view(np.uint64) ^ np.uint64(1 << 63)
    ends = np.append(np.searchsorted(keys, limits), len(keys))
    lasts = np.append(np.searchsorted(by_sign, limits), len(repeats))
    blocks, packets = [], []
    start, first = 0, 0
    for block, (end, last) in enumerate(zip(ends, lasts, strict=True)):
        if end > start or last > first:
            columns = (keys[start:end], texts[start:end], orders[start:end], repeats[first:last], places[first:last])
            blocks.append(block)
            packets.append(_pack_one(*columns))
        start, first = end, last
    return np.array(blocks, dtype=np.int32), packets


def _pack_one(keys, texts, orders, repeats, places) -> bytes:
    header = np.array([len(keys), len(repeats)], dtype="<i8").tobytes()
    planes = b"".join(
        np.ascontiguousarray(column).view(np.uint8).reshape(-1, 8).T.tobytes()
        for column in (keys, texts, orders, repeats, places)
    )
    return header + pa.Codec(_CODEC, compression_level=1).compress(planes, asbytes=True)


def unpack(packet: bytes) -> tuple[Entries, Repeated]:
    """What `pack` put into a packet, sorted by key and by text."""
    n_entries, n_repeated = (int(number) for number in np.frombuffer(packet, dtype="<i8", count=2))
    n_bytes = 8 * (3 * n_entries + 2 * n_repeated)
    planes = pa.Codec(_CODEC).decompress(packet[_HEADER:], decompressed_size=n_bytes, asbytes=True) if n_bytes else b""
    columns, at = [], 0
    lengths = (*[n_entries] * 3, *[n_repeated] * 2)
    for length, dtype in zip(lengths, ("u8", "i8", "u8", "i8", "i8"), strict=True):
        stretch = np.frombuffer(planes, dtype=np.uint8, count=8 * length, offset=at).reshape(8, length)
        columns.append(np.ascontiguousarray(stretch.T).view(dtype).reshape(length))
        at += 8 * length
    return Entries(*columns[:3]), Repeated(*columns[3:])
