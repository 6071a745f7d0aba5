"""The chain as tests call it, and a small dump whose every record is known."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator

from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline import documents
from dclm_spark.pipeline.annotated import make_annotated
from dclm_spark.pipeline.filtered import make_filtered
from dclm_spark.pipeline.ingest_plan import Source
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.run_stage import Outcome
from dclm_spark.recipe.builtin import DCLM_BASELINE
from dclm_spark.recipe.recipe import Recipe
from tests.support.archives import english_pages, html, write_warc

DUMP = "CC-MAIN-2022-05"

RECIPE = replace(
    DCLM_BASELINE,
    name="tested",
    extraction=replace(DCLM_BASELINE.extraction, max_page_bytes=20_000),
    max_fault_share=0.5,
)
"""DCLM-Baseline with a page limit that a small file can pass."""

STRICTER = replace(
    RECIPE,
    name="stricter",
    bounds=tuple(
        replace(bound, at_least=115) if bound.signal == "quality.n_words" else bound for bound in RECIPE.bounds
    ),
)
"""The same recipe with one bound moved: it parts the pages of `write_dump` that `RECIPE` keeps."""

SHORT, GERMAN, LARGE, LOST = (f"http://other.org/{name}" for name in ("short", "german", "large", "lost"))

_GERMAN = "Der Hafen der alten Stadt liegt westlich der Hügel, und der Weg dorthin ist älter als jede Erinnerung. "


def write_dump(folder: Path) -> Path:
    """A folder of four archives and a note: pages to keep and to remove, skips of three kinds, one fault."""
    short, german = (SHORT, html("<p>Too short to stay.</p>")), (GERMAN, html(f"<p>{_GERMAN * 9}</p>"))
    large = (LARGE, html(f"<p>{'A page above the limit. ' * 1000}</p>"))
    write_warc(folder / "file-0.warc.gz", english_pages(5, site="long.org"))
    write_warc(folder / "file-1.warc.gz", [*english_pages(3, site="brief.org", words=100), short, german, large])
    write_warc(folder / "images.warc.gz", [("http://other.org/image", b"\x89PNG")] * 2, content_type="image/png")
    write_warc(folder / "lost.warc", [(LOST, html("<p>Gone.</p>"))], status="404 Not Found")
    (folder / "notes.md").write_text("no archive")
    return folder


def count_records(paths: Iterable[Path]) -> Counter[str]:
    """The records of sound archives by type, counted by warcio."""
    counts = Counter()
    for path in paths:
        with open(path, "rb") as stream:
            counts.update(record.rec_type for record in ArchiveIterator(stream, arc2warc=True))
    return counts


def job_of(warehouse: Warehouse, *, dump: str = DUMP, recipe: Recipe = RECIPE, **options) -> Job:
    return Job(warehouse, dump, recipe, is_quiet=True, **options)


def make_documents(job: Job, *inputs: Path, **options) -> Outcome:
    return documents.make_documents(job, Source([str(path) for path in inputs]), **options)


def make_all(job: Job, *inputs: Path, **options) -> list[Outcome]:
    """What each stage did, in the order of the flow."""
    return [make_documents(job, *inputs, **options), make_annotated(job), make_filtered(job)]
