"""Anchors: which survivor a document belongs to, whatever batches its component comes in."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.near import anchors as module
from dclm_spark.kernels.near.anchors import Anchors
from dclm_spark.recipe.near_duplicates import NearDuplicates

P = 10


def _signature(n_changed, base=0):
    """A signature that shares all but so many of its values with that of `base`."""
    return [1000 * base + (index if index >= n_changed else 500 + n_changed) for index in range(P)]


def _assign(rows, near, cuts=(), shingles=None):
    """(doc_id, cluster_id, similarity, is_survivor) of rows (root, doc_id, signature) in batches cut there."""
    found, anchors = [], Anchors(P, near)
    for start, stop in zip((0, *cuts), (*cuts, len(rows)), strict=True):
        part = rows[start:stop]
        roots, ids, signatures = ([row[column] for row in part] for column in range(3))
        is_member, clusters, similarity, is_survivor = anchors.assign(
            np.array(roots, dtype=np.int64),
            pa.array(ids, pa.string()),
            pa.array(["D"] * len(part), pa.string()),
            np.array(signatures, dtype=np.uint16).reshape(-1, P),
            None if shingles is None else pa.array(shingles[start:stop], pa.binary()),
        )
        columns = (ids, *(column.to_pylist() for column in (clusters, similarity, is_survivor, is_member)))
        found += [row[:4] for row in zip(*columns, strict=True) if row[4]]
    return found


CHAIN = [(1, "a", _signature(0)), (1, "b", _signature(3)), (1, "c", _signature(6)), (1, "d", _signature(6))]


@pytest.mark.busy
def test_components_have_one_survivor_whoever_is_alike():
    found = _assign([*CHAIN, (2, "e", _signature(1))], NearDuplicates(threshold=0.7))
    assert found == [
        ("a", "a", 1.0, True),
        ("b", "a", 0.7, False),
        ("c", "a", 0.4, False),
        ("d", "a", 0.4, False),
        ("e", "e", 1.0, True),
    ]


def test_anchored_clusters_hold_what_is_alike_to_the_survivor():
    found = _assign(CHAIN, NearDuplicates(threshold=0.7, clusters="anchored"))
    assert found == [
        ("a", "a", 1.0, True),
        ("b", "a", 0.7, False),
        ("c", "c", 1.0, True),
        ("d", "c", 1.0, False),
    ]


def test_a_second_row_of_a_document_does_not_count():
    rows = [CHAIN[0], CHAIN[0], CHAIN[1]]
    assert [row[0] for row in _assign(rows, NearDuplicates())] == ["a", "b"]
    assert [row[0] for row in _assign(rows, NearDuplicates(), cuts=(1,))] == ["a", "b"]


def test_near_the_threshold_the_shingles_decide():
    def shingles(*numbers):
        return np.array(numbers, dtype="<u8").tobytes()

    # Estimated .7; exactly 2 of 4, and 3 of 4.
    rows = [(1, "a", _signature(0)), (1, "b", _signature(3)), (1, "c", _signature(3))]
    sets = [shingles(1, 2, 3), shingles(1, 2, 9), shingles(1, 2, 3, 9)]
    near = NearDuplicates(threshold=0.7, verify="exact", clusters="anchored")
    for cuts in ((), (1,), (2,), (1, 2)):
        found = _assign(rows, near, cuts, sets)
        assert [(row[1], row[2]) for row in found] == [("a", 1.0), ("b", 1.0), ("a", 0.75)]


def test_a_component_of_many_survivors_is_compared_with_the_first_thousand(monkeypatch):
    random = np.random.default_rng(3)
    n = module.MAX_ANCHORS + 200
    rows = [(1, f"{i:05d}", random.integers(0, 1 << 16, P).tolist()) for i in range(n)]
    rows += [(1, "y", rows[0][2]), (1, "z", rows[-1][2])]
    found = _assign(rows, NearDuplicates(clusters="anchored"))
    assert found[-2][:2] == ("y", "00000")
    assert found[-1][:2] == ("z", "z")


@pytest.mark.parametrize("clusters", ["components", "anchored"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_batches_make_no_difference(clusters, data):
    n = data.draw(st.integers(1, 25))
    rows = []
    for root in range(data.draw(st.integers(1, 4))):
        changes = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=n))
        rows += [(root, f"{root}-{index:02d}", _signature(change, root)) for index, change in enumerate(changes)]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    near = NearDuplicates(threshold=0.6, clusters=clusters)
    whole = _assign(rows, near)
    assert _assign(rows, near, tuple(cuts)) == whole
    # And what plain Python makes of it.
    survivors: dict[int, list] = {}
    for (root, doc_id, signature), (found_id, cluster_id, similarity, is_survivor) in zip(rows, whole, strict=True):
        assert found_id == doc_id
        shares = [(np.mean(np.array(signature) == np.array(other)), name) for name, other in survivors.get(root, [])]
        match = next((pair for pair in shares if clusters == "components" or pair[0] >= 0.6), None)
        if match is None:
            survivors.setdefault(root, []).append((doc_id, signature))
            match = (1.0, doc_id)
        assert (cluster_id, similarity) == (match[1], pytest.approx(match[0]))
        assert is_survivor == (cluster_id == doc_id)
