"""Every table is read by DuckDB and by delta-rs, which share no code with Spark: the same rows."""

from dataclasses import replace
from importlib.resources import files

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from dclm_spark import schemas
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.deduplicated import make_deduplicated
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.deduplication import Bloom, Exact, Near
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from tests.support.archives import english_pages, write_warc
from tests.support.chains import DUMP, RECIPE, STRICTER, job_of, make_all, write_dump

pytestmark = [pytest.mark.slow, pytest.mark.once]

# No clusters that a dump joins, nor any too large for one task, and no page that loses a paragraph and stays.
EMPTY = {"merged_clusters", "rounds", "cuts"}
# On a disk with locks nobody claims anything in a table.
MADE = [table for table in schemas.TABLES if table != "claims"]


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory) -> Warehouse:
    """Two dumps, one of them begun anew and filtered twice: tables with appended, replaced and deleted rows. Their
    near-duplicates are found one dump after the other."""
    folder = tmp_path_factory.mktemp("lake")
    warehouse = Warehouse(spark, str(folder / "lake"))
    make_all(job_of(warehouse), write_dump(folder / "warc"), batch_files=2)
    few = write_warc(folder / "few.warc.gz", english_pages(3))
    make_all(job_of(warehouse, dump="CC-MAIN-2022-21"), few)
    make_all(job_of(warehouse, dump="CC-MAIN-2022-21", recipe=STRICTER, is_forced=True), few, restart=True)
    for dump, recipe in ((DUMP, RECIPE), ("CC-MAIN-2022-21", STRICTER)):
        ngrams = Bloom(min_ngram=5, max_ngram=5, filter="exact", inserts="kept", scope="incremental")
        near = replace(
            recipe,
            signatures=MinHash(),
            duplicates=NearDuplicates(scope="incremental"),
            deduplication=(Exact(scope="incremental"), Near(), ngrams),
        )
        job = job_of(warehouse, dump=dump, recipe=near)
        make_signatures(job)
        make_duplicates(job, [dump])
        make_deduplicated(job, [dump])
    return warehouse


@pytest.fixture(scope="module")
def duck():
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("duckdb_extension_delta")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    (extension,) = (
        path
        for folder in files("duckdb_extension_delta").joinpath("extensions").iterdir()
        for path in folder.iterdir()
        if path.name.endswith(".duckdb_extension")
    )
    connection.execute(f"LOAD '{extension}'")
    yield connection
    connection.close()


def test_delta_rs_reads_the_same_rows(lake):
    for table in MADE:
        found = DeltaTable(f"{lake.location}/{table}").to_pyarrow_table()
        assert found.num_rows == lake.read(table).count(), table
        assert (found.num_rows == 0) == (table in EMPTY), table
        assert found.column_names == schemas.TABLES[table].names


def test_duckdb_reads_the_same_rows(lake, duck):
    for table in MADE:
        (n,) = duck.execute(f"SELECT count(*) FROM delta_scan('{lake.location}/{table}')").fetchone()
        assert n == lake.read(table).count(), table
    for table in (name for name, stage in STAGES.items() if name in MADE and stage.has_text):
        rows = duck.execute(f"SELECT dump, doc_id, text FROM delta_scan('{lake.location}/{table}')").fetchall()
        assert sorted(rows) == sorted(map(tuple, lake.read(table).select("dump", "doc_id", "text").collect()))


def test_a_query_over_the_signals_gives_what_the_chain_decided(lake, duck):
    """Nested structs and the ledger, asked in another engine's SQL."""
    rows = duck.execute(
        f"""
        SELECT a.doc_id, a.quality.n_words::DOUBLE, r.value
        FROM delta_scan('{lake.location}/annotated') a
        JOIN delta_scan('{lake.location}/removed') r USING (dump, doc_id)
        WHERE r.removed_by = 'quality.n_words'
        """
    ).fetchall()
    removed = lake.read("removed").where(F.col("removed_by") == "quality.n_words").collect()
    assert sorted(row["doc_id"] for row in removed) == sorted(doc_id for doc_id, *_ in rows)
    assert rows and all(n_words == value for _, n_words, value in rows)
