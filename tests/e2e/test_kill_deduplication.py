"""Deduplication that is killed with -9 in any of its passes: the same command again ends as if nothing had been.

`doomed.py` says how the moments are hit. One warehouse is killed again and again, each time further on.
"""

import shutil
from pathlib import Path

import pytest

from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.recipe.builtin import DCLM_BASELINE
from tests.support import dedup
from tests.support.kills import Lake
from tests.support.tables import assert_same, content, read

pytestmark = [pytest.mark.slow, pytest.mark.once]

A, B = "CC-MAIN-2022-05", "CC-MAIN-2022-21"
TABLES = ("decisions", "removed", "cuts", "deduplicated")
TEXTS = dedup.texts(60, seed=4)
ROWS = [*dedup.documents(TEXTS[:40], dump=A), *dedup.documents(TEXTS[20:], dump=B, first=20)]
BLOOM = ("--ngram", "5", "--capacity", "50000", "--method")


@pytest.fixture(scope="module")
def filtered(spark, tmp_path_factory) -> Path:
    """A warehouse with `filtered` of two dumps."""
    folder = tmp_path_factory.mktemp("filtered") / "lake"
    dedup.fill(Warehouse(spark, str(folder)), ROWS, recipe=DCLM_BASELINE)
    return folder


class Disturbed(Lake):
    """A warehouse in which one command is killed again and again."""

    def __init__(self, folder: Path, filtered: Path, *options: str):
        super().__init__(folder, [A, B])
        shutil.copytree(filtered, self.warehouse)
        self.options = options

    def dies(self, victim: str, moment: str, *options: str) -> None:
        self.kill(victim, moment, "deduplicated", *self.options, *options)

    def ends(self, moment: str) -> dict[str, list[str]]:
        """Its rows after the same command, which loses no more than a worker."""
        self.run("deduplicated", *self.options, victim="worker", moment=moment)
        assert len(self.finished()) == 2
        ids = {table: [row["doc_id"] for row in read(self.warehouse, table)] for table in TABLES}
        assert sorted([*ids["deduplicated"], *ids["removed"]]) == sorted(row["doc_id"] for row in ROWS)
        return content(self.warehouse, TABLES)

    def finished(self) -> list[str]:
        """The run ids of finished dumps."""
        return sorted(row["run_id"] for row in read(self.warehouse, "runs") if row["stage"] == "deduplicated")


@pytest.fixture
def lake(filtered, tmp_path):
    return lambda *options, name="lake": Disturbed(tmp_path / name, filtered, *options)


@pytest.mark.long
def test_keys_and_one_filter(lake):
    options = (*BLOOM, "text", "bloom", "--scope", "all", "--inserts", "kept")
    expected = lake(*options, name="undisturbed").ends("inside nothing 0")
    lake = lake(*options)
    lake.dies("group", "inside with_exact_keys 0")
    lake.dies("driver", "within replace decisions 0")
    assert lake.unnamed_files("decisions") and not read(lake.warehouse, "decisions")
    lake.dies("group", "inside with_ngrams 0")
    assert {row["step"] for row in read(lake.warehouse, "decisions")} == {0}
    lake.dies("driver", "inside with_answers 0")
    assert read(lake.warehouse, "ngrams") and not read(lake.warehouse, "filter_blocks")
    lake.dies("group", "inside keep_units 1")
    assert read(lake.warehouse, "kept_units"), "of the first round"
    lake.dies("driver", "inside decide_ngrams 0")
    lake.dies("group", "before replace cuts 0")
    assert read(lake.warehouse, "removed") and not read(lake.warehouse, "cuts")
    lake.dies("driver", "within replace deduplicated 0")
    assert lake.unnamed_files("deduplicated") and not lake.finished()
    # Between the runs of two dumps that were made together.
    lake.dies("group", "after append runs 0")
    assert len(lake.finished()) == 1
    assert_same(lake.ends("inside with_answers 0"), expected)


def test_shards_over_rows_that_were_finished(lake):
    """What stands counts as done until the first of its rows is replaced, and no longer."""
    lake = lake(*BLOOM, "bloom", "--scope", "shards", "--shards", "2")
    expected, runs = lake.ends("inside with_shard_answers 0"), lake.finished()
    lake.dies("group", "inside with_shard_answers 0", "--force", "--share", "0.4")
    lake.dies("driver", "after replace filter_blocks 0", "--force", "--share", "0.4")
    assert lake.finished() == runs
    assert_same(content(lake.warehouse, TABLES), expected)
    lake.dies("driver", "within replace removed 0", "--force", "--share", "0.4")
    assert lake.finished() == []
    assert content(lake.warehouse, TABLES)["decisions"] != expected["decisions"]
    assert_same(lake.ends("inside with_shard_answers 0"), expected)


@pytest.mark.long
def test_a_dump_that_is_added_to_another(lake):
    lake = lake(*BLOOM, "text", "bloom", "--scope", "incremental")
    expected, runs = lake.ends("inside with_answers 1"), lake.finished()
    lake.dies("group", "inside with_answers 1", "--force")
    assert len(lake.finished()) == 1 and lake.finished()[0] not in runs
    assert_same(lake.ends("inside with_answers 0"), expected)
