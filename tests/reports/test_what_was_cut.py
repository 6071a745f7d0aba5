"""What `explain` and the funnel say of paragraphs that were cut, and of documents that went for another."""

from dataclasses import replace

import pytest

from dclm_spark import schemas
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.deduplicated import make_deduplicated
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.deduplication import Bloom, Exact
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.reports.explain import format_explanation
from dclm_spark.reports.funnel import count_funnel
from dclm_spark.reports.funnel_words import format_funnel
from dclm_spark.reports.page import explain_page
from dclm_spark.spark.rows import frame_of
from tests.support import dedup
from tests.support.tables import read

pytestmark = [pytest.mark.once, pytest.mark.slow]

A, B = "A", "B"
METHODS = (Exact(scope="all"), Bloom(min_ngram=5, max_ngram=5, filter="exact", scope="all"))
RECIPE = Recipe("tested", deduplication=METHODS)
FOX = "the quick brown fox jumps over the lazy dog today"
OWN = "the harbour of the old town lies west of the hills and the road to it is older than anybody can remember"
LONG = " ".join(f"word{number}" for number in range(30))
TEXTS = {A: [FOX, LONG], B: [f"{OWN}\nmenu\n{FOX}\n{LONG}", FOX, f"{FOX}\n{LONG}"]}
FIRST, SECOND, CUT, COPY, SEEN = (
    dedup.doc_id(dump, number) for dump, texts in TEXTS.items() for number in range(len(texts))
)


def fill(lake: Warehouse) -> None:
    """`documents`, `annotated` and `filtered` as the recipe would have made them, nothing measured."""
    rows = [row for dump, texts in TEXTS.items() for row in dedup.documents(texts, dump=dump)]
    tables = {
        "documents": {"http_status": 200, "html_bytes": 9, "warc_path": "a.warc", "warc_offset": 0},
        "annotated": {"language": None},
    }
    lake.prepare(*tables, "quarantine", "files", "plans", "removed", "runs")
    for table, values in tables.items():
        schema = schemas.TABLES[table]
        for dump in TEXTS:
            own = [tuple((row | values).get(name) for name in schema.names) for row in rows if row["dump"] == dump]
            run = Job(lake, dump, RECIPE).run(table)
            lake.replace(frame_of(lake.spark, own, schema), table, lineage=run.lineage, dump=dump)
            run.record(n_rows_in=len(own), n_rows_out=len(own))
    dedup.fill(lake, rows, recipe=RECIPE)


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory) -> Warehouse:
    lake = Warehouse(spark, str(tmp_path_factory.mktemp("cut") / "lake"))
    fill(lake)
    return lake


@pytest.fixture(scope="module")
def lake(source, tmp_path_factory) -> Warehouse:
    """What is left of both dumps, beside the warehouse that lends their documents."""
    lake = Warehouse(source.spark, str(tmp_path_factory.mktemp("left") / "lake"))
    make_deduplicated(Job(lake, A, RECIPE, upstream=source, is_quiet=True), [A, B])
    return lake


@pytest.mark.parametrize(
    ("doc_id", "said"),
    [
        (SECOND, []),
        (COPY, [f"deduplicated: removed by duplicate_text, of {FIRST} of A"]),
        (
            SEEN,
            [
                "deduplicated: removed by duplicate_ngrams, 100.0% of its n-grams seen before, "
                f"first seen in {min(FIRST, SECOND)} of A"
            ],
        ),
        (
            CUT,
            [
                "deduplicated: kept, but for 2 of its 4 paragraphs",
                f"paragraph 2 {FOX!r}: removed (duplicate_paragraph, 100.0% of its n-grams seen before, "
                f"first seen in {FIRST} of A)",
                f"paragraph 3 {LONG[:80] + '…'!r}: removed (duplicate_paragraph, 100.0% of its n-grams seen before, "
                f"first seen in {SECOND} of A)",
            ],
        ),
    ],
    ids=["kept", "copy", "seen", "cut"],
)
def test_explain_goes_on_to_what_is_left(lake, source, doc_id, said):
    (explained,) = explain_page(lake, doc_id, upstream=source)
    lines = format_explanation(explained).splitlines()
    start = lines.index("  kept by recipe tested") + 1
    assert [line.strip() for line in lines[start : start + len(said)]] == said
    assert lines[start + len(said)].startswith("  text: ")
    assert [cut["text"] for cut in explained["deduplication"]["cuts"]] == ([FOX, LONG] if doc_id == CUT else [])


def test_the_funnel_counts_what_was_cut(lake, source):
    of_a, of_b = count_funnel(lake, upstream=source)
    assert "cuts" not in of_a and "paragraphs" not in format_funnel([of_a])
    assert of_b["cuts"] == {"documents": 1, "paragraphs": 2}
    lines = [line.split() for line in format_funnel([of_b]).splitlines()]
    at = lines.index(["deduplicated", "1", "33.3%"])
    assert lines[at + 1 : at + 3] == [
        ["documents", "with", "paragraphs", "removed", "1", "33.3%"],
        ["paragraphs", "removed", "2"],
    ]


def test_nothing_is_said_of_what_another_recipe_has_left(source, tmp_path):
    lake = Warehouse(source.spark, str(tmp_path / "lake"))
    job = Job(lake, B, RECIPE, upstream=source, is_quiet=True)
    paragraphs = replace(RECIPE, deduplication=(replace(METHODS[1], scope="dump"),))
    make_deduplicated(replace(job, recipe=paragraphs), [B])
    assert read(lake.location, "cuts") and read(lake.location, "decisions")
    near = replace(RECIPE, signatures=MinHash(), duplicates=NearDuplicates(), deduplication=())
    job = replace(job, recipe=near, is_forced=True)
    make_signatures(job)
    make_duplicates(job, [B])
    make_deduplicated(job, [B])
    assert read(lake.location, "cuts") == read(lake.location, "decisions") == []
