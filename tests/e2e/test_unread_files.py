"""A store that fails: its files are read again, named, and left for later; no page is lost, none comes twice."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from dclm_spark.cli import main
from dclm_spark.errors import FaultLimitError, UnreadFilesError, WarehouseError
from dclm_spark.kernels.archive import pages
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import batches, documents, ingest_plan
from dclm_spark.pipeline.annotated import make_annotated
from dclm_spark.pipeline.run_stage import Outcome
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.reports.funnel import count_funnel
from dclm_spark.reports.funnel_words import format_funnel
from tests.support.archives import english_pages, write_warc
from tests.support.chains import DUMP, job_of
from tests.support.sites import ALWAYS, Site, open_hastily
from tests.support.tables import content, read

pytestmark = pytest.mark.once

NAMES = ("fine", "down", "cut", "heals", "absent")
N_PAGES = dict(zip(NAMES, (2, 3, 30, 4, 5), strict=True))


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(batches, "open_source", open_hastily)
    monkeypatch.setattr(batches, "AGAIN_SECONDS", 0.0)


SIGNED = "X-Amz-Credential=AKIDEXAMPLE%2F20220101&X-Amz-Date=20220101T000000Z&X-Amz-Signature={}"
SECRETS = ("AKIDEXAMPLE", "5ec4e7", "0fa1b2", "hunter22")


@pytest.mark.slow
def test_what_gives_access_is_neither_stored_nor_shown(spark, warehouse, tmp_path, archives, monkeypatch):
    """A dump that is begun by signed addresses goes on by others, with the ids that a plain one has."""
    names = ("fine", "cut", "down")
    damaged = archives["/cut.warc.gz"][:-60]
    files = {"/fine.warc.gz": archives["/fine.warc.gz"], "/cut.warc.gz": damaged}
    planned = []
    one_a_task = batches.one_a_task
    monkeypatch.setattr(batches, "one_a_task", lambda spark, paths: planned.extend(paths) or one_a_task(spark, paths))
    with Site(
        {f"{path}?{SIGNED.format(key)}": data for key in ("5ec4e7", "0fa1b2") for path, data in files.items()}
    ) as site:
        own = site.url.replace("//", "//me:hunter22@")

        def run(key: str, *options: str) -> tuple[int, str]:
            said = io.StringIO()
            inputs = [f"{own}/{name}.warc.gz?{SIGNED.format(key)}" for name in names]
            command = ["documents", "--dump", DUMP, "--warehouse", warehouse.location, "--max-fault-share", "1"]
            with redirect_stderr(said), redirect_stdout(said):
                status = main.main([*command, "--input", *inputs, *options])
            assert not any(secret in said.getvalue() for secret in SECRETS), said.getvalue()
            return status, said.getvalue()

        down = f"/down.warc.gz?{SIGNED.format('5ec4e7')}"
        site.files[down] = archives["/down.warc.gz"]
        site.once_listed[down] = ALWAYS
        status, said = run("5ec4e7")
        assert status == main.EXIT_FAULTS
        assert "1 of 3 files" in said and f"  {site.url}/down.warc.gz: unreadable: " in said
        site.files[f"/down.warc.gz?{SIGNED.format('0fa1b2')}"] = archives["/down.warc.gz"]
        asked = site.asked.copy()
        assert run("0fa1b2")[0] == 0, "a renewed signature resumes the dump"
        assert sum((site.asked - asked)[path] for path in site.asked if "fine" in path) <= 2, "for its size alone"
        assert "up to date" in run("5ec4e7", "--skip-unreadable")[1]
    assert set(planned) == {f"{site.url}/{name}.warc.gz" for name in names}
    tables = {table: read(warehouse.location, table) for table in ("plans", "files", "documents", "quarantine", "runs")}
    assert all(tables.values())
    logs = [path.read_text() for path in Path(warehouse.location).rglob("*.json")]
    assert not any(secret in text for secret in SECRETS for text in (str(tables), *logs))
    assert {row["warc_path"] for row in tables["documents"]} == set(planned)

    for path, data in {**files, "/down.warc.gz": archives["/down.warc.gz"]}.items():
        (tmp_path / "plain").mkdir(exist_ok=True)
        (tmp_path / "plain" / path[1:]).write_bytes(data)
    plain = Warehouse(spark, f"{warehouse.location}-plain")
    documents.make_documents(job_of(plain), ingest_plan.Source([str(tmp_path / "plain")]))
    assert {row["doc_id"] for row in tables["documents"]} == {
        row["doc_id"] for row in read(plain.location, "documents")
    }


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> dict[str, bytes]:
    """Path -> archive; `cut` is long enough for whole pages before the middle."""
    folder = tmp_path_factory.mktemp("archives")
    return {
        f"/{name}.warc.gz": write_warc(folder / f"{name}.warc.gz", english_pages(n, site=f"{name}.org")).read_bytes()
        for name, n in N_PAGES.items()
    }


@pytest.fixture
def site(archives):
    lines = "".join(f"{name}.warc.gz\n" for name in NAMES)
    with Site({**archives, "/warc.paths": lines.encode()}) as site:
        yield site


def rows_of(warehouse: Warehouse) -> dict[str, int]:
    """Name of the archive -> its rows of `documents`."""
    found = [row["warc_path"].rpartition("/")[2].partition(".")[0] for row in read(warehouse.location, "documents")]
    return {name: found.count(name) for name in NAMES if name in found}


def make(warehouse: Warehouse, site: Site, **options) -> Outcome:
    return documents.make_documents(
        job_of(warehouse), ingest_plan.Source([f"{site.url}/warc.paths"]), batch_files=2, **options
    )


def unread(warehouse: Warehouse, site: Site, **options) -> dict[str, str]:
    """What a run says of the files that it could not read: name -> kind."""
    with pytest.raises(UnreadFilesError) as raised:
        make(warehouse, site, **options)
    assert all(f"{path}: {why}" in str(raised.value) for path, why in raised.value.unread.items())
    return {
        path.rpartition("/")[2].partition(".")[0]: why.partition(":")[0] for path, why in raised.value.unread.items()
    }


@pytest.mark.slow
def test_a_store_that_fails_loses_no_page(spark, warehouse, site, archives):
    site.down = {"/down.warc.gz": ALWAYS, "/heals.warc.gz": 3}
    site.cut = {"/cut.warc.gz": ALWAYS}
    site.files.pop("/absent.warc.gz")
    assert unread(warehouse, site) == {"down": "unreadable", "cut": "unreadable", "absent": "missing"}
    assert rows_of(warehouse) == {"fine": 2, "heals": 4}
    assert read(warehouse.location, "quarantine") == [], "an error of the store is no fault of a record"
    assert len(read(warehouse.location, "files")) == 2

    # It is not finished, and says so; nothing goes on with it.
    (entry,) = count_funnel(warehouse)
    assert entry["unread"]["reasons"] == {"missing": 1, "unreadable": 2} and "is_balanced" not in entry
    words = " ".join(format_funnel([entry]).split())
    assert "files not read 3" in words and f"not read: {site.url}/down.warc.gz: unreadable: " in words
    assert "not finished" in words
    with pytest.raises(WarehouseError, match="no finished documents"):
        make_annotated(job_of(warehouse))

    # The same call reads just those that are left.
    site.cut, site.files["/absent.warc.gz"] = {}, archives["/absent.warc.gz"]
    asked = site.asked.copy()
    assert unread(warehouse, site) == {"down": "unreadable"}
    assert rows_of(warehouse) == {name: n for name, n in N_PAGES.items() if name != "down"}
    assert (site.asked - asked).keys() <= {"/warc.paths", "/down.warc.gz", "/cut.warc.gz", "/absent.warc.gz"}

    # A run that is allowed to leave it out is finished, counts it, and adds up.
    accepted = make(warehouse, site, skip_unreadable=True)
    assert (accepted.is_new, accepted.run["n_unread_files"], accepted.run["n_rows_out"]) == (True, 1, 41)
    (entry,) = count_funnel(warehouse)
    assert entry["is_balanced"] and entry["unread"]["n"] == 1 and entry["files"] == 4
    assert make(warehouse, site, skip_unreadable=True).is_new is False
    # One that is not is not up to date; what stood before stands as long as nothing is added.
    runs = read(warehouse.location, "runs")
    assert unread(warehouse, site) == {"down": "unreadable"}
    assert read(warehouse.location, "runs") == runs

    site.down = {}
    whole = make(warehouse, site)
    assert (whole.is_new, whole.run["n_unread_files"], whole.run["n_rows_out"]) == (True, 0, 44)
    assert make(warehouse, site).is_new is False
    (entry,) = count_funnel(warehouse)
    assert entry["is_balanced"] and "unread" not in entry

    undisturbed = Warehouse(spark, f"{warehouse.location}-undisturbed")
    make(undisturbed, site)
    assert content(undisturbed.location, ["documents"]) == content(warehouse.location, ["documents"])


def interrupt(monkeypatch, table: str, nth: int):
    """Makes the nth append to a table the last thing that a run does not do."""
    append = Warehouse.append
    calls = iter(range(10**6))

    def interrupted(self, rows, name, **options):
        if name == table and next(calls) == nth:
            monkeypatch.setattr(Warehouse, "append", append)
            raise KeyboardInterrupt
        append(self, rows, name, **options)

    monkeypatch.setattr(Warehouse, "append", interrupted)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["files", "documents"])
def test_an_interrupted_batch_whose_files_fail_next_time(warehouse, site, monkeypatch, table):
    """Delta passes over a batch number that it has seen: neither may a file be lost by that, nor come twice."""

    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            make(warehouse, site)

    # The first batch holds `fine` and `down`. It is written, but not closed; then one of its files fails.
    interrupt(monkeypatch, table, 0)
    interrupted()
    site.down = {"/down.warc.gz": ALWAYS}
    assert unread(warehouse, site) == {"down": "unreadable"}
    assert rows_of(warehouse) == {name: n for name, n in N_PAGES.items() if name != "down"}
    # The same, when it is read again; another file fails in the meantime.
    site.down = {}
    interrupt(monkeypatch, table, 0)
    interrupted()
    site.down = {"/down.warc.gz": ALWAYS}
    assert unread(warehouse, site) == {"down": "unreadable"}
    assert rows_of(warehouse) == {name: n for name, n in N_PAGES.items() if name != "down"}
    site.down = {}
    assert make(warehouse, site).run["n_rows_out"] == 44
    assert rows_of(warehouse) == N_PAGES
    assert sorted(row["path"] for row in read(warehouse.location, "files")) == sorted(
        f"{site.url}/{name}.warc.gz" for name in NAMES
    )


def test_a_file_that_is_read_and_then_lost_fails_the_write(spark):
    """As where an executor is lost with its rows, and the store fails when they are read anew."""
    import pyarrow as pa

    from dclm_spark.spark.types import spark_schema

    rows = [("a", "text", None), ("b", None, "missing: b")]
    table = [{"dump": DUMP, "warc_path": path, "text": text, "unread": why} for path, text, why in rows]
    columns = spark_schema(pages.SCHEMA)
    table_of_pages = pa.Table.from_pylist(table, schema=pages.SCHEMA)
    frame = spark.createDataFrame(table_of_pages.to_pandas(), columns)
    assert [row["text"] for row in batches._whole_files(frame, {"b"}).where("text IS NOT NULL").collect()] == ["text"]
    for column in ("text", "kind"):
        with pytest.raises(Exception, match="could not be read again: b"):
            batches._whole_files(frame, set()).where(f"{column} IS NOT NULL").select("dump").collect()


@pytest.mark.slow
def test_nothing_readable_at_all(warehouse, site):
    site.down = {f"/{name}.warc.gz": ALWAYS for name in NAMES}
    assert set(unread(warehouse, site)) == set(NAMES)
    assert read(warehouse.location, "documents") == read(warehouse.location, "files") == []
    site.down = {}
    assert make(warehouse, site).run["n_rows_out"] == 44


class Breaking:
    """A stream that fails, with an error of the system's, once it has given so many bytes."""

    def __init__(self, data: bytes, n_good: int):
        import io

        self._stream, self._n_good = io.BytesIO(data), n_good

    def seek(self, *arguments):
        return self._stream.seek(*arguments)

    def tell(self):
        return self._stream.tell()

    def read(self, n=-1):
        if self._stream.tell() + max(n, 0) > self._n_good:
            raise OSError(5, "Input/output error")
        return self._stream.read(n)


