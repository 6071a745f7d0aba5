"""An extractor's process: what a page may take of it, and what it may not take from others."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest

import dclm_spark
from dclm_spark.kernels.archive.pages import read_pages
from dclm_spark.kernels.html import sandbox
from dclm_spark.kernels.html.extract import extract
from dclm_spark.kernels.html.sandbox import CRASHED, GROWN, TOO_SLOW, ExtractorError, Limits
from dclm_spark.recipe.recipe import Extraction
from tests.archives import ENGLISH, english_pages, write_warc

pytestmark = pytest.mark.once

DCLM = {"extractor": "resiliparse", "options": {"main_content": True}}
PAGE = f"<html><body><article><p>{ENGLISH}</p></article></body></html>"
SLOW = "<rt>" * 200_000  # minutes
GROWING = "<ol><li>x" * 3000  # a text of some megabytes
HUNGRY = "".join(f"<b a{i}>x<p>" for i in range(4000))  # gigabytes


def of_process() -> psutil.Process:
    return psutil.Process(sandbox._process._process.pid)


def is_asked(process: psutil.Process) -> bool:
    """Whether it is at work on a page."""
    return process.is_running() and sum(process.cpu_times()[:2]) > 0.15


def while_at_work(act) -> threading.Thread:
    """Does something to the process, once, in the middle of a page."""

    def watch():
        while not (sandbox._process and is_asked(of_process())):
            time.sleep(0.005)
        act(of_process())

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def read(path: Path, **changes) -> list[dict]:
    with path.open("rb") as stream:
        batches = [*read_pages(stream, path=str(path), dump="D", extraction=Extraction(**changes))]
    return [row for batch in batches for row in batch.to_pylist()]


def test_one_page_is_too_slow_too_large_or_too_hungry_and_its_neighbours_are_documents(tmp_path):
    sound = english_pages(4)
    bad = [(f"http://s.org/{name}", page.encode()) for name, page in (("t", SLOW), ("l", GROWING), ("m", HUNGRY))]
    pages = [sound[0], bad[0], sound[1], bad[1], sound[2], bad[2], sound[3]]
    path = write_warc(tmp_path / "a.warc.gz", pages)
    *rows, tally = read(path, max_page_seconds=0.3, max_memory_bytes=64 << 20, max_text_bytes=100_000)
    assert [row["kind"] for row in rows] == [None, "too_slow", None, "too_large", None, "too_large", None]
    assert [row["url"] for row in rows] == [url for url, _ in pages]
    assert [row["message"] for row in rows if row["kind"]] == [
        "the extractor takes more than 0.3 s of CPU time, which is the limit",
        "a text of 9017999 bytes; the limit is 100000",
        "the extractor takes more than 64 MiB of memory, which is the limit",
    ]
    assert (tally["n_records"], tally["n_documents"], tally["n_quarantined"]) == (8, 4, 3)
    assert [row["text"] for row in rows if row["text"]] == [
        row["text"] for row in read(write_warc(tmp_path / "b.warc.gz", sound))[:-1]
    ]


def test_texts_that_come_without_an_extractor_have_the_same_limit(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": "é" * n}) + "\n" for n in (50, 51)))
    *rows, tally = read(path, max_text_bytes=100)
    assert [(row["kind"], row["message"]) for row in rows] == [
        (None, None),
        ("too_large", "a text of 102 bytes; the limit is 100"),
    ]
    assert tally["n_quarantined"] == 1


def test_the_limit_is_one_of_cpu_time():
    started = time.monotonic()
    assert extract(PAGE, **DCLM, limits=Limits(cpu_seconds=0.05))[0]
    sandbox._process._process.send_signal(signal.SIGSTOP)  # as if the machine had no time for it
    threading.Timer(0.5, sandbox._process._process.send_signal, [signal.SIGCONT]).start()
    assert extract(PAGE, **DCLM, limits=Limits(cpu_seconds=0.05))[0]
    assert time.monotonic() - started > 0.5


def test_a_process_that_is_killed_costs_no_page():
    sandbox._end()
    thread = while_at_work(lambda process: process.kill())
    slow = "<div>x" * 6000  # half a second
    text, failure = extract(slow, **DCLM)
    thread.join()
    assert failure is None and text.count("x") == 6000


def test_a_page_whose_process_is_killed_again_has_crashed():
    sandbox._end()
    killed = []

    def kill_twice(process):
        process.kill()
        killed.append(process.pid)
        if len(killed) < 2:
            while sandbox._process and sandbox._process._process.pid in killed:
                time.sleep(0.005)
            while_at_work(kill_twice)

    while_at_work(kill_twice)
    assert extract(SLOW, **DCLM) == (None, (CRASHED, "the extractor's process ended: SIGKILL"))
    assert len(set(killed)) == 2
    assert extract(PAGE, **DCLM)[1] is None


def test_a_process_that_stands_still_is_ended(monkeypatch):
    monkeypatch.setattr(sandbox, "_STUCK_SECONDS", 0.1)
    sandbox._end()
    thread = while_at_work(lambda process: process.suspend())
    assert extract(SLOW, **DCLM, limits=Limits(cpu_seconds=0.5))[1].kind == TOO_SLOW  # in the second process
    thread.join()
    sandbox._end()


def test_what_an_earlier_page_left_behind_decides_nothing():
    limits = Limits(memory_bytes=64 << 20)
    for page in (HUNGRY, PAGE, HUNGRY, PAGE):
        text, failure = extract(page, **DCLM, limits=limits)
        assert (failure and failure.kind) == (None if page is PAGE else GROWN)


def test_the_process_is_kept_for_the_next_page_and_another_choice_has_another():
    extract(PAGE, **DCLM)
    first = sandbox._process
    extract(PAGE, **DCLM)
    assert sandbox._process is first
    assert extract(PAGE, extractor="resiliparse", options={})[1] is None
    assert sandbox._process is not first
    assert first._process.poll() is not None


def test_trafilatura_runs_under_it_too():
    slow = "<p>x" * 250_000
    chosen = {"extractor": "trafilatura", "options": {"include_comments": False}}
    assert extract(slow, **chosen, limits=Limits(cpu_seconds=0.5))[1].kind == TOO_SLOW
    assert extract(PAGE, **chosen)[0] == ENGLISH.strip()


def test_a_fork_has_a_process_of_its_own():
    extract(PAGE, **DCLM)
    ours = sandbox._process._process.pid
    outlet, inlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = extract(PAGE, **DCLM)[0] or ""
        os.write(inlet, f"{sandbox._process._process.pid} {said}".encode())
        sandbox._end()
        os._exit(0)
    os.waitpid(pid, 0)
    theirs, said = os.read(outlet, 1000).decode().split(" ", 1)
    assert int(theirs) != ours and said.startswith("The harbour")
    assert of_process().pid == ours and extract(PAGE, **DCLM)[1] is None


def test_a_process_that_does_not_start_is_no_fault_of_a_page(monkeypatch, tmp_path):
    sandbox._end()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ExtractorError, match="does not start: .*No such file"):
        extract(PAGE, **DCLM)
    monkeypatch.undo()
    monkeypatch.setattr(sandbox, "_program", lambda: "raise SystemExit('no module')")
    with pytest.raises(ExtractorError, match="does not start: .*no module"):
        extract(PAGE, **DCLM)
    monkeypatch.undo()
    assert extract(PAGE, **DCLM)[1] is None


def run(code: str, path: Path) -> subprocess.Popen:
    """A program that finds the package at this path."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = os.environ | {"PYTHONPATH": str(path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd="/")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends with its page")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_its_worker(number):
    worker = run(
        f"""
        from dclm_spark.kernels.html import sandbox
        from dclm_spark.kernels.html.extract import extract
        extract("<p>x", extractor="resiliparse", options={{}})
        print(sandbox._process._process.pid, flush=True)
        extract("<rt>" * {len(SLOW) // 4}, extractor="resiliparse", options={{}})
        """,
        Path(dclm_spark.__file__).parents[1],
    )
    process = psutil.Process(int(worker.stdout.readline()))
    while not is_asked(process):
        time.sleep(0.01)
    worker.send_signal(number)
    worker.wait()
    process.wait(timeout=30)
    assert not process.is_running()


def test_the_package_may_be_a_zip(tmp_path):
    home = Path(dclm_spark.__file__).parent
    with zipfile.ZipFile(tmp_path / "dclm.zip", "w") as archive:
        for path in home.rglob("*.py"):
            archive.write(path, path.relative_to(home.parent))
    worker = run(
        """
        import dclm_spark
        from dclm_spark.kernels.html.extract import extract
        print(".zip" in dclm_spark.__file__, extract("<p>x", extractor="resiliparse", options={}))
        """,
        tmp_path / "dclm.zip",
    )
    assert worker.communicate(timeout=60)[0] == "True ('x', None)\n"
