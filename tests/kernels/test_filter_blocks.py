"""Blocks of a filter that workers share: their answers together decide as one reader of all documents would."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.ngrams import filter_blocks, ngram_packets
from dclm_spark.kernels.ngrams.bloom import geometry_for
from dclm_spark.kernels.ngrams.filter_blocks import Answer, Block
from dclm_spark.kernels.ngrams.ngram_decisions import count_seen, decide, is_cut
from dclm_spark.kernels.ngrams.ngram_packets import FLOCK_BLOCK, Flock, Packet, Sent, doc_ids, halves
from dclm_spark.kernels.ngrams.ngrams import ngrams
from dclm_spark.recipe.deduplication import Bloom
from tests.support import bff

pytestmark = pytest.mark.busy

MODES = ("paragraph", "document", "old_both")
RULES = Bloom(min_ngram=2, max_ngram=3, filter="exact", fp_rate=1e-9)

# Few words, so that n-grams come again; a unit of one token is short, or an n-gram.
PARAGRAPHS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9).map(" ".join)
TEXTS = st.lists(st.one_of(PARAGRAPHS, st.sampled_from([" ", "a b c d e a b c d e"])), max_size=5).map("\n".join)
CORPORA = st.lists(TEXTS, max_size=12)
SETTINGS = st.builds(
    lambda sizes, threshold, mode: replace(
        RULES, min_ngram=min(sizes), max_ngram=max(sizes), threshold=threshold, mode=mode
    ),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
    st.sampled_from(MODES),
)
N_BLOCKS = st.sampled_from([1, 2, 4, 8])


@dataclass
class Shared:
    """A filter whose blocks are asked by flocks, as workers do, all values packed on their way.

    Args:
        bloom: The settings.
        n_blocks: Of the filter.
        chance: Decides on flocks and on the order in which they come.
        stored: What each block holds, packed.
        n_rounds: That the last call took.
    """

    bloom: Bloom
    n_blocks: int
    chance: random.Random
    stored: dict[int, bytes] = field(default_factory=dict)
    n_rounds: int = 0

    def decide(self, texts: Sequence[str], *, orders: Sequence[int] | None = None, first: int = 0) -> dict[str, dict]:
        """Rows of `decisions` by doc_id; a text's number, from `first`, is its id and, if none is given, its order."""
        numbers = np.arange(first, first + len(texts), dtype=np.uint64)
        orders = numbers if orders is None else np.array(orders, dtype=np.uint64)
        ids = np.stack([np.zeros_like(numbers), numbers], axis=1)
        flocks, packets = self._pack(texts, orders, ids)
        kept: dict[int, np.ndarray | None] = dict.fromkeys(flocks)
        self.n_rounds = 0
        while True:
            self.n_rounds += 1
            answers, blocks = self._ask(packets, kept)
            if self.bloom.inserts == "always":
                break
            now = {
                name: ~is_cut(flock, count_seen(flock, answers[name])[0], self.bloom) for name, flock in flocks.items()
            }
            if all(kept[name] is not None and (now[name] == kept[name]).all() for name in flocks):
                break
            kept = now
        self.stored = {number: filter_blocks.pack_block(block) for number, block in blocks.items()}
        rows = [
            row
            for name, flock in flocks.items()
            for row in decide(flock, answers[name], bloom=self.bloom, dumps=["D"]).to_pylist()
        ]
        found = {row["doc_id"]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def _pack(
        self, texts: Sequence[str], orders: np.ndarray, ids: np.ndarray
    ) -> tuple[dict[int, Flock], dict[int, dict[int, Packet]]]:
        arrival = list(range(len(texts)))
        self.chance.shuffle(arrival)
        sends_all = self.bloom.filter == "exact" or self.bloom.inserts == "kept"
        workers = [None if sends_all else Sent(64) for _ in range(2)]
        flocks, packets = {}, {}
        while arrival:
            n = self.chance.randint(1, len(arrival))
            own, arrival = np.array(arrival[:n]), arrival[n:]
            text = pa.array([texts[place] for place in own], pa.string())
            units = ngrams(text, self.bloom, by_paragraph=self.bloom.mode != "document")
            name, blocks, counts, packed = ngram_packets.pack(
                orders[own],
                ids[own],
                units,
                n_blocks=self.n_blocks,
                sent=self.chance.choice(workers),
                is_exact=self.bloom.filter == "exact",
            )
            assert blocks[0] == FLOCK_BLOCK and counts[0] == len(units.hashes)
            # Flocks of equal n-grams and orders have one name; ids, of which a name does not depend, differ here.
            name = (name, len(flocks))
            flocks[name] = ngram_packets.unpack_flock(packed[0])
            for block, packet in zip(blocks[1:].tolist(), packed[1:], strict=True):
                packets.setdefault(block, {})[name] = ngram_packets.unpack(packet)
        return flocks, packets

    def _ask(self, packets, kept) -> tuple[dict[int, list[Answer]], dict[int, Block]]:
        answers, blocks = {name: [] for name in kept}, {}
        n_buckets = geometry_for(10_000, self.bloom.fp_rate, n_blocks=self.n_blocks).n_buckets
        for number in range(self.n_blocks):
            block = (
                filter_blocks.unpack_block(self.stored[number])
                if number in self.stored
                else filter_blocks.empty_block(None if self.bloom.filter == "exact" else n_buckets)
            )
            of_block = packets.get(number, {})
            names = list(of_block)
            self.chance.shuffle(names)
            found, blocks[number] = filter_blocks.ask(
                block, [of_block[name] for name in names], [kept[name] for name in names]
            )
            for name, answer in zip(names, found, strict=True):
                answers[name].append(filter_blocks.unpack_answer(filter_blocks.pack_answer(answer)))
        return answers, blocks


def id_of(number: int) -> str:
    return f"{number:032x}"


def left_of(texts: Sequence[str], decisions: dict[str, dict], *, first: int = 0) -> list[str]:
    """What decisions leave of texts, "" of nothing but white space; checks that they make sense."""
    found = []
    for number, text in enumerate(texts, first):
        row = decisions.get(id_of(number))
        if row is None:
            left = text
        elif row["removed_by"] is not None:
            assert row["cuts"] is None and row["value"] is not None
            left = ""
        else:
            cut = [one["paragraph"] for one in row["cuts"]]
            assert cut and cut == sorted(set(cut)) and row["value"] is None
            paragraphs = text.split("\n")
            left = "\n".join(paragraphs[place] for place in range(len(paragraphs)) if place not in cut)
            assert left.strip(bff.WHITE_SPACE)
        found.append(left if left.strip(bff.WHITE_SPACE) else "")
    return found


def expected_of(texts: Sequence[str], bloom: Bloom) -> list[str]:
    """What the reference leaves, without the line feed that BFF leaves where the first paragraph goes."""
    left = bff.deduplicate(
        texts,
        mode=bloom.mode,
        min_ngram=bloom.min_ngram,
        max_ngram=bloom.max_ngram,
        threshold=bloom.threshold,
        inserts=bloom.inserts,
    )
    return [
        after[1:] if after.startswith("\n") and not before.startswith("\n") else after
        for before, after in zip(texts, left, strict=True)
    ]


def same(left: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether both are the same but for line feeds that begin a text: an empty first paragraph is one of BFF's."""
    return [text.lstrip("\n") for text in left] == [text.lstrip("\n") for text in expected]


@settings(max_examples=100, deadline=None)
@given(CORPORA, SETTINGS, N_BLOCKS, st.sampled_from(["exact", "bloom"]), st.randoms(use_true_random=False))
def test_blocks_decide_as_one_reader_does(texts, bloom, n_blocks, filter_, chance):
    bloom = replace(bloom, filter=filter_)
    decisions = Shared(bloom, n_blocks, chance).decide(texts)
    left = left_of(texts, decisions)
    assert same(left, expected_of(texts, bloom))
    for row in decisions.values():
        for value, detail in [(row["value"], row["detail"])] + [
            (cut["value"], cut["detail"]) for cut in row["cuts"] or []
        ]:
            if value is not None:
                assert bloom.threshold < value <= 1 or row["removed_by"] == "duplicate_paragraphs"
                # A document whose n-grams come again in itself alone was first to have them.
                assert (detail is not None) == (filter_ == "exact")
                assert detail is None or detail.split()[3] <= row["doc_id"]


@settings(max_examples=60, deadline=None)
@given(CORPORA, SETTINGS, N_BLOCKS, st.sampled_from(["exact", "bloom"]), st.randoms(use_true_random=False))
def test_rounds_end_where_one_reader_adds_what_is_kept_alone(texts, bloom, n_blocks, filter_, chance):
    bloom = replace(bloom, filter=filter_, inserts="kept")
    shared = Shared(bloom, n_blocks, chance)
    assert same(left_of(texts, shared.decide(texts)), expected_of(texts, bloom))
    assert shared.n_rounds <= sum(text.count("\n") + 1 for text in texts) + 2


@settings(max_examples=60, deadline=None)
@given(
    CORPORA,
    SETTINGS,
    N_BLOCKS,
    st.sampled_from(["exact", "bloom"]),
    st.sampled_from(["always", "kept"]),
    st.integers(0, 12),
    st.randoms(use_true_random=False),
)
def test_two_instalments_are_all_at_once(texts, bloom, n_blocks, filter_, inserts, n_first, chance):
    bloom = replace(bloom, filter=filter_, inserts=inserts)
    whole, added = Shared(bloom, n_blocks, chance), Shared(bloom, n_blocks, chance)
    at_once = whole.decide(texts)
    in_two = added.decide(texts[:n_first]) | added.decide(texts[n_first:], first=n_first)
    assert in_two == at_once
    for number in whole.stored.keys() | added.stored.keys():
        one, other = (filter_blocks.unpack_block(shared.stored[number]) for shared in (whole, added))
        assert (one.words == other.words).all() and set(one.hashes.tolist()) == set(other.hashes.tolist())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, st.integers(0, 2)), max_size=8),
    SETTINGS,
    N_BLOCKS,
    st.sampled_from(["exact", "bloom"]),
    st.randoms(use_true_random=False),
)
def test_documents_of_one_order_do_not_depend_on_which_comes_first(documents, bloom, n_blocks, filter_, chance):
    texts, orders = [text for text, _ in documents], [order for _, order in documents]
    shared = [Shared(replace(bloom, filter=filter_), n_blocks, chance) for _ in range(3)]
    one, *others = [_without_details(each.decide(texts, orders=orders)) for each in shared]
    assert all(other == one for other in others)


