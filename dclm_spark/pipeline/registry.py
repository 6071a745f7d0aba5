"""Registers the stages of the chain, one record each: what a stage reads and writes, who makes it, and its help.

Every list of stages in the package is read from `STAGES`: the stages that `run` makes, the commands and their help,
what the funnel counts and what `export` accepts. Tests and other packages may add stages to it.
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
    """Describes one stage of the chain; its main table has the stage's name.

    Args:
        name: Name of the stage, of its table and of its command.
        help: Help text of its command, one line without a full stop.
        examples: Text at the end of its command's help.
        reads: The tables that it is made from; empty if it reads archive files. In a stage of one dump, each row of the
            first of these tables becomes a row of the stage's table or of `removed`.
        writes: All tables that it writes, including its own.
        removes: Key in the funnel's answer of the numbers of documents that the stage removes, by reason; null if it
            removes none.
        needs_near: Whether it needs the recipe's settings of near-duplicates; its command then has the options for
            them.
        needs_methods: Whether it runs the recipe's deduplication methods; its command then has the options for them.
        is_of_several_dumps: Whether one call makes several dumps, which may be compared with each other.
        is_wanted: Function from a recipe to whether `run` makes the stage.
        make: Function that makes the stage, from a job to an outcome; for a stage of several dumps, from a job and the
            dumps to a list of outcomes. Null: the function `make_NAME` of the module `dclm_spark.pipeline.NAME`, which
            is imported at the first call.
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
        """Whether the rows of its table have a text, which can be exported."""
        return "text" in schemas.TABLES[self.name].names

    def outcomes(self, job: "Job", dumps: Sequence[str], **reading: Any) -> "list[Outcome]":
        """Makes the stage for dumps; returns one outcome for each dump.

        Args:
            job: The recipe and warehouses; its dump is one of `dumps`.
            dumps: Names of the dumps.
            **reading: Arguments for a stage that reads archive files.
        """
        make = self.make or getattr(import_module(f"dclm_spark.pipeline.{self.name}"), f"make_{self.name}")
        if self.is_of_several_dumps:
            return make(job, dumps)
        return [make(replace(job, dump=dump), **reading) for dump in dumps]


def _finds_near(recipe: Recipe) -> bool:
    """Returns whether the recipe searches near-duplicates."""
    return recipe.duplicates is not None


def _finds_near_by_dump(recipe: Recipe) -> bool:
    """Returns whether `run`, which makes one dump, can search near-duplicates: no if all dumps are compared."""
    # The other dumps may not exist yet.
    return recipe.duplicates is not None and not takes_at_once((recipe.duplicates.scope,))


def _deduplicates_by_dump(recipe: Recipe) -> bool:
    """Returns whether `run`, which makes one dump, can deduplicate it: no if a method compares all dumps."""
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
            help="make one table: documents that survive deduplication, with repeated paragraphs removed",
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
    """Returns the last stage before this one that removes rows or reads files: its rows are this stage's input.

    >>> source_of(STAGES["filtered"]).name, source_of(STAGES["deduplicated"]).name, source_of(STAGES["documents"])
    ('documents', 'filtered', None)
    """
    while stage.reads:
        stage = STAGES[stage.reads[0]]
        if stage.removes or not stage.reads:
            return stage
    return None


def since(stage: Stage, source: str) -> tuple[str, ...]:
    """Lists the stage and all stages that it is made from, back to the stage `source`, which is not in the list.

    >>> since(STAGES["deduplicated"], "filtered")
    ('signatures', 'duplicates', 'deduplicated')
    """
    found, remaining = set(), [stage.name]
    while remaining:
        name = remaining.pop()
        if name != source and name not in found:
            found.add(name)
            remaining += STAGES[name].reads
    return tuple(name for name in STAGES if name in found)
