"""`dclm-spark` as a user meets it: what each command prints, where, and with which exit status."""

import io
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dclm_spark import schemas
from dclm_spark.cli import main
from dclm_spark.cli.main import make_parser
from dclm_spark.pipeline import documents
from dclm_spark.recipe import as_json
from dclm_spark.recipe.builtin import RECIPES
from dclm_spark.spark.progress import Progress
from tests.support.archives import english_pages, html
from tests.support.chains import DUMP, LARGE, RECIPE, SHORT, STRICTER, write_dump
from tests.support.commands import Said, dclm
from tests.support.tables import content, read, version

pytestmark = pytest.mark.once

KEPT = "http://long.org/0"
COMMANDS = ("run", "documents", "annotated", "filtered", "funnel", "explain", "export", "maintain", "recipe")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with `warc`, recipes as files, and the warehouse `lake` that the tests read."""
    folder = tmp_path_factory.mktemp("cli")
    write_dump(folder / "warc")
    for recipe in (RECIPE, STRICTER):
        (folder / f"{recipe.name}.json").write_text(as_json.canonical_json(recipe))
    return folder


@pytest.fixture(scope="module")
def first(spark, place) -> Said:
    """What the first run said."""
    return dclm("run", *what(place), "--input", place / "warc", "--batch-files", 3)


@pytest.fixture(scope="module")
def lake(first, place) -> Path:
    assert first.status == 0, first.err
    return place / "lake"


def what(place: Path, lake: Path | None = None, recipe: str = "tested") -> tuple[object, ...]:
    return ("--dump", DUMP, "--warehouse", lake or place / "lake", "--recipe", place / f"{recipe}.json")


# -- making tables ----------------------------------------------------------------------------------------------------


def test_run_tells_its_progress_its_counts_and_the_funnel(first, lake):
    lines = first.err.splitlines()
    progress = [line for line in lines if line.startswith(f"documents {DUMP}: 3/4 files, ")]
    assert "documents/s" in progress[0] and progress[0].endswith("s left")
    assert any(line.startswith(f"documents {DUMP}: 4/4 files, ") for line in lines)
    assert [line.rsplit(",", 1)[0] for line in lines if line.endswith(" s") and " in, " in line] == [
        f"documents {DUMP}: 18 in, 10 out, 1 in quarantine, 7 skipped",
        f"annotated {DUMP}: 10 in, 10 out",
        f"filtered {DUMP}: 10 in, 8 out, 2 removed",
    ]
    assert first.out.splitlines()[0] == f"{DUMP}   recipe tested"
    assert first.out.splitlines()[-1].startswith("  adds up: records = skipped + quarantined + documents")


def test_run_again_says_that_there_is_nothing_to_do(lake, place):
    again = dclm("run", *what(place), "--input", place / "warc")
    assert again.status == 0
    assert again.err.splitlines() == [
        f"{stage} {DUMP}: up to date, {n} rows; nothing done (--force makes it again)"
        for stage, n in (("documents", 10), ("annotated", 10), ("filtered", 8))
    ]
    answer = dclm("run", *what(place), "--input", place / "warc", "--json")
    assert answer.err == ""
    runs = json.loads(answer.out)
    assert [(run["stage"], run["n_rows_out"], run["is_new"]) for run in runs] == [
        ("documents", 10, False),
        ("annotated", 10, False),
        ("filtered", 8, False),
    ]
    assert runs[0]["recipe"] == runs[0]["recipe_json"]["name"] == "tested"


@pytest.mark.slow
def test_one_table_at_a_time_makes_what_run_makes(lake, place, tmp_path):
    own = tmp_path / "own"
    assert dclm("documents", *what(place, own), "--input", *(place / "warc").glob("*.warc*"), "--quiet").status == 0
    for stage in ("annotated", "filtered"):
        said = dclm(stage, *what(place, own), "--quiet", "--json")
        assert (said.status, json.loads(said.out)[0]["stage"], said.err) == (0, stage, "")
    made, expected = content(own), content(lake)
    for table in ("documents", "annotated", "filtered", "removed", "quarantine"):
        assert made[table] == expected[table]


@pytest.mark.slow
def test_another_recipe_is_refused_or_forced_or_borrows(lake, place, tmp_path):
    refused = dclm("filtered", *what(place, recipe="stricter"))
    assert refused.status == 2
    assert "made by another recipe (tested" in refused.err and "--force" in refused.err

    lent = dclm("run", *what(place, tmp_path / "own", "stricter"), "--upstream", lake)
    assert lent.status == 0
    assert lent.err.splitlines()[0].startswith(f"annotated {DUMP}: up to date in the upstream, 10 rows; nothing done")
    assert "10 in, 5 out, 5 removed" in lent.err
    assert lent.out.splitlines()[0] == f"{DUMP}   recipe stricter" and "  adds up" in lent.out

    copy = shutil.copytree(lake, tmp_path / "lake")
    before = {table: version(copy, table) for table in schemas.TABLES}
    forced = dclm("run", *what(place, copy, "stricter"), "--input", place / "warc", "--force")
    assert forced.status == 0
    assert [line.split(":")[1].split(",")[0] for line in forced.err.splitlines()[:2]] == [" up to date"] * 2
    changed = {table for table, number in before.items() if version(copy, table) != number}
    assert changed == {"filtered", "removed", "runs"}


def test_too_many_faults_have_an_exit_status_of_their_own(lake, place):
    said = dclm("documents", *what(place), "--input", place / "warc", "--max-fault-share", 0.01)
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith(
        f"dclm-spark: 1 of 18 records of {DUMP} (5.6%) are in quarantine, more than the recipe's"
    )
    assert len(said.err.splitlines()) == 1


# -- reading them -----------------------------------------------------------------------------------------------------


def test_funnel_in_words_and_in_json(lake):
    said = dclm("funnel", "--warehouse", lake)
    assert (said.status, said.err) == (0, "")
    words = " ".join(said.out.split())
    for expected in (
        "records read 18",
        "skipped 7 38.9%",
        "too_large 1 5.6%",
        "documents 10 55.6%",
        "language.p_target 1 10.0% > 0.65",
        "quality.n_words 1 10.0% >= 50 and <= 100000",
        "quality.n_stop_words 0 0.0% >= 2",
        "filtered 8 80.0%",
    ):
        assert expected in words
    (entry,) = json.loads(dclm("funnel", "--warehouse", lake, "--dump", DUMP, "--json").out)
    assert (entry["records"], entry["filtered"], entry["is_balanced"]) == (18, 8, True)
    missing = dclm("funnel", "--warehouse", lake, "--dump", "x'y")
    assert missing.status == 2 and "no dump x'y in" in missing.err


def test_explain_a_page_that_was_removed(lake):
    said = dclm("explain", "--warehouse", lake, SHORT)
    assert said.status == 0
    lines = {words[0]: words[1:] for line in said.out.splitlines() if (words := line.split())}
    assert said.out.splitlines()[0] == SHORT
    assert lines["quality.n_words"] == ["4", ">=", "50", "and", "<=", "100000", "BROKEN"]
    assert lines["urls.n_strict_words"] == ["-", "<=", "0", "not", "measured"]
    assert lines["quality.frac_bullet_lines"][-1] == "kept"
    assert lines["removed"] == ["by", "quality.n_words"]
    # Bounds come in the recipe's order, the signals without one after them.
    order = [word for word in lines if "." in word and word.split(".")[0] in schemas.SIGNAL_GROUPS]
    assert order[: len(RECIPE.bounds)] == [bound.signal for bound in RECIPE.bounds]
    assert {signal for signal in schemas.signals() if signal.split(".")[0] in RECIPE.groups} <= set(order)
    assert not any(signal.startswith("gopher.") for signal in order)  # no bound asks for it


def test_explain_a_page_that_stays_by_its_id(lake):
    doc_id = next(row["doc_id"] for row in read(lake, "documents") if row["url"] == KEPT)
    said = dclm("explain", "--warehouse", lake, doc_id)
    assert said.status == 0
    assert said.out.splitlines()[0] == KEPT and "  kept by recipe tested" in said.out
    (answer,) = json.loads(dclm("explain", "--warehouse", lake, KEPT, "--json").out)
    assert (answer["doc_id"], answer["removed_by"], answer["http_status"]) == (doc_id, None, 200)
    assert {rule["is_broken"] for rule in answer["rules"]} == {False}


def test_explain_a_record_in_quarantine_and_a_page_nobody_knows(lake):
    said = dclm("explain", "--warehouse", lake, LARGE)
    assert said.status == 0
    assert "file-1.warc.gz" in said.out and "  in quarantine: too_large: " in said.out
    unknown = dclm("explain", "--warehouse", lake, "http://nowhere.org/")
    assert unknown.status == 2
    assert "has no document or quarantined record 'http://nowhere.org/'; expected" in unknown.err
    for arguments in (("--warehouse", lake), (KEPT,), ("--warehouse", lake, "--html", "page.html")):
        assert dclm("explain", *arguments).status == 2


def test_explain_a_page_in_hand(place):
    page = place / "page.html"
    page.write_bytes(english_pages(1)[0][1])
    said = dclm("explain", "--html", page, "--url", KEPT)
    assert said.status == 0
    assert said.out.splitlines()[0] == KEPT and "  kept by recipe dclm_baseline" in said.out
    page.write_bytes(html("<p>The harbour of the old town lies to the west of the hills.</p>"))
    (answer,) = json.loads(dclm("explain", "--html", page, "--json").out)
    assert answer["lines"] == []
    assert (answer["removed_by"], answer["url"], answer["html_bytes"]) == (
        "quality.n_words",
        None,
        len(page.read_bytes()),
    )
    absent = dclm("explain", "--html", place / "absent.html")
    assert absent.status == 2 and "absent.html is no file" in absent.err


def test_a_page_in_hand_is_explained_without_spark_installed(place):
    page = place / "alone.html"
    page.write_bytes(english_pages(1)[0][1])
    program = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("pyspark", "delta", "py4j", "pandas"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from dclm_spark.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", program, "explain", "--html", str(page), "--url", KEPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == KEPT and "  kept by recipe dclm_baseline" in done.stdout


@pytest.mark.slow
def test_maintain_lists_every_table(lake, spark, tmp_path):
    copy = shutil.copytree(lake, tmp_path / "lake")
    spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.parallelism", "2")
    said = dclm("maintain", "--warehouse", copy)
    spark.conf.unset("spark.sql.sources.parallelPartitionDiscovery.parallelism")
    assert said.status == 0
    made = [table for table in schemas.TABLES if (copy / table).is_dir()]
    assert {"documents", "annotated", "filtered", "removed", "runs"} < set(made)
    assert [line.split()[0] for line in said.out.splitlines()] == made
    assert all(line.endswith("versions of the last 168 hours kept") for line in said.out.splitlines())
    assert content(copy) == content(lake)
    assert dclm("maintain", "--warehouse", tmp_path / "none").out == "no tables yet\n"


def test_recipe_prints_what_recipe_reads(place):
    printed = place / "printed.json"
    for name, recipe in RECIPES.items():
        printed.write_text(dclm("recipe", "--recipe", name).out)
        assert as_json.from_json(printed.read_text()) == recipe
        assert json.loads(dclm("recipe", "--recipe", printed, "--json").out)["name"] == name
    (place / "words.txt").write_text("casino\npoker\n")
    said = json.loads(dclm("recipe", "--hard-words", place / "words.txt", "--max-fault-share", 0.2, "--json").out)
    assert (said["annotation"]["hard_words"], said["max_fault_share"]) == (["casino", "poker"], 0.2)
    said = json.loads(dclm("recipe", "--bad-words", place / "words.txt", "--json").out)
    assert said["annotation"]["bad_words"] == ["casino", "poker"]


def test_recipes_are_shown_and_compared(place):
    tested, stricter = (str(place / f"{recipe.name}.json") for recipe in (RECIPE, STRICTER))
    assert dclm("recipe", "show", tested).out == dclm("recipe", "--recipe", tested).out
    said = dclm("recipe", "diff", tested, stricter).out.splitlines()
    assert said == ["bounds.quality.n_words.at_least: 50 -> 115", 'name: "tested" -> "stricter"']
    assert dclm("recipe", "diff", tested, tested).out == "the same\n"
    for wrong in (("diff", tested), ("show", tested, stricter)):
        assert dclm("recipe", *wrong).status == 2


@pytest.mark.slow
def test_what_another_bound_would_keep(lake, place, tmp_path):
    (entry,) = json.loads(dclm("funnel", "--warehouse", lake, "--what-if", "quality.n_words=115", "--json").out)
    assert entry["filtered"] == {"now": 8, "what_if": 5, "lost": 3, "gained": 0}
    by_signal = {rule["signal"]: (rule["now"], rule["what_if"]) for rule in entry["removed"]}
    assert by_signal["quality.n_words"] == (1, 4)
    # It is what the recipe with that bound keeps.
    ablation = tmp_path / "ablation"
    dclm("run", *what(place, ablation, recipe="stricter"), "--upstream", lake)
    assert len(read(ablation, "filtered")) == 5
    changes = ("quality.n_words=none", "language.p_target>=0", "urls.n_strict_words<=3", "quality.n_lines<=0")
    words = dclm("funnel", "--warehouse", lake, "--dump", DUMP, "--what-if", *changes).out
    assert "no bound" in words and words.splitlines()[-1].split()[:3] == ["filtered", "8", "0"]


def test_a_change_that_is_none_is_named(lake):
    changes = (
        "n_words=3",
        "quality.n_words=many",
        "quality.n_syllables=3",
        "quality.n_lines=3",
        "quality.n_words>=1e9",
    )
    said = dclm("funnel", "--warehouse", lake, "--what-if", "gopher.n_words>=50")
    assert said.status == 2 and "hold no signals of gopher" in said.err
    said = dclm("funnel", "--warehouse", lake, "--what-if", *changes)
    assert said.status == 2 and len(said.err.splitlines()) == len(changes)
    assert dclm("funnel", "--warehouse", lake, "--dump", "other", "--what-if", "quality.n_words=3").status == 2


# -- what can go wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written, said",
    [
        (None, "no recipe"),
        ("{", "no JSON"),
        ("[]", "expected an object"),
        ('{"nmae": "x"}', "unknown field 'nmae'"),
        ('{"name": "x", "bounds": [{"signal": "quality.n_words", "at_least": "many"}]}', "expected a number"),
        (b"\xff\xfe", "cannot be read as UTF-8"),
    ],
)
def test_a_recipe_that_cannot_be_read_is_one_error(place, tmp_path, written, said):
    path = tmp_path / "recipe.json"
    if written is not None:
        path.write_bytes(written if isinstance(written, bytes) else written.encode())
    found = dclm("run", "--recipe", path, "--dump", DUMP, "--warehouse", tmp_path / "lake", "--input", place / "warc")
    assert found.status == 2
    assert said in found.err and all(line.startswith("dclm-spark: ") for line in found.err.splitlines())
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--conf", "spark.sql.shuffle.partitions"), "--conf 'spark.sql.shuffle.partitions': expected KEY=VALUE"),
        (("--conf", "spark.executor.memory=1g"), "spark.executor.memory is fixed when a session starts"),
        (("--master", "local[7]"), "local[7] was requested"),
        (("--storage-option", "anon"), "--storage-option 'anon': expected KEY=VALUE"),
        (("--batch-files", "0"), "'0' is no whole number from 1 up"),
        (("--max-fault-share", "7"), "max_fault_share is 7.0; expected a share from 0 to 1"),
        (("--strict-words", "absent.txt"), "no word list absent.txt"),
        (("--language-model", "absent.bin"), "fastText model 'absent.bin' cannot be read"),
        (("--dump", "../up"), "the dump name '../up' cannot name a partition"),
        (("--input", "absent.warc.gz"), "'absent.warc.gz' does not exist"),
        (("--input",), "expected at least one argument"),
    ],
)
def test_a_wrong_option_is_one_error_before_any_work(spark, place, tmp_path, arguments, said):
    own = tmp_path / "lake"
    found = dclm("run", *what(place, own), "--input", place / "warc", *arguments)
    assert found.status == 2
    assert said in found.err
    assert not own.exists()


def test_a_command_without_input_names_what_it_lacks(spark, place, tmp_path):
    own = tmp_path / "lake"
    assert "give --input, or --upstream" in dclm("run", *what(place, own)).err
    assert "no input was named" in dclm("documents", *what(place, own)).err
    assert "run `dclm-spark documents` first" in dclm("annotated", *what(place, own)).err
    assert "`dclm-spark run` makes one" in dclm("funnel", "--warehouse", own).err
    assert not own.exists()


def test_what_spark_fails_of_is_said_in_two_lines_and_promises_only_what_is_true(lake, place, tmp_path):
    """A file that is gone, one that is damaged, a scheme that Spark does not know: the same command would not go on."""
    lines = {}
    for name in ("gone", "damaged"):
        folder = shutil.copytree(lake, tmp_path / name)
        for file in (folder / "documents").glob("dump=*/*.parquet"):
            file.unlink() if name == "gone" else file.write_bytes(b"PAR1" + bytes(200) + b"PAR1")
            (file.parent / f".{file.name}.crc").unlink(missing_ok=True)
        what_to_do = ("--dump", DUMP, "--recipe", place / f"{RECIPE.name}.json")
        lines[name] = dclm("annotated", "--force", "--warehouse", folder, *what_to_do)
    lines["unknown"] = dclm("funnel", "--warehouse", "nowhere://bucket/lake")
    for name, expected in (("gone", ".parquet"), ("damaged", ""), ("unknown", "nowhere")):
        said = lines[name]
        assert said.status == main.EXIT_SPARK, (name, said)
        first, second = [line for line in said.err.splitlines() if line.startswith("dclm-spark: ")]
        assert first.startswith("dclm-spark: Spark failed: ") and expected in first
        assert "to continue" not in second and "DCLM_SPARK_TRACE=1" in second
        assert ("a file of a table is damaged or missing" in second) == (name != "unknown")


def test_an_interrupted_command_says_how_to_go_on(spark, place, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(documents, "make_documents", interrupt)
    said = dclm("run", *what(place, tmp_path / "lake"), "--input", place / "warc")
    assert (said.status, said.err) == (130, "dclm-spark: interrupted; run the same command again to continue\n")


# -- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_every_option_and_an_example(command):
    said = dclm(command, "--help")
    assert said.status == 0
    assert f"\n  dclm-spark {command} --" in said.out.split("Example")[1]
    options = next(action for action in make_parser()._actions if action.choices).choices[command]._actions
    assert all(option.help for option in options)
    for line in said.out.splitlines():
        assert len(line) <= 120


def test_help_lists_the_commands():
    said = dclm("--help")
    assert all(f"\n    {command}" in said.out for command in COMMANDS)
    assert dclm().status == 2
    assert dclm("walk").status == 2


# -- progress ---------------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal of 100 columns: what was written to it, and what stands on it in the end."""

    def __init__(self, monkeypatch):
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.delenv("NO_COLOR", raising=False)
        self._master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w")
        self._written = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65536):
                self._written += data
        except OSError:  # the other end is closed
            pass

    def close(self) -> str:
        """All that was written."""
        self.stream.close()
        self._reader.join(10)
        os.close(self._master)
        return self._written.decode()

    @staticmethod
    def screen(written: str) -> list[str]:
        """The lines left, for the few controls that progress bars use: line up, erase line, colours."""
        lines, row = [""], 0
        for part in written.replace("\x1b[2K", "\x1b!").replace("\x1b[1A", "\x1b^").split("\x1b"):
            if part.startswith("!"):
                lines[row], part = "", part[1:]
            elif part.startswith("^"):
                row, part = max(row - 1, 0), part[1:]
            elif part.startswith("["):
                part = part.lstrip("[?0123456789;")[1:]
            for letter in part:
                if letter == "\n":
                    row += 1
                    lines += [""] * (row + 1 - len(lines))
                elif letter != "\r":
                    lines[row] += letter
        return [line for line in lines if line.strip()]