def _without_details(decisions: dict[str, dict]) -> dict[str, tuple]:
    """Of documents of one order, whichever had an n-gram first is named."""
    return {
        doc_id: (row["removed_by"], row["value"], [(cut["paragraph"], cut["value"]) for cut in row["cuts"] or []])
        for doc_id, row in decisions.items()
    }


@pytest.mark.parametrize("filter_", ["exact", "bloom"])
@pytest.mark.parametrize("inserts", ["always", "kept"])
def test_equal_documents_of_one_order_stay(filter_, inserts):
    # Neither is the other's earlier one; whichever went, a document that is there twice would be lost.
    bloom = replace(RULES, filter=filter_, inserts=inserts)
    for seed in range(8):
        shared = Shared(bloom, 2, random.Random(seed))
        assert shared.decide(["a b c d\na c e", "a b c d\na c e", "b b b"], orders=[5, 5, 5]) == {}


def test_the_earliest_document_is_named_by_order_not_by_arrival():
    bloom = replace(RULES, mode="paragraph")
    for seed in range(8):
        shared = Shared(bloom, 4, random.Random(seed))
        decisions = shared.decide(["a b c d", "e d c b", "x y z w", "a b c d e\nx y z w\nq q q q"])
        [(doc_id, row)] = decisions.items()
        assert doc_id == id_of(3)
        assert [(cut["paragraph"], cut["detail"].split()[3]) for cut in row["cuts"]] == [(1, id_of(2))]


