"""Components on Spark, in one task and in rounds: SciPy's, however the edges are spread."""

from functools import partial

import numpy as np
import pytest
from pyspark.sql import functions as F

from dclm_spark.errors import DclmError, RoundLimitError
from dclm_spark.spark.planning import planned_for_python
from dclm_spark.stages.components import connected_components
from tests.support.graphs import by_scipy

slow = partial(pytest.param, marks=pytest.mark.slow)


def chain(n):
    return np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)


def star(n):
    return np.stack([np.arange(1, n), np.zeros(n - 1, dtype=np.int64)], axis=1)


def uniform(n):
    """About half of the nodes in one component, most others alone with an edge to themselves."""
    random = np.random.default_rng(n)
    return np.concatenate([random.integers(0, n, (2 * n // 3, 2)), np.stack([np.arange(n)] * 2, axis=1)])


def shuffled(edges, seed=1):
    """The same graph with ids of 64 bits, edges in random order and either direction, some of them twice."""
    random = np.random.default_rng(seed)
    ids = random.integers(-(1 << 63), (1 << 63) - 1, edges.max() + 1)
    edges = random.permutation(ids[edges])
    return np.concatenate([edges, edges[: len(edges) // 3, ::-1]])


class Cuts:
    """Parquet files in a folder: what `checkpoint` has to be, and the names that it was called with."""

    def __init__(self, spark, folder):
        self._spark = spark
        self._folder = folder
        self.names: list[str] = []

    def __call__(self, rows, name):
        place = str(self._folder / name)
        rows.write.parquet(place)
        self.names.append(name)
        return self._spark.read.parquet(place)


@pytest.fixture
def checkpoint(spark, tmp_path):
    with planned_for_python(spark):
        yield Cuts(spark, tmp_path)


def frame(spark, edges, n_partitions=2):
    rows = [(int(node), int(other)) for node, other in edges]
    return spark.createDataFrame(rows, "text_hash BIGINT, other_hash BIGINT").repartition(n_partitions)


def found(result) -> dict[int, int]:
    assert result.dtypes == [("text_hash", "bigint"), ("root", "bigint")]
    rows = [tuple(row) for row in result.collect()]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


# With 100 edges a task there are four tasks, and a forest may break off and begin anew; with 10,000 there is one.
@pytest.mark.parametrize(
    ("graph", "n_partitions", "task_edges"),
    [slow(chain, 1, 10_000), slow(chain, 3, 100), (star, 3, 100), slow(uniform, 7, 100)],
)
def test_rounds_find_scipys_components(spark, checkpoint, graph, n_partitions, task_edges):
    edges = shuffled(graph(200))
    words: list[str] = []
    result = connected_components(
        frame(spark, edges, n_partitions),
        checkpoint=checkpoint,
        single_limit=1,
        task_edges=task_edges,
        say=words.append,
    )
    assert found(result) == by_scipy(edges)
    n_rounds = len(checkpoint.names) - 1
    assert checkpoint.names == ["forest", *(f"round_{n}" for n in range(1, n_rounds + 1))]
    # One task that holds all nodes has stars at once, and a round finds that nothing changes.
    assert n_rounds == 1 if (n_partitions, task_edges) == (1, 10_000) else n_rounds >= 2
    assert words[0].endswith("edges after 0 rounds")
    assert words[-1] == f"components: settled after {n_rounds} rounds"


@pytest.mark.parametrize(("graph", "n_partitions"), [(chain, 1), (chain, 3), (star, 7), (uniform, 3)])
def test_one_task_finds_the_same_without_a_cut(spark, checkpoint, graph, n_partitions):
    edges = shuffled(graph(300), seed=2)
    result = connected_components(
        frame(spark, edges, n_partitions), checkpoint=checkpoint, n_edges=len(edges), task_edges=100
    )
    assert found(result) == by_scipy(edges)
    assert checkpoint.names == []


def test_edges_whose_number_is_unknown_are_cut_once(spark, checkpoint):
    words: list[str] = []
    result = connected_components(
        frame(spark, [(1, 2), (2, 1), (5, 3), (9, 9)]), checkpoint=checkpoint, say=words.append
    )
    assert found(result) == {1: 1, 2: 1, 3: 3, 5: 3, 9: 9}
    assert checkpoint.names == ["forest"]
    assert len(words) == 1 and words[0].endswith("edges after 0 rounds go to one task")


def test_rounds_end_as_soon_as_one_task_can_take_the_rest(spark, checkpoint):
    # Eight copies of each edge, spread over eight tasks; one round brings them together.
    copies = np.concatenate([chain(200)] * 8)
    result = connected_components(frame(spark, copies, 8), checkpoint=checkpoint, single_limit=250)
    assert found(result) == dict.fromkeys(range(200), 0)
    assert checkpoint.names == ["forest", "round_1"]


@pytest.mark.parametrize("n_edges", [None, 0])
def test_no_edges(spark, checkpoint, n_edges):
    result = connected_components(frame(spark, []), checkpoint=checkpoint, n_edges=n_edges, single_limit=0)
    assert found(result) == {}


@pytest.mark.parametrize("single_limit", [1, 1000])
def test_nodes_alone(spark, checkpoint, single_limit):
    edges = [(node, node) for node in range(-20, 20)] * 2
    result = connected_components(frame(spark, edges, 3), checkpoint=checkpoint, single_limit=single_limit)
    assert found(result) == {node: node for node in range(-20, 20)}


def test_the_smallest_id_is_the_smallest_signed_number(spark, checkpoint):
    edges = [((1 << 63) - 1, -(1 << 63)), (0, -1)]
    result = connected_components(frame(spark, edges), checkpoint=checkpoint, single_limit=1)
    assert found(result) == {(1 << 63) - 1: -(1 << 63), -(1 << 63): -(1 << 63), 0: -1, -1: -1}


def test_too_few_rounds(spark, checkpoint):
    edges = shuffled(chain(3000))
    with pytest.raises(RoundLimitError, match=r"of [\d,]+ edges have not settled in 1 rounds; allow more"):
        connected_components(frame(spark, edges), checkpoint=checkpoint, single_limit=1, task_edges=1000, max_rounds=1)
    assert issubclass(RoundLimitError, DclmError)
    assert checkpoint.names == ["forest", "round_1"]


def test_a_hub_waits_on_the_disk(monkeypatch):
    # More than what a task keeps in memory before it writes: 64 MiB would be four million edges.
    from dclm_spark.stages import components

    monkeypatch.setattr(components, "_SPOOL_BYTES", 1000)
    batches = components.packets([star(200_000)])
    with components._passed_twice(batches) as (neighbours, edges):
        again = np.concatenate(list(edges))
        labels = np.concatenate(list(neighbours.labels()))
    assert sorted(again.tolist()) == sorted(star(200_000).tolist())
    assert sorted(labels.tolist()) == [[node, 0] for node in range(1, 200_000)]


@pytest.mark.slow
def test_a_chain_of_a_million_nodes(spark, checkpoint):
    ends = (F.xxhash64(F.col("id") + n).alias(name) for n, name in ((0, "text_hash"), (1, "other_hash")))
    result = connected_components(spark.range(999_999).select(*ends), checkpoint=checkpoint, n_edges=999_999)
    row = result.select(
        F.count("root"), F.countDistinct("text_hash"), F.min("text_hash"), F.min("root"), F.max("root")
    ).head()
    assert row[:2] == (1_000_000, 1_000_000)
    assert row[2] == row[3] == row[4]


def test_a_null_is_refused(spark, checkpoint):
    rows = spark.createDataFrame([(1, None)], "text_hash BIGINT, other_hash BIGINT")
    with pytest.raises(Exception, match="with nulls|zero_copy_only"):
        found(connected_components(rows, checkpoint=checkpoint, n_edges=1))
