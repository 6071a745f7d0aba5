"""A pool through the chain, and out again: the counts add up, and the lines that come out are those that went in."""

import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.exports.pools import export_table
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.annotated import make_annotated
from dclm_spark.pipeline.filtered import make_filtered
from dclm_spark.recipe import as_json
from dclm_spark.reports.funnel import count_funnel
from tests.support.archives import ENGLISH, english_pages, write_warc
from tests.support.chains import DUMP, RECIPE, job_of, make_all, make_documents
from tests.support.commands import dclm
from tests.support.tables import assert_balanced, read

RAW, MEASURED = "CC-MAIN-2013-20", DUMP


def prose(number: int) -> str:
    return f"Note number {number} of the harbour book.\n{ENGLISH}"


def raw_line(number: int) -> dict:
    """A line as DCLM's script makes it of a WARC record, with a url moved to its place."""
    headers = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<urn:uuid:{number:08d}>",
        "WARC-Target-URI": f"http://raw.org/{number}",
        "WARC-Date": "2013-05-18T05:30:51Z",
        "Content-Length": "4711",
    }
    return {"text": prose(number), "metadata": headers, "warcinfo": "a: b", "url": headers["WARC-Target-URI"]}


def measured_line(number: int) -> dict:
    """A line with the fields of DCLM's mappers, and values that are easily lost on the way."""
    return {
        "n": [number, 2**63 + number, -(10**30), 0.1 + number, 1e-300, 2.0],
        "metadata": {
            "é": {"ü": [None, {"": "\u2028😀"}]},
            "WARC-Target-URI": "http://else.org/",
            "url": 1,
            "text": None,
        },
        "url": f"http://measured.org/{number}",
        "text": prose(number) if number % 4 else "Too short to stay.",
        "is_new": True,
        "nothing": None,
        "language_id_whole_page_fasttext": {"en": 0.9412841796875},
    }


POOLS = {RAW: [raw_line(n) for n in range(40)], MEASURED: [measured_line(n) for n in range(60)]}
BAD = [b"nonsense", b"{}", b"", b'{"text": "\xff"}', b'{"text": "%s"}' % (b"a" * 30_000)]


def packed(objects: list[dict]) -> bytes:
    return "\n".join(map(json.dumps, objects)).encode()


def write_pools(folder: Path) -> Path:
    """A folder a dump: files of three formats, statistics beside them, and one file of bad lines."""
    for dump, objects in POOLS.items():
        (folder / dump / "stats").mkdir(parents=True)
        third = len(objects) // 3
        (folder / dump / "a.jsonl").write_bytes(packed(objects[:third]) + b"\n")
        (folder / dump / "b.jsonl.gz").write_bytes(gzip.compress(packed(objects[third : 2 * third])))
        zst = zstandard.ZstdCompressor().compress(packed(objects[2 * third :]))
        (folder / dump / "c_processed.jsonl.zst").write_bytes(zst)
        (folder / dump / "stats" / "a_stats.jsonl").write_text('{"name": "process_setup"}\n')
    (folder / RAW / "bad.jsonl").write_bytes(b"\n".join(BAD))
    clipped = gzip.compress(packed(POOLS[MEASURED][:1]) + b"\n" + packed([measured_line(99)]))[:-30]
    (folder / RAW / "clipped.jsonl.gz").write_bytes(clipped)
    return folder


def read_as_dclm_does(folder: Path) -> list[dict]:
    """The objects of a folder, in the order of its files: Zstandard to the end of the first frame."""
    openers = {
        ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        ".gz": gzip.decompress,
        ".jsonl": bytes,
    }
    texts = [openers[path.suffix](path.read_bytes()).decode() for path in sorted(folder.iterdir())]
    return [json.loads(line) for text in texts for line in text.split("\n")[:-1]]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def bag(objects: list[dict]) -> Counter[str]:
    return Counter(json.dumps(entry, sort_keys=True) for entry in objects)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pools")
    (folder / "tested.json").write_text(as_json.canonical_json(RECIPE))
    write_pools(folder / "pools")
    return folder


@pytest.fixture(scope="module")
def lake(spark, place) -> Path:
    for dump in POOLS:
        options = ("--warehouse", place / "lake", "--recipe", place / "tested.json", "--quiet")
        said = dclm("run", "--input", place / "pools" / dump, "--dump", dump, *options)
        assert said.status == 0, said.err
    return place / "lake"


@pytest.fixture
def warehouse_of_pools(spark, lake) -> Warehouse:
    return Warehouse(spark, str(lake))


# -- in ---------------------------------------------------------------------------------------------------------------


