"""Deduplication by keys and n-grams through the chain: against one reader of all documents, and what is refused."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dclm_spark import near_chain, schemas
from dclm_spark.dedup_chain import make_deduplicated
from dclm_spark.deduplication import Bloom, Exact, Method, Near
from dclm_spark.errors import InputError, RecipeError, WarehouseError
from dclm_spark.job import Job
from dclm_spark.kernels.exact_keys import canonical_url
from dclm_spark.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe import Recipe
from dclm_spark.tables import Warehouse, frame_of
from tests import bff, dedup
from tests.tables import content, read

A, B, C = "CC-MAIN-2022-05", "CC-MAIN-2022-21", "CC-MAIN-2022-27"
RECIPE = Recipe("dedup")
BLOOM = Bloom(min_ngram=3, max_ngram=5, filter="exact", word_breaker="15.1")
MADE = dedup.texts(140, seed=4)
ROWS = [
    *dedup.documents([*MADE[:60], "", "\n \n"], dump=A),
    *dedup.documents([*MADE[40:90], *dedup.texts(12, seed=9), "again " + MADE[3]], dump=B, first=1000),
    *dedup.documents([*MADE[:30:2], *MADE[80:110], MADE[5] + "\n" + MADE[45]], dump=C, first=2000),
]
TEXTS = {row["doc_id"]: row["text"] for row in ROWS}


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory) -> Warehouse:
    """A warehouse with `filtered` of three dumps, which others borrow."""
    warehouse = Warehouse(spark, str(tmp_path_factory.mktemp("source") / "lake"))
    dedup.fill(warehouse, ROWS, recipe=RECIPE, n_files=2)
    return warehouse


@pytest.fixture
def place(source, tmp_path):
    """Makes empty warehouses."""
    return lambda name="lake": Warehouse(source.spark, str(tmp_path / name))


def make(warehouse: Warehouse, source: Warehouse, methods: Sequence[Method], dumps: Sequence[str], **options):
    recipe = replace(RECIPE, deduplication=tuple(methods))
    return make_deduplicated(Job(warehouse, dumps[0], recipe, upstream=source, is_quiet=True, **options), dumps)


def rows_of(*dumps: str) -> list[dict]:
    """Rows of `filtered` in the order in which they are read: by dump, then by doc_id."""
    return [row for dump in dumps for row in sorted(ROWS, key=lambda row: row["doc_id"]) if row["dump"] == dump]


def reference(rows: Sequence[dict], bloom: Bloom) -> dict[str, str]:
    """What one reader leaves of each document that it keeps; nothing has no n-grams, and stays as it is."""
    left = bff.deduplicate(
        [row["text"] for row in rows],
        mode=bloom.mode,
        min_ngram=bloom.min_ngram,
        max_ngram=bloom.max_ngram,
        threshold=bloom.threshold,
        inserts=bloom.inserts,
    )
    is_blank = {row["doc_id"] for row in rows if not row["text"].strip(bff.WHITE_SPACE)}
    return {
        row["doc_id"]: (text or row["text"]).lstrip("\n")
        for row, text in zip(rows, left, strict=True)
        if text or row["doc_id"] in is_blank
    }


def left_in(warehouse: Warehouse) -> dict[str, str]:
    rows = read(warehouse.location, "deduplicated")
    found = {row["doc_id"]: row["text"] for row in rows}
    assert len(found) == len(rows)
    return found


def check_tables(warehouse: Warehouse, dumps: Sequence[str], threshold: float) -> None:
    """That every document is in one place, and every cut is a paragraph that is missing."""
    filtered = [row for row in ROWS if row["dump"] in dumps]
    kept, gone = left_in(warehouse), {row["doc_id"]: row for row in read(warehouse.location, "removed")}
    assert not kept.keys() & gone.keys()
    assert kept.keys() | gone.keys() == {row["doc_id"] for row in filtered}
    assert all(row["stage"] == "deduplicated" for row in gone.values())
    cuts = defaultdict(list)
    for row in read(warehouse.location, "cuts"):
        assert (row["stage"], row["reason"]) == ("deduplicated", "duplicate_paragraph")
        assert threshold < row["value"] <= 1
        cuts[row["doc_id"]].append(row["paragraph"])
    assert cuts.keys() <= kept.keys()
    for doc_id, text in kept.items():
        paragraphs = TEXTS[doc_id].split("\n")
        own = cuts[doc_id]
        assert len(set(own)) == len(own) and set(own) <= set(range(len(paragraphs)))
        assert text == "\n".join(one for place, one in enumerate(paragraphs) if place not in own)
    runs = {row["dump"]: row for row in read(warehouse.location, "runs") if row["stage"] == "deduplicated"}
    for dump in dumps:
        n = Counter(row["dump"] for row in filtered)[dump]
        n_out = sum(row["dump"] == dump for row in read(warehouse.location, "deduplicated"))
        assert (runs[dump]["n_rows_in"], runs[dump]["n_rows_out"], runs[dump]["n_removed"]) == (n, n_out, n - n_out)


def blank_alike(texts: dict[str, str]) -> dict[str, str]:
    return {doc_id: text.lstrip("\n") for doc_id, text in texts.items()}


@pytest.mark.parametrize(
    ("bloom", "dumps"),
    [
        (BLOOM, (A, B)),
        (replace(BLOOM, scope="all", mode="paragraph", inserts="kept"), (B, A)),
        (replace(BLOOM, scope="incremental"), (B, A)),
        (replace(BLOOM, scope="shards", n_shards=3, inserts="kept"), (A, B)),
        (replace(BLOOM, scope="shards", shard_by="dump", mode="document"), (A, B)),
        (replace(BLOOM, scope="all", filter="bloom", fp_rate=1e-9, mode="document", threshold=0.5), (A, B)),
    ],
    ids=["dump", "all", "incremental", "shards", "shards by dump", "bloom"],
)
def test_what_is_left_is_what_one_reader_leaves(source, place, bloom, dumps):
    warehouse = place()
    outcomes = make(warehouse, source, [bloom], dumps)
    assert sorted(outcome.run["dump"] for outcome in outcomes) == sorted(dumps)
    if bloom.scope == "incremental":
        groups = [rows_of(*dumps)]
    elif bloom.scope == "all":
        groups = [rows_of(*sorted(dumps))]
    elif bloom.scope == "dump" or bloom.shard_by == "dump":
        groups = [rows_of(dump) for dump in dumps]
    else:
        frame = source.spark.createDataFrame([(doc_id,) for doc_id in TEXTS], "doc_id STRING")
        shards = frame.selectExpr("doc_id", f"pmod(xxhash64(doc_id), {bloom.n_shards}) AS shard").collect()
        shard_of = {row["doc_id"]: row["shard"] for row in shards}
        groups = [[row for row in rows_of(A, B) if shard_of[row["doc_id"]] == shard] for shard in range(3)]
    expected = {}
    for rows in groups:
        expected |= reference(rows, bloom)
    assert blank_alike(left_in(warehouse)) == expected
    check_tables(warehouse, dumps, bloom.threshold)
    if bloom.mode != "document":
        assert read(warehouse.location, "cuts")
    if bloom.filter == "exact":
        # Whoever is named came before, or is the document itself.
        for row in read(warehouse.location, "removed"):
            named = row["detail"].split()
            assert named[3] in TEXTS and named[5] in dumps


def test_up_to_date_runs_do_nothing_and_others_are_refused(source, place):
    warehouse = place()
    methods = [Exact(scope="all"), replace(BLOOM, scope="all")]
    assert all(outcome.is_new for outcome in make(warehouse, source, methods, (A, B)))
    before = content(warehouse.location, ("deduplicated", "removed", "cuts", "decisions"))
    assert not any(outcome.is_new for outcome in make(warehouse, source, methods, (B, A)))
    changed = [methods[0], replace(methods[1], threshold=0.5)]
    with pytest.raises(WarehouseError, match="made by another recipe.*--force"):
        make(warehouse, source, changed, (A, B))
    assert content(warehouse.location, tuple(before)) == before
    # Of fewer methods nothing of the others stays; and rows do not follow from files or tasks.
    spark = source.spark
    other = place("other")
    dedup.fill(other, ROWS, recipe=RECIPE, n_files=5)
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "5")
    try:
        make(place("again"), other, methods, (A, B))
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
    assert content(place("again").location, tuple(before)) == before
    make(warehouse, source, methods[:1], (A, B), is_forced=True)
    assert {row["step"] for row in read(warehouse.location, "decisions")} == {0}
    assert read(warehouse.location, "cuts") == []


def test_exact_keys_keep_the_first_of_each(source, place):
    warehouse = place()
    make(warehouse, source, [Exact(by="url", scope="all"), Exact(scope="all")], (A, B, C))
    first_of_url, expected = {}, {}
    for row in rows_of(A, B, C):
        url = canonical_url(row["url"])
        survivor = first_of_url.setdefault(url, row)
        if survivor is not row:
            expected[row["doc_id"]] = ("duplicate_url", f"of {survivor['doc_id']} of {survivor['dump']}")
    firsts = {}
    for row in rows_of(A, B, C):
        if row["doc_id"] not in expected:
            survivor = firsts.setdefault(row["text"], row)
            if survivor is not row:
                expected[row["doc_id"]] = ("duplicate_text", f"of {survivor['doc_id']} of {survivor['dump']}")
    found = {row["doc_id"]: (row["removed_by"], row["detail"]) for row in read(warehouse.location, "removed")}
    assert found == expected
    check_tables(warehouse, (A, B, C), 0)
    sizes = {row["doc_id"]: row["cluster_size"] for row in read(warehouse.location, "deduplicated")}
    counted = Counter(detail.split()[1] for _, detail in expected.values())
    assert sizes == {doc_id: 1 + counted[doc_id] for doc_id in sizes}


def found_in(warehouse: Warehouse) -> dict:
    """What was decided and what is left; how many a document stands for is not told anew when dumps are added."""
    return {**content(warehouse.location, ("removed", "cuts", "decisions")), "deduplicated": left_in(warehouse)}


FILTER = replace(BLOOM, filter="bloom", fp_rate=1e-9, capacity=20_000)


@pytest.mark.parametrize(
    "methods",
    [[Exact(by="url"), Exact(normalization="lower"), BLOOM], [replace(FILTER, inserts="kept")]],
    ids=["keys and an exact filter", "a filter"],
)
def test_dumps_one_after_the_other_equal_all_at_once(source, place, methods):
    whole, added = place("whole"), place("added")
    make(whole, source, [replace(method, scope="all") for method in methods], (A, B, C))
    one_by_one = [replace(method, scope="incremental") for method in methods]
    for dump in (A, B):
        make(added, source, one_by_one, (dump,))
    assert [outcome.is_new for outcome in make(added, source, one_by_one, (A, B, C))] == [False, False, True]
    assert found_in(added) == found_in(whole)
    if len(methods) == 1:
        return
    # An earlier dump made anew takes the later ones along.
    make(added, source, one_by_one, (A,), is_forced=True)
    left = {row["dump"] for row in read(added.location, "runs") if row["stage"] == "deduplicated"}
    assert left == {A}
    assert [outcome.is_new for outcome in make(added, source, one_by_one, (A, B, C))] == [False, True, True]
    assert found_in(added) == found_in(whole)
    # A filter of other n-grams cannot be asked.
    for other in ({"seed": 7}, {"max_ngram": 6}):
        recipe = [*one_by_one[:2], replace(one_by_one[2], **other)]
        with pytest.raises(WarehouseError):
            make(added, source, recipe, (C,))


def test_what_cannot_work_is_refused_before_anything_is_written(source, place):
    warehouse = place()
    with pytest.raises(InputError, match=f"the dump {A} is named twice"):
        make(warehouse, source, [BLOOM], (A, B, A))
    with pytest.raises(RecipeError) as error:
        make(warehouse, source, [replace(BLOOM, threshold=1.5), Exact(by="host"), Near()], (A,))
    assert len(error.value.problems) == 3
    with pytest.raises(RecipeError, match="capacity is null"):
        make(warehouse, source, [replace(BLOOM, filter="bloom", scope="incremental")], (A,))
    with pytest.raises(WarehouseError, match="no finished filtered of CC-MAIN-2099-01"):
        make(warehouse, source, [BLOOM], ("CC-MAIN-2099-01",))
    assert not (warehouse.exists("deduplicated") or warehouse.exists("decisions"))


@pytest.mark.parametrize("scope", ["all", "shards"])
def test_a_filter_too_small_is_refused(source, place, scope):
    warehouse = place()
    with pytest.raises(InputError, match="made for 50 n-grams.*set capacity to"):
        make(warehouse, source, [replace(FILTER, capacity=50, scope=scope)], (A,))
    assert read(warehouse.location, "deduplicated") == []
    assert not [row for row in read(warehouse.location, "runs") if row["stage"] == "deduplicated"]


def test_dumps_of_no_rows_and_documents_that_are_there_twice(spark, place):
    source, warehouse = place("source"), place()
    twice = dedup.documents(["one two three four five six"], dump=A)
    rows = [*dedup.documents(["one two three four five six", "", "a b c d e f\n\n"], dump=A, first=1), *twice, *twice]
    dedup.fill(source, rows, recipe=RECIPE)
    run = Job(source, B, RECIPE).run("filtered")
    commit = source.replace(frame_of(spark, [], schemas.FILTERED), "filtered", lineage=run.lineage, dump=B)
    run.record(n_rows_in=0, n_rows_out=0, output_versions={"filtered": commit.version})
    for number, method in enumerate((FILTER, replace(FILTER, scope="shards", capacity=None))):
        own = place(f"lake{number}")
        make(own, source, [method], (B,))
        assert read(own.location, "deduplicated") == []
        try:
            make(own, source, [method], (A,))
        except WarehouseError as error:
            assert "is a doc_id there twice?" in str(error)
            assert not [row for row in read(own.location, "runs", dump=A) if row["stage"] == "deduplicated"]
        else:
            n_left = len(read(own.location, "deduplicated"))
            assert n_left + len(read(own.location, "removed")) == len(rows)
    make(warehouse, source, [Exact()], (A,))
    left = Counter(row["text"] for row in read(warehouse.location, "deduplicated"))
    assert left[""] == 1 and left["one two three four five six"] >= 1


def test_clusters_after_keys_never_go_whole(source, place):
    warehouse = place()
    near = NearDuplicates(threshold=0.7, scope="all")
    recipe = replace(
        RECIPE, signatures=MinHash(), duplicates=near, deduplication=(Exact(by="url", scope="all"), Near())
    )
    job = Job(warehouse, A, recipe, upstream=source, is_quiet=True)
    for dump in (A, B):
        near_chain.make_signatures(replace(job, dump=dump))
    near_chain.make_duplicates(job, [A, B])
    make_deduplicated(job, [A, B])
    kept = {row["doc_id"] for row in read(warehouse.location, "deduplicated")}
    gone = {row["doc_id"]: row for row in read(warehouse.location, "removed")}
    clusters = defaultdict(set)
    for row in read(warehouse.location, "duplicates"):
        clusters[row["cluster_id"]].add(row["doc_id"])
    assert {row["removed_by"] for row in gone.values()} == {"duplicate_url", "near_duplicate"}
    for members in clusters.values():
        by_url = {doc_id for doc_id in members if doc_id in gone and gone[doc_id]["removed_by"] == "duplicate_url"}
        assert by_url == members or len(members & kept) >= 1
    for row in gone.values():
        assert row["removed_by"] != "near_duplicate" or row["detail"].removeprefix("of ") in kept


def test_settings_are_recorded(source, place):
    warehouse = place()
    [outcome] = make(warehouse, source, [Exact()], (A,))
    assert json.loads(outcome.run["recipe_json"])["deduplication"][0]["method"] == "exact"
