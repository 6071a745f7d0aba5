"""A shard's documents in order: BFF's rules, mode by mode, against them in plain Python."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.ngrams.bloom import geometry_for
from dclm_spark.kernels.ngrams.shards import Shard, Verdicts
from dclm_spark.recipe.deduplication import Bloom
from tests.support import bff

EXACT = Bloom(filter="exact", scope="shards", word_breaker="15.1")
WORDS = st.sampled_from(["a", "b", "c", "d.", "e f", "ß", "g'h"])
TEXTS = st.lists(
    st.lists(st.lists(WORDS, max_size=8).map(" ".join), min_size=1, max_size=4).map("\n".join), max_size=12
)


def left(texts: list[str], verdicts: Verdicts) -> list[str]:
    """What the verdicts leave of each text."""
    found, at = [], 0
    for row, text in enumerate(texts):
        cut = set(verdicts.paragraphs[at : at + verdicts.n_cuts[row]].tolist())
        at += verdicts.n_cuts[row]
        is_removed = verdicts.is_removed[row] or verdicts.is_emptied[row]
        kept = [one for number, one in enumerate(text.split("\n")) if number not in cut]
        found.append("" if is_removed else "\n".join(kept))
    return found


def same(found: list[str], expected: list[str]) -> bool:
    """BFF leaves the newline before a paragraph, and in one mode cuts white space at the end; here neither counts."""
    return [text.strip() for text in found] == [text.strip() for text in expected]


def bloom_for(mode: str, sizes: tuple[int, int], threshold: float, inserts: str) -> Bloom:
    return replace(EXACT, mode=mode, min_ngram=sizes[0], max_ngram=sizes[1], threshold=threshold, inserts=inserts)


@settings(deadline=None)
@given(
    texts=TEXTS,
    mode=st.sampled_from(bff.MODES),
    sizes=st.sampled_from([(1, 2), (2, 2), (1, 4), (3, 3), (4, 4)]),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
    inserts=st.sampled_from(["kept", "always"]),
)
def test_every_mode_is_bffs(texts, mode, sizes, threshold, inserts):
    inserts = "kept" if mode in ("both", "naive_both") else inserts
    threshold = 0 if mode == "exact" else threshold
    expected = bff.deduplicate(
        texts, mode=mode, min_ngram=sizes[0], max_ngram=sizes[1], threshold=threshold, inserts=inserts
    )
    verdicts = Shard(bloom_for(mode, sizes, threshold, inserts), None).judge(pa.array(texts, pa.string()))
    assert same(left(texts, verdicts), expected)
    # Whoever is named came before, or is the document itself; mode `both` takes out what has nothing at threshold 0.
    owners = np.repeat(np.arange(len(texts)), verdicts.n_cuts)
    assert (verdicts.firsts[verdicts.is_removed & (verdicts.shares > 0)] >= 0).all()
    assert (verdicts.firsts <= np.arange(len(texts))).all() and (verdicts.cut_firsts <= owners).all()
    assert (verdicts.cut_firsts[verdicts.cut_shares > 0] >= 0).all() and (verdicts.cut_shares <= 1).all()


LINE, OTHER = "one two three four five six", "alpha beta gamma delta eps zeta"
GOLDEN = [f"{LINE}\n{OTHER}", f"fresh words here are all new\n{LINE}", f"a b\n{LINE}", f"{LINE}\n{LINE}"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("paragraph", [GOLDEN[0], "fresh words here are all new", "a b", "", ""]),
        ("document", [*GOLDEN, ""]),
        ("old_both", [GOLDEN[0], "fresh words here are all new", "", "", ""]),
        ("naive_both", ["", "", "a b", "", ""]),
        ("both", [*GOLDEN[:3], LINE, ""]),
    ],
)
@pytest.mark.parametrize("geometry", [None, geometry_for(10_000, 1e-9)], ids=["exact", "bloom"])
def test_golden_vectors(mode, expected, geometry):
    texts = [*GOLDEN, GOLDEN[0]]
    verdicts = Shard(bloom_for(mode, (4, 4), 0.8, "kept"), geometry).judge(pa.array(texts))
    assert same(left(texts, verdicts), expected)
    if geometry is not None:
        assert (verdicts.firsts == -1).all() and (verdicts.cut_firsts == -1).all()


def test_a_null_stays_and_counts():
    verdicts = Shard(bloom_for("document", (2, 3), 0.8, "kept"), None).judge(pa.array(["a b c", None, "", "a b c"]))
    assert verdicts.is_removed.tolist() == [False, False, False, True]
    assert verdicts.firsts.tolist() == [-1, -1, -1, 0]
    assert np.isnan(verdicts.shares).tolist() == [False, True, True, False]


def test_an_exact_filter_grows():
    shard = Shard(bloom_for("document", (1, 1), 0.8, "always"), None)
    for first in range(0, 40_000, 10_000):
        shard.judge(pa.array([" ".join(f"w{number}" for number in range(first, first + 10_000))]))
        assert shard.n_ngrams == first + 10_000
    verdicts = shard.judge(pa.array([f"w{number}" for number in range(0, 50_000, 10_000)]))
    assert verdicts.shares.tolist() == [1, 1, 1, 1, 0]
    assert verdicts.firsts.tolist() == [0, 1, 2, 3, -1]


@settings(deadline=None)
@given(texts=TEXTS, cuts=st.lists(st.integers(0, 12)), mode=st.sampled_from(bff.MODES))
def test_batches_make_no_difference(texts, cuts, mode):
    bloom = bloom_for(mode, (2, 3), 0.5, "kept")
    array = pa.array(texts, pa.string())
    whole = Shard(bloom, None).judge(array)
    shard, parts = Shard(bloom, None), []
    bounds = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    for start, stop in zip(bounds, bounds[1:], strict=False):
        parts.append(shard.judge(array[start:stop]))
    for number, column in enumerate(whole):
        joined = [value for part in parts for value in part[number].tolist()]
        assert repr(joined) == repr(column.tolist())


def test_a_filter_takes_for_seen_as_much_as_was_planned():
    texts = [" ".join(f"{number}w{word}" for word in range(200)) for number in range(300)]
    n_ngrams = 300 * (200 - 12)
    for fp_rate in (0.1, 0.01):
        shard = Shard(
            replace(EXACT, filter="bloom", mode="document", inserts="always"), geometry_for(n_ngrams, fp_rate)
        )
        shard.judge(pa.array(texts))
        fresh = [" ".join(f"{number}v{word}" for word in range(200)) for number in range(300)]
        assert shard.fp_rate == pytest.approx(fp_rate, rel=0.1)
        asked = shard.judge(pa.array(fresh[:20]))
        assert float(asked.shares.mean()) == pytest.approx(fp_rate, rel=0.5)


def test_a_paragraph_of_megabytes_and_a_million_lines():
    long = "word " * 1_000_000
    lines = "a\n" * 1_000_000
    shard = Shard(replace(EXACT, mode="paragraph", inserts="kept"), None)
    verdicts = shard.judge(pa.array([long, lines, long]))
    assert verdicts.is_emptied.tolist() == [False, False, True]
    assert verdicts.n_cuts.tolist() == [0, 0, 0]
    # Here each line is one n-gram, and the first stays.
    verdicts = Shard(bloom_for("paragraph", (1, 5), 0.8, "kept"), None).judge(pa.array([lines, lines]))
    assert (verdicts.n_cuts.tolist(), verdicts.is_emptied.tolist()) == ([999_999, 0], [False, True])
    assert verdicts.paragraphs[[0, -1]].tolist() == [1, 999_999]