def test_every_line_is_a_row_a_fault_or_a_skip(warehouse_of_pools, lake):
    for dump in POOLS:
        assert_balanced(lake, dump)
    entries = {entry["dump"]: entry for entry in count_funnel(warehouse_of_pools)}
    assert all(entry["is_balanced"] and entry["skipped_files"] == 1 for entry in entries.values())
    assert entries[RAW]["skipped"] == {"blank_line": 1}
    faults = {"bad_json": 1, "charset": 1, "no_text": 1, "too_large": 1, "truncated": 1}
    assert entries[RAW]["quarantined"] == faults
    assert entries[RAW]["documents"] == 41, "the clipped file's first line is kept"
    assert (entries[MEASURED]["documents"], entries[MEASURED]["quarantined"]) == (60, {})
    assert entries[MEASURED]["filtered"] == 45


def test_documents_hold_all_of_a_line(lake):
    rows = read(lake, "documents")
    for dump, objects in POOLS.items():
        found = {row["url"]: row for row in rows if row["dump"] == dump}
        for line in objects:
            row = found[line["url"]]
            assert row["text"] == line["text"]
            assert json.loads(row["metadata"]) == {key: line[key] for key in line if key not in ("url", "text")}
    raw = next(row for row in rows if row["url"] == "http://raw.org/7")
    assert raw["warc_record_id"] == "<urn:uuid:00000007>"
    assert raw["fetched_at"].isoformat() == "2013-05-18T05:30:51+00:00"


# -- out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonl.zst", "jsonl.gz", "jsonl"])
def test_what_went_in_comes_out(lake, tmp_path, form):
    options = ("--warehouse", lake, "--dump", MEASURED, "--to", tmp_path / "out", "--format", form, "--quiet")
    said = dclm("export", "documents", *options)
    assert said.status == 0, said.err
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == f"documents-{MEASURED}-00000.{form}"
    assert bag(read_as_dclm_does(tmp_path / "out")) == bag(POOLS[MEASURED])
    n_bytes = file.stat().st_size
    assert said.out == f"documents {MEASURED}: 60 documents in 1 files, {n_bytes:,} bytes, in {tmp_path / 'out'}\n"


def test_a_later_table_has_its_own_texts_and_the_fields_of_its_documents(lake, tmp_path):
    said = dclm("export", "filtered", "--warehouse", lake, "--to", tmp_path / "out", "--files", 4, "--json")
    assert said.status == 0, said.err
    entries = json.loads(said.out)
    assert [(entry["dump"], entry["n_rows"]) for entry in entries] == [(RAW, 40), (MEASURED, 45)]
    assert all(entry["n_files"] == 4 and entry["n_bytes"] > 0 for entry in entries)
    texts = {row["url"]: row["text"] for row in read(lake, "filtered")}
    found = read_as_dclm_does(tmp_path / "out")
    lines = {line["url"]: line for objects in POOLS.values() for line in objects}
    assert len(found) == 85
    assert all(line == lines[line["url"]] | {"text": texts[line["url"]]} for line in found)


@pytest.mark.slow
def test_the_same_rows_give_the_same_bytes(spark, lake, tmp_path):
    before = spark.conf.get("spark.sql.shuffle.partitions")
    try:
        for number in (1, 7):
            spark.conf.set("spark.sql.shuffle.partitions", str(number))
            spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(3 * number))
            export_table(Warehouse(spark, str(lake)), "annotated", to=str(tmp_path / f"{number}"), n_files=5)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")
    assert len(content(tmp_path / "1")) == 10
    assert content(tmp_path / "1") == content(tmp_path / "7")


def test_an_export_is_a_pool_again(spark, lake, tmp_path):
    warehouse = Warehouse(spark, str(lake))
    export_table(warehouse, "documents", to=str(tmp_path / "out"), dump=MEASURED, n_files=3)
    other = Warehouse(spark, str(tmp_path / "lake"))
    make_documents(job_of(other, dump=MEASURED), tmp_path / "out")
    export_table(other, "documents", to=str(tmp_path / "again"), n_files=3)
    assert content(tmp_path / "again") == content(tmp_path / "out")
    ids = [{row["doc_id"] for row in read(where, "documents", dump=MEASURED)} for where in (lake, tmp_path / "lake")]
    assert ids[0] == ids[1]


@pytest.mark.slow
def test_archives_come_out_with_the_headers_that_dclm_asks_for(spark, warehouse, tmp_path):
    make_all(job_of(warehouse), write_warc(tmp_path / "a.warc.gz", english_pages(6)))
    ids = {row["url"]: row["doc_id"] for row in read(warehouse.location, "documents")}
    for table in ("documents", "annotated", "filtered"):
        export_table(warehouse, table, to=str(tmp_path / table))
        found = read_as_dclm_does(tmp_path / table)
        assert len(found) == 6
        for line in found:
            number = int(line["url"].rpartition("/")[2])
            assert line["metadata"] == {
                "WARC-Record-ID": f"<urn:uuid:a.warc00-0000-0000-0000-{number + 1:012d}>",
                "WARC-Target-URI": f"http://example.org/{number}",
                "WARC-Date": "2022-01-17T00:00:00Z",
            }
            assert line["dclm_spark"] == {"doc_id": ids[line["url"]], "dump": DUMP}
            assert line["text"].startswith(f"Note number {number} ")


