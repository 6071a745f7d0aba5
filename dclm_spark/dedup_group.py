"""Which dumps are deduplicated together, and which they are added to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dclm_spark.errors import WarehouseError
from dclm_spark.job import Job, Ledger
from dclm_spark.recipe import Recipe
from dclm_spark.recipe_json import differences, from_json
from dclm_spark.runs import is_made_by

STAGE = "deduplicated"
MOST_NAMED = 4  # differences of two recipes, in a message


@dataclass(frozen=True)
class Group:
    """Dumps that are deduplicated together.

    Args:
        new: Those whose rows are made, in their places after the others'.
        earlier: Those that were added before them, in their order.
        earlier_runs: The finished run of each of those.
        ledgers: The ledger of each new one.
    """

    new: tuple[str, ...]
    earlier: tuple[str, ...]
    earlier_runs: Mapping[str, dict[str, Any]]
    ledgers: Mapping[str, Ledger]

    def upstream_runs(self, dump: str, tables: Sequence[str]) -> dict[str, str]:
        """What a dump's rows are made from: the runs of its own tables, of the others' and of what came before."""
        found = {}
        for name in self.new:
            of = "" if name == dump else f" {name}"
            found |= {f"{table}{of}": self.ledgers[name].lender(table)[1]["run_id"] for table in tables}
        return found | {f"{STAGE} {name}": run["run_id"] for name, run in self.earlier_runs.items()}


def earlier_dumps(finished: Mapping[str, dict[str, Any]], dump: str, job: Job) -> tuple[str, ...]:
    """The dumps that a dump is added to: those it was added to before, or all that are finished, in their order."""
    others = [
        f"{run['recipe']} made {name}: {_differing(run, job.recipe)}"
        for name, run in finished.items()
        if name != dump and not is_made_by(run, job.recipe)
    ]
    if others and not job.is_forced:
        raise WarehouseError(
            [
                f"{dump} cannot be added to what other methods of deduplication, or other settings of them, have kept "
                f"in {job.warehouse} ({', '.join(sorted(others))}); take that recipe, a --warehouse of its own with "
                "--upstream, or --force to leave those dumps out"
            ]
        )
    in_order = sorted(finished, key=lambda name: (finished[name]["started_at"], name))
    in_order = [name for name in in_order if name != dump and is_made_by(finished[name], job.recipe)]
    if dump in finished and is_made_by(finished[dump], job.recipe):
        known = finished[dump]["upstream_runs"]
        return tuple(name for name in in_order if f"{STAGE} {name}" in known)
    return tuple(in_order)


def _differing(run: Mapping[str, Any], recipe: Recipe) -> str:
    """Where the methods of a run are others than a recipe's, in words; a few of many."""
    found = [one for one in differences(from_json(run["recipe_json"]), recipe) if one[0].startswith("deduplication")]
    return ", ".join(f"{name} is {made!r}; asked for {asked!r}" for name, made, asked in found[:MOST_NAMED])
