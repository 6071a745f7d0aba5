"""Two processes that make the same rows at once: one makes them, the other ends with a sentence."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dclm_spark.spark.jvm import resolve_jars
from tests.e2e.rival import TABLES
from tests.support.archives import english_pages, html, write_warc
from tests.support.kills import ENVIRONMENT, ROOT, SETTINGS
from tests.support.tables import assert_same, content, read

RIVAL = ROOT / "tests" / "e2e" / "rival.py"
STAGES = tuple(TABLES)
ROUNDS = {"documents": 8, "annotated": 2, "filtered": 3, "signatures": 2, "duplicates": 2, "deduplicated": 3}


class Rivals:
    """Two processes, each with a session of its own."""

    def __init__(self, folder: Path, settings: dict[str, str], has_locks: bool):
        self.folder, self.n = folder, 0
        archives = folder / "archives"
        archives.mkdir()
        for number in range(3):
            pages = [*english_pages(5, site=f"s{number}.org"), (f"http://s{number}.org/short", html("<p>Short.</p>"))]
            path = write_warc(archives / f"file-{number}.warc.gz", pages)
            path.write_bytes(path.read_bytes()[:-60])  # the last page ends too early
        self.processes = [
            subprocess.Popen(
                [sys.executable, str(RIVAL), name, str(archives), json.dumps(settings), "yes" if has_locks else "no"],
                env=os.environ | ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(folder / f"stderr-{name}").open("w"),
                text=True,
            )
            for name in ("left", "right")
        ]

    def make(self, stage: str, lake: Path, *, n: int = 2) -> list[dict]:
        """What each of the first n processes answers, all of them at once."""
        self.n += 1
        meeting = self.folder / f"meeting-{self.n}"
        meeting.mkdir()
        asked = json.dumps({"stage": stage, "lake": str(lake), "meeting": str(meeting), "together": n})
        for process in self.processes[:n]:
            process.stdin.write(asked + "\n")
            process.stdin.flush()
        answers = []
        for process in self.processes[:n]:
            line = process.stdout.readline()
            assert line, (self.folder / "stderr-left").read_text() + (self.folder / "stderr-right").read_text()
            answers.append(json.loads(line))
        return answers

    def end(self) -> None:
        for process in self.processes:
            process.stdin.close()
            process.wait(60)


@contextmanager
def rivals(folder: Path, *, has_locks: bool) -> Iterator[Rivals]:
    settings = dict(setting.split("=", 1) for setting in SETTINGS)
    if not has_locks:
        settings |= {"spark.jars": str(_store(folder)), "spark.delta.logStore.file.impl": "PutIfAbsent"}
    both = Rivals(folder, settings, has_locks)
    try:
        yield both
    finally:
        both.end()


def _store(folder: Path) -> Path:
    """A jar of a store of logs that knows no locks, and lets nobody write a version that is there."""
    if shutil.which("javac") is None:
        pytest.skip("no compiler of Java, which makes the store that Delta asks for out of this disk")
    import pyspark

    jars = [*resolve_jars(), *(Path(pyspark.__file__).parent / "jars").glob("hadoop-client-*.jar")]
    source = ROOT / "tests" / "e2e" / "PutIfAbsent.java"
    classpath = os.pathsep.join(map(str, jars))
    subprocess.run(["javac", "-cp", classpath, "-d", str(folder), str(source)], check=True)
    subprocess.run(["jar", "cf", "store.jar", "PutIfAbsent.class"], check=True, cwd=folder)
    return folder / "store.jar"


def compete(both: Rivals, rounds: dict[str, int]) -> Counter:
    """Makes both make each stage so often, and looks at the rows each time; counts how it ended."""
    finished = both.folder / "finished"
    before, expected = {}, {}
    for stage in STAGES[: 1 + max(map(STAGES.index, rounds))]:
        if finished.exists():
            before[stage] = Path(shutil.copytree(finished, both.folder / f"before-{stage}"))
        assert both.make(stage, finished, n=1) == [{"is_new": True}], stage
        expected[stage] = content(finished, TABLES[stage]) | filters(finished)
    ends = Counter()
    for stage, n in rounds.items():
        for number in range(n):
            lake = both.folder / f"{stage}-{number}"
            if stage in before:
                shutil.copytree(before[stage], lake)
            answers = both.make(stage, lake)
            made = [answer for answer in answers if answer.get("is_new")]
            refused = [answer["refused"] for answer in answers if "refused" in answer]
            # Whoever comes when all is done finds that it is.
            assert len(made) == 1 and len(made) + len(refused) + answers.count({"is_new": False}) == 2, answers
            assert all("makes" in said or "to make" in said for said in refused), refused
            assert all("\n" not in said and f"{stage} of" in said for said in refused), refused
            assert_same(content(lake, TABLES[stage]) | filters(lake), expected[stage])
            assert len([row for row in read(lake, "runs") if row["stage"] == stage]) == 1
            following = STAGES[STAGES.index(stage) + 1 :][:1]
            if number == 0 and following:  # which refuses rows that are there twice, or not there
                assert both.make(following[0], lake, n=1) == [{"is_new": True}]
            ends["refused" if refused else "found done"] += 1
    return ends


def filters(lake: Path) -> dict[str, list[str]]:
    """The filters that later dumps are added to."""
    return {"filter_blocks": sorted(map(str, read(lake, "filter_blocks")))}


@pytest.mark.slow
@pytest.mark.once
def test_two_processes_read_the_same_files(tmp_path):
    with rivals(tmp_path, has_locks=True) as both:
        assert compete(both, {"documents": 2}).total() == 2


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.once
@pytest.mark.parametrize("has_locks", [True, False])
def test_two_processes_make_one_stage(tmp_path, has_locks):
    with rivals(tmp_path, has_locks=has_locks) as both:
        ends = compete(both, ROUNDS)
    assert ends.total() == sum(ROUNDS.values()) >= 20
    assert ends["refused"] > ends.total() / 2
