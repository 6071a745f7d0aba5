"""Guides of docs/ whose diffs are made to a copy of the package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def read_guide(name: str) -> str:
    """The text of a page of docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def follow(guide: str, folder: Path) -> list[str]:
    """Copies package and jobs into a folder and makes the changes that a guide's diffs show.

    Returns:
        The files changed, in the guide's order. A diff with `+++` is a new file.
    """
    for name in ("dclm_spark", "jobs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    changed = []
    for diff in re.findall(r"```diff\n(.*?)```", guide, re.DOTALL):
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
            assert text.count(before) == 1, (
                f"{name} has changed: update the guide in docs/, which expects one place that reads:\n{before}"
            )
            text = text.replace(before, after)
        (folder / name).write_text(text, encoding="utf-8")
    return changed


def dclm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, of the package in this folder."""
    command = [sys.executable, "-m", "dclm_spark", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done
