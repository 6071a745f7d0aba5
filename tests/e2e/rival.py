"""A process that makes stages as it is told, at the same moment as another.

    python rival.py NAME ARCHIVES SETTINGS HAS_LOCKS

Each line of its input is JSON: the `stage` to make, the folder `lake`, the folder `meeting` where the rivals meet, and
`together`, how many they are. Each line of its output is JSON: `is_new` of what it has made, or the sentence by which
it was `refused`.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dclm_spark.errors import DclmError
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import documents
from dclm_spark.pipeline.annotated import make_annotated
from dclm_spark.pipeline.deduplicated import make_deduplicated
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.filtered import make_filtered
from dclm_spark.pipeline.ingest_plan import Source
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.deduplication import Bloom, Exact, Near
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.spark.session import get_session
from tests.support.chains import DUMP, RECIPE

RIVALS_RECIPE = replace(
    RECIPE,
    signatures=MinHash(),
    duplicates=NearDuplicates(scope="incremental"),
    deduplication=(
        Exact("exact", "url", scope="incremental"),
        Near(),
        Bloom(min_ngram=5, max_ngram=5, filter="exact", scope="incremental"),
    ),
)
TABLES = {
    "documents": ("documents", "quarantine", "files"),
    "annotated": ("annotated",),
    "filtered": ("filtered", "removed"),
    "signatures": ("signatures",),
    "duplicates": ("duplicates", "edges"),
    "deduplicated": ("deduplicated", "removed", "cuts", "decisions", "exact_keys"),
}
"""Stage -> the tables whose rows it makes, in the order of the flow."""


def make(stage: str, job: Job, archives: str) -> bool:
    outcomes = {
        "documents": lambda: [documents.make_documents(job, Source([archives]), batch_files=2)],
        "annotated": lambda: [make_annotated(job)],
        "filtered": lambda: [make_filtered(job)],
        "signatures": lambda: [make_signatures(job)],
        "duplicates": lambda: make_duplicates(job, [DUMP]),
        "deduplicated": lambda: make_deduplicated(job, [DUMP]),
    }[stage]()
    return any(outcome.is_new for outcome in outcomes)


def meet(name: str, meeting: Path, together: int) -> None:
    """Waits for the others."""
    (meeting / name).touch()
    while len(list(meeting.iterdir())) < together:
        time.sleep(0.002)


def forget_locks() -> None:
    """Makes the disk one without locks, as a bucket is."""

    @contextlib.contextmanager
    def unlocked(self, *_, **__) -> Iterator[bool]:
        yield False

    Warehouse.locked = unlocked
    Warehouse.writing = unlocked


def main() -> None:
    name, archives, settings, has_locks = sys.argv[1:]
    if has_locks == "no":
        forget_locks()
    spark = get_session(master="local[2]", config=json.loads(settings))
    for line in sys.stdin:
        asked = json.loads(line)
        job = Job(Warehouse(spark, asked["lake"]), DUMP, RIVALS_RECIPE, is_quiet=True)
        meet(name, Path(asked["meeting"]), asked["together"])
        try:
            answer = {"is_new": make(asked["stage"], job, archives)}
        except DclmError as error:
            answer = {"refused": str(error)}
        except Exception as error:
            answer = {"failed": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
