"""Tables in a folder and in a catalog: made once, replaced by dump, joined by later columns, refused if they differ."""

import datetime as dt
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from dclm_spark import schemas
from dclm_spark.errors import WarehouseError
from dclm_spark.lake import local_locks
from dclm_spark.lake.creation import PROPERTIES
from dclm_spark.lake.local_log import LocalLog
from dclm_spark.lake.missing import dumps_of
from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.spark.types import spark_schema, spark_type

LINEAGE = {"run_id": "r1", "stage": "tests"}
FETCHED_AT = dt.datetime(2022, 1, 17, 12, 30, tzinfo=dt.UTC)


@pytest.fixture(params=["folder", pytest.param("catalog", marks=pytest.mark.slow)])
def place(request, spark, tmp_path):
    """An empty warehouse of each kind."""
    if request.param == "folder":
        yield Warehouse(spark, str(tmp_path / "lake"))
        return
    schema = f"spark_catalog.tables_{uuid.uuid4().hex[:8]}"
    yield Warehouse(spark, schema)
    spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def documents(spark, dump: str, *ids: str):
    """A row of `documents` each id."""
    rows = [
        (id_, dump, f"http://{id_}", FETCHED_AT, 200, "text/html", "utf-8", 9, "a.warc", 0, None, f"Text {id_}.", None)
        for id_ in ids
    ]
    return spark.createDataFrame(rows, spark_schema(schemas.DOCUMENTS))


def ids(rows) -> list[str]:
    return sorted(row["doc_id"] for row in rows.select("doc_id").collect())


def test_tables_are_made_empty_for_every_reader_and_with_a_year_of_versions(place):
    assert not any(place.exists(table) for table in schemas.TABLES)
    place.prepare(*schemas.TABLES)
    for table, schema in schemas.TABLES.items():
        assert place.exists(table)
        detail = place.spark.sql(f"DESCRIBE DETAIL {place.name(table)}").head()
        # Reader 1 and writer 2 is what every implementation of Delta knows.
        assert (detail["minReaderVersion"], detail["minWriterVersion"]) == (1, 2), table
        assert tuple(detail["partitionColumns"]) == schemas.PARTITIONS[table]
        assert PROPERTIES.items() <= detail["properties"].items()
        assert place.read(table).columns == schema.names
        assert place.version(table) == 0
        assert detail["description"] == schemas.DESCRIPTIONS[table]
        columns = {field.name: field for field in place.spark.table(place.name(table)).schema}
        for field in schema:
            assert columns[field.name].metadata["comment"] == field.metadata[b"comment"].decode()
    quality = place.spark.table(place.name("annotated")).schema["quality"].dataType
    assert quality["n_words"].metadata["comment"].startswith("fastText tokens")
    place.prepare(*schemas.TABLES)
    assert place.version("documents") == 0


def test_two_first_writers_make_a_table_once(place):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: place.prepare("removed", "runs"), range(2)))
    assert place.read("removed").columns == schemas.REMOVED.names


@pytest.mark.parametrize("verb", ["append", "replace", "delete"])
def test_processes_take_turns_at_a_table_on_a_local_disk(spark, tmp_path, monkeypatch, capsys, verb):
    """Nothing else there keeps the commits of two from taking one version."""
    monkeypatch.setattr(local_locks, "WAIT_SECONDS", 0.2)
    place = Warehouse(spark, str(tmp_path / "lake"))
    place.prepare("documents")
    write = {
        "append": lambda: place.append(documents(spark, "A", "a1"), "documents", lineage=LINEAGE),
        "replace": lambda: place.replace(documents(spark, "A", "a1"), "documents", lineage=LINEAGE, dump="A"),
        "delete": lambda: place.delete("documents", dump="A"),
    }[verb]
    if verb == "delete":
        place.append(documents(spark, "A", "a1"), "documents", lineage=LINEAGE)
    before = place.version("documents")
    with ThreadPoolExecutor(1) as pool:
        with local_locks.LocalLocks(place.location).writing("documents"):
            waiting = pool.submit(write)
            time.sleep(2)
            assert place.version("documents") == before
        waiting.result()
    assert place.version("documents") == before + 1
    assert f"another process writes {place.location}/documents" in capsys.readouterr().err


