"""`docs/add-a-stage.md` is true: its files and changes, made to a copy of the package, give the stage it speaks of."""

import re
from pathlib import Path

import pytest

from tests.support.archives import english_pages, write_warc
from tests.support.guides import dclm, follow, read_guide

GUIDE = read_guide("add-a-stage.md")
CHANGED = [
    "dclm_spark/schemas.py",
    "dclm_spark/stages/sampled.py",
    "dclm_spark/pipeline/sampled.py",
    "dclm_spark/pipeline/registry.py",
    "jobs/sampled.py",
]


@pytest.fixture
def copy(tmp_path) -> Path:
    """A folder with the package and the jobs, as the guide leaves them."""
    assert follow(GUIDE, tmp_path) == CHANGED
    return tmp_path


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
