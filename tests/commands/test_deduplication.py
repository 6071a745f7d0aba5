"""`deduplicated` through the chain: methods, scopes, dumps one by one and at once; refused, interrupted, and again."""

import re
from collections import defaultdict
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from dclm_spark.dedup_chain import make_deduplicated
from dclm_spark.deduplication import Bloom, Exact, Near
from dclm_spark.errors import InputError, RecipeError, WarehouseError
from dclm_spark.job import Job
from dclm_spark.near_chain import make_duplicates, make_signatures
from dclm_spark.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe import Recipe
from dclm_spark.tables import Warehouse
from tests import bff, dedup
from tests.tables import assert_same, content, read

A, B, EMPTY = "A", "B", "Z"
TABLES = ("deduplicated", "removed", "cuts", "decisions")
RECIPE = Recipe("plain")
BLOOM = Bloom(min_ngram=5, max_ngram=5, filter="exact")
TEXTS = dedup.texts(80, seed=4)
ROWS = [
    *dedup.documents([*TEXTS[:50], "", "too short"], dump=A),
    *dedup.documents([*TEXTS[30:80], "", "too short"], dump=B, first=30),
]


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory) -> Warehouse:
    """A warehouse with `filtered` of two dumps, and of one without documents."""
    warehouse = Warehouse(spark, str(tmp_path_factory.mktemp("source") / "lake"))
    dedup.fill(warehouse, ROWS, recipe=RECIPE, n_files=3)
    run = Job(warehouse, EMPTY, RECIPE).run("filtered")
    run.record(n_rows_in=0, n_rows_out=0, output_versions={"filtered": warehouse.version("filtered")})
    return warehouse


@pytest.fixture
def lake(source, tmp_path) -> Warehouse:
    return Warehouse(source.spark, str(tmp_path / "lake"))


def make(lake: Warehouse, source: Warehouse, dumps: list[str], *methods, recipe: Recipe = RECIPE, **options):
    job = Job(lake, dumps[0], replace(recipe, deduplication=methods), upstream=source, is_quiet=True, **options)
    return make_deduplicated(job, dumps)


def texts_left(lake: Warehouse) -> dict[str, str]:
    return {row["doc_id"]: row["text"].strip() for row in read(lake.location, "deduplicated")}


def by_bff(rows: list[dict], bloom: Bloom) -> dict[str, str]:
    """What BFF's rules leave of documents read in the order of dump and doc_id."""
    rows = sorted(rows, key=lambda row: (row["dump"], row["doc_id"]))
    found = bff.deduplicate(
        [row["text"] for row in rows],
        mode=bloom.mode,
        min_ngram=bloom.min_ngram,
        max_ngram=bloom.max_ngram,
        threshold=bloom.threshold,
        inserts=bloom.inserts,
    )
    # A document that was empty before is none that was cut to nothing.
    kept = zip(rows, found, strict=True)
    return {row["doc_id"]: text.strip() for row, text in kept if text.strip() or not row["text"].strip()}


def assert_accounted(lake: Warehouse) -> None:
    """Every document is in one place; what is cut of one that stays is in `cuts`."""
    texts = {row["doc_id"]: row["text"] for row in ROWS}
    left = {row["doc_id"]: row["text"] for row in read(lake.location, "deduplicated")}
    removed = [row["doc_id"] for row in read(lake.location, "removed")]
    assert sorted([*left, *removed]) == sorted(texts)
    cuts = defaultdict(set)
    for row in read(lake.location, "cuts"):
        assert (row["stage"], row["reason"]) == ("deduplicated", "duplicate_paragraph")
        assert BLOOM.threshold < row["value"] <= 1
        cuts[row["doc_id"]].add(row["paragraph"])
    assert cuts.keys() <= left.keys()
    for doc_id, text in left.items():
        kept = [one for number, one in enumerate(texts[doc_id].split("\n")) if number not in cuts[doc_id]]
        assert text == "\n".join(kept)


