"""`deduplicated` through the chain: methods, scopes, dumps one by one and at once; refused, interrupted, and again."""

import re
from collections import defaultdict
from dataclasses import replace
from functools import partial

import pytest
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.cli.main import make_parser
from dclm_spark.cli.resolve import recipe_of
from dclm_spark.errors import InputError, RecipeError, WarehouseError
from dclm_spark.kernels.ngrams.exact_keys import canonical_url
from dclm_spark.lake.runs import Run
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import groups as dedup_groups
from dclm_spark.pipeline.deduplicated import make_deduplicated
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.methods import stored_filter
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.deduplication import Bloom, Exact, Near
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.types import spark_schema
from dclm_spark.stages.repeats import OF_PAGE
from tests.support import bff, dedup
from tests.support.tables import assert_same, content, read

A, B, EMPTY = "A", "B", "Z"
slow = partial(pytest.param, marks=pytest.mark.slow)
long = partial(pytest.param, marks=[pytest.mark.slow, pytest.mark.long])
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
    """A warehouse with `filtered` of two dumps, and of one without documents, and the tables before them."""
    warehouse = Warehouse(spark, str(tmp_path_factory.mktemp("source") / "lake"))
    dedup.fill(warehouse, ROWS, recipe=RECIPE, n_files=3)
    rows = {
        "documents": [row | {"warc_path": path_of(row), "warc_offset": 0} for row in ROWS],
        "annotated": [row | {"language": None, "quality": {"n_words": n_words_of(row)}} for row in ROWS],
    }
    warehouse.prepare(*rows)
    for table, made in rows.items():
        warehouse.append(spark.createDataFrame(made, spark_schema(schemas.TABLES[table])), table, lineage={})
    runs = [(table, dump) for table in rows for dump in (A, B, EMPTY)]
    for table, dump in [("filtered", EMPTY), *runs]:
        run = Run(warehouse, table, dump, replace(RECIPE, all_signals=True))
        run.record(n_rows_in=0, n_rows_out=0, output_versions={table: warehouse.version(table)})
    return warehouse


def path_of(row: dict) -> str:
    return f"s3://crawl/{len(row['text']) % 7}.warc.gz"


def n_words_of(row: dict) -> int | None:
    """Few numbers, so that many documents have the same, and sometimes none."""
    return None if row["n_words"] % 3 == 0 else row["n_words"] // 20


@pytest.fixture
def lake(source, tmp_path) -> Warehouse:
    return Warehouse(source.spark, str(tmp_path / "lake"))


def make(lake: Warehouse, source: Warehouse, dumps: list[str], *methods, recipe: Recipe = RECIPE, **options):
    job = Job(lake, dumps[0], replace(recipe, deduplication=methods), upstream=source, is_quiet=True, **options)
    return make_deduplicated(job, dumps)


def texts_left(lake: Warehouse) -> dict[str, str]:
    return {row["doc_id"]: row["text"].strip() for row in read(lake.location, "deduplicated")}


ORDERS = {
    "longest_text": lambda row: -len(row["text"]),
    "preferred_domains": lambda row: not row["host"].endswith("good.org"),
    "latest_dump": lambda row: -ord(row["dump"]),
    "-quality.n_words": lambda row: (n_words_of(row) is None, n_words_of(row) or 0),
}
"""What documents are sorted by; nulls come last."""


