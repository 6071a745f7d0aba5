"""Stages of several dumps: which dumps are made together, which they are added to, and how their runs are recorded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from dclm_spark.errors import InputError, WarehouseError
from dclm_spark.lake import claims
from dclm_spark.lake.finished import Finished
from dclm_spark.lake.missing import find_lost
from dclm_spark.lake.pinned import Inputs
from dclm_spark.lake.runs import Key, Run, is_made_by, last_runs, made_from
from dclm_spark.pipeline.job import Job, Ledger
from dclm_spark.pipeline.run_stage import Outcome, up_to_date
from dclm_spark.recipe.as_json import differences, from_json
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.recipe.scopes import groups_of
from dclm_spark.spark.planning import planned_for_python

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_NAMED = 4  # differences of two recipes, in a message


@dataclass(frozen=True)
class Group:
    """Dumps whose rows of a stage are made together.

    Args:
        stage: The stage, `duplicates` or `deduplicated`.
        new: The dumps whose rows are made, in their order after the earlier ones.
        earlier: The dumps that they are added to, in their order; none unless a scope is `incremental`.
        finished: The finished run of the stage of every dump of the warehouse.
        ledgers: The ledger of each new and each earlier dump.
        inputs: What is read of all of them.
    """

    stage: str
    new: tuple[str, ...]
    earlier: tuple[str, ...]
    finished: Mapping[str, dict[str, Any]]
    ledgers: Mapping[str, Ledger]
    inputs: Inputs

    @property
    def dumps(self) -> tuple[str, ...]:
        """All dumps in their order: the earlier ones come first."""
        return (*self.earlier, *self.new)

    def upstream_runs(self, tables: Sequence[str]) -> dict[Key, str]:
        """What the rows of each new dump are made from: the runs of all new dumps' tables, and of what came before."""
        found = {Key(name, table): self.ledgers[name].finished(table).run_id for name in self.new for table in tables}
        added_by = _ADDED_BY[self.stage]
        for name in self.earlier:
            is_own = added_by == self.stage
            run = self.finished[name] if is_own else self.ledgers[name].finished(added_by).run
            found[Key(name, added_by)] = run["run_id"]
        return found

    @property
    def later(self) -> list[str]:
        """The finished dumps that were added to these, and are to be added again."""
        first = Key(self.new[0], _ADDED_BY[self.stage])
        return [dump for dump, run in self.finished.items() if dump != self.new[0] and first in made_from(run)]


