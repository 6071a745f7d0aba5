"""Questions on Delta logs, answered by our reader, by deltalake and by Spark: python -m benchmarks.programs.delta_logs

Prints as JSON, for tables of 10, 100 and 1000 commits with a checkpoint every tenth, the milliseconds of each question,
the median of `N_TRIES`; then what our reader and deltalake answer on a log that has lost entries. Spark has answered
each question once before. deltalake, a package of the extra `test`, has written the tables.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from pyspark.sql import functions as F

from dclm_spark.lake.local_log import LocalLog
from dclm_spark.spark.session import get_session

N_TRIES = 7
TABLE = "filtered"
Answers = dict[str, Callable[[], object]]


def metadata(version: int) -> str:
    return json.dumps({"dump": f"D{version % 50}", "run_id": str(version), "stage": TABLE}, sort_keys=True)


def make_table(folder: Path, n_commits: int) -> None:
    for version in range(n_commits):
        write_deltalake(
            str(folder / TABLE),
            pa.table({"dump": [f"D{version % 50}"], "doc_id": ["1"]}),
            partition_by=["dump"],
            mode="append",
            commit_properties=CommitProperties(custom_metadata={"userMetadata": metadata(version)}),
            configuration={"delta.checkpointInterval": "10"} if version == 0 else None,
        )


def ours(folder: Path, middle: int) -> Answers:
    log = LocalLog(str(folder))
    return {
        "version": lambda: max(log.versions(TABLE)),
        "commit": lambda: log.commit(TABLE, metadata(middle)),
        "info": lambda: log.info(TABLE, middle),
        "partitions": lambda: log.partitions(TABLE),
    }


def of_deltalake(folder: Path, middle: int) -> Answers:
    def history() -> dict[int, dict[str, Any]]:
        return {entry["version"]: entry for entry in DeltaTable(folder / TABLE).history()}

    return {
        "version": lambda: DeltaTable(folder / TABLE).version(),
        "commit": lambda: [n for n, entry in history().items() if entry.get("userMetadata") == metadata(middle)],
        "info": lambda: history()[middle],
        "partitions": lambda: DeltaTable(folder / TABLE).partitions(),
    }


def of_spark(spark: Any, folder: Path, middle: int) -> Answers:
    name = f"delta.`{folder / TABLE}`"

    def history(n_versions: int) -> Any:
        return spark.sql(f"DESCRIBE HISTORY {name} LIMIT {n_versions}")

    return {
        "version": lambda: history(1).head(),
        "commit": lambda: history(1000).where(F.col("userMetadata") == metadata(middle)).head(),
        "info": lambda: history(1000).where(F.col("version") == middle).head(),
        "partitions": lambda: spark.table(name).select("dump").distinct().collect(),
    }


def milliseconds(answers: Answers) -> dict[str, float]:
    found = {}
    for question, answer in answers.items():
        answer()
        seconds = []
        for _ in range(N_TRIES):
            began = time.perf_counter()
            answer()
            seconds.append(time.perf_counter() - began)
        found[question] = round(1000 * statistics.median(seconds), 2)
    return found


def answers_on_lost_entries(folder: Path) -> dict[str, str]:
    """Answers on a table of 12 commits: version 4 when entry 6 is missing; the latest when 11 is, not its checksum."""
    log, found = folder / TABLE / "_delta_log", {}

    def ask(what: str, question: str) -> None:
        for reader in (ours, of_deltalake):
            try:
                answer = reader(folder, 4)[question]()
            except Exception as error:  # each package has errors of its own
                answer = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            found[f"{what}, {reader.__name__}"] = str(answer["userMetadata"] if isinstance(answer, dict) else answer)

    (log / f"{6:020d}.json").unlink()
    ask("metadata of 4", "info")
    (log / f"{11:020d}.json").rename(log / f"{11:020d}.crc")  # only the checksum's name is read
    ask("version", "version")
    return found


def main() -> None:
    spark = get_session()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        for n_commits in (10, 100, 1000):
            folder, middle = Path(scratch) / str(n_commits), n_commits // 2
            make_table(folder, n_commits)
            readers = {"ours": ours(folder, middle), "deltalake": of_deltalake(folder, middle)}
            readers["spark"] = of_spark(spark, folder, middle)
            found[str(n_commits)] = {name: milliseconds(answers) for name, answers in readers.items()}
        broken = Path(scratch) / "broken"
        make_table(broken, 12)
        found["lost entries"] = answers_on_lost_entries(broken)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