def test_a_dump_is_replaced_alone_and_its_rows_are_counted(place):
    place.prepare("documents")
    made = place.replace(documents(place.spark, "A", "a1", "a2"), "documents", lineage={"run_id": "1"}, dump="A")
    assert (made.version, made.n_rows) == (1, 2)
    place.replace(documents(place.spark, "B", "b1"), "documents", lineage={"run_id": "2"}, dump="B")
    again = place.replace(documents(place.spark, "A", "a3"), "documents", lineage={"run_id": "3"}, dump="A")
    assert (again.version, again.n_rows) == (3, 1)
    assert ids(place.read("documents")) == ["a3", "b1"]
    assert ids(place.read("documents", dump="B")) == ["b1"]
    assert ids(place.read("documents", dump="A", version=2)) == ["a1", "a2"]
    row = place.read("documents", dump="A").head()
    assert (row["url"], row["warc_record_id"], row["text"]) == ("http://a3", None, "Text a3.")
    # A dump that is left with no rows is a dump of no rows.
    empty = place.replace(documents(place.spark, "A"), "documents", lineage={"run_id": "4"}, dump="A")
    assert empty.n_rows == 0
    nothing = place.replace(documents(place.spark, "C"), "documents", lineage={"run_id": "5"}, dump="C")
    assert (nothing.n_rows, nothing.version) == (0, place.version("documents"))
    assert ids(place.read("documents")) == ["b1"]


def test_rows_of_another_dump_are_refused(place):
    refused = pytest.raises(Exception, match="DELTA_REPLACE_WHERE_MISMATCH|replaceWhere|of documents lies outside")
    place.prepare("documents")
    with refused:
        place.replace(documents(place.spark, "B", "b1"), "documents", lineage=LINEAGE, dump="A")
    assert ids(place.read("documents")) == []
    place.replace(documents(place.spark, "A", "a1"), "documents", lineage=LINEAGE, dump="A")
    with refused:
        place.replace(documents(place.spark, "B", "b1"), "documents", lineage=LINEAGE, dump="A")
    assert ids(place.read("documents")) == ["a1"]


@pytest.mark.parametrize(("has_locks", "mode"), [(True, "Append"), (False, "Overwrite")])
def test_who_is_alone_need_not_look_for_what_a_new_dump_replaces(spark, tmp_path, monkeypatch, has_locks, mode):
    def refuse(*_):
        raise OSError("no locks available")

    if not has_locks:
        monkeypatch.setattr(local_locks.fcntl, "flock", refuse)
    place = Warehouse(spark, str(tmp_path / "lake"))
    place.prepare("documents")
    for id_, expected in [("a1", mode), ("a2", "Overwrite")]:
        place.replace(documents(spark, "A", id_), "documents", lineage=LINEAGE, dump="A")
        assert ids(place.read("documents")) == [id_]
        history = spark.sql(f"DESCRIBE HISTORY {place.name('documents')}").orderBy("version").collect()
        assert history[-1]["operationParameters"]["mode"] == expected


@pytest.mark.parametrize("every", [100, 2])
def test_a_table_is_known_to_hold_a_dump(spark, tmp_path, every):
    """With a checkpoint each two versions, and without one."""
    place = Warehouse(spark, str(tmp_path / "lake"))
    place.prepare("removed")
    spark.sql(f"ALTER TABLE {place.name('removed')} SET TBLPROPERTIES ('delta.checkpointInterval' = '{every}')")
    for dump, stage in [("A", "filtered"), ("A", "deduplicated"), ("B", "filtered"), ("B", "filtered")]:
        rows = spark.createDataFrame([(dump, stage, "a1", "rule", *[None] * 5)], spark_schema(schemas.REMOVED))
        place.replace(rows, "removed", lineage=LINEAGE, dump=dump, stage=stage)
    log = LocalLog(place.location)
    assert place.read("removed").count() == 3
    assert list((tmp_path / "lake/removed/_delta_log").glob("*.checkpoint.parquet")) or every > 2
    assert log.may_hold("removed", {"dump": "A", "stage": "deduplicated"})
    assert log.may_hold("removed", {"dump": ("C", "B")})
    assert not log.may_hold("removed", {"dump": "B", "stage": "deduplicated"})
    assert not log.may_hold("removed", {"dump": ["C", "D"]})
    # Who cannot tell says that it may.
    assert log.may_hold("removed", {"dump": "A", "step": 0})
    for entry in (tmp_path / "lake/removed/_delta_log").glob("*2.json"):
        entry.unlink()
    assert log.may_hold("removed", {"dump": "C"}) is (every > 2)
    for entry in (tmp_path / "lake/removed/_delta_log").glob("*.checkpoint.parquet"):
        entry.write_bytes(b"")
    assert log.may_hold("removed", {"dump": "C"})


def test_a_document_without_text_is_refused(place):
    place.prepare("documents")
    rows = documents(place.spark, "A", "a1").selectExpr(
        *(f"CAST(NULL AS STRING) AS {name}" if name == "text" else name for name in schemas.DOCUMENTS.names)
    )
    with pytest.raises(Exception, match="NOT NULL"):
        place.append(rows, "documents", lineage=LINEAGE)


