"""Deduplicates by a key of each document, its text or its URL: of documents with the same key one is kept."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.lake.runs import Run
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.recipe.deduplication import Exact
from dclm_spark.stages.decisions import decide_exact
from dclm_spark.stages.duplicates import signals_of
from dclm_spark.stages.exact_keys import find_exact_keys

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class ExactMethod(DedupMethod[Exact]):
    """Applies `recipe.deduplication.Exact`: writes keys, then compares them, so that later dumps read no texts."""

    writes = ("exact_keys",)
    names_survivors = True

    def decide(self, documents: "DataFrame", run: Run) -> tuple["DataFrame", dict[str, int]]:
        """Decides that documents whose key an earlier document has are removed."""
        warehouse, exact = self.warehouse, self.settings
        keys = find_exact_keys(documents, exact=exact).withColumn("step", F.lit(self.number))
        lineage = {**run.lineage, "step": self.number}
        commit = warehouse.replace(keys, "exact_keys", lineage=lineage, dump=self.new, step=self.number)
        all_keys = warehouse.read("exact_keys", version=commit.version, dump=self.dumps, step=self.number)
        removed = None
        if self.earlier:
            version = self.version("decisions")
            before = warehouse.read("decisions", version=version, dump=self.earlier, step=self.number)
            removed = before.where("removed_by IS NOT NULL").select("doc_id", "dump")
        decided = decide_exact(
            all_keys, exact=exact, earlier=self.earlier, removed_before=removed, signals=self.signals(signals_of(exact))
        )
        return decided, {"exact_keys": commit.version}
