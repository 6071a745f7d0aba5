"""However a command is ended, by Ctrl-C, by kill or with its JVM: it says so in a sentence, and leaves nobody behind.

Each is a process of its own with a JVM of its own, as a user's. `kill -INT` to the driver alone is what a scheduler
sends; Ctrl-C on a terminal goes to the whole group of processes.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from tests.support.archives import english_pages, write_warc
from tests.support.kills import ENVIRONMENT, Lake, family, finish
from tests.support.tables import assert_same, content

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
DUMP = "CC-MAIN-2022-05"
SECONDS = 1800  # for one command on a machine that does much else
CONTINUES = "run the same command again to continue"


class Stalling(BaseHTTPRequestHandler):
    """Serves one archive's head, and then waits until the server is closed."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "100000000")
        self.end_headers()

    def do_GET(self):
        self.server.is_asked.set()
        self.server.is_over.wait()

    def log_message(self, *_):
        pass


@pytest.fixture
def stalling() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        server.is_asked, server.is_over = threading.Event(), threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.is_over.set()
        server.shutdown()


def start(*arguments: object, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "dclm_spark", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(condition: Callable[[], object], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def java_of(process: subprocess.Popen) -> list[psutil.Process]:
    return [one for one in family(process.pid) if "java" in one.name()]


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    return [one for one in family(process.pid) if one.pid != process.pid and "daemon" in " ".join(one.cmdline())]


def end(process: subprocess.Popen, number: signal.Signals, *, group: bool = False) -> list[str]:
    """What the command said after a signal; the process is gone, and so are all that it started."""
    (os.killpg if group else os.kill)(process.pid, number)
    said, _ = process.communicate(timeout=SECONDS)
    left = [one.cmdline() for one in family(process.pid)]
    for member in family(process.pid):
        member.kill()
    assert process.returncode == 128 + number, said
    assert not left, f"{left} outlived their driver"
    lines = said.splitlines()
    assert not any("Traceback" in line or "ERROR" in line or "Exception" in line for line in lines), said
    return lines


INTERRUPTED = f"dclm-spark: interrupted; {CONTINUES}"


@pytest.mark.once
def test_while_its_modules_are_imported_and_while_the_input_is_looked_up(stalling, tmp_path):
    asked = ("documents", "--dump", DUMP, "--warehouse", tmp_path / "lake", "--input", f"{stalling.url}/warc.paths")
    process = start(*asked)
    time.sleep(0.6)
    lines = end(process, signal.SIGINT)
    assert len(lines) == 1 and lines[0].startswith("dclm-spark: interrupted")
    process = start(*asked)
    until(stalling.is_asked.is_set, process)
    assert end(process, signal.SIGINT, group=True) == [INTERRUPTED]


@pytest.mark.parametrize("moment", [0.0, 2.0])
def test_while_the_jvm_starts(tmp_path, moment):
    process = start("funnel", "--warehouse", tmp_path / "lake")
    until(lambda: java_of(process), process)
    time.sleep(moment)
    assert end(process, signal.SIGINT) == ["dclm-spark: interrupted; the same command begins anew"]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "number, group", [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False)], ids=str
)
def test_while_workers_read(stalling, tmp_path, number, group):
    (tmp_path / "tmp").mkdir()
    inputs = [f"{stalling.url}/{name}.warc.gz" for name in "ab"]
    process = start(
        *("documents", "--dump", DUMP, "--warehouse", tmp_path / "lake", "--master", "local[2]", "--input", *inputs),
        TMPDIR=str(tmp_path / "tmp"),
    )
    until(stalling.is_asked.is_set, process)
    assert workers_of(process) and java_of(process)
    assert end(process, number, group=group)[-1] == INTERRUPTED
    assert not list(tmp_path.glob("tmp/dclm_spark-catalog-*"))


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    for name in ("file-0", "file-1", "file-2"):
        write_warc(folder / f"{name}.warc.gz", english_pages(8, site=f"{name}.org"))
    return folder


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("group", [False, True])
def test_inside_a_commit_and_the_same_command_goes_on(archives, tmp_path, group):
    lake = Lake(tmp_path, [DUMP], archives)
    process, _ = lake.start("nobody", "within replace annotated 0", "run")
    until(lambda: list((tmp_path / "lake" / "annotated").rglob("part-*.parquet")), process)
    # The test's own --quiet hides all but the end.
    assert end(process, signal.SIGINT, group=group) == [INTERRUPTED]
    assert lake.run("run") == [], "documents are finished"
    whole = Lake(tmp_path / "whole", [DUMP], archives)
    whole.run("run")
    assert_same(content(lake.warehouse), content(whole.warehouse))


# -- a JVM that ends ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("session", [("--master", "local[2]"), ("--remote", "local[2]")], ids=["classic", "connect"])
def test_a_jvm_that_is_killed_is_named_so(stalling, tmp_path, session):
    process = start(
        "documents", "--dump", DUMP, "--warehouse", tmp_path / "lake", *session, "--input", f"{stalling.url}/a.warc.gz"
    )
    until(stalling.is_asked.is_set, process)
    (java,) = java_of(process)
    java.kill()
    lines = finish(process).splitlines()
    assert process.returncode == 1
    assert lines[-2].startswith("dclm-spark: Spark's Java process was killed (signal 9)")
    assert CONTINUES in lines[-1] and "--conf spark.driver.memory=" in lines[-1]
    assert not any("Traceback" in line or "Error" in line for line in lines), lines


@pytest.mark.slow
@pytest.mark.long
def test_a_jvm_whose_heap_is_full_is_named_so(tmp_path):
    """Rows of one task that no heap of 400 MB holds: each worker's answer is a text of 300 MB."""
    program = tmp_path / "full.py"
    program.write_text(
        """
import sys
from dclm_spark.cli import main
from dclm_spark.reports import funnel

def fill(warehouse, **_):
    rows = warehouse.spark.range(0, 1, 1, 1).selectExpr("repeat('word ', 100000000) AS text")
    rows.selectExpr("length(concat(text, text, text)) AS n").collect()

funnel.count_funnel = fill
main.main()
"""
    )
    arguments = ("funnel", "--warehouse", str(tmp_path / "lake"), "--conf", "spark.driver.memory=480m")
    done = subprocess.run(
        [sys.executable, str(program), *arguments, "--master", "local[1]"],
        capture_output=True,
        text=True,
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    first, second = [line for line in done.stderr.splitlines() if line.startswith("dclm-spark: ")]
    assert "ran out of memory: its heap has 480m (spark.driver.memory)" in first
    assert "--conf spark.driver.memory=" in second and "Traceback" not in done.stderr


def test_a_jvm_that_cannot_start_is_named_so(tmp_path):
    done = start("funnel", "--warehouse", tmp_path, "--conf", "spark.driver.memory=9000000g")
    lines = finish(done).splitlines()
    assert done.returncode == 2 and "Traceback" not in "".join(lines)
    assert lines[0].startswith("dclm-spark: Spark did not start") and "--conf spark.driver.memory=" in lines[-1]