def by_bff(rows: list[dict], bloom: Bloom, dumps: str = A + B) -> dict[str, str]:
    """What BFF's rules leave of documents read in their order."""

    def place(row: dict) -> tuple:
        return dumps.index(row["dump"]), *(ORDERS[word](row) for word in bloom.order), row["doc_id"]

    rows = sorted(rows, key=place)
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
    """Every document is in one place; what is cut of one that stays is in `cuts`, with the document that had it."""
    texts = {row["doc_id"]: row["text"] for row in ROWS}
    left = {row["doc_id"]: row["text"] for row in read(lake.location, "deduplicated")}
    removed = read(lake.location, "removed")
    assert sorted([*left, *(row["doc_id"] for row in removed)]) == sorted(texts)
    pages = {row["doc_id"]: tuple(row[name] for name in OF_PAGE) for row in ROWS}
    assert all(tuple(row[name] for name in OF_PAGE) == pages[row["doc_id"]] for row in removed)
    for run in read(lake.location, "runs"):
        assert (
            run["n_rows_in"] == run["n_rows_out"] + run["n_removed"] == [row["dump"] for row in ROWS].count(run["dump"])
        )
    cuts = defaultdict(set)
    for row in read(lake.location, "cuts"):
        assert (row["stage"], row["reason"]) == ("deduplicated", "duplicate_paragraph")
        assert BLOOM.threshold < row["value"] <= 1
        cuts[row["doc_id"]].add(row["paragraph"])
    assert cuts.keys() <= left.keys()
    for doc_id, text in left.items():
        kept = [one for number, one in enumerate(texts[doc_id].split("\n")) if number not in cuts[doc_id]]
        assert text == "\n".join(kept)
    dumps = {row["doc_id"]: row["dump"] for row in ROWS}
    for row in [*removed, *read(lake.location, "cuts")]:
        if row["detail"] is not None:  # a Bloom filter cannot tell
            named = re.fullmatch(r"(?:first seen in|of) (\w+) of (\w)", row["detail"])
            assert dumps[named[1]] == named[2]


def rows_of(lake: Warehouse) -> dict[str, list[str]]:
    """All rows, but for the weight of documents: those of a dump before do not yet know what a later one brought."""
    found = content(lake.location, TABLES)
    without = [re.sub(r'"cluster_size": \d+', "", row) for row in found["deduplicated"]]
    return found | {"deduplicated": sorted(without)}


SHARDS = replace(BLOOM, scope="shards", n_shards=3)
GOOD = {"order": ("preferred_domains", "longest_text"), "preferred_domains": ("good.org",)}


@pytest.mark.parametrize(
    ("bloom", "dumps"),
    [
        (BLOOM, A + B),
        slow(replace(BLOOM, scope="all", inserts="kept", order=("longest_text",)), A + B + EMPTY),
        long(replace(BLOOM, scope="all", mode="document", threshold=0.5, filter="bloom", fp_rate=1e-9), A + B),
        long(replace(BLOOM, scope="incremental"), B + EMPTY + A),
        long(replace(SHARDS, inserts="kept"), A + B + EMPTY),
        slow(replace(SHARDS, shard_by="warc_file", **GOOD), A + B),
        long(replace(SHARDS, shard_by="dump", mode="document"), A + B),
    ],
    ids=["dump", "all", "Bloom filter", "incremental", "shards", "files", "dumps as shards"],
)
def test_ngrams_by_scope(lake, source, bloom, dumps):
    outcomes = make(lake, source, [*dumps], bloom)
    assert sorted((one.run["dump"], one.is_new) for one in outcomes) == [(dump, True) for dump in sorted(dumps)]
    groups = defaultdict(list)
    shard_of = {}
    if bloom.scope == "shards" and bloom.shard_by != "dump":
        key = {"doc_id": "doc_id", "warc_file": "warc_path"}[bloom.shard_by]
        shard = F.pmod(F.xxhash64(key), F.lit(3)).alias("shard")
        shard_of = dict(map(tuple, source.read("documents").select("doc_id", shard).collect()))
    for row in ROWS:
        is_by_dump = bloom.scope == "dump" or bloom.shard_by == "dump"
        groups[row["dump"] if is_by_dump else shard_of.get(row["doc_id"])].append(row)
    expected = {}
    for rows in groups.values():
        expected |= by_bff(rows, bloom, dumps)
    assert texts_left(lake) == expected
    assert_accounted(lake)
    assert not any(one.is_new for one in make(lake, source, [*dumps], bloom))


