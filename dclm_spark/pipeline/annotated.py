"""Makes the table `annotated` of a dump from its `documents`: signals are measured, the text is corrected."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dclm_spark.files.domain_lists import read_domain_list
from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.run_stage import Outcome, make_stage
from dclm_spark.spark.rows import frame_of
from dclm_spark.stages.annotated import annotate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def make_annotated(job: Job) -> Outcome:
    """Makes `annotated` of one dump from its `documents`."""

    def write(run: Run, rows: "DataFrame") -> dict[str, Any]:
        annotated = annotate(rows, recipe=job.recipe, banned_domains=_banned_domains(job))
        commit = job.warehouse.replace(annotated, "annotated", lineage=run.lineage, dump=job.dump)
        return {"n_rows_out": commit.n_rows, "output_versions": {"annotated": commit.version}}

    return make_stage(job, "annotated", write)


def _banned_domains(job: Job) -> "DataFrame | None":
    """Reads the lines of the recipe's list of domains, in the column `domain`; null if it names no list."""
    listed = job.recipe.annotation.banned_domains
    if listed is None:
        return None
    return frame_of(job.warehouse.spark, [(line,) for line in read_domain_list(listed)], _LINES)


_LINES = pa.schema([pa.field("domain", pa.string())])
