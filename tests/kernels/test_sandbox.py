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
from dclm_spark.kernels.html import extractor, sandbox
from dclm_spark.kernels.html.extract import extract
from dclm_spark.kernels.html.extractor import ExtractorError
from dclm_spark.kernels.html.sandbox import CRASHED, GROWN, TOO_SLOW, Limits, extract_alone
from dclm_spark.recipe.extraction import Extraction
from tests.support.archives import ENGLISH, english_pages, write_warc

pytestmark = [pytest.mark.once, pytest.mark.busy]

DCLM = {"extractor": "resiliparse", "options": {"main_content": True}}
PAGE = f"<html><body><article><p>{ENGLISH}</p></article></body></html>"
SLOW = "<rt>" * 200_000  # minutes
GROWING = "<ol><li>x" * 3000  # a text of some megabytes
HUNGRY = "".join(f"<b a{i}>x<p>" for i in range(4000))  # gigabytes


def extractors() -> list[psutil.Process]:
    """Those of this process, at work or not."""
    return [child for child in psutil.Process().children() if any("extractor_process" in w for w in child.cmdline())]


def of_process() -> psutil.Process:
    [process] = extractors()
    return process


def is_asked(process: psutil.Process) -> bool:
    """Whether it is at work on a page."""
    return process.is_running() and sum(process.cpu_times()[:2]) > 0.15


def while_at_work(act) -> threading.Thread:
    """Does something to the process, once, in the middle of a page."""

    def watch():
        while not (found := [process for process in extractors() if is_asked(process)]):
            time.sleep(0.005)
        act(found[0])

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
    of_process().suspend()  # as if the machine had no time for it
    threading.Timer(0.5, of_process().resume).start()
    assert extract(PAGE, **DCLM, limits=Limits(cpu_seconds=0.05))[0]
    assert time.monotonic() - started > 0.5


def test_a_process_that_is_killed_costs_no_page():
    sandbox.end_idle()
    thread = while_at_work(lambda process: process.kill())
    slow = "<div>x" * 6000  # half a second
    text, failure = extract(slow, **DCLM)
    thread.join()
    assert failure is None and text.count("x") == 6000


def test_a_page_whose_process_is_killed_again_has_crashed():
    sandbox.end_idle()
    killed = []

    def kill_twice(process):
        process.kill()
        killed.append(process.pid)
        if len(killed) < 2:
            process.wait()
            while_at_work(kill_twice)

    while_at_work(kill_twice)
    assert extract(SLOW, **DCLM) == (None, (CRASHED, "the extractor's process ended: SIGKILL"))
    assert len(set(killed)) == 2
    assert extract(PAGE, **DCLM)[1] is None


def test_a_process_that_stands_still_is_ended(monkeypatch):
    monkeypatch.setattr(extractor, "_STUCK_SECONDS", 0.1)
    sandbox.end_idle()
    thread = while_at_work(lambda process: process.suspend())
    assert extract(SLOW, **DCLM, limits=Limits(cpu_seconds=0.5))[1].kind == TOO_SLOW  # in the second process
    thread.join()
    sandbox.end_idle()


def test_what_an_earlier_page_left_behind_decides_nothing():
    limits = Limits(memory_bytes=64 << 20)
    for page in (HUNGRY, PAGE, HUNGRY, PAGE):
        text, failure = extract(page, **DCLM, limits=limits)
        assert (failure and failure.kind) == (None if page is PAGE else GROWN)


def test_the_process_is_kept_for_the_next_page_and_another_choice_has_another():
    extract(PAGE, **DCLM)
    first = of_process()
    extract(PAGE, **DCLM)
    assert of_process() == first
    assert extract(PAGE, extractor="resiliparse", options={})[1] is None
    assert of_process() != first and not first.is_running()


