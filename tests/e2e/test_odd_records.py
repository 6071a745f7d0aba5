"""Odd dates and records of one member, from the archive to what other readers, the funnel and `explain` say of them."""

import gzip
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from dclm_spark import schemas
from dclm_spark.cli import main
from tests.kernels.test_odd_records import HEAD, arc, warc

pytestmark = pytest.mark.once

DATES = [b"2018-03-04T05:06:07.000000002Z", b"2018-03", b"1114-12-26T20:15:00Z", b"9999-12-31T23:59:59Z", b"soon"]
EVIL = b"http://evil.example/\x1b[2J\x1b]52;c;cm0gLXJm\x07\xc2\x9b31m"
TIMESTAMPS, ZONE = "spark.sql.parquet.outputTimestampType", "spark.sql.session.timeZone"


def dclm(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory) -> Path:
    """A warehouse made in a session that somebody else has set up, in Japan: timestamps are INT96, and local."""
    folder = tmp_path_factory.mktemp("odd")
    pages = [warc(b"http://a.b/%d" % n, date=date, record_id=b"<%d>" % n) for n, date in enumerate(DATES)]
    (folder / "warc").mkdir()
    (folder / "warc" / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, [*pages, warc(EVIL)])))
    member = HEAD + 3 * arc(b"http://a.b/same") + arc(b"http://a.b/odd", b"1.2.3.4 201803040506 text/html; a=b")
    (folder / "warc" / "b.arc.gz").write_bytes(gzip.compress(member))
    own = {name: spark.conf.get(name, None) for name in (TIMESTAMPS, ZONE)}
    zone = os.environ.get("TZ")
    spark.conf.set(TIMESTAMPS, "INT96")
    spark.conf.set(ZONE, "Asia/Tokyo")
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    try:
        arguments = ("--input", folder / "warc", "--dump", "D", "--warehouse", folder / "lake", "--quiet")
        assert dclm("documents", *arguments) == 0
        yield folder / "lake"
        assert spark.conf.get(TIMESTAMPS) == "INT96"
    finally:
        for name, value in own.items():
            spark.conf.set(name, value) if value is not None else spark.conf.unset(name)
        os.environ.pop("TZ") if zone is None else os.environ.update(TZ=zone)
        time.tzset()


def rows(lake: Path, table: str) -> list[dict]:
    """As delta-rs reads them."""
    return DeltaTable(str(lake / table)).to_pyarrow_table().to_pylist()


def test_other_readers_read_the_dates(lake):
    fetched = {row["url"]: row["fetched_at"] for row in rows(lake, "documents")}
    assert [fetched[f"http://a.b/{n}"] for n in range(len(DATES))] == [
        datetime(2018, 3, 4, 5, 6, 7, tzinfo=UTC), datetime(2018, 3, 1, tzinfo=UTC), None, None, None
    ]  # fmt: skip
    assert fetched["http://a.b/odd"] == datetime(2018, 3, 4, 5, 6, tzinfo=UTC)
    (run,) = rows(lake, "runs")
    assert abs((datetime.now(UTC) - run["started_at"]).total_seconds()) < 3600


def forms(lake: Path) -> set[tuple[str, str]]:
    """(physical type, logical type) of all timestamps in all files of a warehouse."""
    found = set()
    for table, schema in schemas.TABLES.items():
        names = {field.name for field in schema if field.type == schemas.UTC_TIMESTAMP}
        for file in lake.glob(f"{table}/*/**/*.parquet") if names else ():
            columns = pq.ParquetFile(file).schema
            of = [columns.column(i) for i in range(len(columns)) if columns.column(i).path in names]
            found |= {(column.physical_type, json.loads(column.logical_type.to_json())["timeUnit"]) for column in of}
    return found


def test_timestamps_are_in_microseconds_whatever_the_session_writes(lake):
    assert forms(lake) == {("INT64", "microseconds")}


def test_records_of_one_member_are_as_many_documents(lake):
    ids = [row["doc_id"] for row in rows(lake, "documents")]
    assert len(ids) == len(set(ids)) == len(DATES) + 1 + 4


def test_the_funnel_counts_dates_that_are_none(lake, capsys):
    assert dclm("funnel", "--warehouse", lake) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["fetched_at", "null:", "date", "out", "of", "range", "2"] in lines
    assert ["fetched_at", "null:", "date", "unreadable", "1"] in lines
    assert dclm("funnel", "--warehouse", lake, "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["bad_dates"] == {"out_of_range": 2, "unreadable": 1} and entry["is_balanced"]


def test_explain_says_when_in_utc(lake, capsys):
    for page, said in {"http://a.b/0": "2018-03-04T05:06:07Z", "http://a.b/2": "-"}.items():
        assert dclm("explain", "--warehouse", lake, page) == 0
        assert f"  fetched_at      {said}\n" in capsys.readouterr().out
    assert dclm("explain", "--warehouse", lake, "http://a.b/1", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["fetched_at"] == "2018-03-01T00:00:00Z"


def test_explain_of_a_hostile_address(lake, capsys):
    doc_id = next(row["doc_id"] for row in rows(lake, "documents") if row["url"].startswith("http://evil"))
    for form in ([], ["--json"]):
        assert dclm("explain", "--warehouse", lake, doc_id, *form) == 0
        said = capsys.readouterr().out
        assert "evil.example" in said and not set(said) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.slow
@pytest.mark.long
def test_files_that_are_compacted_keep_their_form(lake, capsys):
    assert dclm("maintain", "--warehouse", lake) == 0
    assert forms(lake) == {("INT64", "microseconds")}
