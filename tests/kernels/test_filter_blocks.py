"""A filter in blocks: packets from anywhere, and the same decisions as one worker that reads everything in order."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.deduplication import Bloom
from dclm_spark.kernels import filter_blocks, ngram_packets
from dclm_spark.kernels.bloom import geometry_for
from dclm_spark.kernels.ngram_decisions import count_seen, decide, is_cut
from dclm_spark.kernels.ngrams import ngrams
from tests import bff
from tests.kernels.test_shards import TEXTS, same

ALWAYS = Bloom(filter="exact", min_ngram=2, max_ngram=3, threshold=0.6, word_breaker="15.1")


def run(texts: list[str], bloom: Bloom, *, n_blocks: int, order: list[int], n_flocks: int, instalments: int = 1):
    """Decisions by doc_id, through packets; `order` is that in which texts come to the workers."""
    ids = [f"{number:032x}" for number in range(len(texts))]
    is_exact = bloom.filter == "exact"
    n_buckets = None if is_exact else geometry_for(10_000, bloom.fp_rate, n_blocks=n_blocks).n_buckets
    blocks = {number: filter_blocks.empty_block(n_buckets) for number in range(n_blocks)}
    bounds = [len(texts) * part // instalments for part in range(instalments + 1)]
    decided = {}
    for first, last in zip(bounds, bounds[1:], strict=False):
        rows = [row for row in order if first <= row < last]
        flocks, packets = {}, []
        for number in range(n_flocks):
            own = rows[number::n_flocks]
            if own:
                units = ngrams(pa.array([texts[row] for row in own]), bloom, by_paragraph=bloom.mode != "document")
                sent = None if is_exact or bloom.inserts == "kept" else ngram_packets.Sent(64)
                name, at, counts, made = ngram_packets.pack(
                    np.array(own, dtype=np.uint64),
                    ngram_packets.halves([ids[row] for row in own]),
                    units,
                    n_blocks=n_blocks,
                    sent=sent,
                    is_exact=is_exact,
                )
                assert counts[0] == len(units.hashes)
                flocks[name] = ngram_packets.unpack_flock(made[0])
                packets += [(block, name, packet) for block, packet in zip(at[1:], made[1:], strict=True)]
        kept: dict[int, np.ndarray] = {}
        while True:
            answers: dict[int, list] = {name: [] for name in flocks}
            after = {}
            for number, block in blocks.items():
                own = [(name, ngram_packets.unpack(packet)) for at, name, packet in packets if at == number]
                stored = filter_blocks.unpack_block(filter_blocks.pack_block(block))
                if not is_exact and not len(stored.words):
                    stored = filter_blocks.empty_block(n_buckets)
                given_, after[number] = filter_blocks.ask(
                    stored, [packet for _, packet in own], [kept.get(name) for name, _ in own]
                )
                for (name, _), answer in zip(own, given_, strict=True):
                    answers[name].append(filter_blocks.unpack_answer(filter_blocks.pack_answer(answer)))
            if bloom.inserts == "always":
                break
            now = {name: ~is_cut(flock, count_seen(flock, answers[name])[0], bloom) for name, flock in flocks.items()}
            if kept and all((now[name] == kept[name]).all() for name in now):
                break
            kept = now
            if not flocks:
                break
        blocks = after
        for name, flock in flocks.items():
            for row in decide(flock, answers[name], bloom=bloom, dumps=["D"]).to_pylist():
                decided[row["doc_id"]] = row
    return decided


def left(texts: list[str], decided: dict) -> list[str]:
    found = []
    for number, text in enumerate(texts):
        row = decided.get(f"{number:032x}")
        cut = {one["paragraph"] for one in row["cuts"] or ()} if row else set()
        kept = [one for place, one in enumerate(text.split("\n")) if place not in cut]
        found.append("" if row and row["removed_by"] else "\n".join(kept))
    return found


@settings(max_examples=60, deadline=None)
@given(
    texts=TEXTS,
    mode=st.sampled_from(["paragraph", "document", "old_both"]),
    inserts=st.sampled_from(["always", "kept"]),
    filter_=st.sampled_from(["exact", "bloom"]),
    n_blocks=st.sampled_from([1, 2, 8]),
    n_flocks=st.integers(1, 3),
    instalments=st.integers(1, 3),
    random=st.randoms(use_true_random=False),
)
def test_blocks_decide_as_one_worker_in_order(texts, mode, inserts, filter_, n_blocks, n_flocks, instalments, random):
    bloom = replace(ALWAYS, mode=mode, inserts=inserts, filter=filter_, fp_rate=1e-7)
    expected = bff.deduplicate(texts, mode=mode, min_ngram=2, max_ngram=3, threshold=bloom.threshold, inserts=inserts)
    order = list(range(len(texts)))
    random.shuffle(order)
    decided = run(texts, bloom, n_blocks=n_blocks, order=order, n_flocks=n_flocks, instalments=instalments)
    assert same(left(texts, decided), expected)


def test_what_was_seen_where():
    texts = ["one two three four five six", "nothing of it\none two three four five six"]
    decided = run(texts, replace(ALWAYS, mode="paragraph"), n_blocks=4, order=[1, 0], n_flocks=2)
    (row,) = decided.values()
    assert row["cuts"] == [{"paragraph": 1, "value": 1.0, "detail": f"first seen in {0:032x} of D"}]


def test_documents_of_the_same_order_do_not_see_each_other():
    text = "one two three four five six"
    units = ngrams(pa.array([text, text]), ALWAYS, by_paragraph=True)
    ids = ngram_packets.halves(["0" * 32, "f" * 32])
    orders = np.zeros(2, dtype=np.uint64)
    _, _, _, made = ngram_packets.pack(orders, ids, units, n_blocks=1, sent=None, is_exact=True)
    (answer,), _ = filter_blocks.ask(filter_blocks.empty_block(None), [ngram_packets.unpack(made[1])], [None])
    assert answer.n_seen.tolist() == []