def test_a_batch_is_appended_once(place):
    place.prepare("documents")
    for batch, id_ in [(0, "a0"), (1, "a1"), (1, "twice"), (0, "late"), (2, "a2")]:
        place.append(documents(place.spark, "A", id_), "documents", lineage=LINEAGE, batch=("attempt", batch))
    place.append(documents(place.spark, "A", "other"), "documents", lineage=LINEAGE, batch=("another attempt", 0))
    assert ids(place.read("documents")) == ["a0", "a1", "a2", "other"]


def test_what_is_deleted_is_of_that_dump_and_stage_alone(place):
    place.prepare("quarantine")
    rows = [(dump, stage, "a.warc", 0, None, None, "k", "m") for dump in "AB" for stage in ("documents", "later")]
    place.append(place.spark.createDataFrame(rows, spark_schema(schemas.QUARANTINE)), "quarantine", lineage=LINEAGE)
    place.delete("quarantine", dump="A", stage="documents")
    left = sorted((row["dump"], row["stage"]) for row in place.read("quarantine").collect())
    assert left == [("A", "later"), ("B", "documents"), ("B", "later")]


def test_what_is_deleted_is_of_these_files_alone(place):
    place.prepare("quarantine")
    rows = [(dump, "documents", path, 0, None, None, "k", "m") for dump in "AB" for path in ("it's \\a", "b", "c")]
    place.append(place.spark.createDataFrame(rows, spark_schema(schemas.QUARANTINE)), "quarantine", lineage=LINEAGE)
    place.delete("quarantine", files=["it's \\a", "c"], dump="A", stage="documents")
    left = sorted((row["dump"], row["warc_path"]) for row in place.read("quarantine").collect())
    assert left == [("A", "b"), ("B", "b"), ("B", "c"), ("B", "it's \\a")]


# -- versions that are recorded ------------------------------------------------------------------------------------


def test_rows_are_read_at_the_version_that_is_recorded(spark, tmp_path):
    """Whatever is committed once a stage has begun to read; each dump's rows at the version of its own warehouse."""
    own, lent = (Warehouse(spark, str(tmp_path / name)) for name in ("own", "lent"))
    for place, dumps in ((own, "A"), (lent, "BC")):
        place.prepare("documents")
        for dump in dumps:
            place.append(documents(spark, dump, f"{dump}1"), "documents", lineage=LINEAGE)
    places = {"A": own, "B": lent, "C": lent}
    inputs = Inputs({dump: lambda _, place=place: (place, {}) for dump, place in places.items()})
    assert ids(inputs.read("documents", "A")) == ["A1"]
    own.append(documents(spark, "A", "late"), "documents", lineage=LINEAGE)
    lent.append(documents(spark, "C", "C2"), "documents", lineage=LINEAGE)
    assert ids(inputs.read("documents")) == ["A1", "B1", "C1", "C2"]
    lent.append(documents(spark, "B", "late"), "documents", lineage=LINEAGE)
    assert ids(inputs.read("documents", "BC")) == ["B1", "C1", "C2"]
    assert inputs.versions("A") == {"documents": 1, "documents B": 3, "documents C": 3}
    assert inputs.versions("C") == {"documents A": 1, "documents B": 3, "documents": 3}


def run_of(place: Warehouse, dump: str, *, ago: float = 0.0) -> dict:
    """A row of `runs` of a stage that has ended some seconds ago, and left `documents` as it is."""
    started_at = dt.datetime.now() - dt.timedelta(seconds=ago)
    written = {"documents": place.version("documents")}
    return {"stage": "tests", "dump": dump, "started_at": started_at, "seconds": 0.0, "output_versions": written}


def test_a_version_is_not_lost_for_what_is_committed_later(place):
    place.prepare("documents")
    for dump in "AB":
        place.append(documents(place.spark, dump, "1"), "documents", lineage={"stage": "tests", "dump": dump})
    runs = run_of(place, "A"), run_of(place, "B")
    # The commit of a run that is as old as its table's clock allows is its own.
    runs = *runs, run_of(place, "B", ago=3600)
    place.delete("documents", dump="A")
    place.spark.sql(f"OPTIMIZE {place.name('documents')}")
    assert [place.history.lost(run) for run in runs] == [{}, {}, {}]
    assert place.history.own_version("documents", stage="tests", dump="A") == 1
    assert place.history.own_version("documents", stage="tests", dump="C") is None
    assert (dumps_of(place, "documents"), dumps_of(place, "removed")) == ({"B"}, set())
    assert place.holds("documents", dump="B") and not place.holds("documents", dump="A")
    # Its number, but another's commit, an hour later.
    assert place.history.lost(run_of(place, "C", ago=3600)) == {"documents": place.version("documents")}
    assert place.history.lost(run_of(place, "C", ago=3600), "removed") == {}