def rows_of(lake: Warehouse) -> dict[str, list[str]]:
    """All rows, but for the weight of documents: those of a dump before do not yet know what a later one brought."""
    found = content(lake.location, TABLES)
    without = [re.sub(r'"cluster_size": \d+', "", row) for row in found["deduplicated"]]
    return found | {"deduplicated": sorted(without)}


@pytest.mark.parametrize(
    ("scope", "inserts"), [("dump", "always"), ("all", "kept"), ("shards", "kept"), ("shards", "always")]
)
def test_ngrams_by_scope(lake, source, scope, inserts):
    bloom = replace(BLOOM, scope=scope, inserts=inserts, n_shards=3)
    outcomes = make(lake, source, [A, B], bloom)
    assert [(one.run["dump"], one.is_new) for one in outcomes] == [(A, True), (B, True)]
    groups = defaultdict(list)
    shards = {}
    if scope == "shards":
        shard = F.pmod(F.xxhash64("doc_id"), F.lit(3)).alias("shard")
        shards = dict(map(tuple, source.read("filtered").select("doc_id", shard).collect()))
    for row in ROWS:
        groups[{"dump": row["dump"], "all": "", "shards": shards.get(row["doc_id"])}[scope]].append(row)
    expected = {}
    for rows in groups.values():
        expected |= by_bff(rows, bloom)
    assert texts_left(lake) == expected
    assert_accounted(lake)
    assert not any(one.is_new for one in make(lake, source, [A, B], bloom))


@pytest.mark.slow
@pytest.mark.parametrize(
    "methods",
    [
        (Exact(), Exact(by="url"), replace(BLOOM, filter="bloom", capacity=50_000)),
        (replace(BLOOM, inserts="kept"),),
    ],
    ids=["keys and a filter", "kept n-grams"],
)
def test_dumps_one_by_one_are_both_at_once(lake, source, tmp_path, methods):
    make(lake, source, [A, B], *(replace(one, scope="all") for one in methods))
    added = Warehouse(source.spark, str(tmp_path / "added"))
    one_by_one = [replace(one, scope="incremental") for one in methods]
    make(added, source, [A], *one_by_one)
    make(added, source, [B], *one_by_one)
    assert_same(rows_of(added), rows_of(lake))
    assert_accounted(added)
    # An earlier dump that is made anew takes the later ones with it.
    assert not make(added, source, [B], *one_by_one)[0].is_new
    make(added, source, [A], *one_by_one, is_forced=True)
    assert make(added, source, [B], *one_by_one)[0].is_new
    assert_same(rows_of(added), rows_of(lake))


def test_files_and_tasks_make_no_difference(lake, source, tmp_path):
    methods = (replace(BLOOM, filter="bloom", scope="all"),)
    make(lake, source, [A, B], *methods)
    other_source = Warehouse(source.spark, str(tmp_path / "source"))
    dedup.fill(other_source, list(reversed(ROWS)), recipe=RECIPE, n_files=1)
    other = Warehouse(source.spark, str(tmp_path / "other"))
    before = source.spark.conf.get("spark.sql.shuffle.partitions")
    source.spark.conf.set("spark.sql.shuffle.partitions", "5")
    try:
        make(other, other_source, [B, A], *methods)
    finally:
        source.spark.conf.set("spark.sql.shuffle.partitions", before)
    assert_same(content(other.location, TABLES), content(lake.location, TABLES))


def test_exact_keeps_the_first_by_the_order(lake, source):
    make(lake, source, [A, B], Exact(scope="all", survivor=("latest_dump",)))
    rows = sorted(ROWS, key=lambda row: (row["dump"] == A, row["doc_id"]))
    first = {}
    for row in rows:
        first.setdefault(row["text"], row["doc_id"])
    assert set(texts_left(lake)) == set(first.values())
    sizes = {row["doc_id"]: row["cluster_size"] for row in read(lake.location, "deduplicated")}
    texts = [row["text"] for row in ROWS]
    assert sizes == {doc_id: texts.count(text) for text, doc_id in first.items()}
    assert {row["removed_by"] for row in read(lake.location, "removed")} == {"duplicate_text"}