def test_a_terminal_gets_a_bar_and_keeps_nothing_of_it(spark, monkeypatch):
    terminal = Terminal(monkeypatch)
    with Progress(spark, "documents D", out=terminal.stream) as progress:
        progress.start(4, "files", done=1)
        progress.advance(2, n_rows=5000)
        time.sleep(1.5)
    print("after", file=terminal.stream)
    written = terminal.close()
    assert "━" in written and "documents D" in written
    assert "75%" in written and "3/4 files" in written and "documents/s" in written
    assert Terminal.screen(written) == ["after"]


def test_a_bar_leaves_the_line_clean_when_the_work_fails(spark, monkeypatch):
    terminal = Terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt), Progress(spark, "documents D", out=terminal.stream) as progress:
        progress.start(4, "files")
        raise KeyboardInterrupt
    print("after", file=terminal.stream)
    written = terminal.close()
    assert "━" in written
    assert Terminal.screen(written) == ["after"]
    assert "\x1b[?25h" in written, "the cursor is shown again"


def test_a_log_gets_a_line_for_every_batch(spark):
    out = io.StringIO()
    with Progress(spark, "documents D", out=out) as progress:
        progress.start(90, "files", done=30)
        progress.advance(30, n_rows=1200)
        progress.advance(30, n_rows=1200)
    first, last = out.getvalue().splitlines()
    assert first.startswith("documents D: 60/90 files, ") and first.endswith(" s left")
    assert last.startswith("documents D: 90/90 files, ") and not last.endswith("left")
    assert "\x1b" not in out.getvalue() and "\r" not in out.getvalue()


def test_quiet_says_nothing(spark):
    out = io.StringIO()
    with Progress(spark, "documents D", quiet=True, out=out) as progress:
        progress.start(2, "files")
        progress.advance(2)
    assert out.getvalue() == ""
