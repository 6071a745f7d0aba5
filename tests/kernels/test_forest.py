"""Components of graphs against SciPy's: chains, stars, random ones, and ids made to collide."""

import time
from functools import reduce
from operator import xor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dclm_spark.kernels.graph.edge_packets import N_BUCKETS, edges_of, gathered, packets
from dclm_spark.kernels.graph.forest import Forest, components, spanning_forests
from dclm_spark.kernels.graph.node_table import NodeTable
from dclm_spark.kernels.graph.stars import Neighbours
from tests.support.graphs import by_scipy

at_leisure = settings(deadline=None)  # the first example waits for a compiler

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
# Few distinct ids, so that edges meet; the extremes among them.
NODE = st.integers(-3, 12) | st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 32])
EDGES = st.lists(st.tuples(NODE, NODE), max_size=60).map(lambda rows: np.array(rows, dtype=np.int64).reshape(-1, 2))


def by_forest(edges: np.ndarray) -> dict[int, int]:
    nodes, labels = components(edges[:, 0], edges[:, 1])
    assert nodes.dtype == labels.dtype == np.int64
    assert len(np.unique(nodes)) == len(nodes)
    return dict(zip(nodes.tolist(), labels.tolist(), strict=True))


@at_leisure
@given(EDGES)
def test_components_are_scipys(edges):
    assert by_forest(edges) == by_scipy(edges)


@at_leisure
@given(st.lists(st.tuples(INT64, INT64), max_size=20))
def test_any_ids(rows):
    edges = np.array(rows, dtype=np.int64).reshape(-1, 2)
    assert by_forest(edges) == by_scipy(edges)


@at_leisure
@given(EDGES, st.lists(st.integers(0, 60), max_size=5), st.integers(1, 20))
def test_batches_cut_anywhere_give_the_same(edges, cuts, max_nodes):
    pieces = np.split(edges, sorted(min(cut, len(edges)) for cut in cuts))
    forest = Forest()
    for piece in pieces:
        forest.add(piece)
    labels = np.concatenate(list(forest.labels()))
    assert dict(labels.tolist()) == by_scipy(edges)
    assert len(forest) == len(labels)
    spanned = np.concatenate(list(spanning_forests(pieces, max_nodes=max_nodes)))
    assert by_forest(spanned) == by_scipy(edges)


@at_leisure
@given(EDGES)
def test_a_spanning_forest_has_no_edge_too_many(edges):
    spanned = np.concatenate(list(spanning_forests([edges], max_nodes=100)))
    expected = by_scipy(edges)
    sizes = {root: list(expected.values()).count(root) for root in expected.values()}
    assert sorted(spanned.tolist()) == sorted(
        [node, root] for node, root in expected.items() if node != root or sizes[root] == 1
    )


def chain(n):
    return np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)


def star(n):
    return np.stack([np.zeros(n - 1, dtype=np.int64), np.arange(1, n)], axis=1)


def uniform(n):
    return np.random.default_rng(2).integers(0, n, (n, 2))


@pytest.mark.parametrize("graph", [chain, star, uniform])
@pytest.mark.parametrize(
    "ids",
    [
        np.arange(200_000),
        np.arange(200_000)[::-1].copy(),
        np.arange(200_000) << 40,  # alike in all bits that a table without mixing would look at
        np.arange(200_000) * 0x5851F42D4C957F2D,
        np.random.default_rng(1).integers(-(1 << 63), (1 << 63) - 1, 200_000),
    ],
    ids=["up", "down", "high bits", "multiples", "random"],
)
def test_no_order_of_ids_is_slow(graph, ids):
    edges = ids[graph(len(ids))]
    by_forest(edges[:2])  # compiled
    began = time.thread_time()
    labels = components(edges[:, 0], edges[:, 1])
    assert time.thread_time() - began < 2  # 0.05 s; quadratic work would take minutes
    assert dict(zip(*(array.tolist() for array in labels), strict=True)) == by_scipy(edges)


def test_a_forest_of_another_forests_nodes_is_not_slow():
    # In a table that lists its slots one after the other, a smaller one with the same hash would fill up at one place.
    edges = np.random.default_rng(3).integers(-(1 << 63), (1 << 63) - 1, (200_000, 2))
    first = list(spanning_forests([edges], max_nodes=1 << 30))
    began = time.thread_time()
    again = list(spanning_forests(first, max_nodes=1 << 30))
    assert time.thread_time() - began < 2
    assert np.array_equal(np.concatenate(first), np.concatenate(again))