@pytest.mark.slow
@pytest.mark.parametrize(
    "methods",
    [
        (Exact(), Exact(by="url"), replace(BLOOM, filter="bloom", capacity=50_000)),
        long((replace(BLOOM, inserts="kept"),)),
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
    # A dump that is in the filter already is not compared with itself.
    make(added, source, [B], *one_by_one, is_forced=True)
    assert_same(rows_of(added), rows_of(lake))
    # An earlier dump that is made anew takes the later ones with it.
    assert not make(added, source, [B], *one_by_one)[0].is_new
    make(added, source, [A], *one_by_one, is_forced=True)
    assert make(added, source, [B], *one_by_one)[0].is_new
    assert_same(rows_of(added), rows_of(lake))
    # Of fewer methods nothing of the others stays.
    make(lake, source, [A, B], Exact(scope="all"), is_forced=True)
    assert {row["step"] for row in read(lake.location, "decisions")} == {0}
    assert read(lake.location, "cuts") == []
    assert_accounted(lake)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "methods",
    [
        (Exact(by="url", survivor=("longest_text",)), Exact(survivor=GOOD["order"], preferred_domains=("good.org",))),
        long((Exact(survivor=("-quality.n_words", "latest_dump")),)),
    ],
    ids=["url, text", "a signal"],
)
def test_exact_keeps_the_first_by_the_order(lake, source, methods):
    make(lake, source, [A, B], *(replace(one, scope="all") for one in methods))
    left, expected = ROWS, {}
    for one in methods:
        first = {}
        for row in sorted(left, key=lambda row: (*(ORDERS[word](row) for word in one.survivor), row["doc_id"])):
            survivor = first.setdefault(canonical_url(row["url"]) if one.by == "url" else row["text"], row)
            if survivor is not row:
                detail = f"of {survivor['doc_id']} of {survivor['dump']}"
                expected[row["doc_id"]] = (f"duplicate_{one.by}", detail)
        left = [row for row in left if row["doc_id"] not in expected]
    assert {row["doc_id"]: (row["removed_by"], row["detail"]) for row in read(lake.location, "removed")} == expected
    sizes = {row["doc_id"]: row["cluster_size"] for row in read(lake.location, "deduplicated")}
    survivors = [detail.split()[1] for _, detail in expected.values()]
    assert sizes == {row["doc_id"]: 1 + survivors.count(row["doc_id"]) for row in left}
    assert_accounted(lake)


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


def test_scope_and_shards_are_those_of_every_method():
    def asked(*words: str) -> Recipe:
        return recipe_of(make_parser().parse_args([*words, *where]), finds_near=True)

    where = ("--scope", "shards", "--shards", "4", "--dump", A, "--warehouse", "lake")
    recipe = asked("deduplicated", "--method", "text", "bloom")
    assert [(one.scope, one.n_shards) for one in recipe.methods] == [("shards", 4)] * 2
    near = asked("duplicates")
    assert (near.duplicates.scope, near.duplicates.n_shards) == ("shards", 4)
    assert recipe.problems() == near.problems() == []


def test_what_cannot_work_is_refused(lake, source):
    with pytest.raises(InputError, match="A is named twice"):
        make(lake, source, [A, A], BLOOM)
    with pytest.raises(RecipeError, match=r"threshold is 2; expected a share(.|\n)*needs the scope 'shards'"):
        make(lake, source, [A], replace(BLOOM, threshold=2, mode="both", inserts="kept"))
    with pytest.raises(RecipeError, match="each dump to those before it, and of scope 'all'"):
        make(lake, source, [A], Exact(scope="all"), replace(BLOOM, scope="incremental"))
    with pytest.raises(RecipeError, match="capacity is null"):
        make(lake, source, [A], replace(BLOOM, scope="incremental", filter="bloom"))
    with pytest.raises(InputError, match=r"made for 100 n-grams(.|\n)*set capacity to"):
        make(lake, source, [A], replace(BLOOM, filter="bloom", capacity=100))
    with pytest.raises(InputError, match=r"made for 100 n-grams(.|\n)*set capacity to"):
        make(lake, source, [A], replace(BLOOM, filter="bloom", capacity=100, scope="shards"))
    with pytest.raises(WarehouseError, match="no finished filtered of absent"):
        make(lake, source, ["absent"], BLOOM)
    assert read(lake.location, "deduplicated") == []


@pytest.mark.slow
def test_a_filter_of_other_settings_is_not_added_to(lake, source, monkeypatch):
    bloom = replace(BLOOM, scope="incremental")
    make(lake, source, [A], bloom)
    with pytest.raises(WarehouseError, match=r"B cannot be added to what other methods.*seed is 1; expected 2"):
        make(lake, source, [B], replace(bloom, seed=2))
    with pytest.raises(WarehouseError, match="made by another recipe"):
        make(lake, source, [A], replace(bloom, min_ngram=4))
    # What is refused with --force leaves what stands as it was.
    too_small = replace(BLOOM, filter="bloom", capacity=100)
    for refused in (too_small, replace(too_small, scope="incremental"), replace(too_small, scope="shards")):
        with pytest.raises(InputError, match="made for 100 n-grams"):
            make(lake, source, [A], refused, is_forced=True)
    assert not make(lake, source, [A], bloom)[0].is_new
    # Were all that a recipe's hash, or a version of this package, decides to fail, the filter itself would refuse.
    with monkeypatch.context() as patched:
        patched.setattr(stored_filter, "HASHES", "other")
        with pytest.raises(
            WarehouseError, match=r"filter of A in .* was written with hashes .*; this run needs hashes 'other'"
        ):
            make(lake, source, [B], bloom)
    with monkeypatch.context() as patched:
        patched.setattr(dedup_groups, "is_made_by", lambda run, recipe: True)
        for name, found, asked in (("seed", 1, 2), ("max_ngram", 5, 6)):
            with pytest.raises(WarehouseError, match=f"written with {name} {found}; this run needs {name} {asked}"):
                make(lake, source, [B], replace(bloom, **{name: asked}))
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
    cut_id = read(lake.location, "cuts")[0]["doc_id"]
    again = [rows[0], rows[0], next(row for row in rows if row["doc_id"] == cut_id)]
    dedup.fill(twice, [*rows, *again], recipe=RECIPE, n_files=2)
    for methods in ((Exact(),), (BLOOM,), (replace(BLOOM, scope="shards"),)):
        job = Job(twice, A, replace(RECIPE, deduplication=methods), is_quiet=True, is_forced=True)
        (outcome,) = make_deduplicated(job, [A])
        assert outcome.run["n_rows_out"] + outcome.run["n_removed"] == len(rows) + len(again)
        ids = [row["doc_id"] for row in read(twice.location, "deduplicated")]
        assert len(set(ids)) == len(ids)


@pytest.mark.slow
@pytest.mark.parametrize("scope", [long("all"), "shards"])
def test_documents_of_megabytes_and_of_a_million_lines(spark, tmp_path, scope):
    warehouse = Warehouse(spark, str(tmp_path / "lake"))
    long, lines = "word " * 10_000_000, "\n".join(f"{number:x}" for number in range(1_000_000))
    texts = [long, lines, "same\n" * 100_000, long, lines, "a few other words"]
    rows = dedup.documents(texts, dump=A)
    dedup.fill(warehouse, rows, recipe=RECIPE)
    bloom = Bloom(min_ngram=1, max_ngram=5, mode="paragraph", filter="exact", scope=scope)
    (outcome,) = make_deduplicated(Job(warehouse, A, replace(RECIPE, deduplication=(bloom,)), is_quiet=True), [A])
    assert outcome.run["n_rows_out"] + outcome.run["n_removed"] == len(rows)
    in_order = sorted(rows, key=lambda row: row["doc_id"])
    expected = {}
    for row in in_order:
        if row["text"].startswith("same"):
            expected[row["doc_id"]] = "same\n"
        elif row["text"] not in expected.values():
            expected[row["doc_id"]] = row["text"]
    assert {row["doc_id"]: row["text"] for row in read(warehouse.location, "deduplicated")} == expected