@pytest.mark.once
def test_an_error_of_the_disk_is_no_fault_of_a_record(archives):
    data = archives["/cut.warc.gz"]
    batches = list(
        pages.read_pages(
            Breaking(data, len(data) // 2), path="x.warc.gz", dump="D", extraction=DCLM_BASELINE.extraction
        )
    )
    last = batches[-1].to_pylist()[-1]
    assert last["unread"] == "unreadable: OSError: [Errno 5] Input/output error"
    assert all(row["n_records"] is None and row["kind"] is None for batch in batches for row in batch.to_pylist())


@pytest.mark.once
def test_all_files_are_named_up_to_a_bound():
    error = UnreadFilesError("D", {f"s3://b/{n:03}.warc.gz": "unreadable: OSError: 503" for n in range(120)}, 500)
    assert isinstance(error, FaultLimitError)
    lines = str(error).splitlines()
    assert lines[0] == "120 of 500 files of D could not be read:" and lines[-2] == "  and 70 more"
    assert lines[1] == "  s3://b/000.warc.gz: unreadable: OSError: 503"


@pytest.mark.once
def test_a_plan_puts_files_off_behind_all_others():
    files = tuple((n // 2, n % 2, f"{n}.warc", None) for n in range(6))
    plan = ingest_plan.Plan("a", "p", files, 0)
    later = plan.put_off({"0.warc": "missing: x", "3.warc": "unreadable: y"}).put_off({"3.warc": "unreadable: z"})
    assert later.batches({file[2] for file in files}) == {
        0: ["1.warc"], 1: ["2.warc"], 2: ["4.warc", "5.warc"], 3: ["0.warc"], 4: ["3.warc"],
    }  # fmt: skip
    assert later.unread == {"0.warc": "missing: x", "3.warc": "unreadable: z"}
