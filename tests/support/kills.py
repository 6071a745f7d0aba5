"""Commands that are killed with -9, each a process of its own with a JVM of its own; `e2e/doomed.py` says how."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.support.tables import version

ROOT = Path(__file__).parents[2]
DOOMED = ROOT / "tests" / "e2e" / "doomed.py"
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

    def __init__(self, folder: Path, dumps: Sequence[str], archives: Path | None = None):
        self.folder = folder
        self.warehouse = folder / "lake"
        self._dumps = dumps
        self._archives = archives
        self._n = 0

    def start(self, victim: str, moment: str, command: str, *options: str) -> tuple[subprocess.Popen, Path]:
        """Starts a command that is watched; gives the process and the folder of its notes."""
        notes = self.folder / f"notes-{self._n}"
        notes.mkdir(parents=True)
        self._n += 1
        arguments = [command, "--warehouse", str(self.warehouse), "--dump", *self._dumps, "--quiet", *options]
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


def wait_for(path: Path, process: subprocess.Popen) -> str:
    """The content of a file as soon as it is there."""
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{path} never appeared"
        time.sleep(0.05)
    return path.read_text()
