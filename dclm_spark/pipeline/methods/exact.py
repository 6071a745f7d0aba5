"""The method `exact` at work: keys of the new dumps, then what another document has already."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.methods.step import Step
from dclm_spark.stages.decisions import decide_exact
from dclm_spark.stages.duplicates import signals_of
from dclm_spark.stages.exact_keys import find_exact_keys

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def decide_by_keys(step: Step, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
    """The rows of `decisions` without step, and the version of `exact_keys`.

    Keys are written first: later dumps are compared with them, without the texts.
    """
    warehouse, exact = step.warehouse, step.method
    keys = find_exact_keys(documents, exact=exact).withColumn("step", F.lit(step.number))
    lineage = {**run.lineage, "step": step.number}
    commit = warehouse.replace(keys, "exact_keys", lineage=lineage, dump=step.new, step=step.number)
    of_all = warehouse.read("exact_keys", version=commit.version, dump=step.dumps, step=step.number)
    removed = None
    if step.earlier:
        version = step.version("decisions")
        before = warehouse.read("decisions", version=version, dump=step.earlier, step=step.number)
        removed = before.where("removed_by IS NOT NULL").select("doc_id", "dump")
    decided = decide_exact(
        of_all, exact=exact, earlier=step.earlier, removed_before=removed, signals=step.signals(signals_of(exact))
    )
    return decided, {"exact_keys": commit.version}
