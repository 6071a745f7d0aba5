"""The loops that the stages are compared with, each a program of its own that prints its times as JSON.

python -m benchmarks.peers.bare documents FILE... reads, decodes and extracts every response of WARC files.
python -m benchmarks.peers.bare annotated FILE... identifies the language of every text of Parquet files.
python -m benchmarks.peers.bare chain FILE... does both: reads, decodes, extracts and identifies, response by response.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import resources
from typing import Any


def extract(paths: list[str], use: Callable[[str], Any] = len) -> dict[str, object]:
    """CPU and wall seconds of the loop, and CPU seconds a file; each text is handed to `use`."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    n_pages = n_chars = 0
    per_file = []
    began = time.perf_counter()
    for path in paths:
        began_file = time.process_time()
        with open(path, "rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                html = record.reader.read().decode("utf-8", "replace")
                text = extract_plain_text(html, main_content=True)
                use(text)
                n_chars += len(text)
                n_pages += 1
        per_file.append(time.process_time() - began_file)
    wall = time.perf_counter() - began
    return {"cpu": sum(per_file), "wall": wall, "per_file": per_file, "n_pages": n_pages, "n_chars": n_chars}


def identifier() -> Callable[[str], Any]:
    """What gives a text's language, model loaded."""
    import fasttext

    with resources.as_file(resources.files("dclm_spark") / "data" / "lid.176.ftz") as path:
        model = fasttext.load_model(str(path))
    return lambda text: model.predict(text.replace("\n", ""))


def predict(paths: list[str]) -> dict[str, object]:
    """CPU and wall seconds of the loop; reading the texts is not counted."""
    import pyarrow.parquet as pq

    identify = identifier()
    texts = [text for path in paths for text in pq.ParquetFile(path).read(columns=["text"])["text"].to_pylist()]
    began, began_wall = time.process_time(), time.perf_counter()
    for text in texts:
        identify(text)
    return {
        "cpu": time.process_time() - began,
        "wall": time.perf_counter() - began_wall,
        "n_pages": len(texts),
        "n_chars": sum(map(len, texts)),
    }


def extract_and_predict(paths: list[str]) -> dict[str, object]:
    """CPU and wall seconds of both in one loop."""
    return extract(paths, identifier())


LOOPS = {"documents": extract, "annotated": predict, "chain": extract_and_predict}

if __name__ == "__main__":
    loop, *arguments = sys.argv[1:]
    print(json.dumps(LOOPS[loop](arguments)))