@dataclass(frozen=True)
class GroupStage:
    """How a stage of several dumps is made, group by group.

    Args:
        name: The stage.
        reads: The tables that a run is made from; rows that come in are those of the first.
        writes: The tables that are prepared.
        scopes: How far the stage looks.
        write: Makes the rows of a group, given a job of its last dump, the group and the run of each new dump; returns,
            by dump, what `Run.record` is told.
        check: Refuses a group before anything is written.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    scopes: frozenset[str]
    write: Callable[[Job, Group, Mapping[str, Run]], Mapping[str, Mapping[str, Any]]]
    check: Callable[[Job, Group], None] = lambda job, group: None

    @property
    def is_added(self) -> bool:
        """True if dumps are added to those before them."""
        return "incremental" in self.scopes


def named_twice(dumps: Sequence[str]) -> list[str]:
    """Which dumps are named twice, one sentence each.

    >>> named_twice(["B", "A", "B"])
    ['the dump B is named twice']
    """
    return [f"the dump {dump} is named twice" for dump in sorted({dump for dump in dumps if dumps.count(dump) > 1})]


def check_dumps(job: Job, dumps: Sequence[str]) -> None:
    """Refuses dumps that cannot be made, before any work.

    Raises:
        InputError: A dump is named twice, or has a name that none can have.
        RecipeError: The recipe is wrong.
        WarehouseError: The warehouse cannot be written.
    """
    if repeated := named_twice(dumps):
        raise InputError(repeated)
    for dump in dumps:
        replace(job, dump=dump).check()


def make_groups(job: Job, dumps: Sequence[str], stage: GroupStage) -> list[Outcome]:
    """Makes a stage of dumps, group after group: an outcome a dump."""
    with planned_for_python(job.warehouse.spark):
        return [outcome for group in groups_of(dumps, stage.scopes) for outcome in _make_group(job, group, stage)]


def _make_group(job: Job, new: tuple[str, ...], stage: GroupStage) -> list[Outcome]:
    last = replace(job, dump=new[-1])

    def find() -> tuple[Group, list[Outcome | None]]:
        group = _group_of(job, new, stage)
        upstream_runs = group.upstream_runs(stage.reads)
        return group, [up_to_date(group.ledgers[dump], stage.name, upstream_runs) for dump in new]

    (group, done), find_again = claims.look(job.warehouse, ("runs",), find)
    if _are_all(done):
        return done
    stage.check(last, group)
    job.warehouse.prepare(*stage.writes, "runs")
    with claims.claimed(job.warehouse, stage.name, new, is_wide=stage.is_added or len(new) > 1):
        group, done = find_again()
        return done if _are_all(done) else _make(last, group, stage)


def _are_all(done: list[Outcome | None]) -> TypeGuard[list[Outcome]]:
    return all(done)


def _group_of(job: Job, new: tuple[str, ...], stage: GroupStage) -> Group:
    own_runs = last_runs(job.warehouse)
    upstream_runs = last_runs(job.upstream) if job.upstream is not None else {}
    finished = {key.dump: run for key, run in own_runs.items() if key.stage == stage.name}
    earlier = earlier_dumps(finished, new[0], job, stage=stage.name) if stage.is_added else ()
    ledgers = {dump: Ledger(replace(job, dump=dump), own_runs, upstream_runs) for dump in (*earlier, *new)}
    inputs = Inputs({dump: ledger.finished for dump, ledger in ledgers.items()})
    return Group(stage.name, new, earlier, finished, ledgers, inputs)


def _make(job: Job, group: Group, stage: GroupStage) -> list[Outcome]:
    """Makes the rows of all new dumps of a group, under a claim, and records their runs."""
    stage.check(job, group)
    runs = {dump: replace(job, dump=dump).run(stage.name) for dump in group.new}
    found = {dump: group.ledgers[dump].finished(stage.reads[0]) for dump in group.new}
    with replace(job, dump=", ".join(group.new)).progress(stage.name):
        written = stage.write(job, group, runs)
    return [
        Outcome(
            runs[dump].record(
                n_rows_in=found[dump].n_rows,
                upstream_runs=group.upstream_runs(stage.reads),
                input_versions=group.inputs.versions(dump),
                **written[dump],
            ),
            is_new=True,
        )
        for dump in group.new
    ]


def rows_by_dump(read: "Callable[[], DataFrame]", n_rows: int, dumps: Sequence[str]) -> dict[str, int]:
    """How many rows there are of each dump.

    Args:
        read: Reads the rows; not called where there is one dump.
        n_rows: The rows of all dumps together.
        dumps: The dumps.
    """
    if len(dumps) == 1:
        return {dumps[0]: n_rows}
    counted = {row["dump"]: row["count"] for row in read().groupBy("dump").count().collect()}
    return {dump: counted.get(dump, 0) for dump in dumps}


def earlier_dumps(finished: Mapping[str, dict[str, Any]], dump: str, job: Job, *, stage: str) -> tuple[str, ...]:
    """The dumps that a dump is added to: those it was added to before, or all that are finished, in their order.

    Args:
        finished: The finished runs of the stage, by dump.
        dump: The dump.
        job: What is asked for.
        stage: The stage, `duplicates` or `deduplicated`.

    Raises:
        WarehouseError: Some were made by another recipe, and nothing was forced; or what they have left is lost.
    """
    others = [
        f"{run['recipe']} made {name}: {_differing(run, job.recipe, stage)}"
        for name, run in finished.items()
        if name != dump and not is_made_by(run, job.recipe)
    ]
    if others and not job.is_forced:
        raise WarehouseError(
            [
                f"{dump} cannot be added to what {_OTHERS[stage]} in {job.warehouse} ({', '.join(sorted(others))}); "
                "take that recipe, a --warehouse of its own with --upstream, or --force to leave those dumps out"
            ]
        )
    in_order = sorted(finished, key=lambda name: (finished[name]["started_at"], name))
    in_order = [name for name in in_order if name != dump and is_made_by(finished[name], job.recipe)]
    if dump in finished and is_made_by(finished[dump], job.recipe):
        known = made_from(finished[dump])
        in_order = [name for name in in_order if Key(name, _ADDED_BY[stage]) in known]
    lost = find_lost({Key(name, stage): Finished(job.warehouse, finished[name]) for name in in_order}, in_order)
    if lost:
        raise WarehouseError(
            [
                f"{dump} cannot be added to {name}: {table} in {job.warehouse} has lost version {version} of its log; "
                f"`dclm-spark {stage} --dump {name}` makes it anew"
                for name, tables in lost.items()
                for table, version in tables.items()
            ]
        )
    return tuple(in_order)


_ADDED_BY = {"duplicates": "signatures", "deduplicated": "deduplicated"}
"""The table of an earlier dump that a run of the stage names in its `upstream_runs`."""

_OTHERS = {
    "duplicates": "other settings of near-duplicates have compared",
    "deduplicated": "other methods of deduplication, or other settings of them, have kept",
}
_FIELDS = {"duplicates": "duplicates", "deduplicated": "deduplication"}


def _differing(run: Mapping[str, Any], recipe: Recipe, stage: str) -> str:
    """Where what the stage takes from the recipe of a run is other than a recipe's, in words; a few of many."""
    found = [one for one in differences(from_json(run["recipe_json"]), recipe) if one[0].startswith(_FIELDS[stage])]
    return ", ".join(f"{name} is {made!r}; asked for {asked!r}" for name, made, asked in found[:MOST_NAMED])
