"""Firsts and delegates: whom members of a bucket meet, against plain Python; what comes later changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.near.buckets import join_block
from dclm_spark.kernels.near.entry_packets import SURVIVOR_ORDER_BITS, distinct_texts, entries_of
from dclm_spark.kernels.near.firsts import N_DELEGATES, Firsts
from tests.support.near import meetings

pytestmark = pytest.mark.busy

N_BANDS, N_ROWS = 3, 2
THRESHOLD = 0.5


def _shares_a_band(one: np.ndarray, other: np.ndarray) -> list[int]:
    return [band for band in range(N_BANDS) if (one[band] == other[band]).all()]


def _meet(signatures: np.ndarray, *, n_batches: int = 1, is_member=None, **options) -> tuple[list, set]:
    """The first text, 0, and its members in their order: their similarities, and the pairs that met and are alike."""
    firsts = Firsts(N_BANDS, N_ROWS, threshold=THRESHOLD, **options)
    texts = np.arange(len(signatures), dtype=np.int64)
    is_member = np.ones(len(texts), dtype=bool) if is_member is None else is_member
    similarity, pairs = [], []
    for rows in np.array_split(texts, n_batches):
        found, met = firsts.meet(
            rows, np.zeros_like(rows), is_member[rows], signatures[rows].reshape(len(rows), N_BANDS * N_ROWS)
        )
        similarity += found.tolist()
        pairs += zip(rows[met.rows].tolist(), met.others.tolist(), met.similarity.tolist(), strict=True)
    assert len({pair[:2] for pair in pairs}) == len(pairs)
    return similarity, set(pairs)


@st.composite
def _signatures(draw):
    """Of texts that all share a band with the first one."""
    n = draw(st.integers(1, 24))
    values = draw(st.lists(st.integers(0, 2), min_size=n * N_BANDS * N_ROWS, max_size=n * N_BANDS * N_ROWS))
    made = np.array(values, dtype=np.uint16).reshape(n, N_BANDS, N_ROWS)
    for text in range(1, n):
        if not _shares_a_band(made[text], made[0]):
            made[text, text % N_BANDS] = made[0, text % N_BANDS]
    return made


@settings(max_examples=200, deadline=None)
@given(_signatures(), st.integers(1, 4), st.integers(0, 9))
def test_members_meet_whom_they_meet_in_plain_buckets(signatures, n_batches, n_delegates):
    def share(one: int, other: int) -> float:
        return float(np.mean(signatures[one] == signatures[other]))

    similarity, found = _meet(signatures, n_batches=n_batches, n_delegates=n_delegates)
    assert similarity == [share(text, 0) for text in range(len(signatures))]
    expected = set()
    for band in range(N_BANDS):
        bucket = [text for text in range(len(signatures)) if band in _shares_a_band(signatures[text], signatures[0])]
        met = meetings(bucket, lambda one, other: share(one, other) >= THRESHOLD, n_delegates=n_delegates)
        expected |= {(one, other, share(one, other)) for one, other in met if other != 0}
    assert found == expected


@settings(max_examples=100, deadline=None)
@given(_signatures(), st.integers(0, 24))
def test_what_comes_later_changes_nothing_among_the_others(signatures, n_before):
    _, found = _meet(signatures)
    _, before = _meet(signatures[: n_before + 1])
    assert before == {pair for pair in found if pair[0] <= n_before}


@settings(max_examples=100, deadline=None)
@given(_signatures())
def test_in_small_buckets_all_that_is_alike_hangs_together(signatures):
    signatures = signatures[: N_DELEGATES // 2 + 2]
    similarity, found = _meet(signatures)
    group = list(range(len(signatures)))

    def join(one: int, other: int) -> None:
        group[:] = [group[other] if its == group[one] else its for its in group]

    for text, share in enumerate(similarity):
        if share >= THRESHOLD:
            join(text, 0)
    for one, other, _ in found:
        join(one, other)
    for one in range(len(signatures)):
        for other in range(one):
            shared = set(_shares_a_band(signatures[one], signatures[other]))
            if shared & {*_shares_a_band(signatures[one], signatures[0])} and (
                np.mean(signatures[one] == signatures[other]) >= THRESHOLD
            ):
                assert group[one] == group[other]


def _family(n: int, share_of_first: float, share: float) -> np.ndarray:
    """A first, and members that are less alike to it than to each other; all share a band."""
    made = np.zeros((n, 14, 8), dtype=np.uint16)
    values = made.reshape(n, -1)
    n_first, n_same = round(112 * (1 - share_of_first)), round(112 * (1 - share))
    values[1:, -n_first:] = 1
    for text in range(1, n):
        values[text, -n_same // 2 :] = text + 1
    return made


def test_a_member_that_is_unlike_the_first_finds_its_family():
    made = _family(30, share_of_first=0.69, share=0.8)
    firsts = Firsts(14, 8, threshold=0.7)
    texts = np.arange(30, dtype=np.int64)
    similarity, met = firsts.meet(texts, np.zeros_like(texts), np.ones(30, dtype=bool), made.reshape(30, -1))
    assert max(similarity[1:]) < 0.7
    assert met.rows.tolist() == list(range(2, 30)) and set(met.others.tolist()) == {1}
    assert min(met.similarity) >= 0.8


def test_what_is_compared_with_the_first_only_meets_nobody_else():
    signatures = np.zeros((5, N_BANDS, N_ROWS), dtype=np.uint16)
    signatures[1:, 1:] = 1
    assert _meet(signatures)[1] == {(2, 1, 1.0), (3, 1, 1.0), (4, 1, 1.0)}
    assert _meet(signatures, is_member=np.array([True, True, False, True, False]))[1] == {(3, 1, 1.0)}


@pytest.mark.parametrize("is_alike", [True, False])
def test_a_crowd_meets_a_bounded_number(is_alike):
    n = 60_000
    signatures = np.zeros((n, N_BANDS, N_ROWS), dtype=np.uint16)
    if not is_alike:
        signatures[:, 1:] = np.arange(n)[:, np.newaxis, np.newaxis]
    similarity, found = _meet(signatures, n_batches=7)
    assert (similarity[-1], found) == (1.0 if is_alike else 1 / 3, set())


def test_within_the_margin_a_pair_is_told_of_but_joins_nobody():
    signatures = np.zeros((4, N_BANDS, N_ROWS), dtype=np.uint16)
    signatures[:, 1:] = np.arange(4)[:, np.newaxis, np.newaxis]
    signatures[2:, 1] = signatures[1, 1]  # two thirds of 1
    _, found = _meet(signatures, margin=0.2)
    assert found == {(2, 1, 2 / 3), (3, 1, 2 / 3), (3, 2, 2 / 3)}
    assert _meet(signatures)[1] == {(2, 1, 2 / 3), (3, 1, 2 / 3)}


def _alike(documents, *, n_seen: int = 3, first_new_dump: int = 0) -> set[tuple[int, int]]:
    """The pairs of texts that buckets find alike, as a stage finds them; documents are (text, dump, order)."""
    seen = [document for document in documents if document[1] < n_seen]
    texts = np.array([text for text, _, _ in seen], dtype=np.int64)
    orders = np.array([dump << SURVIVOR_ORDER_BITS | order for _, dump, order in seen], dtype=np.uint64)
    signatures = _signatures_of(texts)
    # A band's key as two texts share it that agree in all its rows, and no other band has.
    keys = np.empty((len(texts), N_BANDS), dtype=np.uint64)
    for band in range(N_BANDS):
        values = signatures[:, band].astype(np.uint64)
        keys[:, band] = (values[:, 0] << np.uint64(40)) + (values[:, 1] << np.uint64(30)) + np.uint64((band + 1) << 12)
    rows, first_orders, repeated = distinct_texts(texts, orders)
    entries = entries_of(keys[rows], texts[rows], first_orders)
    options = {"giant_bucket": 1000, "ignores_giants": False, "to_verify": True}
    edges = join_block(entries, repeated, first_new_dump=first_new_dump, **options)
    in_order = np.lexsort((edges.texts, edges.dumps, edges.texts != edges.others, edges.others))
    texts, others, dumps, _, _ = (column[in_order] for column in edges)
    firsts = Firsts(N_BANDS, N_ROWS, threshold=THRESHOLD, n_delegates=4)
    own = _signatures_of(texts).reshape(len(texts), N_BANDS * N_ROWS)
    similarity, met = firsts.meet(texts, others, np.ones(len(texts), dtype=bool), own)
    is_new = dumps >> SURVIVOR_ORDER_BITS >= first_new_dump
    is_alike = is_new & (similarity >= THRESHOLD) & (texts != others)
    found = set(zip(texts[is_alike].tolist(), others[is_alike].tolist(), strict=True))
    more = is_new[met.rows]
    return found | set(zip(texts[met.rows][more].tolist(), met.others[more].tolist(), strict=True))


def _signatures_of(texts: np.ndarray) -> np.ndarray:
    """A signature that follows from the text: few values, so that many share a band."""
    made = [np.random.default_rng(abs(text)).integers(0, 3, (N_BANDS, N_ROWS)) for text in texts.tolist()]
    return np.array(made, dtype=np.uint16).reshape(len(texts), N_BANDS, N_ROWS)


_DOCUMENTS = st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(_DOCUMENTS)
def test_dumps_one_after_the_other_find_what_all_at_once_find(documents):
    added = set()
    for dump in range(3):
        if any(document[1] <= dump for document in documents):
            added |= _alike(documents, n_seen=dump + 1, first_new_dump=dump)
    assert added == _alike(documents)
