"""Real crawl files, five dumps of them: every record is a row, a fault or a count, and no file ends the job."""

from dataclasses import replace
from pathlib import Path

import pytest
from warcio.exceptions import ArchiveLoadFailed

from dclm_spark.files.inputs import ARCHIVE
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.reports.funnel import count_funnel
from tests.support.chains import count_records, job_of, make_all
from tests.support.tables import assert_balanced, read

pytestmark = [pytest.mark.slow, pytest.mark.once]

# Of the two large dumps one file each, the smallest and a middling one: all of them take minutes.
DUMPS = {
    "crawl": "",
    "odd": "",
    "articles": "",
    "docs-2026-10": "docs-00002.warc.gz",
    "docs-2026-14": "docs-00000.warc.gz",
}
SOUND = ("crawl", "articles", "docs-2026-10", "docs-2026-14")


@pytest.fixture(scope="module")
def lake(spark, shared_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "lake"
    for dump, file in DUMPS.items():
        recipe = replace(DCLM_BASELINE, max_fault_share=0.1 if dump == "odd" else 0.01)
        make_all(job_of(Warehouse(spark, str(folder)), dump=dump, recipe=recipe), shared_data / "warc" / dump / file)
    return folder


@pytest.mark.parametrize("dump", DUMPS)
def test_a_dump_adds_up(lake, dump):
    assert_balanced(lake, dump)


def test_the_funnels_add_up(spark, lake):
    entries = count_funnel(Warehouse(spark, str(lake)))
    assert [entry["dump"] for entry in entries] == sorted(DUMPS)
    assert all(entry["is_balanced"] and not entry["is_stale"] for entry in entries)
    assert all(not entry["quarantined"] for entry in entries if entry["dump"] in SOUND)


def test_a_sound_file_has_as_many_records_as_warcio_reads(lake, shared_data):
    read_here = {Path(row["path"]): row["n_records"] for row in read(lake, "files") if row["dump"] in SOUND}
    assert len(read_here) == 13
    assert read_here == {path: count_records([path]).total() for path in read_here}


def test_every_odd_file_ends_in_rows_faults_or_skips(lake, shared_data):
    folder = shared_data / "warc" / "odd"
    tallies = {Path(row["path"]): row for row in read(lake, "files", dump="odd")}
    assert tallies.keys() == {path for path in folder.iterdir() if ARCHIVE.search(path.name)}
    assert all(row["n_records"] > 0 for row in tallies.values())
    for path, row in tallies.items():
        # warcio gives up on some; what it reads to the end is read here too.
        try:
            n_records = count_records([path]).total()
        except ArchiveLoadFailed:
            continue
        assert row["n_records"] == n_records, path.name
    faults = {(Path(row["warc_path"]).name, row["kind"]) for row in read(lake, "quarantine", dump="odd")}
    assert faults == {
        ("clipped.warc.gz", "truncated"),
        ("example-space-in-url.arc", "truncated"),
        ("example-trunc.warc", "bad_header"),
        ("invalid-warcfile-fields-invalidformat.warc", "bad_header"),
        ("invalid-warcfile-lonely-monkeys.warc", "bad_header"),
        ("invalid-warcfile-record-then-garbage.warc", "bad_header"),
    }
    # The same records stored three ways are the same pages.
    assert len({row["n_documents"] for path, row in tallies.items() if path.name.startswith("warcfile.")}) == 1