@pytest.mark.slow
def test_lines_that_share_an_id_are_one_document_from_filtered_on(spark, warehouse, tmp_path):
    line = raw_line(1)
    (tmp_path / "a.jsonl").write_bytes(packed([line, line, raw_line(2)]))
    make_all(job_of(warehouse), tmp_path / "a.jsonl")
    # From `filtered` on a document is one row.
    for table, expected in {"documents": "112", "annotated": "112", "filtered": "12"}.items():
        export_table(warehouse, table, to=str(tmp_path / table))
        assert sorted(entry["url"][-1] for entry in read_as_dclm_does(tmp_path / table)) == [*expected]


def test_a_table_without_the_column_is_exported_too(spark, lake, tmp_path):
    """As an earlier version has left it."""
    copy = shutil.copytree(lake, tmp_path / "lake")
    place = Warehouse(spark, str(copy))
    spark.sql(
        f"ALTER TABLE {place.name('documents')} SET TBLPROPERTIES "
        "('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5')"
    )
    spark.sql(f"ALTER TABLE {place.name('documents')} DROP COLUMN metadata")
    export_table(place, "filtered", to=str(tmp_path / "out"), dump=RAW)
    found = read_as_dclm_does(tmp_path / "out")
    assert len(found) == 40 and all("WARC-Date" in line["metadata"] for line in found)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_refused(lake, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    for target, words in (("out", "is not empty"), ("out/mine", "is a file"), ("out/mine/below", "cannot be written")):
        said = dclm("export", "filtered", "--warehouse", lake, "--to", tmp_path / target)
        assert said.status == 2 and words in said.err and str(tmp_path / target) in said.err
    for target in ("http://127.0.0.1:9/pool", "nope://bucket/pool"):
        said = dclm("export", "filtered", "--warehouse", lake, "--to", target)
        assert said.status == 2 and target in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_all_that_is_wrong_is_said_at_once(warehouse_of_pools, tmp_path):
    with pytest.raises(InputError) as raised:
        export_table(warehouse_of_pools, "removed", to=str(tmp_path), dump="../x", form="csv", n_files=0)
    assert len(raised.value.problems) == 4
    with pytest.raises(WarehouseError, match="no finished filtered of D in"):
        export_table(warehouse_of_pools, "filtered", to=str(tmp_path / "out"), dump="D")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_table_that_is_out_of_date_is_refused(spark, warehouse, tmp_path):
    pool = tmp_path / "a.jsonl"
    pool.write_bytes(packed(POOLS[RAW]))
    make_all(job_of(warehouse), pool)
    make_documents(job_of(warehouse, is_forced=True), pool)
    with pytest.raises(WarehouseError, match=f"the annotated of {DUMP} are out of date"):
        export_table(warehouse, "filtered", to=str(tmp_path / "out"))
    make_annotated(job_of(warehouse))
    with pytest.raises(WarehouseError, match=f"the filtered of {DUMP} are out of date"):
        export_table(warehouse, "filtered", to=str(tmp_path / "out"))
    assert export_table(warehouse, "annotated", to=str(tmp_path / "out"))[0]["n_rows"] == 40


@pytest.mark.slow
def test_the_upstream_lends_what_is_not_there(spark, lake, tmp_path):
    own = Warehouse(spark, str(tmp_path / "own"))
    upstream = Warehouse(spark, str(lake))
    job = job_of(own, dump=RAW, upstream=upstream, is_forced=True)
    make_filtered(job)
    with pytest.raises(WarehouseError, match="no finished documents .* name the --upstream"):
        export_table(own, "filtered", to=str(tmp_path / "out"))
    (entry,) = export_table(own, "filtered", to=str(tmp_path / "out"), dump=RAW, upstream=upstream)
    assert entry["n_rows"] == 40


def test_what_fails_leaves_the_folder_empty(spark, lake, tmp_path):
    copy = shutil.copytree(lake, tmp_path / "lake")
    for file in (copy / "filtered" / f"dump={MEASURED}").glob("*.parquet"):
        file.unlink()
    said = dclm("export", "filtered", "--warehouse", copy, "--to", tmp_path / "out", "--quiet")
    assert said.status == 1 and "Spark failed" in said.err
    assert list((tmp_path / "out").iterdir()) == [], "the first dump's files are gone too"


def test_any_store_that_fsspec_knows(spark, lake, tmp_path):
    to = f"local://{tmp_path / 'out'}"
    (entry,) = export_table(Warehouse(spark, str(lake)), "documents", to=to, dump=MEASURED, n_files=2)
    assert (entry["folder"], entry["n_files"]) == (to, 2)
    assert bag(read_as_dclm_does(tmp_path / "out")) == bag(POOLS[MEASURED])
