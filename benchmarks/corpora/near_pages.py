"""Corpora with near-duplicates.

    python -m benchmarks.corpora.near_pages OUT [--data ../shared/data/warc] [--megabytes 300]

OUT/docs holds the main content of every page of `docs-2026-10` and `docs-2026-14`, which share many pages;
OUT/variants holds texts made of those pages, each by its number alone: exact copies, moved paragraphs, and words that
are replaced, dropped or put in, at rates that spread the Jaccard index of word 5-grams to the page evenly over .3 to 1.
Each is there twice, as .jsonl (`id`, `dump`, `text`; a variant's `page` too) and as .parquet (`schemas.FILTERED`, its
language null). Same pages, same files.
"""

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from benchmarks.corpora.jaccard import SEED, SHINGLE_SIZE
from dclm_spark.kernels.archive import pages
from dclm_spark.kernels.signals.urls import measure_urls
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.schemas import FILTERED

DATA = Path(__file__).parents[3] / "shared" / "data" / "warc"
DUMPS = ("docs-2026-10", "docs-2026-14")
MIN_JACCARD = 0.3
FRAC_COPIES = 0.1
FRAC_MOVED = 0.1
MAX_CHARS = 10_000  # of a page that variants are made of: as many texts to the byte as on the web
MIN_WORDS = 50
N_VOCABULARY = 50_000
ROWS_OF_A_GROUP = 2_000

PIECE = re.compile(r"\s*\S+")  # a word with the white space before it


# -- variants ---------------------------------------------------------------------------------------------------------


def vary(text: str, number: int, vocabulary: list[str]) -> str:
    """The variant of this number."""
    rng = np.random.default_rng([SEED, number])
    kind = rng.random()
    if kind < FRAC_COPIES:
        return text
    if kind < FRAC_COPIES + FRAC_MOVED:
        paragraphs = text.split("\n")
        rng.shuffle(paragraphs)
        return "\n".join(paragraphs)
    jaccard = rng.uniform(MIN_JACCARD, 1)
    # A share s of shingles unharmed gives a Jaccard index of s / (2 - s); s is the chance that no word of five changes.
    rate = 1 - (2 * jaccard / (1 + jaccard)) ** (1 / SHINGLE_SIZE)
    pieces = PIECE.findall(text)
    (changed,) = np.nonzero(rng.random(len(pieces)) < rate)
    words = rng.integers(len(vocabulary), size=len(changed))
    for index, edit, word in zip(changed.tolist(), rng.integers(3, size=len(changed)), words, strict=True):
        piece, word = pieces[index], vocabulary[word]
        if edit == 0:
            pieces[index] = piece[: len(piece) - len(piece.lstrip())] + word
        elif edit == 1:
            pieces[index] = ""
        else:
            pieces[index] = f" {word} {piece.lstrip()}"
    return "".join(pieces)


def variants(table: pa.Table, n_bytes: int) -> Iterator[dict[str, str | None]]:
    """Variants of the pages in turn, until their texts have so many bytes."""
    n_words = table["n_words"].to_numpy()
    n_chars = pc.utf8_length(table["text"]).to_numpy()
    some = table.filter(pa.array((n_words >= MIN_WORDS) & (n_chars <= MAX_CHARS))).to_pylist()
    words = sorted({word for page in some for word in page["text"].split()})
    vocabulary = np.random.default_rng(SEED).choice(words, N_VOCABULARY).tolist()
    number = 0
    while n_bytes > 0:
        page = some[number % len(some)]
        text = vary(page["text"], number, vocabulary)
        n_bytes -= len(text.encode())
        doc_id = xxhash.xxh3_128_hexdigest(f"{page['doc_id']} {number}".encode())
        yield page | {"doc_id": doc_id, "text": text, "n_words": len(text.split()), "page": page["doc_id"]}
        number += 1


# -- files ------------------------------------------------------------------------------------------------------------


def read_pages(data: Path, dumps: Sequence[str] = DUMPS) -> Iterator[dict[str, str | None]]:
    """Every page of these dumps as a row of `schemas.FILTERED`."""
    for dump in dumps:
        for path in sorted((data / dump).glob("*.warc.gz")):
            with path.open("rb") as stream:
                for batch in pages.read_pages(stream, path=path.name, dump=dump, extraction=DCLM_BASELINE.extraction):
                    batch = batch.filter(pc.is_valid(batch["text"]))
                    host = measure_urls(batch["url"], strict=(), hard=(), soft=()).field("host")
                    for page, name in zip(batch.select(FILTERED.names[:3] + ["text"]).to_pylist(), host, strict=True):
                        yield page | {"host": name.as_py(), "language": None, "n_words": len(page["text"].split())}


def write(rows: Iterable[dict], target: Path) -> None:
    """The rows, as `target`.jsonl and `target`.parquet."""
    rows = iter(rows)
    n_rows = n_bytes = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        target.with_suffix(".jsonl").open("w", encoding="utf-8") as lines,
        pq.ParquetWriter(target.with_suffix(".parquet"), FILTERED) as parquet,
    ):
        while group := list(islice(rows, ROWS_OF_A_GROUP)):
            parquet.write_table(pa.Table.from_pylist(group, FILTERED))
            for row in group:
                line = {"id": row["doc_id"], "dump": row["dump"], "text": row["text"]}
                lines.write(json.dumps(line | ({"page": row["page"]} if "page" in row else {})) + "\n")
                n_bytes += len(row["text"].encode())
            n_rows += len(group)
    print(f"{target}: {n_rows:,} documents, {n_bytes / 1e6:.1f} MB of text")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpora.near_pages", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=DATA, help="%(default)s")
    parser.add_argument("--megabytes", type=float, default=300, help="of text among the variants; %(default)s")
    arguments = parser.parse_args()
    write(read_pages(arguments.data), arguments.out / "docs")
    write(
        variants(pq.read_table(arguments.out / "docs.parquet"), arguments.megabytes * 1e6), arguments.out / "variants"
    )


if __name__ == "__main__":
    main()
