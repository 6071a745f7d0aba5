"""Small corpora with repeated paragraphs, and warehouses that hold them."""

import hashlib
import random
from collections.abc import Sequence
from typing import Any

from dclm_spark import schemas
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.job import Job
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.spark.rows import frame_of
from tests.support.near import WORDS


def texts(n: int, *, seed: int = 1, n_paragraphs: int = 6) -> list[str]:
    """Texts of paragraphs, some of which, and some whole texts, come again, with a word changed or not."""
    chance = random.Random(seed)
    pool: list[str] = []
    made: list[str] = []
    while len(made) < n:
        if made and chance.random() < 0.1:
            made.append(chance.choice(made))
            continue
        paragraphs = []
        for _ in range(chance.randrange(1, n_paragraphs)):
            kind = chance.random()
            if pool and kind < 0.3:
                words = chance.choice(pool).split(" ")
                if chance.random() < 0.5:
                    words[chance.randrange(len(words))] = chance.choice(WORDS)
                paragraphs.append(" ".join(words))
            elif kind < 0.4:
                paragraphs.append(" ".join(chance.choice(WORDS) for _ in range(chance.randrange(4))))
            else:
                paragraphs.append(" ".join(chance.choice(WORDS) for _ in range(chance.randrange(5, 40))))
                pool.append(paragraphs[-1])
        made.append("\n".join(paragraphs))
    return made


def doc_id(dump: str, number: int) -> str:
    """An id as `documents` has them."""
    return hashlib.md5(f"{dump} {number}".encode()).hexdigest()


def documents(made: Sequence[str], *, dump: str = "A", first: int = 0) -> list[dict[str, Any]]:
    """Rows of `filtered`."""
    return [
        {
            "doc_id": doc_id(dump, first + number),
            "dump": dump,
            "url": f"http://{'good' if number % 3 == 0 else 'other'}.org/page/{(first + number) % 50}",
            "host": f"{'www.good' if number % 3 == 0 else 'other'}.org",
            "language": "en",
            "n_words": len(text.split()),
            "text": text,
        }
        for number, text in enumerate(made)
    ]


def fill(warehouse: Warehouse, rows: Sequence[dict[str, Any]], *, recipe: Recipe, n_files: int = 1) -> None:
    """Rows of `filtered`, as a run of the recipe would have left them."""
    warehouse.prepare("filtered", "runs")
    for dump in sorted({row["dump"] for row in rows}):
        run = Job(warehouse, dump, recipe).run("filtered")
        own = [tuple(row.values()) for row in rows if row["dump"] == dump]
        frame = frame_of(warehouse.spark, own, schemas.FILTERED).repartition(n_files)
        commit = warehouse.replace(frame, "filtered", lineage=run.lineage, dump=dump)
        run.record(n_rows_in=commit.n_rows, n_rows_out=commit.n_rows, output_versions={"filtered": commit.version})
