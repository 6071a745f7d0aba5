"""Whatever is killed with -9, and whenever: the same command again ends with the rows of a run that nothing disturbed.

Each command is a process of its own with a JVM of its own, as a user's. `doomed.py` says how the moments are hit.
"""

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from tests.support.archives import english_pages, html, write_warc
from tests.support.cluster import standalone_cluster
from tests.support.kills import Lake, finish, opened, wait_for
from tests.support.tables import assert_balanced, assert_same, content, read, version

pytestmark = pytest.mark.slow

DUMP = "CC-MAIN-2022-05"
FILES = ("file-0", "file-1", "file-2", "file-3")  # two batches of two
DOCUMENTS = ("documents", "quarantine", "files")


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> Path:
    """Four archives; each holds pages to keep, one to remove, and ends too early, so that no table stays empty."""
    folder = tmp_path_factory.mktemp("archives")
    for name in FILES:
        site = f"{name}.org"
        pages = [
            *english_pages(8, site=site),
            (f"http://{site}/short", html("<p>Too short.</p>")),
            ("http://cut/", b"?"),
        ]
        path = write_warc(folder / f"{name}.warc.gz", pages)
        path.write_bytes(path.read_bytes()[:-60])
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, archives) -> Lake:
    """A warehouse that was made by one command, which nobody disturbed."""
    lake = Lake(tmp_path_factory.mktemp("undisturbed"), [DUMP], archives)
    assert lake.run("run") == list(FILES), "each archive is opened once, though its rows go to three tables"
    n_rows = {table: len(rows) for table, rows in content(lake.warehouse).items()}
    assert n_rows == {"documents": 36, "quarantine": 4, "files": 4, "annotated": 36, "filtered": 32, "removed": 4}
    assert_balanced(lake.warehouse, DUMP)
    return lake


@pytest.fixture
def lake(tmp_path, archives) -> Lake:
    return Lake(tmp_path, [DUMP], archives)


@pytest.mark.once
def test_a_driver_killed_in_every_stage_and_commit(lake, undisturbed):
    """One warehouse, killed again and again: each command goes on from what the one before it left."""
    shutil.copytree(undisturbed.warehouse, lake.warehouse)
    ledgers = ("plans", "quarantine", "documents", "files")

    # A restart, between what it clears and its new plan: the next command need not say --restart again.
    lake.kill("group", "after delete documents 0", "documents", "--restart")
    assert {row["attempt_id"] for row in read(lake.warehouse, "plans")} == {"clearing"}
    assert not read(lake.warehouse, "documents")
    # In the middle of reading: the plan is all there is.
    lake.kill("group", "reading file-1", "run")
    assert [len(read(lake.warehouse, table)) for table in ledgers] == [4, 0, 0, 0]
    base = lake.versions(*ledgers)

    def commits() -> tuple[int, ...]:
        return tuple(now - before for now, before in zip(lake.versions(*ledgers), base, strict=True))

    # Between two tables of one batch.
    lake.kill("driver", "before append documents 0", "run")
    assert commits() == (0, 1, 0, 0)
    # Inside a commit of the next batch: one of its files is there, no version names it.
    lake.kill("group", "within append documents 1", "run")
    assert commits() == (0, 2, 1, 1)
    assert lake.unnamed_files("documents")
    # Between `documents` and `files`: the batch is written, but not closed.
    names = lake.kill("group", "before append files 0", "run")
    assert commits() == (0, 2, 2, 1)
    assert names == ["file-2", "file-3"], "the first batch is closed: it is not opened again"
    # Inside the one commit of `annotated`.
    before = lake.versions("annotated", "removed", "filtered")
    names = lake.kill("driver", "within replace annotated 0", "run")
    assert names == ["file-2", "file-3"]
    assert commits() == (0, 2, 2, 2), "no batch is appended twice"
    assert lake.versions("annotated", "removed", "filtered") == before
    assert lake.unnamed_files("annotated")
    # Between the two tables of `filtered`.
    names = lake.kill("group", "before replace filtered 0", "run")
    assert names == []
    assert lake.versions("annotated", "removed", "filtered") == (before[0] + 1, before[1] + 1, before[2])

    assert lake.run("run") == []
    assert commits() == (0, 2, 2, 2)
    assert lake.versions("filtered") == (before[2] + 1,)
    assert_same(content(lake.warehouse), content(undisturbed.warehouse))
    assert_balanced(lake.warehouse, DUMP)


@pytest.mark.once
@pytest.mark.long
def test_clusters_that_were_killed_in_the_making(lake, undisturbed):
    """Inside the commit of `edges`, and between it and `duplicates`: what is made in the end is the same."""
    shutil.copytree(undisturbed.warehouse, lake.warehouse)
    lake.run("signatures")
    lake.kill("group", "within replace edges 0", "duplicates")
    assert (len(read(lake.warehouse, "edges")), bool(lake.unnamed_files("edges"))) == (0, True)
    lake.kill("driver", "before replace duplicates 0", "duplicates")
    assert read(lake.warehouse, "edges") and not read(lake.warehouse, "duplicates")
    lake.run("duplicates")
    tables = ("signatures", "edges", "duplicates")
    found = content(lake.warehouse, tables)
    assert len(found["duplicates"]) > 20
    lake.run("duplicates", "--force", "--conf=spark.sql.shuffle.partitions=3")
    assert_same(content(lake.warehouse, tables), found)


def test_a_killed_python_worker_costs_one_more_try_of_its_task(lake, undisturbed):
    names = lake.run("documents", victim="worker", moment="reading file-3")
    assert names == sorted([*FILES, "file-3"])
    assert_same(content(lake.warehouse, DOCUMENTS), content(undisturbed.warehouse, DOCUMENTS))


@pytest.mark.once
def test_a_killed_executor_costs_one_more_try_of_its_tasks(lake, undisturbed):
    with standalone_cluster() as cluster:
        settings = [f"--conf={key}={value}" for key, value in cluster.config.items()]
        process, notes = lake.start("nobody", "reading file-3", "documents", "--master", cluster.url, *settings)
        try:
            worker = psutil.Process(int(wait_for(notes / "reached", process)))
            executors = cluster.executor_pids()
            lost = next(parent.pid for parent in worker.parents() if parent.pid in executors)
            os.kill(lost, signal.SIGKILL)
        except BaseException:
            process.kill()
            raise
        finally:
            said = finish(process)
        assert process.returncode == 0, said
        assert lost not in cluster.executor_pids()
    # The lost executor may have read other files of the batch, which are read again with it.
    names = opened(notes)
    assert names.count("file-3") == 2
    assert names[:2] == ["file-0", "file-1"], "the batch that was closed before is not read again"
    assert_same(content(lake.warehouse, DOCUMENTS), content(undisturbed.warehouse, DOCUMENTS))


@pytest.mark.once
def test_a_table_whose_making_was_killed_is_made_again(warehouse):
    """Killed between the folder of its log and its first version."""
    (Path(warehouse.location) / "documents" / "_delta_log").mkdir(parents=True)
    assert warehouse.prepare("documents") == {"documents"}
    assert warehouse.prepare("documents") == set()
    assert version(warehouse.location, "documents") == 0
