"""What pages, files and errors may do to a terminal: be read, and nothing else."""

import json
import re

import pytest

from dclm_spark.cli import main
from dclm_spark.cli.clusters import Coloured
from dclm_spark.reports import cluster_text
from dclm_spark.reports.explain import format_explanation
from dclm_spark.reports.funnel_words import format_funnel
from dclm_spark.reports.word_diff import diff_words, format_diff
from dclm_spark.terminal import shown, shown_in_line, shown_json

pytestmark = pytest.mark.once

# Clears the screen, sets the title, writes the clipboard (OSC 52), colours by C1, rings, goes back, turns the writing.
ATTACKS = [
    "\x1b[2J\x1b[31m",
    "\x1b]0;PWNED\x07",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x9b31m",
    "\x9d0;PWNED\x9c",
    "\x90q\x9c",
    "over\rwritten",
    "a\x08b\x7fc",
    "\x0e\x0f\x00\x05",
    "\u202egpj.exe",
    "\u2066\u2069\u202a\u202d\u202c",
    "half \ud800 of one",
]
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PLAIN = "Ein Satz, שלום, مرحبا, 日本語, 👩‍👧, e\u0301, [bold]not a mark-up[/bold]\n\tand a tab"


def test_what_is_no_command_is_left_alone():
    assert shown(PLAIN) == PLAIN
    assert shown_json(json.dumps(PLAIN, ensure_ascii=False)) == json.dumps(PLAIN, ensure_ascii=False)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_terminal_obeys_is_escaped(attack):
    assert not OBEYED.search(shown(attack)) and shown(attack) != attack
    assert not OBEYED.search(shown_in_line(attack + "\n\u2028\t")) and "\n" not in shown_in_line(attack + "\n")
    written = shown_json(json.dumps({"url": attack}, ensure_ascii=False))
    assert not OBEYED.search(written) and json.loads(written) == {"url": attack}


@pytest.mark.parametrize("attack", ATTACKS)
def test_explain_shows_a_page_and_obeys_none(attack):
    document = {"url": f"http://a.b/{attack}\n  kept by recipe x", "doc_id": "0", "dump": "D", "charset": attack}
    document |= {"warc_path": f"/w/{attack}.warc.gz", "warc_offset": 0, "content_type": attack, "fetched_at": None}
    said = format_explanation(document)
    assert not OBEYED.search(said) and "kept" in said.splitlines()[0]
    assert not OBEYED.search(format_explanation(document | {"kind": "bad_http", "message": attack}))
    lines = [{"rule": "r", "line": attack, "becomes": attack}]
    judged = {"rules": [], "signals": {}, "removed_by": None, "recipe": attack, "lines": lines, "text": attack}
    duplicates = {"cluster_id": "1", "cluster_size": 2, "similarity": 0.9, "is_kept": True, "survivor_url": attack}
    said = format_explanation(document | judged | {"duplicates": duplicates})
    assert not OBEYED.search(said)


@pytest.mark.parametrize("attack", ATTACKS)
def test_commands_print_no_command_of_a_page(attack, tmp_path, capsys):
    page = tmp_path / "page.html"
    page.write_bytes(f"<main><p>{attack}The harbour lies to the west.</p></main>".encode(errors="replace"))
    for form in ([], ["--json"]):
        status = main.main(["explain", "--html", str(page), "--url", f"http://a.b/{attack}", *form])
        assert status == (2 if "\0" in attack else 0)  # which is no text
        assert not OBEYED.search("".join(capsys.readouterr()))
    name = attack.replace("\0", "")
    assert main.main(["explain", "--html", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert not OBEYED.search(said) and len(said.splitlines()) == 1


@pytest.mark.parametrize("attack", ATTACKS)
def test_clusters_keep_their_own_colours_alone(attack):
    diff = diff_words(f"to the old {attack} harbour", "to the new harbour")
    (line,) = format_diff(diff, has_colour=True)
    assert "\x1b[31m[-" in line
    assert not OBEYED.search(re.sub(r"\x1b\[(31|32|0)m", "", line).replace("\ufffd[31m", ""))
    page = {"doc_id": "0", "dump": "D", "url": attack, "duplicates": {"cluster_id": None, "scope": "dump"}}
    assert not OBEYED.search(cluster_text.format_pages([page]))
    assert isinstance(Coloured(line), str)


def test_a_recipe_that_is_printed_as_json_stays_json(tmp_path, capsys):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"name": "a", "annotation": {"soft_words": ["\x9b31m\x7f\x1b"]}}))
    assert main.main(["recipe", "show", str(recipe)]) == 0
    said = capsys.readouterr().out
    assert not OBEYED.search(said) and json.loads(said)["annotation"]["soft_words"] == ["\x9b31m\x7f\x1b"]


def test_the_funnel_prints_no_command_of_a_recipe():
    entry = {"dump": "D", "recipe": "a\x1b[2J", "removed": {}, "filtered": 0, "bounds": {}}
    assert not OBEYED.search(shown(format_funnel([entry])))
