"""Whatever is killed with -9, and whenever: the same command again ends with the rows of a run that nothing disturbed.

Each command is a process of its own with a JVM of its own, as a user's. `doomed.py` says how the moments are hit.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.archives import english_pages, html, write_warc
from tests.cluster import standalone_cluster
from tests.tables import assert_balanced, assert_same, content, read, version

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOOMED = Path(__file__).with_name("doomed.py")
DUMP = "CC-MAIN-2022-05"
FILES = ("file-0", "file-1", "file-2", "file-3")  # two batches of two
DOCUMENTS = ("documents", "quarantine", "files")
SECONDS = 900  # for one command on a machine that does much else
# A process that lives for seconds is best compiled lightly, and its tables of a few rows need no spreading.
ENVIRONMENT = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", "PYTHONPATH": str(ROOT)}
SETTINGS = (
    "spark.sql.adaptive.enabled=false",
    "spark.sql.shuffle.partitions=1",
    "spark.databricks.delta.snapshotPartitions=1",
)


class Lake:
    """A warehouse, and the commands that are run on it, each in a session (of processes) of its own."""

    def __init__(self, folder: Path, archives: Path):
        self.folder = folder
        self.warehouse = folder / "lake"
        self._archives = archives
        self._n = 0

    def start(self, victim: str, moment: str, command: str, *options: str) -> tuple[subprocess.Popen, Path]:
        """Starts a command that is watched; gives the process and the folder of its notes."""
        notes = self.folder / f"notes-{self._n}"
        notes.mkdir(parents=True)
        self._n += 1
        arguments = [command, "--warehouse", str(self.warehouse), "--dump", DUMP, "--quiet", *options]
        if command in ("run", "documents"):
            arguments += ["--input", str(self._archives), "--batch-files", "2", "--max-fault-share", "0.5"]
        if "--master" not in options:
            arguments += ["--master", "local[2]"]
        arguments += [f"--conf={setting}" for setting in SETTINGS]
        process = subprocess.Popen(
            [sys.executable, str(DOOMED), str(notes), victim, moment, *arguments],
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return process, notes

    def kill(self, victim: str, moment: str, command: str, *options: str) -> list[str]:
        """Runs a command until it is killed and its processes are gone; gives the names of the archives it opened."""
        process, notes = self.start(victim, moment, command, *options)
        said = finish(process)
        assert process.returncode == -signal.SIGKILL, said
        return opened(notes)

    def run(self, command: str, *options: str, victim: str = "nobody", moment: str = "reading none") -> list[str]:
        """Runs a command to its end; gives the names of the archives it opened."""
        process, notes = self.start(victim, moment, command, *options)
        said = finish(process)
        assert process.returncode == 0, said
        return opened(notes)

    def versions(self, *tables: str) -> tuple[int, ...]:
        return tuple(version(self.warehouse, table) for table in tables)

    def unnamed_files(self, table: str) -> set[str]:
        """The files of a table that none of its versions names: those of a commit that never came."""
        folder = self.warehouse / table
        named = "".join(commit.read_text() for commit in (folder / "_delta_log").glob("*.json"))
        return {path.name for path in folder.rglob("part-*.parquet") if path.name not in named}


def finish(process: subprocess.Popen) -> str:
    """What a process said, once it has ended and left nobody behind: a JVM without its driver has to end by itself."""
    try:
        said, _ = process.communicate(timeout=SECONDS)
        deadline = time.monotonic() + 60
        while (left := family(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, f"{left} outlived their driver by a minute"
        return said
    finally:
        for member in family(process.pid):
            member.kill()


def family(session: int) -> list[psutil.Process]:
    """The processes of a session, whoever their parents are now."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


def opened(notes: Path) -> list[str]:
    """The archives that a command opened, without suffixes, sorted, repetitions and all."""
    path = notes / "opened"
    return sorted(line.partition(".")[0] for line in path.read_text().splitlines()) if path.exists() else []


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
    lake = Lake(tmp_path_factory.mktemp("undisturbed"), archives)
    assert lake.run("run") == list(FILES), "each archive is opened once, though its rows go to three tables"
    n_rows = {table: len(rows) for table, rows in content(lake.warehouse).items()}
    assert n_rows == {"documents": 36, "quarantine": 4, "files": 4, "annotated": 36, "filtered": 32, "removed": 4}
    assert_balanced(lake.warehouse, DUMP)
    return lake


@pytest.fixture
def lake(tmp_path, archives) -> Lake:
    return Lake(tmp_path, archives)


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


def test_a_table_whose_making_was_killed_is_made_again(warehouse):
    """Killed between the folder of its log and its first version."""
    (Path(warehouse.location) / "documents" / "_delta_log").mkdir(parents=True)
    assert warehouse.prepare("documents") == {"documents"}
    assert warehouse.prepare("documents") == set()
    assert version(warehouse.location, "documents") == 0


def wait_for(path: Path, process: subprocess.Popen) -> str:
    """The content of a file as soon as it is there."""
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{path} never appeared"
        time.sleep(0.05)
    return path.read_text()
