"""Warehouses of a whole chain: the same rows in a folder and in a catalog; versions that are kept and files that go."""

import uuid
from pathlib import Path

import pytest

from dclm_spark.lake.maintenance import maintain
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.filtered import make_filtered
from tests.support.archives import english_pages, write_warc
from tests.support.chains import DUMP, job_of, make_all, make_documents, write_dump
from tests.support.tables import COMPARED, VARYING


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_dump(tmp_path_factory.mktemp("warc"))


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory, inputs) -> Warehouse:
    """A finished dump, its documents in four commits."""
    warehouse = Warehouse(spark, str(tmp_path_factory.mktemp("made") / "lake"))
    make_all(job_of(warehouse), inputs, batch_files=1)
    return warehouse


def rows_of(warehouse: Warehouse, table: str, **how) -> list[str]:
    """A table's rows in order, without what differs from run to run; a file's batch depends on the cores."""
    rows = warehouse.read(table, **how).drop(*VARYING, "batch").collect()
    return sorted(str(row.asDict(recursive=True)) for row in rows)


@pytest.mark.slow
def test_a_catalog_holds_the_same_rows_as_a_folder(spark, made, inputs):
    schema = f"spark_catalog.chain_{uuid.uuid4().hex[:8]}"
    catalog = Warehouse(spark, schema)
    try:
        assert all(outcome.is_new for outcome in make_all(job_of(catalog), inputs))
        for table in COMPARED:
            rows = rows_of(catalog, table)
            assert rows == rows_of(made, table), table
            assert rows
        assert not any(outcome.is_new for outcome in make_all(job_of(catalog), inputs))
    finally:
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.mark.slow
def test_maintenance_compacts_and_keeps_every_pinned_version(spark, made, tmp_path):
    """What `annotated` was made from can be read when its files are no part of the latest version any more."""
    (annotated,) = (row for row in made.read("runs", stage="annotated").collect())
    pinned = annotated["input_versions"]["documents"]
    before = rows_of(made, "documents", version=pinned)
    latest = {table: rows_of(made, table) for table in COMPARED}
    more = write_warc(tmp_path / "more.warc.gz", english_pages(3, site="more.org"))
    make_documents(job_of(made, dump="CC-MAIN-2022-21"), more)

    documents, files = (Path(made.location) / table for table in ("documents", "files"))
    n_documents = len(list(documents.rglob("*.parquet")))
    assert len(list(files.rglob("*.parquet"))) >= 5
    # One task lists a small folder as well as the ten thousand that are Spark's default.
    with_setting = "spark.sql.sources.parallelPartitionDiscovery.parallelism"
    spark.conf.set(with_setting, "2")
    done = {entry["table"]: entry for entry in maintain(made, retain_hours=0)}
    spark.conf.unset(with_setting)

    assert done["documents"]["pinned_version"] == pinned
    assert (done["documents"]["n_files_removed"], done["documents"]["n_files_added"]) == (2, 1)
    assert rows_of(made, "documents", version=pinned) == before
    assert len(list(documents.rglob("*.parquet"))) == n_documents + 1
    # No stage reads a version of `files`: what was compacted is gone.
    assert done["files"]["pinned_version"] is None
    assert len(list(files.rglob("*.parquet"))) == 2
    for table, rows in latest.items():
        assert rows_of(made, table, dump=DUMP) == rows, table
    assert spark.conf.get("spark.databricks.delta.retentionDurationCheck.enabled", "true") == "true"
    assert not make_filtered(job_of(made)).is_new


def test_maintenance_of_an_empty_warehouse_does_nothing(warehouse):
    assert maintain(warehouse) == []
    assert not Path(warehouse.location).exists()
