"""Makes the table `filtered` of a dump from `annotated`: documents that broke no bound; others are in `removed`."""

from typing import TYPE_CHECKING, Any

from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.run_stage import Outcome, each_once, make_stage, write_split
from dclm_spark.stages.filtered import filter_documents

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def make_filtered(job: Job) -> Outcome:
    """Makes `filtered` and `removed` of one dump from its `annotated`."""

    def write(run: Run, rows: "DataFrame") -> dict[str, Any]:
        flagged = filter_documents(rows, recipe=job.recipe)
        kept, repeats = each_once(flagged.where("removed_by IS NULL"), stage="filtered")
        if repeats is not None:
            flagged = flagged.where("removed_by IS NOT NULL").unionByName(kept)
        return write_split(job, run, flagged, "filtered", repeats=repeats)

    return make_stage(job, "filtered", write)
