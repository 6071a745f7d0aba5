"""An answer in a file of its own is JSON and nothing else, whole or absent; statuses reach whoever runs the command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dclm_spark.cli import answers, main

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]


def test_the_answer_alone_is_in_the_file_and_the_words_stay_where_they_were(tmp_path, capsys):
    file = tmp_path / "answer.json"
    assert main.main(["recipe", "show", "gopher", "--json-file", str(file)]) == 0
    out = capsys.readouterr().out
    assert json.loads(file.read_text())["name"] == "gopher" and json.loads(out)["name"] == "gopher"
    before = file.read_text()
    assert main.main(["recipe", "show", "no_such", "--json-file", str(file)]) == 2
    assert file.read_text() == before and os.listdir(tmp_path) == ["answer.json"]
    assert file.stat().st_mode & 0o111 == 0 and file.stat().st_mode & 0o600 == 0o600


@pytest.mark.parametrize("name, reason", [("absent/a.json", "there is no folder"), (".", "is a folder")])
def test_a_file_that_cannot_be_written_is_told_before_any_work(tmp_path, capsys, name, reason):
    asked = ["documents", "--dump", "D", "--warehouse", str(tmp_path / "lake"), "--input", "absent.warc.gz"]
    assert main.main([*asked, "--json-file", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert reason in err and "absent.warc.gz" not in err


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    file = tmp_path / "answer.json"
    file.write_text("before")
    with pytest.raises(ValueError):
        answers.write_file(str(file), [{"recipe_json": "{"}])
    assert file.read_text() == "before" and os.listdir(tmp_path) == ["answer.json"]


def test_json_in_a_string_is_an_object_and_a_text_that_looks_like_it_is_a_text():
    written = json.loads(
        answers.to_json([{"run": {"recipe_json": '{"a": [1]}', "text": '{"a": 1}'}, "other_json": None}])
    )
    assert written == [{"run": {"recipe_json": {"a": [1]}, "text": '{"a": 1}'}, "other_json": None}]


def test_whoever_ignores_what_main_returns_sees_a_failure():
    """As Databricks runs a wheel's entry point: it calls the function that the metadata name."""
    program = """
import sys
from importlib.metadata import entry_points
(entry,) = entry_points(group="console_scripts", name="dclm-spark")
sys.argv = ["dclm-spark", *sys.argv[1:]]
entry.load()()
print("went on")
"""
    for arguments, status, out in (
        (["lsh", "--quiet"], 2, ""),
        (["recipe", "show", "none"], 2, ""),
        (["lsh"], 0, "went on"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == status and "Traceback" not in done.stderr, done.stderr
        assert ("went on" in done.stdout) == bool(out)