def test_a_version_is_lost_with_the_end_of_the_log(spark, tmp_path):
    place = Warehouse(spark, str(tmp_path / "lake"))
    place.prepare("documents")
    place.append(documents(spark, "A", "a1"), "documents", lineage={"stage": "tests", "dump": "A"})
    run = run_of(place, "A", ago=60)
    (tmp_path / "lake/documents/_delta_log/00000000000000000001.json").unlink()
    assert place.history.lost(run) == {"documents": 1}
    place.replace(documents(spark, "B", "b1"), "documents", lineage={"stage": "tests", "dump": "B"}, dump="B")
    assert place.history.lost(run) == {"documents": 1}
    place.replace(documents(spark, "A", "a1"), "documents", lineage={"stage": "tests", "dump": "A"}, dump="A")
    assert ids(place.read("documents")) == ["a1", "b1"]
    assert place.history.lost(run_of(place, "A")) == {}


# -- tables that an earlier version made ------------------------------------------------------------------------------


def make_older(place: Warehouse, table: str, changes: dict[str, str | None]) -> None:
    """The table as another version might have made it: a column's type changed, or the column left out."""
    types = {field.name: spark_type(field.type) for field in schemas.TABLES[table]} | changes
    columns = ", ".join(f"`{name}` {type_}" for name, type_ in types.items() if type_ is not None)
    if place.is_catalog:
        place.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {place.location}")
    place.spark.sql(f"CREATE TABLE {place.name(table)} ({columns}) USING DELTA PARTITIONED BY (dump)")


@pytest.mark.parametrize("verb", ["append", "replace"])
def test_a_later_column_joins_the_table(place, verb):
    make_older(place, "documents", {"charset": None})
    old = documents(place.spark, "A", "old").drop("charset")
    old.writeTo(place.name("documents")).append()
    place.prepare("documents")
    where = {"dump": "B"} if verb == "replace" else {}
    getattr(place, verb)(documents(place.spark, "B", "new"), "documents", lineage=LINEAGE, **where)
    found = {row["doc_id"]: (row["charset"], row["text"]) for row in place.read("documents").collect()}
    assert found == {"old": (None, "Text old."), "new": ("utf-8", "Text new.")}


def test_a_later_signal_joins_its_group(place):
    fewer = [field for field in schemas.QUALITY if field.name != "n_stop_words"]
    make_older(place, "annotated", {"quality": spark_type(pa.struct(fewer))})

    def annotated(dump: str, quality: tuple, type_: str):
        given = {"doc_id": f"doc-{dump}", "dump": dump, "quality": quality, "text": "Text."}
        row = tuple(given.get(name) for name in schemas.ANNOTATED.names)
        types = {field.name: spark_type(field.type) for field in schemas.ANNOTATED} | {"quality": type_}
        return place.spark.createDataFrame([row], ", ".join(f"{name} {kind}" for name, kind in types.items()))

    values = tuple(4.0 if pa.types.is_floating(field.type) else 4 for field in fewer)
    annotated("A", values, spark_type(pa.struct(fewer))).writeTo(place.name("annotated")).append()
    place.prepare("annotated")
    place.replace(annotated("B", (*values, 42), spark_type(schemas.QUALITY)), "annotated", lineage=LINEAGE, dump="B")
    found = place.read("annotated").selectExpr("doc_id", "quality.n_lines", "quality.n_stop_words").collect()
    assert sorted(map(tuple, found)) == [("doc-A", 4, None), ("doc-B", 4, 42)]


def test_a_reader_needs_no_later_column(place):
    fewer = [field for field in schemas.QUALITY if field.name != "n_stop_words"]
    make_older(place, "annotated", {"quality": spark_type(pa.struct(fewer)), "fineweb": None})
    place.spark.sql(f"INSERT INTO {place.name('annotated')} (doc_id, dump, text) VALUES ('old', 'A', 'Text.')")
    rows = place.read("annotated", dump="A")
    assert [tuple(row) for row in rows.select("doc_id", "fineweb.n_lines", "quality.n_stop_words").collect()] == [
        ("old", None, None)
    ]


@pytest.mark.parametrize(
    "table, column, found",
    [("documents", "html_bytes", "STRING"), ("annotated", "quality", "STRUCT<n_words: STRING>")],
)
def test_a_column_of_another_type_is_refused_by_name(place, table, column, found):
    make_older(place, table, {column: found})
    with pytest.raises(
        WarehouseError, match=f"column {column} of .*{table}.* is .*; expected .*another version"
    ) as refused:
        place.prepare(table)
    assert len(refused.value.problems) == 1
