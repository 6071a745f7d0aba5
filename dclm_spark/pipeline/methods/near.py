"""Deduplication by the clusters of `duplicates`: of each cluster the survivor is kept."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.recipe.deduplication import Near
from dclm_spark.stages.decisions import decide_near

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class NearMethod(DedupMethod[Near]):
    """`recipe.deduplication.Near` at work."""

    reads = ("duplicates",)
    is_derived = True
    names_survivors = True

    def decide(self, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
        """Documents that their cluster does not keep."""
        clusters, removed = self.read("duplicates"), None
        if self.number:
            # A survivor of these clusters may lie in any dump, and a method before may have removed it.
            warehouse = self.inputs.finished(self.new[0], "duplicates").warehouse
            reached = clusters.select("scope", "cluster_id").distinct()
            clusters = warehouse.read("duplicates", version=self.inputs.version(warehouse, "duplicates"))
            clusters = clusters.join(reached, ["scope", "cluster_id"], "left_semi")
            before = self.warehouse.read("decisions").where(F.col("step") < self.number)
            removed = before.where("removed_by IS NOT NULL").select("doc_id", "dump")
        return decide_near(clusters, dumps=self.new, gone=removed), {}

    def cluster_sizes(self) -> "DataFrame":
        """The sizes that `duplicates` has: they count documents that an exact method has removed, too."""
        return self.read("duplicates").select("dump", "doc_id", "cluster_size")