@pytest.mark.slow
def test_clusters_are_honoured_and_never_lost(lake, source):
    recipe = replace(RECIPE, signatures=MinHash(), duplicates=NearDuplicates(survivor=("longest_text",)))
    job = Job(lake, A, recipe, upstream=source, is_quiet=True)
    make_signatures(job)
    make_duplicates(job, [A])
    make(lake, source, [A], Exact(survivor=("latest_dump",)), Near(), recipe=recipe)
    left = set(texts_left(lake))
    clusters = defaultdict(set)
    for row in read(lake.location, "duplicates"):
        clusters[row["cluster_id"]].add(row["doc_id"])
    assert clusters and all(len(members & left) == 1 for members in clusters.values())


def test_what_cannot_work_is_refused(lake, source):
    with pytest.raises(InputError, match="A is named twice"):
        make(lake, source, [A, A], BLOOM)
    with pytest.raises(RecipeError, match=r"threshold is 2; expected a share(.|\n)*needs the scope 'shards'"):
        make(lake, source, [A], replace(BLOOM, threshold=2, mode="both", inserts="kept"))
    with pytest.raises(RecipeError, match="one dump after the other, and of scope 'all'"):
        make(lake, source, [A], Exact(scope="all"), replace(BLOOM, scope="incremental"))
    with pytest.raises(RecipeError, match="capacity is null"):
        make(lake, source, [A], replace(BLOOM, scope="incremental", filter="bloom"))
    with pytest.raises(InputError, match=r"made for 100 n-grams(.|\n)*set capacity to"):
        make(lake, source, [A], replace(BLOOM, filter="bloom", capacity=100))
    with pytest.raises(InputError, match=r"made for 100 n-grams(.|\n)*set capacity to"):
        make(lake, source, [A], replace(BLOOM, filter="bloom", capacity=100, scope="shards"))
    assert read(lake.location, "deduplicated") == []


def test_a_filter_of_other_settings_is_not_added_to(lake, source):
    bloom = replace(BLOOM, scope="incremental")
    make(lake, source, [A], bloom)
    with pytest.raises(WarehouseError, match="B cannot be added to what other methods"):
        make(lake, source, [B], replace(bloom, seed=2))
    with pytest.raises(WarehouseError, match="made by another recipe"):
        make(lake, source, [A], replace(bloom, min_ngram=4))
    make(lake, source, [B], replace(bloom, seed=2), is_forced=True)


@pytest.mark.slow
def test_a_dump_without_documents_and_one_document_twice(lake, source, tmp_path):
    for bloom in (BLOOM, replace(BLOOM, scope="shards")):
        assert make(lake, source, [EMPTY], bloom, is_forced=True)[0].run["n_rows_out"] == 0
    # What is added to a filter that holds nothing begins it.
    bloom = replace(BLOOM, scope="incremental")
    make(lake, source, [EMPTY], bloom, is_forced=True)
    make(lake, source, [A], bloom)
    assert texts_left(lake) == by_bff([row for row in ROWS if row["dump"] == A], bloom)
    twice = Warehouse(source.spark, str(tmp_path / "twice"))
    rows = [row for row in ROWS if row["dump"] == A]
    dedup.fill(twice, [*rows, rows[0], rows[0]], recipe=RECIPE, n_files=2)
    for methods in ((Exact(),), (BLOOM,), (replace(BLOOM, scope="shards"),)):
        job = Job(twice, A, replace(RECIPE, deduplication=methods), is_quiet=True, is_forced=True)
        (outcome,) = make_deduplicated(job, [A])
        assert outcome.run["n_rows_out"] + outcome.run["n_removed"] == len(rows) + 2
        ids = [row["doc_id"] for row in read(twice.location, "deduplicated")]
        assert ids.count(rows[0]["doc_id"]) in (0, 3)
