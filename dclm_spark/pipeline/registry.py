"""The stages of the chain, one record each: what a stage reads, writes and removes, who makes it, and its help.

Every list of stages in the package is read from `STAGES`: those that `run` makes, the commands and their help, what the
funnel counts and what `export` takes. A test, or a package of its own, may put a stage into it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dclm_spark import schemas
from dclm_spark.pipeline import registry_help as texts
from dclm_spark.recipe.deduplication import scope_of
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.recipe.scopes import takes_at_once

if TYPE_CHECKING:
    from dclm_spark.pipeline.job import Job
    from dclm_spark.pipeline.run_stage import Outcome


@dataclass(frozen=True)
class Stage:
    """One stage of the chain; the table that it makes for the next one has its name.

    Args:
        name: The stage, its table and its command.
        help: What its command does, in one line without a full stop.
        examples: What its command's help ends with.
        reads: The tables it is made from; none where it reads archive files. Where a stage is of one dump, each row of
            the first of them becomes one of its own, or one of `removed`.
        writes: All tables that it writes, its own among them.
        removes: The name under which the funnel's answer has what the stage removes, by reason; null where it removes
            nothing.
        needs_near: It needs the recipe's settings of near-duplicates, and its command has the options for them.
        needs_methods: It carries out the recipe's methods of deduplication, and its command has the options for them.
        is_of_several_dumps: One call makes several dumps, which may be compared with each other.
        is_wanted: Whether `run` makes it for a recipe.
        make: Takes a job and returns its outcome; of several dumps, takes a job and the dumps and returns a list.
            Null is the function `make_NAME` of the module `dclm_spark.pipeline.NAME`, imported when it is called.
    """

    name: str
    help: str
    examples: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    removes: str | None = None
    needs_near: bool = False
    needs_methods: bool = False
    is_of_several_dumps: bool = False
    is_wanted: Callable[[Recipe], bool] = lambda recipe: True
    make: Callable[..., Any] | None = None

    @property
    def has_text(self) -> bool:
        """True if the rows of its table have a text, which can be exported."""
        return "text" in schemas.TABLES[self.name].names

    def outcomes(self, job: "Job", dumps: Sequence[str], **reading: Any) -> "list[Outcome]":
        """Makes the stage for dumps, and returns an outcome a dump.

        Args:
            job: What is asked for; its dump is one of these.
            dumps: The dumps.
            **reading: What is read and how, of a stage that reads archive files.
        """
        make = self.make or getattr(import_module(f"dclm_spark.pipeline.{self.name}"), f"make_{self.name}")
        if self.is_of_several_dumps:
            return make(job, dumps)
        return [make(replace(job, dump=dump), **reading) for dump in dumps]


def _finds_near(recipe: Recipe) -> bool:
    return recipe.duplicates is not None


def _finds_near_by_dump(recipe: Recipe) -> bool:
    # A scope of several dumps takes those that are not there yet, when `run` makes one of them.
    return recipe.duplicates is not None and not takes_at_once((recipe.duplicates.scope,))


def _deduplicates_by_dump(recipe: Recipe) -> bool:
    scopes = {scope_of(method) for method in recipe.methods}
    scopes |= {recipe.duplicates.scope} if recipe.duplicates is not None else set()
    return bool(recipe.methods) and not takes_at_once(scopes)


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "documents",
            help="make one table: each page's main text, from archive files",
            examples=texts.DOCUMENTS,
            writes=("documents", "quarantine", "files", "plans"),
        ),
        Stage(
            "annotated",
            help="make one table: documents with every signal measured",
            examples=texts.ANNOTATED,
            reads=("documents",),
            writes=("annotated",),
        ),
        Stage(
            "filtered",
            help="make one table: documents that broke none of the recipe's bounds",
            examples=texts.FILTERED,
            reads=("annotated",),
            writes=("removed", "filtered"),
            removes="removed",
        ),
        Stage(
            "signatures",
            help="make one table: each document's MinHash signature and band keys",
            examples=texts.SIGNATURES,
            reads=("filtered",),
            writes=("signatures",),
            needs_near=True,
            is_wanted=_finds_near,
        ),
        Stage(
            "duplicates",
            help="make one table: clusters of near-duplicates, within the recipe's scope",
            examples=texts.DUPLICATES,
            reads=("signatures",),
            writes=("edges", "duplicates", "merged_clusters", "rounds"),
            needs_near=True,
            is_of_several_dumps=True,
            is_wanted=_finds_near_by_dump,
        ),
        Stage(
            "deduplicated",
            help="make one table: documents that no other one stands for, their repeated paragraphs cut",
            examples=texts.DEDUPLICATED,
            reads=("filtered", "duplicates"),
            writes=("decisions", "removed", "cuts", "deduplicated"),
            removes="duplicates_removed",
            needs_near=True,
            needs_methods=True,
            is_of_several_dumps=True,
            is_wanted=_deduplicates_by_dump,
        ),
    )
}
"""Name -> stage, in the order in which the tables are made."""


def source_of(stage: Stage) -> Stage | None:
    """The last stage before that removed rows, or read files: what this one keeps and removes are its rows.

    >>> source_of(STAGES["filtered"]).name, source_of(STAGES["deduplicated"]).name, source_of(STAGES["documents"])
    ('documents', 'filtered', None)
    """
    while stage.reads:
        stage = STAGES[stage.reads[0]]
        if stage.removes or not stage.reads:
            return stage
    return None


def since(stage: Stage, source: str) -> tuple[str, ...]:
    """The stage and all that it is made from, back to a table whose own stage is left out.

    >>> since(STAGES["deduplicated"], "filtered")
    ('signatures', 'duplicates', 'deduplicated')
    """
    found, left = set(), [stage.name]
    while left:
        name = left.pop()
        if name != source and name not in found:
            found.add(name)
            left += STAGES[name].reads
    return tuple(name for name in STAGES if name in found)
