"""The README is true: its commands run as written, and what it prints is what they print.

A block under `<!-- run -->` runs; one under `<!-- output -->` is what the block before it prints. Blocks that need a
bucket, a cluster or a page of the reader's own say so in their place, and are left out here.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"<!-- ([^>\n]*) -->\n+```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
REASONS = {"needs a bucket", "needs a cluster", "needs a page", "needs a checkout of DCLM"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A folder that looks like the checkout to a command, with a `build` of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tests", "jobs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "build").mkdir()
    return folder


def _shell(code: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SPARK_")} | {"PATH": path}
    command = ["bash", "-euc", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_marked_block_is_known():
    for mark, _, _ in BLOCKS:
        assert mark in {"run", "output", "output: make demo", "benchmark"} | REASONS
    assert sum(mark == "run" for mark, _, _ in BLOCKS) >= 5


@pytest.mark.slow
def test_commands_run_as_written(checkout, monkeypatch, request):
    printed = ""
    for mark, language, code in BLOCKS:
        if mark == "run" and language == "sh":
            printed = _shell(code, checkout)
        elif mark == "run":
            request.getfixturevalue("spark")  # the notebook's own session
            monkeypatch.chdir(checkout)
            exec(compile(code, "README.md", "exec"), {})
        elif mark == "output":
            assert printed.strip() == code.strip()


@pytest.mark.slow
def test_the_funnels_are_what_the_demo_prints(checkout, spark, capsys):
    from dclm_spark.cli.main import main

    for dump in ("CC-MAIN-2022-05", "CC-MAIN-2022-21"):
        arguments = ["--dump", dump, "--warehouse", str(checkout / "build" / "demo")]
        assert main(["run", "--input", str(ROOT / "tests" / "data" / "sample" / dump), *arguments]) == 0
    shown = next(code for mark, _, code in BLOCKS if mark == "output: make demo")
    assert capsys.readouterr().out.strip() == shown.strip()