def test_packets_hold_what_was_packed():
    chance = random.Random(2)
    texts = [
        "\n".join(" ".join(chance.choices("abcdefgh", k=chance.randint(0, 9))) for _ in range(4)) for _ in "1234567"
    ]
    units = ngrams(pa.array(texts), RULES, by_paragraph=True)
    ids = halves([f"{chance.getrandbits(128):032x}" for _ in texts])
    orders = np.array([chance.getrandbits(63) for _ in texts], dtype=np.uint64)
    for is_exact in (True, False):
        name, blocks, counts, packed = ngram_packets.pack(orders, ids, units, n_blocks=4, sent=None, is_exact=is_exact)
        assert 0 <= name < 1 << 63
        flock = ngram_packets.unpack_flock(packed[0])
        assert flock.orders.tolist() == sorted(orders.tolist())
        assert dict(zip(flock.orders.tolist(), doc_ids(flock.ids), strict=True)) == dict(
            zip(orders.tolist(), doc_ids(ids), strict=True)
        )
        assert flock.n_ngrams.sum() == len(units.hashes) and not flock.is_repeat.any()
        unpacked = [ngram_packets.unpack(packet) for packet in packed[1:]]
        assert counts[1:].tolist() == [len(packet.hashes) for packet in unpacked]
        n_of_units = np.zeros(len(flock.n_ngrams), dtype=np.int64)
        for packet in unpacked:
            np.add.at(n_of_units, packet.units, packet.n_ngrams)
            assert (np.diff(packet.orders.astype(np.int64)) > 0).all() and (np.diff(packet.units) > 0).all()
            assert packet.n_runs.sum() == len(packet.units) and packet.n_ngrams.sum() == len(packet.hashes)
            assert len(packet.ids) == (len(packet.orders) if is_exact else 0)
        assert n_of_units.tolist() == flock.n_ngrams.tolist()
        if is_exact:
            found = np.sort(np.concatenate([packet.hashes for packet in unpacked]))
            assert found.tolist() == sorted(units.hashes.tolist())


