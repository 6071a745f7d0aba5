"""Deduplicates by the clusters of `duplicates`: of each cluster the survivor is kept."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.recipe.deduplication import Near
from dclm_spark.stages.decisions import decide_near

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class NearMethod(DedupMethod[Near]):
    """Applies `recipe.deduplication.Near`."""

    reads = ("duplicates",)
    is_derived = True
    names_survivors = True

    def decide(self, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
        """Decides that the documents which their cluster does not keep are removed."""
        clusters, removed = self.read("duplicates"), None
        if self.number:
            # An earlier method may have removed a cluster's survivor, which may be in any dump. So all members of these
            # clusters are read, not only those in the new dumps.
            warehouse = self.inputs.finished(self.new[0], "duplicates").warehouse
            affected = clusters.select("scope", "cluster_id").distinct()
            clusters = warehouse.read("duplicates", version=self.inputs.version(warehouse, "duplicates"))
            clusters = clusters.join(affected, ["scope", "cluster_id"], "left_semi")
            decided = self.warehouse.read("decisions").where(F.col("step") < self.number)
            removed = decided.where("removed_by IS NOT NULL").select("doc_id", "dump")
        return decide_near(clusters, dumps=self.new, removed_before=removed), {}

    def cluster_sizes(self) -> "DataFrame":
        """Reads the sizes from `duplicates`; they include documents that an exact method has removed."""
        return self.read("duplicates").select("dump", "doc_id", "cluster_size")
