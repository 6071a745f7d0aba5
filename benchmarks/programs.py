"""The programs that are timed, each in its own process: `python -m benchmarks.programs NAME ARGUMENTS` prints JSON."""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def bare_documents(*paths: str) -> dict:
    """The floor of `documents`: fastwarc, decode, resiliparse, one Python loop."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    started, clock = time.perf_counter(), time.process_time()
    by_file, n_pages = {}, 0
    for path in paths:
        before = time.process_time()
        with open(path, "rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                extract_plain_text(record.reader.read().decode("utf-8", "replace"), main_content=True)
                n_pages += 1
        by_file[path] = time.process_time() - before
    return {"cpu": time.process_time() - clock, "wall": time.perf_counter() - started, "n": n_pages, "files": by_file}


def bare_language(texts: str) -> dict:
    """The floor of `annotated`: fastText's own predict over the same texts, which are read before the clock starts."""
    from importlib.resources import as_file, files

    import fasttext
    import pyarrow.parquet as pq

    lines = [text.replace("\n", "") for text in pq.read_table(texts)["text"].to_pylist()]
    with as_file(files("dclm_spark") / "data" / "lid.176.ftz") as path:
        model = fasttext.load_model(str(path))
    model.predict("warm")
    started, clock = time.perf_counter(), time.process_time()
    for line in lines:
        model.predict(line)
    return {"cpu": time.process_time() - clock, "wall": time.perf_counter() - started, "n": len(lines)}


def stages(cores: str, runs: str, texts: str, *paths: str) -> dict:
    """`documents` and `annotated` over the files, again and again in one session: CPU of the whole process tree."""
    from dclm_spark.chain import Job, make_annotated, make_documents
    from dclm_spark.ingest import Source
    from dclm_spark.recipes import DCLM_BASELINE
    from dclm_spark.session import get_session
    from dclm_spark.tables import Warehouse

    spark = get_session(master=f"local[{cores}]")
    peak = _PeakMemory()
    done: dict[str, list] = {"documents": [], "annotated": []}
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(spark, f"{folder}/lake")
        for run in range(int(runs)):
            job = Job(warehouse, f"run-{run}", DCLM_BASELINE, is_quiet=True)
            done["documents"].append(_measured(lambda job=job: make_documents(job, Source(paths))))
            if texts != "-":
                done["annotated"].append(_measured(lambda job=job: make_annotated(job)))
        if texts != "-":
            warehouse.read("documents", dump="run-0").select("text").coalesce(1).write.parquet(texts)
        spark.stop()
    return {**done, "peak_worker_bytes": peak.stop()}


def _measured(work: Callable) -> dict:
    started, clock = time.perf_counter(), _tree_cpu()
    n_rows = work().run["n_rows_out"]
    return {"cpu": _tree_cpu() - clock, "wall": time.perf_counter() - started, "n": n_rows}


def _tree_cpu() -> float:
    """CPU seconds of this process, its JVM and their Python workers, those that have ended included."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        # What ended children have used is in their parent's account once it has waited for them.
        total += times.user + times.system + times.children_user + times.children_system
    return total


class _PeakMemory:
    """The largest resident memory that one Python worker had, watched from a thread."""

    def __init__(self) -> None:
        self._peak, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.2):
            for process in me.children(recursive=True):
                try:
                    if "pyspark.daemon" in " ".join(process.cmdline()):
                        self._peak = max(self._peak, process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self._peak


def cut_anew(folder: str, n_files: str, *paths: str) -> dict:
    """The records of the files dealt out to new ones of equal size: each member goes to the smallest file so far."""
    from fastwarc.warc import ArchiveIterator

    n = int(n_files)
    outs = [open(Path(folder) / f"part-{i:02}.warc.gz", "wb") for i in range(n)]  # noqa: SIM115
    sizes = [0] * n
    for path in paths:
        data = Path(path).read_bytes()
        starts = [record.stream_pos for record in ArchiveIterator(open(path, "rb"), parse_http=False)]  # noqa: SIM115
        for start, stop in zip(starts, [*starts[1:], len(data)], strict=True):
            smallest = sizes.index(min(sizes))
            outs[smallest].write(data[start:stop])
            sizes[smallest] += stop - start
    for out in outs:
        out.close()
    return {"files": [out.name for out in outs]}


def large_pages(path: str) -> dict:
    """A WARC file of pages from 1 to 100 MB."""
    from io import BytesIO

    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with open(path, "wb") as out:
        writer = WARCWriter(out, gzip=True)
        for megabytes in (1, 5, 20, 50, 100, 100, 1):
            payload = b"<html><body>" + b"<p>A paragraph of a page that has no end.</p>\n" * (megabytes * 22_000)
            head = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            url = f"http://example.org/{megabytes}"
            writer.write_record(writer.create_warc_record(url, "response", payload=BytesIO(payload), http_headers=head))
    return {"path": path}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
