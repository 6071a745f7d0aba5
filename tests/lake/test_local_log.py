"""What a look at the logs of a folder of tables tells, of tables that delta-rs has written: no Spark is asked."""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from dclm_spark.errors import WarehouseError
from dclm_spark.lake.local_locks import LocalLocks
from dclm_spark.lake.local_log import LocalLog
from dclm_spark.lake.missing import find_lost, find_unfinished, in_words
from dclm_spark.lake.runs import outdated
from dclm_spark.lake.warehouse import Warehouse

pytestmark = pytest.mark.once


class NoSession:
    """A session that fails the test when it is asked for anything but where it runs."""

    conf = {"spark.master": "local[2]"}

    def __getattr__(self, name):
        raise AssertionError(f"Spark was asked for {name}")


@pytest.fixture
def lake(tmp_path) -> Warehouse:
    """A warehouse whose `filtered` has two dumps, a version each."""
    for dump in ("A", "B"):
        commit(tmp_path, dump)
    return Warehouse(NoSession(), str(tmp_path))


def commit(folder: Path, dump: str) -> None:
    metadata = {"userMetadata": json.dumps({"stage": "filtered", "dump": dump})}
    rows = pa.table({"dump": [dump], "doc_id": ["1"]})
    properties = CommitProperties(custom_metadata=metadata)
    write_deltalake(str(folder / "filtered"), rows, partition_by=["dump"], mode="append", commit_properties=properties)


def run(dump: str, version: int, *, ago: float = 0.0) -> dict:
    """A row of `runs` that ended so many seconds ago."""
    started_at = dt.datetime.now() - dt.timedelta(seconds=ago)
    written = {"filtered": version}
    return {"stage": "filtered", "dump": dump, "started_at": started_at, "seconds": 0.0, "output_versions": written}


def entry(lake: Warehouse, version: int, suffix: str = "json") -> Path:
    return Path(lake.location) / "filtered" / "_delta_log" / f"{version:020d}.{suffix}"


def test_a_version_that_is_there_is_not_lost(lake):
    assert lake.history.lost(run("A", 0)) == lake.history.lost(run("B", 1)) == {}
    # A run may have found nothing to commit, and recorded what was there.
    assert lake.history.lost(run("C", 1)) == {}
    # Nor is one that the log has forgotten.
    entry(lake, 0).unlink()
    assert lake.history.lost(run("A", 0, ago=1e9)) == {}


def test_a_version_is_lost_with_the_end_of_the_log_and_under_anothers_commit(lake):
    entry(lake, 1).unlink()
    made = run("B", 1, ago=60)
    assert (lake.history.lost(made), lake.history.lost(made, "removed"), lake.history.lost(run("A", 0))) == (
        {"filtered": 1},
        {},
        {},
    )
    found = find_lost({("A", "filtered"): (lake, run("A", 0)), ("B", "filtered"): (lake, made)}, ["A", "B"])
    assert found == {"B": {"filtered": 1}}
    assert ["filtered has lost version 1" in line for line in in_words({"lost": found["B"]})] == [True]
    commit(Path(lake.location), "C")
    assert lake.history.lost(made) == {"filtered": 1}, "its number, but another's commit"
    commit(Path(lake.location), "B")
    assert lake.history.lost(run("B", 2)) == {}


STAGES = {"documents": False, "filtered": True}


def test_rows_without_a_finished_run_are_found(lake):
    assert find_unfinished(lake, {("A", "filtered"): None}, None, stages=STAGES, begun=()) == {"B": ["filtered"]}
    assert find_unfinished(lake, {}, "A", stages=STAGES, begun=()) == {"A": ["filtered"]}
    assert (
        lake.history.own_version("filtered", stage="filtered", dump="A"),
        lake.history.mark("filtered", "none"),
    ) == (0, [1, 0])
    assert lake.history.own_version("filtered", stage="filtered", dump="C") is None


def test_checksums_of_lost_versions_go_before_others_take_their_numbers(lake):
    log = entry(lake, 1).parent
    names = ["{:020d}.crc", ".{:020d}.crc.crc", ".{:020d}.json.crc", ".{:020d}.checkpoint.parquet.crc"]
    for version in (1, 2):
        for name in names:
            (log / name.format(version)).touch()
    with LocalLocks(lake.location).writing("filtered") as is_alone:
        assert is_alone
    assert [[(log / name.format(version)).exists() for name in names] for version in (1, 2)] == [
        [True] * 4,
        [False] * 4,
    ]


def test_the_partitions_in_a_checkpoint_of_delta_rs_are_read(lake):
    DeltaTable(f"{lake.location}/filtered").create_checkpoint()
    for version in (0, 1):
        entry(lake, version).unlink()
    log = LocalLog(lake.location)
    assert sorted(values["dump"] for values in log.partitions("filtered")) == ["A", "B"]
    assert log.may_hold("filtered", {"dump": "A"}) and not log.may_hold("filtered", {"dump": "C"})


def test_a_stage_is_made_by_one_at_a_time(lake):
    (Path(lake.location) / "runs").mkdir()

    def claim(dump: str | None, stage: str = "filtered"):
        return LocalLocks(lake.location).making(stage, dump, what=f"{stage} of {dump or 'all'}")

    def is_free(dump: str | None, stage: str = "filtered") -> bool:
        try:
            with claim(dump, stage) as is_locked:
                return is_locked
        except WarehouseError as error:
            assert f"makes {stage} of {dump or 'all'}, and this one has ended" in str(error)
            return False

    with claim("A"):
        assert [is_free(dump) for dump in ("A", "B", None)] == [False, True, False]
        assert is_free("A", "annotated")
    with claim(None):
        assert [is_free(dump) for dump in ("A", "B", None)] == [False, False, False]
    assert is_free(None) and is_free("A")


def test_rows_are_out_of_date_whatever_they_come_from_was_made_anew():
    made = {
        ("A", "documents"): ("d2", {}),
        ("A", "filtered"): ("f1", {"documents": "d1"}),
        ("A", "signatures"): ("s1", {"filtered": "f1"}),
        ("B", "signatures"): ("s2", {}),
        ("B", "duplicates"): ("n1", {"signatures": "s2", "signatures A": "s1"}),
        ("B", "deduplicated"): ("k1", {"filtered": "f0", "duplicates": "n1"}),
    }
    runs = {key: {"run_id": run_id, "upstream_runs": of} for key, (run_id, of) in made.items()}
    stale = (("A", "filtered"), ("A", "documents"))
    assert outdated(runs, "B", "duplicates") == [stale]
    assert outdated(runs, "B", "deduplicated") == [stale, (("B", "deduplicated"), ("B", "filtered"))]
    assert outdated(runs, "B", "signatures") == outdated(runs, "B", "annotated") == []
