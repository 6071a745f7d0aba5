"""`docs/add-a-stage.md` is true: its files and changes, made to a copy of the package, give the stage it speaks of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archives import english_pages, write_warc

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "add-a-stage.md").read_text(encoding="utf-8")
CHANGED = [
    "dclm_spark/schemas.py",
    "dclm_spark/stages/sampled.py",
    "dclm_spark/pipeline/sampled.py",
    "dclm_spark/pipeline/registry.py",
    "jobs/sampled.py",
]


def follow(folder: Path) -> list[str]:
    """Makes the changes that the guide's diffs show; the files changed. A diff with `+++` is a new file."""
    changed = []
    for diff in re.findall(r"```diff\n(.*?)```", GUIDE, re.DOTALL):
        head, rest = diff.split("\n", 1)
        name = head.removeprefix("--- ").strip()
        changed.append(name)
        if rest.startswith("+++\n"):
            assert not (folder / name).exists()
            lines = rest.splitlines()[1:]
            assert all(line.startswith("+") for line in lines)
            (folder / name).write_text("".join(f"{line[1:]}\n" for line in lines), encoding="utf-8")
            continue
        text = (folder / name).read_text(encoding="utf-8")
        for hunk in rest.removeprefix("@@\n").split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            before, after = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
            assert text.count(before) == 1, f"{name} has not one place that reads:\n{before}"
            text = text.replace(before, after)
        (folder / name).write_text(text, encoding="utf-8")
    return changed


@pytest.fixture
def copy(tmp_path) -> Path:
    """A folder with the package and the jobs, as the guide leaves them."""
    for name in ("dclm_spark", "jobs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert follow(tmp_path) == CHANGED
    return tmp_path


def dclm(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "dclm_spark", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_the_stage_has_a_command_with_help(copy):
    assert "one document of sixteen" in dclm(copy, "--help").stdout
    assert "dclm-spark sampled --dump" in dclm(copy, "sampled", "--help").stdout


@pytest.mark.slow
def test_the_stage_is_made_by_run_and_counted_by_the_funnel(copy):
    write_warc(copy / "warc" / "pages.warc.gz", english_pages(20))
    shown = re.search(r"\$ dclm-spark (run .*)\n(.*)\n```", GUIDE)
    done = dclm(copy, *shown[1].split())
    assert done.stdout.splitlines()[-1] == shown[2]
    assert re.search(r"^sampled CC-MAIN-2022-05: \d+ in, ", done.stderr, re.MULTILINE)
