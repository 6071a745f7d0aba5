"""A shard's documents, one after the other: against the reference, and whatever batches they come in."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.deduplication import Bloom
from dclm_spark.kernels.bloom import geometry_for
from dclm_spark.kernels.shards import Shard, Verdicts
from tests import bff

MODES = ("paragraph", "document", "old_both", "naive_both", "exact")
RULES = Bloom(min_ngram=2, max_ngram=3, filter="exact", scope="shards", inserts="kept", word_breaker="15.1")

PARAGRAPHS = st.one_of(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9).map(" ".join),
    st.text(st.sampled_from("ab1_.,' \u00a0\r\u0301\u05d0\u30a2\U0001f600"), max_size=8),
)
TEXTS = st.lists(PARAGRAPHS, max_size=5).map("\n".join)
CORPORA = st.lists(TEXTS, max_size=12)
SETTINGS = st.builds(
    lambda sizes, threshold, mode, inserts: replace(
        RULES, min_ngram=min(sizes), max_ngram=max(sizes), threshold=threshold, mode=mode, inserts=inserts
    ),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
    st.sampled_from(MODES),
    st.sampled_from(["always", "kept"]),
)
LINE = "one two three four five six"
FRESH = "fresh words here are all new"
GOLDEN = [f"{LINE}\nalpha beta gamma delta eps zeta", f"{FRESH}\n{LINE}", f"a b\n{LINE}", f"{LINE}\n{LINE}"]


def shard_of(bloom: Bloom) -> Shard:
    return Shard(bloom, None if bloom.filter == "exact" else geometry_for(10_000, bloom.fp_rate))


def judge(texts: Sequence[str | None], bloom: Bloom) -> Verdicts:
    return shard_of(bloom).judge(pa.array(texts, pa.string()))


def left_of(texts: Sequence[str | None], verdicts: Verdicts, mode: str) -> list[str]:
    """What verdicts leave, "" of nothing but white space; checks that they make sense."""
    found, at = [], 0
    assert not (verdicts.is_gone & verdicts.is_emptied).any()
    for number, text in enumerate(texts):
        cut = verdicts.paragraphs[at : at + verdicts.n_cuts[number]].tolist()
        assert cut == sorted(set(cut))
        at += len(cut)
        left = text or ""
        if verdicts.is_gone[number] or verdicts.is_emptied[number]:
            assert not cut
            left = ""
        elif cut:
            paragraphs = left.split("\n")
            left = "\n".join(paragraphs[place] for place in range(len(paragraphs)) if place not in cut)
            assert left.strip(bff.WHITE_SPACE), mode
        found.append(left if left.strip(bff.WHITE_SPACE) else "")
    assert at == len(verdicts.paragraphs) == len(verdicts.cut_shares) == len(verdicts.cut_firsts)
    return found


def expected_of(texts: Sequence[str], bloom: Bloom) -> list[str]:
    return bff.deduplicate(
        texts,
        mode=bloom.mode,
        min_ngram=bloom.min_ngram,
        max_ngram=bloom.max_ngram,
        threshold=bloom.threshold,
        inserts=bloom.inserts,
    )


def stripped(texts: Sequence[str]) -> list[str]:
    """Without the line feeds that BFF leaves where the first paragraphs go."""
    return [text.lstrip("\n") for text in texts]


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("paragraph", [GOLDEN[0], FRESH, "a b", "", ""]),
        ("document", [*GOLDEN, ""]),
        ("old_both", [GOLDEN[0], FRESH, "", "", ""]),
        ("naive_both", ["", "", "a b", "", ""]),
        ("exact", [*GOLDEN, ""]),
    ],
)
@pytest.mark.parametrize("filter_", ["exact", "bloom"])
def test_what_bff_leaves_of_five_documents(mode, left, filter_):
    texts = [*GOLDEN, GOLDEN[0]]
    bloom = replace(RULES, mode=mode, filter=filter_, min_ngram=4, max_ngram=4, fp_rate=1e-9)
    assert left_of(texts, judge(texts, bloom), mode) == left


@settings(max_examples=150, deadline=None)
@given(CORPORA, SETTINGS, st.sampled_from(["exact", "bloom"]))
def test_a_shard_decides_as_the_reference_does(texts, bloom, filter_):
    bloom = replace(bloom, filter=filter_, fp_rate=1e-9)
    verdicts = judge(texts, bloom)
    assert stripped(left_of(texts, verdicts, bloom.mode)) == stripped(expected_of(texts, bloom))
    assert (verdicts.cut_shares > bloom.threshold).all() and (verdicts.cut_shares <= 1).all()
    if filter_ == "bloom":
        assert (verdicts.firsts == -1).all() and (verdicts.cut_firsts == -1).all()
        return
    numbers = np.arange(len(texts))
    assert (verdicts.firsts <= numbers).all()
    assert (verdicts.firsts[verdicts.is_gone] >= 0).all()
    owners = np.repeat(numbers, verdicts.n_cuts)
    assert (verdicts.cut_firsts >= 0).all() and (verdicts.cut_firsts <= owners).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), TEXTS), max_size=12),
    SETTINGS,
    st.sampled_from(["exact", "bloom"]),
    st.lists(st.integers(0, 12), max_size=4).map(sorted),
)
def test_batches_may_be_cut_anywhere(texts, bloom, filter_, ends):
    bloom = replace(bloom, filter=filter_)
    array = pa.array(texts, pa.string())
    whole, parts = shard_of(bloom), shard_of(bloom)
    expected = whole.judge(array)
    starts = [0, *ends]
    found = [parts.judge(array[start:end]) for start, end in zip(starts, [*ends, len(texts)], strict=True)]
    for column, columns in zip(expected, zip(*found, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(columns), column)
    assert (parts.n_documents, parts.n_ngrams) == (whole.n_documents, whole.n_ngrams) == (len(texts), whole.n_ngrams)
    assert parts.fp_rate == whole.fp_rate


def test_a_null_stays_and_counts():
    verdicts = judge(["a b c", None, "", "a b c"], RULES)
    assert verdicts.is_gone.tolist() == [False, False, False, True]
    assert verdicts.firsts.tolist() == [-1, -1, -1, 0]
    assert np.isnan(verdicts.shares).tolist() == [False, True, True, False]


def test_an_exact_filter_grows():
    bloom = replace(RULES, min_ngram=1, max_ngram=1, mode="document", inserts="always")
    shard = shard_of(bloom)
    for first in range(0, 40_000, 10_000):
        text = pa.array([" ".join(f"w{number}" for number in range(first, first + 10_000))])
        verdicts = shard.judge(text)
        assert (verdicts.shares.tolist(), shard.n_ngrams) == ([0.0], first + 10_000)
    verdicts = shard.judge(pa.array([f"w{number}" for number in range(0, 50_000, 10_000)]))
    assert verdicts.shares.tolist() == [1, 1, 1, 1, 0]
    assert verdicts.firsts.tolist() == [0, 1, 2, 3, -1]
    assert shard.fp_rate == 0


def test_a_bloom_filter_tells_its_rate():
    bloom = replace(RULES, filter="bloom", min_ngram=1, max_ngram=1, mode="document", fp_rate=0.01)
    shard = shard_of(bloom)
    shard.judge(pa.array([" ".join(f"w{number}" for number in range(10_000))]))
    assert shard.n_ngrams == 10_000
    assert 0.008 < shard.fp_rate < 0.012


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["a long paragraph", "many lines", "many lines of one"])
def test_large_documents_take_their_bytes_time(mode, name):
    text = {
        "a long paragraph": " ".join(f"word{number}" for number in range(500_000)),
        "many lines": "\n".join(f"{number:x}" for number in range(1_000_000)),
        "many lines of one": "same\n" * 1_000_000,
    }[name]
    bloom = replace(RULES, mode=mode, min_ngram=1, max_ngram=5)
    judge(["a b"], bloom)
    started = time.perf_counter()
    verdicts = judge([text, text, "end"], bloom)
    assert time.perf_counter() - started < 20
    if mode == "naive_both":
        # Its n-grams were inserted before its paragraphs were looked at; those of short lines are others.
        assert verdicts.is_emptied.tolist()[0] is (name == "a long paragraph")
        return
    assert verdicts.is_gone[1] or verdicts.is_emptied[1]
    assert verdicts.is_gone.tolist()[::2] == [mode == "old_both" and name == "many lines of one", False]
    if mode == "paragraph" and name == "many lines of one":
        assert verdicts.n_cuts.tolist() == [999_999, 0, 0]
        assert verdicts.paragraphs[[0, -1]].tolist() == [1, 999_999]