def test_a_million_nodes():
    ids = np.random.default_rng(4).integers(-(1 << 63), (1 << 63) - 1, 1_000_000)
    edges = np.random.default_rng(5).permutation(ids[chain(len(ids))])
    nodes, labels = components(edges[:, 0], edges[:, 1])
    assert np.array_equal(np.sort(nodes), np.sort(ids))
    assert (labels == ids.min()).all()


def test_more_nodes_than_a_number_can_count():
    table = NodeTable()
    table.n_nodes = (1 << 31) - 10
    with pytest.raises(OverflowError, match="2,147,483,638 nodes lie in one table"):
        table.make_room(20)


# -- stars ------------------------------------------------------------------------------------------------------------


def starred(edges, *, is_large):
    neighbours = Neighbours()
    for piece in np.array_split(edges, 3):
        neighbours.add(piece)
    stars = neighbours.large_stars if is_large else neighbours.small_stars
    return np.concatenate(list(stars(np.array_split(edges, 2)))).tolist()


def by_definition(edges, *, is_large):
    """Small-star and large-star as the paper has them; a node alone keeps its edge to itself."""
    found = []
    for node in np.unique(edges[:, 0]).tolist():
        around = edges[edges[:, 0] == node, 1].tolist()
        smallest = min(node, *around)
        hung = [other for other in around if other > node] if is_large else [node, *around]
        found += [(other, smallest) for other in hung if other != smallest]
        found += [(node, node)] * (set(around) == {node})
    return found


@pytest.mark.busy
@at_leisure
@given(EDGES)
def test_large_stars_by_definition(edges):
    both_ways = np.concatenate([edges, edges[:, ::-1]])
    assert set(map(tuple, starred(both_ways, is_large=True))) == set(by_definition(both_ways, is_large=True))


@at_leisure
@given(EDGES)
def test_small_stars_by_definition(edges):
    downwards = np.sort(edges, axis=1)[:, ::-1].copy()
    assert set(map(tuple, starred(downwards, is_large=False))) == set(by_definition(downwards, is_large=False))


@at_leisure
@given(EDGES)
def test_both_in_turns_end_in_stars(edges):
    expected = by_scipy(edges)
    edges = np.sort(edges, axis=1)[:, ::-1].copy()
    for _ in range(8):
        small = np.array(starred(edges, is_large=False), dtype=np.int64).reshape(-1, 2)
        assert by_forest(small) == expected
        edges = np.array(starred(np.concatenate([small, small[:, ::-1]]), is_large=True), dtype=np.int64).reshape(-1, 2)
        assert by_forest(edges) == expected
    assert dict(edges.tolist()) == {node: expected[node] for node in edges[:, 0].tolist()}


# -- packets ----------------------------------------------------------------------------------------------------------


@at_leisure
@given(EDGES, st.integers(1, 4))
def test_packets_hold_all_edges_and_say_which(edges, n_pieces):
    batches = list(packets(np.array_split(edges, n_pieces)))
    found = np.concatenate([np.empty((0, 2), dtype=np.int64), *map(edges_of, batches)])
    assert sorted(found.tolist()) == sorted(edges.tolist())
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert sum(row["n_edges"] for row in rows) == len(edges)
    assert all(len(row["edges"]) == 16 * row["n_edges"] for row in rows)
    again = [row for piece in np.array_split(edges[::-1], 7) for batch in packets([piece]) for row in batch.to_pylist()]
    checksums = [reduce(xor, (row["edges_hash"] for row in some), 0) for some in (rows, again)]
    assert checksums[0] == checksums[1]


def test_a_node_is_in_one_bucket_and_buckets_are_alike():
    edges = np.stack([np.arange(200_000), np.zeros(200_000, dtype=np.int64)], axis=1)
    [batch] = packets([edges])
    assert batch.column("bucket").to_pylist() == list(range(N_BUCKETS))
    sizes = batch.column("n_edges").to_numpy()
    assert sizes.min() > 50 and sizes.max() < 150  # 98 on average
    assert (
        edges_of(batch.slice(3, 2)).tolist()
        == np.frombuffer(b"".join(batch.column("edges")[3:5].to_pylist()), dtype=np.int64).reshape(-1, 2).tolist()
    )
    [few] = packets([edges[:1000]])
    whole = batch.column("edges").to_pylist()
    for bucket, packet in zip(few.column("bucket").to_pylist(), few.column("edges").to_pylist(), strict=True):
        assert whole[bucket].startswith(packet)


def test_gathered_pieces_are_large():
    pieces = [np.full((n, 2), n) for n in (3, 0, 4, 5, 1)]
    assert [piece[:, 0].tolist() for piece in gathered(pieces, 5)] == [[3] * 3 + [4] * 4, [5] * 5, [1]]
    assert list(gathered([], 5)) == []
