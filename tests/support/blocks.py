"""Blocks of code in README and docs: finds those that are marked, runs them, and compares what they print.

A mark is a comment on the line before a block: `run` runs it, `output` is what the last block that ran has printed,
`needs ...` says why a block is not run here. Blocks without a mark are for reading only.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
REASONS = {"needs a bucket", "needs a cluster", "needs a page", "needs a checkout of DCLM", "needs your files"}
MARKS = {"run", "output", "output: make demo", "output: make demo, one dump without zeros"} | REASONS
REWRITE = "DCLM_SPARK_REWRITE_OUTPUTS"
"""Set in the environment, the pages get the outputs that were printed, in place of a comparison."""

_BLOCK = re.compile(r"<!-- ([^>\n]*) -->\n+```(\w+)\n(.*?)```", re.DOTALL)
_SHELL = re.compile(r"[|<>;&$`*]")


@dataclass(frozen=True)
class Block:
    """One marked block: its mark, the language it is written in, and its text."""

    mark: str
    language: str
    code: str


def blocks_of(page: Path) -> list[Block]:
    """The marked blocks of a page, from its first line to its last."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


@dataclass(frozen=True)
class Demo:
    """What `make demo` makes and prints, made once for all tests of pages."""

    folder: Path
    printed: str

    def checkout(self, folder: Path) -> Path:
        """Lays out a folder that looks to a command like the checkout after `make demo`; its tables are a copy."""
        for name in ("tests", "jobs", "benchmarks"):
            (folder / name).symlink_to(ROOT / name)
        shutil.copytree(self.folder, folder / "build" / "demo")
        return folder


def make_demo(folder: Path) -> Demo:
    """Makes the tables of both bundled dumps in a folder, by the commands of `make demo`."""
    from dclm_spark.cli.main import main

    def run() -> None:
        for dump in ("CC-MAIN-2022-05", "CC-MAIN-2022-21"):
            arguments = ["--input", str(ROOT / "tests" / "data" / "sample" / dump), "--dump", dump]
            _succeeds(main(["run", *arguments, "--warehouse", str(folder)]), f"run {dump}")

    return Demo(folder, _printed(run))


@dataclass
class Runner:
    """Runs the blocks of one page in a folder, as a reader would: Python and SQL in one notebook, commands in a shell.

    A plain `dclm-spark` command runs in this process, on the session of the tests; one with pipes runs in bash.
    """

    folder: Path
    spark: Any
    monkeypatch: Any
    _names: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.monkeypatch.chdir(self.folder)

    def run(self, block: Block) -> str:
        """What the block prints on standard output."""
        if block.language == "sql":
            return _printed(lambda: self.spark.sql(block.code).show(50, truncate=False))
        if block.language == "python":
            return _printed(lambda: exec(compile(block.code, "a block", "exec"), self._names))
        lines = block.code.replace("\\\n", " ").splitlines()
        return "".join(self._shell(line) for line in lines if line.strip() and not line.startswith("#"))

    def _shell(self, line: str) -> str:
        if line.startswith("dclm-spark ") and not _SHELL.search(line):
            from dclm_spark.cli.main import main

            return _printed(lambda: _succeeds(main(shlex.split(line)[1:]), line))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SPARK_")} | {"PATH": path}
        command = ["bash", "-euc", line]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=1800, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


def check_page(page: Path, runner: Runner) -> None:
    """Runs a page's blocks in order and compares each output that it shows; with `REWRITE` set, writes it instead."""
    printed, shown = "", []
    for block in blocks_of(page):
        if block.mark == "run":
            printed = runner.run(block)
        elif block.mark == "output" and not os.environ.get(REWRITE):
            assert printed.strip() == block.code.strip()
        shown.append(f"{printed.strip()}\n" if block.mark == "output" else block.code)
    if os.environ.get(REWRITE):
        text = page.read_text(encoding="utf-8")
        for found, code in reversed(list(zip(_BLOCK.finditer(text), shown, strict=True))):
            text = text[: found.start(3)] + code + text[found.end(3) :]
        page.write_text(text, encoding="utf-8")


def _printed(do: Any) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        do()
    return out.getvalue()


def _succeeds(status: int, line: str) -> None:
    assert status == 0, f"exit status {status} of: {line}"
