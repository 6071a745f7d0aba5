"""Lines of a pool that stand more than once: a doc_id is one document and one row, whatever the methods."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dclm_spark.exports.pools import export_table
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.deduplicated import make_deduplicated
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.deduplication import Bloom, Exact, Near
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.reports.funnel import count_funnel
from dclm_spark.reports.funnel_words import format_funnel
from dclm_spark.reports.page import explain_page
from tests.support import dedup, near
from tests.support.chains import job_of, make_all
from tests.support.tables import read

pytestmark = pytest.mark.slow

A, B = "A", "B"
slow = partial(pytest.param, marks=[pytest.mark.slow, pytest.mark.long])
RECIPE = Recipe("lines", signatures=MinHash(), duplicates=NearDuplicates())
TEXTS = [near.variants(1, seed=seed, n_words=60)[0] for seed in range(24)]  # that have nothing in common
X, Y, Z = ({"url": f"http://{name}.org/", "text": text} for name, text in zip("xyz", TEXTS[:3], strict=True))
ELSEWHERE = X | {"url": "http://else.org/"}
SHORT = {"url": "http://short.org/", "text": "too short"}
EMPTY = {"text": ""}
# One id and text, so one document; its URLs differ.
NAMED = [{"id": "7", "url": f"http://{name}.org/named", "text": TEXTS[3]} for name in ("one", "two", "one")]
FEW, MANY = 20, 300
# The same line, and its text at another URL, again and again: which comes first by doc_id depends on the text.
TWICE = [
    {"url": f"http://{host}.org/{number}", "text": text}
    for number, text in enumerate(TEXTS[4:])
    for host in ("same", "same", "other")
]
FILES = {
    A: {
        "a.jsonl": [X, Y, X, SHORT, EMPTY, NAMED[1], *TWICE, *[Z] * MANY],
        "b.jsonl": [X, SHORT, EMPTY, NAMED[0], NAMED[2], ELSEWHERE],
    },
    B: {"c.jsonl": [X, X, Z, NAMED[0], NAMED[0] | {"url": "http://three.org/named"}, SHORT]},
}
N_DOCUMENTS = {A: 7 + 2 * FEW, B: 4}
N_ROWS = {dump: sum(map(len, files.values())) for dump, files in FILES.items()}


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory) -> Warehouse:
    """A warehouse with `filtered` and `signatures` of two dumps made of the files."""
    folder = tmp_path_factory.mktemp("lines")
    warehouse = Warehouse(spark, str(folder / "lake"))
    for dump, files in FILES.items():
        (folder / dump).mkdir()
        for name, lines in files.items():
            (folder / dump / name).write_text("\n".join(map(json.dumps, lines)))
        job = job_of(warehouse, dump=dump, recipe=RECIPE)
        make_all(job, folder / dump)
        make_signatures(job)
    return warehouse


def balance(lake: Warehouse, stage: str, dump: str) -> tuple[int, Counter]:
    """How many rows a stage has kept, each another document, and what it has removed, by reason."""
    kept = read(lake.location, stage, dump=dump)
    assert len({row["doc_id"] for row in kept}) == len(kept)
    removed = [row for row in read(lake.location, "removed", dump=dump) if row["stage"] == stage]
    return len(kept), Counter(row["removed_by"] for row in removed)


def test_what_is_filtered_is_one_row_a_document(source, tmp_path):
    for dump, n_documents in N_DOCUMENTS.items():
        n_kept, removed = balance(source, "filtered", dump)
        assert (n_kept, removed) == (n_documents, {"duplicate_id": N_ROWS[dump] - n_documents})
    details = {(row["removed_by"], row["detail"] == f"of {row['doc_id']}") for row in read(source.location, "removed")}
    assert details == {("duplicate_id", True)}
    removed = {dump: Counter(row["url"] for row in read(source.location, "removed", dump=dump)) for dump in (A, B)}
    rows = {dump: Counter(line.get("url") for line in sum(files.values(), [])) for dump, files in FILES.items()}
    kept = {dump: Counter(row["url"] for row in read(source.location, "filtered", dump=dump)) for dump in (A, B)}
    assert all(removed[dump] + kept[dump] == rows[dump] for dump in (A, B))
    assert {row["host"] for row in read(source.location, "removed") if row["url"] == X["url"]} == {"x.org"}
    urls = {dump: {row["url"] for row in read(source.location, "filtered", dump=dump)} for dump in (A, B)}
    assert [url for url in urls[A] if url and url.endswith("/named")] == ["http://one.org/named"]
    entries = count_funnel(source)
    assert [entry["is_balanced"] for entry in entries] == [True, True]
    assert [entry["removed"] for entry in entries] == [{"duplicate_id": N_ROWS[d] - N_DOCUMENTS[d]} for d in (A, B)]
    assert "duplicate_id" in format_funnel(entries)
    # Which of the rows stays is told of each, and it is the one that goes out.
    told = [(one["warc_path"][-7:], one["removed_by"]) for one in explain_page(source, X["url"]) if one["dump"] == A]
    assert told == [("a.jsonl", None), ("a.jsonl", "duplicate_id"), ("b.jsonl", "duplicate_id")]
    (doc_id,) = {row["doc_id"] for row in read(source.location, "documents", dump=A) if row["url"] == NAMED[0]["url"]}
    told = [(one["url"], one["removed_by"]) for one in explain_page(source, doc_id) if one["dump"] == A]
    assert told == [
        ("http://two.org/named", "duplicate_id"),
        ("http://one.org/named", None),
        ("http://one.org/named", "duplicate_id"),
    ]
    export_table(source, "filtered", to=str(tmp_path / "out"), dump=A, form="jsonl", n_files=1)
    (file,) = Path(tmp_path / "out").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == N_DOCUMENTS[A]
    assert [line["url"] for line in lines if line.get("id") == "7"] == ["http://one.org/named"]


BLOOM = Bloom(min_ngram=5, max_ngram=5, filter="exact")
SHARDS = replace(BLOOM, scope="shards", n_shards=2)
METHODS = {
    "text, url": ((Exact(), Exact(by="url")), [A]),
    "by a signal": ((Exact(scope="all", survivor=("-urls.n_excluded_domains",)),), [A, B]),
    "n-grams of documents": ((replace(BLOOM, scope="all", mode="document"),), [A, B]),
    "n-grams as kept": ((replace(BLOOM, inserts="kept"),), [A]),
    "shards of files": ((replace(SHARDS, shard_by="warc_file"),), [A, B]),
    "one by one": ((Exact(scope="incremental"), replace(BLOOM, scope="incremental")), [A, B]),
    "near": ((Near(),), [A]),
    "near of all": ((Exact(scope="all"), Near()), [A, B]),
}
QUICK = ("text, url",)


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in METHODS])
def test_methods_leave_one_row_a_document(source, tmp_path, name):
    methods, dumps = METHODS[name]
    lake = Warehouse(source.spark, str(tmp_path / "lake"))
    scope = "all" if name == "near of all" else "dump"
    recipe = replace(RECIPE, duplicates=NearDuplicates(scope=scope), deduplication=methods)
    job = Job(lake, dumps[0], recipe, upstream=source, is_quiet=True)
    if Near() in methods:
        make_duplicates(job, dumps)
    outcomes = make_deduplicated(job, dumps)
    kept = {}
    for outcome in outcomes:
        dump = outcome.run["dump"]
        n_kept, removed = balance(lake, "deduplicated", dump)
        assert outcome.run["n_rows_in"] == N_DOCUMENTS[dump] == n_kept + removed.total()
        assert "duplicate_id" not in removed
        kept[dump] = Counter(row["text"] for row in read(lake.location, "deduplicated", dump=dump))
    # What is long enough to be compared is there once; of each, somewhere, one is left.
    everywhere = sum(kept.values(), Counter())
    texts = {line["text"] for dump in dumps for line in sum(FILES[dump].values(), [])}
    compared = {text for text in texts if len(text.split()) > 5}
    if not isinstance(methods[-1], Bloom) and Near() not in methods:
        assert everywhere.keys() == texts
    if name != "shards of files":
        assert all(everywhere[text] == 1 for text in compared)


def rows_that_repeat() -> list[dict]:
    """Of tables that were made before repeated rows went at `filtered`; a document of both dumps among them."""
    texts = [*dedup.texts(30, seed=8), "too short"]
    rows = dedup.documents(texts, dump=A)
    shared = [row | {"dump": B} for row in rows[:12]]
    own = dedup.documents(dedup.texts(12, seed=9), dump=B, first=50)
    again = [rows[3], rows[3], rows[-1], rows[7] | {"url": "http://a.org/7"}, shared[2], own[0], own[1], own[1]]
    return [*rows, *shared, *own, *again]


ROWS = rows_that_repeat()
OLD = {
    "keys": (Exact(scope="all", by="url"), Exact(scope="all")),
    "n-grams": (replace(BLOOM, scope="all"),),
    "shards": (SHARDS,),
    "each dump": (replace(BLOOM, inserts="kept"), Exact()),
    "near": (Near(),),
}


@pytest.mark.parametrize("name", [name if name == "keys" else slow(name) for name in OLD])
def test_a_table_that_holds_an_id_twice_has_a_defined_result(spark, tmp_path, name):
    lake = Warehouse(spark, str(tmp_path / "lake"))
    recipe = replace(RECIPE, deduplication=OLD[name])
    dedup.fill(lake, ROWS, recipe=recipe, n_files=3)
    job = Job(lake, A, recipe, is_quiet=True)
    if name == "near":
        for dump in (A, B):
            make_signatures(replace(job, dump=dump))
        make_duplicates(job, [A, B])
    make_deduplicated(job, [A, B])
    ids = defaultdict(set)
    for row in ROWS:
        ids[row["dump"]].add(row["doc_id"])
    assert ids[A] & ids[B]
    for dump in (A, B):
        n_kept, removed = balance(lake, "deduplicated", dump)
        n_rows = sum(row["dump"] == dump for row in ROWS)
        assert removed["duplicate_id"] == n_rows - len(ids[dump]) == 4
        assert n_kept + removed.total() == n_rows
    kept = [(row["dump"], row["doc_id"]) for row in read(lake.location, "deduplicated")]
    if name == "keys":
        # Of a document that two dumps hold the first dump's stays: it alone, and it does stay.
        texts = Counter(row["text"] for row in read(lake.location, "deduplicated"))
        urls = Counter(row["url"] for row in read(lake.location, "deduplicated"))
        assert max(texts.values()) == max(urls.values()) == 1
        assert not {doc_id for dump, doc_id in kept if dump == B} & ids[A]
        assert len(kept) > len(ids[A]) / 2