def test_nothing_is_packed_too():
    units = ngrams(pa.array([], pa.string()), RULES, by_paragraph=True)
    none = np.empty(0, dtype=np.uint64)
    _, blocks, counts, packed = ngram_packets.pack(
        none, none.reshape(0, 2), units, n_blocks=4, sent=Sent(16), is_exact=False
    )
    assert (blocks.tolist(), counts.tolist()) == ([FLOCK_BLOCK], [0])
    flock = ngram_packets.unpack_flock(packed[0])
    assert decide(flock, [], bloom=RULES, dumps=["D"]).num_rows == 0
    for n_buckets in (None, 3):
        answers, block = filter_blocks.ask(filter_blocks.empty_block(n_buckets), [], [])
        again = filter_blocks.unpack_block(filter_blocks.pack_block(block))
        assert answers == [] and again.n_ngrams == 0 and again.fp_rate == 0
        assert len(again.words) == len(block.words)


def test_units_that_find_no_room_are_sent_again():
    sent = Sent(4)
    texts = [f"{word} {word} {word}" for word in "abcdef"] * 2
    units = ngrams(pa.array(texts), RULES, by_paragraph=True)
    numbers = np.arange(len(texts), dtype=np.uint64)
    ids = np.stack([numbers, numbers], axis=1)
    _, _, counts, packed = ngram_packets.pack(numbers, ids, units, n_blocks=1, sent=sent, is_exact=False)
    assert ngram_packets.unpack_flock(packed[0]).is_repeat.tolist() == [0] * 6 + [1, 1] + [0] * 4
    assert counts.tolist() == [12, 10]
