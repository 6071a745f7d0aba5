"""Makes the table `signatures` of a dump from `filtered`: each document's MinHash signature and band keys."""

from typing import TYPE_CHECKING, Any

from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.run_stage import Outcome, make_stage
from dclm_spark.stages.signatures import sign_documents

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def make_signatures(job: Job) -> Outcome:
    """Makes `signatures` of one dump from its `filtered`.

    Raises:
        RecipeError: The recipe has no settings of near-duplicates.
        WarehouseError: There is no `filtered` of the dump, or another recipe made it or the signatures.
    """
    minhash, _ = job.near_settings()

    def write(run: Run, filtered: "DataFrame") -> dict[str, Any]:
        signed = sign_documents(filtered, minhash=minhash)
        commit = job.warehouse.replace(signed, "signatures", lineage=run.lineage, dump=job.dump)
        return {"n_rows_out": commit.n_rows, "output_versions": {"signatures": commit.version}}

    return make_stage(job, "signatures", write)