def test_pages_are_sent_ahead_and_each_has_its_own_text_or_failure():
    sent = []
    bad = {1: "\ud800", 4: "", 5: None, 7: GROWING, 11: SLOW, 12: SLOW, 15: HUNGRY}
    pages = {n: bad.get(n, f"<p>{n}" * 1000) for n in range(20)}

    def watched():
        for n, page in pages.items():
            sent.append(n)
            yield n, page

    limits = Limits(cpu_seconds=0.3, memory_bytes=64 << 20, text_bytes=100_000)
    found = []
    for n, text, failure in extract_alone(watched(), **DCLM, limits=limits):
        found.append((n, text and text.split()[0], failure and failure.kind))
        if n == 6:
            assert len(sent) == 20  # neither many pages nor large ones
    expected = {1: (None, "extraction"), 4: ("", None), 5: (None, None), 7: (None, GROWN), 15: (None, GROWN)}
    expected |= {11: (None, TOO_SLOW), 12: (None, TOO_SLOW)}
    assert found == [(n, *expected.get(n, (str(n), None))) for n in pages]


def test_what_is_sent_ahead_is_bounded():
    sent = []
    pages = [(n, "<p>x" + "y" * (1 << 20)) for n in range(8)]
    taken = extract_alone((sent.append(page[0]) or page for page in pages), **DCLM, limits=Limits())
    next(taken)
    assert sent == [0, 1, 2]
    taken.close()  # in the middle of a page
    assert extractors() == [] and extract(PAGE, **DCLM)[1] is None


def test_pages_and_texts_larger_than_the_wire_holds_pass_each_other():
    pages = [(n, f"<p>{n} " + "y" * 700_000) for n in range(6)]
    options = {"extractor": "resiliparse", "options": {}}
    texts = [text for _, text, _ in extract_alone(pages, **options, limits=Limits())]
    assert [(text.split()[0], len(text)) for text in texts] == [(str(n), 700_002) for n in range(6)]


def test_two_at_once_have_a_process_each():
    first, second = (extract_alone([(n, f"<p>{n}") for n in "ab"], **DCLM, limits=Limits()) for _ in range(2))
    assert [(a[:2], b[:2]) for a, b in zip(first, second, strict=True)] == [((n, n), (n, n)) for n in "ab"]
    assert len(extractors()) == 2
    sandbox.end_idle()
    assert extractors() == []


def test_trafilatura_runs_under_it_too():
    slow = "<p>x" * 250_000
    chosen = {"extractor": "trafilatura", "options": {"include_comments": False}}
    assert extract(slow, **chosen, limits=Limits(cpu_seconds=0.5))[1].kind == TOO_SLOW
    assert extract(PAGE, **chosen)[0] == ENGLISH.strip()


def test_a_fork_has_a_process_of_its_own():
    extract(PAGE, **DCLM)
    ours = of_process().pid
    outlet, inlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = extract(PAGE, **DCLM)[0] or ""
        os.write(inlet, f"{of_process().pid} {said}".encode())
        sandbox.end_idle()
        os._exit(0)
    os.waitpid(pid, 0)
    theirs, said = os.read(outlet, 1000).decode().split(" ", 1)
    assert int(theirs) != ours and said.startswith("The harbour")
    assert of_process().pid == ours and extract(PAGE, **DCLM)[1] is None


def test_a_process_that_does_not_start_is_no_fault_of_a_page(monkeypatch, tmp_path):
    sandbox.end_idle()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ExtractorError, match="does not start: .*No such file"):
        extract(PAGE, **DCLM)
    monkeypatch.undo()
    monkeypatch.setattr(extractor, "_program", lambda: "raise SystemExit('no module')")
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
        import psutil
        from dclm_spark.kernels.html.extract import extract
        extract("<p>x", extractor="resiliparse", options={{}})
        print(psutil.Process().children()[0].pid, flush=True)
        extract("<rt>" * {len(SLOW) // 4}, extractor="resiliparse", options={{}})
        """,
        Path(dclm_spark.__file__).parents[1],
    )
    process = psutil.Process(int(worker.stdout.readline()))
    while not is_asked(process):
        time.sleep(0.01)
    worker.send_signal(number)
    worker.wait()
    process.wait(timeout=300)
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
    assert worker.communicate(timeout=600)[0] == "True ('x', None)\n"
