"""`docs/add-a-signal.md` is true: its three changes, made to a copy of the package, give the signal it speaks of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archives import ENGLISH, html

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "add-a-signal.md").read_text(encoding="utf-8")


def apply_diffs(folder: Path) -> list[str]:
    """Makes the changes that the guide's diffs show, each at the one place where its lines stand; the files changed."""
    changed = []
    for diff in re.findall(r"```diff\n(.*?)```", GUIDE, re.DOTALL):
        head, *hunks = re.split(r"^@@\n", diff, flags=re.MULTILINE)
        name = head.removeprefix("--- ").strip()
        text = (folder / name).read_text(encoding="utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before, after = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
            assert text.count(before) == 1, f"{name} has not one place that reads:\n{before}"
            text = text.replace(before, after)
        (folder / name).write_text(text, encoding="utf-8")
        changed.append(name)
    return changed


@pytest.mark.slow
def test_a_signal_takes_one_kernel_one_schema_line_and_one_bound(tmp_path):
    shutil.copytree(ROOT / "dclm_spark", tmp_path / "dclm_spark", ignore=shutil.ignore_patterns("__pycache__"))
    changed = apply_diffs(tmp_path)
    assert changed == ["dclm_spark/kernels/signals/quality.py", "dclm_spark/schemas.py", "dclm_spark/recipe/builtin.py"]
    (tmp_path / "page.html").write_bytes(html(f"<p>{ENGLISH}</p><p>{'Oh no! ' * 24}</p>"))
    command = [sys.executable, "-m", "dclm_spark", "explain", "--html", "page.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = re.search(r"\$ dclm-spark explain --html page.html\n(.*?)\n```", GUIDE, re.DOTALL)[1]
    assert shown in done.stdout.splitlines()
