"""`documents`: each record of a file becomes a document, a fault or a count, on a task of its own file."""

import pyarrow as pa
import pytest

from dclm_spark import schemas
from dclm_spark.kernels.archive import pages
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.stages.columns import one_a_task
from dclm_spark.stages.documents import extract_documents
from tests.support.archives import english_pages, write_warc


def open_file(path):
    return open(path, "rb")


def _extract(spark, paths):
    files = one_a_task(spark, [str(path) for path in paths])
    return extract_documents(files, dump="D", open_file=open_file, recipe=DCLM_BASELINE).collect()


@pytest.fixture
def warcs(tmp_path):
    return [write_warc(tmp_path / f"file-{i}.warc.gz", english_pages(3 + i, site=f"s{i}.org")) for i in range(3)]


def test_every_record_is_a_row_or_a_count(spark, warcs, tmp_path):
    clipped = tmp_path / "clipped.warc.gz"
    clipped.write_bytes(warcs[0].read_bytes()[:-60])
    missing = tmp_path / "missing.warc.gz"
    rows = _extract(spark, [*warcs, clipped, missing])
    tallies = {row["warc_path"]: row for row in rows if row["n_records"] is not None}
    for path in [*warcs, clipped]:
        mine = [row for row in rows if row["warc_path"] == str(path)]
        documents = sum(row["text"] is not None for row in mine)
        faults = sum(row["kind"] is not None for row in mine)
        tally = tallies[str(path)]
        assert (tally["n_documents"], tally["n_quarantined"]) == (documents, faults)
        assert tally["n_records"] == documents + faults + sum(tally["skips"].values())
    assert [tallies[str(path)]["n_documents"] for path in warcs] == [3, 4, 5]
    assert tallies[str(warcs[0])]["skips"] == {"type:warcinfo": 1}
    # A file that cannot be opened has no tally: nothing is known of its records.
    (unread,) = [row for row in rows if row["warc_path"] == str(missing)]
    assert unread["unread"].startswith(f"{pages.MISSING}: FileNotFoundError: ")
    assert unread["kind"] is unread["n_records"] is unread["text"] is None
    assert tallies[str(clipped)]["n_quarantined"] == 1


def test_a_document_has_what_a_data_engineer_asks_for(spark, warcs):
    row = next(row for row in _extract(spark, warcs[:1]) if row["url"] == "http://s0.org/0")
    assert (row["http_status"], row["content_type"], row["charset"]) == (200, "text/html", "utf-8")
    assert row["html_bytes"] > 500
    assert f"{row['fetched_at']:%Y-%m-%d}" == "2022-01-17"
    assert row["warc_record_id"] == "<urn:uuid:file-0.w-0000-0000-0000-000000000001>"
    assert row["text"].startswith("Note number 0 of the harbour book.")


def test_ids_survive_another_folder_and_another_order(spark, warcs, tmp_path):
    moved = []
    for path in warcs:
        copy = tmp_path / "elsewhere" / path.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
        moved.append(copy)
    ids = {row["url"]: row["doc_id"] for row in _extract(spark, warcs) if row["doc_id"]}
    assert ids == {row["url"]: row["doc_id"] for row in _extract(spark, moved[::-1]) if row["doc_id"]}
    assert len(set(ids.values())) == 12
    assert all(len(doc_id) == 32 for doc_id in ids.values())


def test_each_file_has_a_task_of_its_own(spark):
    def number(batches):
        from pyspark import TaskContext

        for batch in batches:
            task = TaskContext.get().partitionId()
            yield pa.RecordBatch.from_pydict({"task": [task] * batch.num_rows, "path": batch["path"]})

    for n in (1, 7, 23):
        files = one_a_task(spark, [f'"{i}" \\ é' for i in range(n)])
        rows = files.mapInArrow(number, "task BIGINT, path STRING").collect()
        assert sorted(map(tuple, rows)) == [(i, f'"{i}" \\ é') for i in range(n)]


def test_the_rows_fit_the_tables():
    fields = {field.name: field.type for field in pages.SCHEMA}
    for table in ("documents", "quarantine"):
        for field in schemas.TABLES[table]:
            assert fields[field.name] == field.type
