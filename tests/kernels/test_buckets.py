"""Packets and buckets: which pairs of texts meet, whatever the packets, blocks and flushes they travel in."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.near.buckets import N_EXAMPLES, Edges, distinct_edges, join_block
from dclm_spark.kernels.near.entry_packets import (
    SURVIVOR_ORDER_BITS,
    Entries,
    Repeated,
    distinct_texts,
    entries_of,
    pack,
    unpack,
)

N_BANDS = 3


def _join(documents, *, n_flushes=1, n_blocks=1, first_new_dump=0, giant_bucket=1000, ignores_giants=False):
    """The edges of documents (text, dump, order, keys) that travel in so many flushes and blocks."""
    packets = defaultdict(list)
    for flush in range(n_flushes):
        part = documents[flush::n_flushes]
        if not part:
            continue
        texts = np.array([text for text, *_ in part], dtype=np.int64)
        orders = np.array([dump << SURVIVOR_ORDER_BITS | order for _, dump, order, _ in part], dtype=np.uint64)
        keys = np.array([key for *_, key in part], dtype=np.uint64)
        rows, first_orders, repeated = distinct_texts(texts, orders)
        blocks, made = pack(entries_of(keys[rows], texts[rows], first_orders), repeated, n_blocks=n_blocks)
        assert list(blocks) == sorted(set(blocks.tolist()))
        for block, packet in zip(blocks.tolist(), made, strict=True):
            packets[block].append(packet)
    found = []
    for of_block in packets.values():
        entries, repeats = zip(*map(unpack, of_block), strict=True)
        found.append(
            join_block(
                Entries(*(np.concatenate(columns) for columns in zip(*entries, strict=True))),
                Repeated(*(np.concatenate(columns) for columns in zip(*repeats, strict=True))),
                first_new_dump=first_new_dump,
                giant_bucket=giant_bucket,
                ignores_giants=ignores_giants,
            )
        )
    edges = distinct_edges(Edges(*(np.concatenate(columns) for columns in zip(*found, strict=True))))
    rows = zip(*(column.tolist() for column in edges), strict=True)
    return {(text, other): rest for text, other, *rest in rows}


def _expected(documents, *, first_new_dump=0):
    """The same edges from plain dictionaries: (text, other) -> dump."""
    edges = {}
    of_text = defaultdict(list)
    for text, dump, order, _ in documents:
        of_text[text].append((dump, order))
    for text, copies in of_text.items():
        if len(copies) > 1 and max(copies)[0] >= first_new_dump:
            edges[text, text] = max(dump for dump, _ in copies)
    for band in range(N_BANDS):
        buckets = defaultdict(set)
        for text, _, _, keys in documents:
            buckets[keys[band]].add(text)
        for texts in buckets.values():
            center = min(texts, key=lambda text: (min(of_text[text]), text))
            for text in texts - {center}:
                dump = min(of_text[text])[0]
                if dump >= first_new_dump:
                    edges[text, center] = dump
    return edges


@st.composite
def _documents(draw):
    n_texts = draw(st.integers(1, 12))
    # Keys differ between bands by design, and in their first 55 bits.
    keys = {
        text: [draw(st.integers(0, 3)) << 60 | band << 40 | 0x1FF for band in range(N_BANDS)] for text in range(n_texts)
    }
    row = st.tuples(st.integers(0, n_texts - 1), st.integers(0, 2), st.integers(0, 3))
    rows = draw(st.lists(row, min_size=1, max_size=30))
    sign = draw(st.sampled_from([1, -1]))
    return [(sign * (text * 7919 + 1) << 40, dump, order, keys[text]) for text, dump, order in rows]


@pytest.mark.busy
@settings(max_examples=200, deadline=None)
@given(_documents(), st.integers(1, 5), st.sampled_from([1, 2, 8, 64]), st.integers(0, 2))
def test_edges_are_those_of_plain_buckets_however_they_travel(documents, n_flushes, n_blocks, first_new_dump):
    found = _join(documents, n_flushes=n_flushes, n_blocks=n_blocks, first_new_dump=first_new_dump)
    expected = _expected(documents, first_new_dump=first_new_dump)
    assert {pair: dump for pair, (dump, *_) in found.items()} == expected


@settings(max_examples=200, deadline=None)
@given(_documents(), st.integers(1, 3), st.sampled_from([1, 8]))
def test_dumps_one_after_the_other_give_the_edges_of_all_at_once(documents, n_flushes, n_blocks):
    added = set()
    for dump in range(3):
        seen = [document for document in documents if document[1] <= dump]
        if seen:
            added |= set(_join(seen, n_flushes=n_flushes, n_blocks=n_blocks, first_new_dump=dump))
    assert added == set(_join(documents))


def test_a_bucket_is_a_star_around_its_first_never_all_pairs():
    documents = [(text, 0, 100 - text, [1 << 20, text << 20 | 1 << 50, text << 20 | 1 << 51]) for text in range(50)]
    assert sorted(_join(documents)) == [(text, 49) for text in range(49)]


def test_identical_texts_are_one_text_with_an_edge_to_itself():
    keys = [1 << 20, 2 << 20, 3 << 20]
    documents = [(5, dump, 0, keys) for dump in (0, 0, 1)] + [(6, 0, 9, keys)]
    for n_flushes in (1, 2, 4):
        found = _join(documents, n_flushes=n_flushes)
        assert {pair: rest[0] for pair, rest in found.items()} == {(5, 5): 1, (6, 5): 0}


@pytest.mark.parametrize("ignores_giants", [False, True])
def test_a_giant_bucket_is_reported_with_examples(ignores_giants):
    shared, n = 1 << 20, 40
    documents = [(text, 0, text, [shared, text << 20 | 1 << 50, text << 20 | 1 << 51]) for text in range(n)]
    found = _join(documents, n_flushes=3, giant_bucket=n - 1, ignores_giants=ignores_giants)
    examples = [pair for pair, (_, size, _) in found.items() if size == n]
    assert len(examples) == N_EXAMPLES
    assert len(found) == (N_EXAMPLES if ignores_giants else n - 1)
    assert all(is_ignored == ignores_giants for _, _, is_ignored in found.values())
    assert all(size == 0 for _, size, _ in _join(documents, giant_bucket=n).values())


@pytest.mark.busy
def test_a_bucket_of_half_a_million_texts_is_linear():
    n = 500_000
    texts = np.arange(n, dtype=np.int64)
    entries = Entries(np.full(n, 1 << 20, dtype=np.uint64), texts, np.zeros(n, dtype=np.uint64))
    none = np.empty(0, dtype=np.int64)
    found = join_block(entries, Repeated(none, none), first_new_dump=0, giant_bucket=10_000, ignores_giants=False)
    assert len(found.texts) == n - 1
    assert (found.others == 0).all()


@pytest.mark.busy
def test_a_packet_takes_about_fifteen_bytes_an_entry():
    random = np.random.default_rng(7)
    n = 150_000
    keys = random.integers(0, 1 << 63, (n, 14), dtype=np.uint64) << np.uint64(1)
    orders = random.integers(500, 20_000, n).astype(np.uint64) << np.uint64(24)
    entries = entries_of(keys, random.integers(-(1 << 63), 1 << 63, n), orders)
    _, packets = pack(entries, Repeated(*[np.empty(0, dtype=np.int64)] * 2), n_blocks=16)
    assert sum(map(len, packets)) / (14 * n) < 15
    back = [unpack(packet)[0] for packet in packets]
    for column, sent in zip(zip(*back, strict=True), entries, strict=True):
        assert np.array_equal(np.sort(np.concatenate(column)), np.sort(sent))
