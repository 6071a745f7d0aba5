"""`--banned-domains`: a list from its file to `removed`; another content is another recipe, a missing one an error."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from dclm_spark.cli import main
from dclm_spark.errors import InputError
from dclm_spark.files.domain_lists import check_domain_list, describe_domain_list, read_domain_list
from dclm_spark.recipe import as_json
from dclm_spark.recipe.annotation import DomainList
from tests.support.archives import english_pages, html, write_warc
from tests.support.chains import DUMP
from tests.support.tables import assert_balanced, read

pytestmark = pytest.mark.once

LINES = "# mine\nwww.Banned.org\nbanned.org\n\nabsent.net\n"


class Said(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def dclm(capsys):
    """A command in this process."""

    def run(*arguments: object) -> Said:
        status = main.main([str(argument) for argument in arguments])
        return Said(status, *capsys.readouterr())

    return run


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with an archive of seven pages, four of them of banned.org, and a list."""
    pages = [
        *english_pages(3, site="www.banned.org"),
        *english_pages(1, site="banned.org:8080"),
        *english_pages(3, site="notbanned.org"),
    ]
    write_warc(tmp_path / "warc" / "a.warc.gz", pages)
    (tmp_path / "list.txt").write_text(LINES)
    return tmp_path


def what(place: Path, *more: object) -> tuple[object, ...]:
    return ("run", "--input", place / "warc", "--dump", DUMP, "--warehouse", place / "lake", "--quiet", "--json", *more)


def news(said: Said) -> dict[str, bool]:
    """Stage -> whether it was made anew."""
    assert said.status == 0, said.err
    return {run["stage"]: run["is_new"] for run in json.loads(said.out)}


@pytest.mark.slow
def test_pages_of_a_banned_domain_are_removed_and_explained(spark, place, dclm):
    assert all(news(dclm(*what(place, "--banned-domains", place / "list.txt"))).values())
    lake = place / "lake"
    assert_balanced(lake, DUMP)
    assert [(row["removed_by"], row["value"]) for row in read(lake, "removed")] == [("urls.n_banned_domains", 1.0)] * 4
    assert {row["host"] for row in read(lake, "filtered")} == {"notbanned.org"}
    said = dclm("explain", "--warehouse", lake, "http://banned.org:8080/0")
    assert said.out.splitlines()[-1] != "" and "removed by urls.n_banned_domains" in said.out
    (funnel,) = json.loads(dclm("funnel", "--warehouse", lake, "--json").out)
    assert funnel["removed"]["urls.n_banned_domains"] == 4 and funnel["is_balanced"]


@pytest.mark.slow
def test_the_faithful_recipe_lets_escape_what_dclm_does(spark, place, dclm):
    arguments = what(place, "--banned-domains", place / "list.txt", "--recipe", "dclm_baseline_faithful")
    assert all(news(dclm(*arguments)).values())
    assert read(place / "lake", "removed") == []
    assert {row["urls"]["n_banned_domains"] for row in read(place / "lake", "annotated")} == {0}


@pytest.mark.slow
def test_a_list_counts_by_its_content(spark, place, dclm):
    assert all(news(dclm(*what(place, "--banned-domains", place / "list.txt"))).values())
    (place / "packed.gz").write_bytes(gzip.compress(LINES.encode()))
    assert not any(news(dclm(*what(place, "--banned-domains", place / "packed.gz"))).values())

    (place / "list.txt").write_text(LINES + "notbanned.org\n")
    changed = what(place, "--banned-domains", place / "list.txt")
    refused = dclm(*changed)
    assert refused.status == 2 and f"the annotated of {DUMP}" in refused.err and "another recipe" in refused.err
    assert news(dclm(*changed, "--force")) == {"documents": False, "annotated": True, "filtered": True}
    assert read(place / "lake", "filtered") == []

    without = dclm(*what(place), "--force")
    assert news(without) == {"documents": False, "annotated": True, "filtered": True}
    assert {row["urls"]["n_banned_domains"] for row in read(place / "lake", "annotated")} == {None}


def test_a_recipe_file_keeps_the_hash_and_refuses_another_content(spark, place, dclm):
    said = dclm("recipe", "--banned-domains", place / "list.txt")
    annotation = json.loads(said.out)["annotation"]
    assert annotation["banned_domains"] == {
        "path": str(place / "list.txt"),
        "sha256": hashlib.sha256(LINES.encode()).hexdigest(),
        "n_domains": 3,
    }
    (place / "mine.json").write_text(said.out)
    recipe = as_json.from_json(said.out)
    assert isinstance(recipe.annotation.banned_domains, DomainList)
    assert as_json.from_json(as_json.canonical_json(recipe)) == recipe

    (place / "list.txt").write_text("other.org\n")
    refused = dclm(*what(place, "--recipe", place / "mine.json"))
    assert refused.status == 2 and "is not the one that the recipe was made with" in refused.err
    (place / "list.txt").unlink()
    refused = dclm(*what(place, "--recipe", place / "mine.json"))
    assert refused.status == 2 and "list.txt does not exist; expected a text file" in refused.err
    assert len(refused.err.splitlines()) == 1 and not (place / "lake").exists()


def test_a_page_in_hand_is_looked_up(place, dclm):
    page = place / "page.html"
    page.write_bytes(html("<p>The harbour of the old town.</p>"))
    for url, value in (("https://www.banned.org/", 1), ("https://notbanned.org/", 0)):
        said = dclm("explain", "--html", page, "--url", url, "--banned-domains", place / "list.txt", "--json")
        assert json.loads(said.out)[0]["rules"][0] == {
            "signal": "urls.n_banned_domains",
            "value": value,
            "bound": "<= 0",
            "is_broken": value == 1,
        }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"# nothing\n\n", "is empty"),
        (b"\xff\xfe\x00", "cannot be read as UTF-8 text"),
        (b"\x1f\x8bno gzip", "cannot be read (OSError"),
        (b"0.0.0.0 a.com\n0.0.0.0 b.com\nc.com\n", "of the first 3 entries"),
    ],
)
def test_what_is_no_list_is_one_error_before_any_work(place, dclm, content, said):
    path = place / "other.txt"
    if content is not None:
        path.write_bytes(content)
    refused = dclm(*what(place, "--banned-domains", path))
    assert refused.status == 2 and said in refused.err and str(path) in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (place / "lake").exists()


@pytest.mark.parametrize("codec", ["gzip", "zstd", None])
def test_plain_and_packed_lists_are_the_same(tmp_path, codec):
    path = tmp_path / "list"
    halves = [LINES[:20].encode(), LINES[20:].encode()]
    # Two members, as `cat one.gz two.gz` makes them.
    path.write_bytes(b"".join(pa.compress(half, codec, asbytes=True) if codec else half for half in halves))
    listed = describe_domain_list(str(path))
    assert (listed.sha256, listed.n_domains) == (hashlib.sha256(LINES.encode()).hexdigest(), 3)
    assert read_domain_list(listed) == LINES.splitlines()
    assert check_domain_list(listed) == [] == check_domain_list(None)


def test_a_list_may_lie_elsewhere():
    import fsspec

    fsspec.filesystem("memory").pipe("/list.txt", LINES.encode())
    listed = describe_domain_list("memory://list.txt")
    assert len(read_domain_list(listed)) == 5
    fsspec.filesystem("memory").rm("/list.txt")
    with pytest.raises(InputError, match=r"memory://list\.txt does not exist"):
        read_domain_list(listed)
