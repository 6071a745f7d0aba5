"""Near-duplicates from the command line: clusters, a page's own, giants, and what funnel and `explain` say of them."""

import io
import json
import math
import re
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

from dclm_spark import schemas
from dclm_spark.cli import main
from dclm_spark.lake.runs import Run
from dclm_spark.lake.warehouse import Warehouse
from dclm_spark.pipeline.registry import STAGES
from dclm_spark.recipe import as_json
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates
from dclm_spark.recipe.recipe import Recipe
from dclm_spark.reports.cluster_text import (
    format_chained,
    format_clusters,
    format_giants,
    format_merged,
    format_pages,
    format_sizes,
)
from dclm_spark.reports.clusters import count_clusters, count_sizes, list_chained, list_giants, list_merged
from dclm_spark.reports.explain import format_explanation
from dclm_spark.reports.funnel_words import format_funnel
from dclm_spark.reports.plots import plot_sizes
from dclm_spark.reports.word_diff import diff_words, format_diff
from dclm_spark.spark.types import spark_schema

pytestmark = pytest.mark.once

A, B, LATE = "CC-MAIN-2022-05", "CC-MAIN-2022-21", "CC-MAIN-2022-27"
RECIPE = Recipe("tested", signatures=MinHash(), duplicates=NearDuplicates(scope="all"))
N_LICENCES = 30

HARBOUR = "The harbour of the old town lies west of the hills, and the road to it is older than anybody can remember."
URL = "http://long.org/harbour"
EVIL = "http://evil.org/\x1b[2J"


def doc_id(name: str) -> str:
    return f"{name:0<32}"


PAGES = {
    # name: (dump, url, text)
    "a0": (A, URL, HARBOUR),
    "a1": (A, "http://copy.org/harbour", HARBOUR.replace("old town", "ancient town")),
    "b0": (B, URL, HARBOUR.replace("west", "\x1b[31mnorth") + " So they say."),
    "a2": (A, "http://long.org/bell", "A bell rings at noon."),
    "a3": (A, "http://copy.org/bell", "A bell rings at noon."),
    "a4": (A, "http://long.org/alone", "Nobody else says this."),
    "b1": (B, EVIL, "No similarity was looked at."),
    "b2": (B, None, "No similarity was looked at, at all."),
    "c0": (LATE, "http://late.org/", "Not compared yet."),
    **{f"d{n:02}": (B, f"http://l{n:02}.org/", f"Licence {n} of many words.") for n in range(N_LICENCES)},
}

CLUSTERS = {
    # survivor: {member: similarity}
    "a0": {"a0": 1.0, "a1": 0.9, "b0": 0.7},
    "a2": {"a2": 1.0, "a3": 0.95},
    "b1": {"b1": None, "b2": None},
    "d00": {f"d{n:02}": 1 - n / 100 for n in range(N_LICENCES)},
}
REMOVED = [
    (member, of, likeness) for of, found in CLUSTERS.items() for member, likeness in found.items() if member != of
]
GIANT, OTHER, SMALL = -5, 6, 7  # hashes of texts


def rows_of() -> dict[str, list[tuple]]:
    """Table -> its rows."""
    of_page = {member: of for of, found in CLUSTERS.items() for member in found}
    kept = [name for name in PAGES if of_page.get(name, name) == name and PAGES[name][0] != LATE]
    return {
        "documents": [
            (doc_id(name), dump, url, None, 200, "text/html", "utf-8", 9, "a.warc", 0, None, text, None)
            for name, (dump, url, text) in PAGES.items()
            if dump == A
        ],
        "annotated": [
            (doc_id(name), dump, url, *[None] * len(schemas.SIGNAL_GROUPS), text)
            for name, (dump, url, text) in PAGES.items()
            if dump == A
        ],
        "filtered": [
            (doc_id(name), dump, url, None, "en", len(text.split()), text) for name, (dump, url, text) in PAGES.items()
        ],
        "signatures": [
            (doc_id(name), PAGES[name][0], None, 9, 1, text_hash, None, None, None)
            for name, text_hash in (("a2", GIANT), ("a3", GIANT), ("a4", OTHER), ("d00", SMALL))
        ],
        "duplicates": [
            (doc_id(member), PAGES[member][0], "all", doc_id(of), len(found), similarity, member == of)
            for of, found in CLUSTERS.items()
            for member, similarity in found.items()
        ],
        "edges": [
            (A, OTHER, GIANT, 0.4, True, 20_000),
            (A, SMALL, GIANT, None, False, 20_000),
            (A, SMALL, OTHER, 0.8, False, None),
            (B, OTHER, SMALL, 0.8, False, 15_000),
        ],
        "merged_clusters": [(B, "all", doc_id("a0"), doc_id("a9"))],
        "removed": [
            (
                *(PAGES[member][0], "deduplicated", doc_id(member), "near_duplicate", likeness, f"of {doc_id(of)}"),
                *(PAGES[member][1], None, "en"),
            )
            for member, of, likeness in REMOVED
        ],
        "deduplicated": [
            (doc_id(name), PAGES[name][0], PAGES[name][1], None, "en", 1, PAGES[name][2], len(CLUSTERS.get(name, "1")))
            for name in kept
        ],
    }


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory) -> Path:
    """A warehouse of two dumps compared with each other, and one that is filtered only."""
    place = Warehouse(spark, str(tmp_path_factory.mktemp("clusters") / "lake"))
    place.prepare(*rows_of(), "runs")
    for table, rows in rows_of().items():
        frame = spark.createDataFrame(rows, spark_schema(schemas.TABLES[table])).coalesce(1)
        place.append(frame, table, lineage={"table": table})
    runs = [Run(place, "annotated", A, RECIPE)]
    runs += [Run(place, "filtered", dump, RECIPE) for dump in (A, B, LATE)]
    runs += [Run(place, stage, dump, RECIPE) for stage in list(STAGES)[3:] for dump in (A, B)]
    runs.append(Run(place, "deduplicated", LATE, RECIPE))  # of which the tables know nothing
    record(runs)
    return Path(str(place))


def record(runs: list[Run]) -> None:
    """The rows of these runs in one commit, where `Run.record` makes one each."""
    place = runs[0].warehouse
    written = {
        "attempt_id": None,
        "recipe_hash": "",
        "recipe_json": as_json.canonical_json(RECIPE),
        "part_hash": "",
        "recipe": RECIPE.name,
        **dict.fromkeys(("versions", "input_versions", "output_versions"), {}),
        "upstream_runs": {"filtered": "another"},
        **dict.fromkeys(("n_rows_in", "n_rows_out", "n_removed", "n_faults", "n_skipped"), 0),
        "seconds": 0.0,
    }
    rows = [
        tuple(written[name] if name in written else getattr(run, name, None) for name in schemas.RUNS.names)
        for run in runs
    ]
    place.append(place.spark.createDataFrame(rows, spark_schema(schemas.RUNS)), "runs", lineage={})


@pytest.fixture(scope="module")
def dclm(lake):
    """A command that must succeed over `lake`: what it prints, read if it is JSON. Given again, it is not run again."""

    @cache
    def run(*arguments: object):
        with redirect_stdout(io.StringIO()) as out:
            assert main.main([*map(str, arguments), "--warehouse", str(lake)]) == 0
        return json.loads(out.getvalue()) if "--json" in arguments else out.getvalue()

    return run


# -- all clusters -----------------------------------------------------------------------------------------------------


def test_figures_count_all_clusters_and_those_of_each_dump(dclm):
    answer = dclm("clusters", "--json")
    names = ("documents", "clusters", "kept", "removed", "median_size", "largest_size")
    assert answer["scopes"] == ["all"]
    assert [answer["overall"][name] for name in names] == [37, 4, 4, 33, 2.5, 30]
    # The cluster that lies in both is counted in each, with its whole size.
    assert [[entry[name] for name in ("dump", *names)] for entry in answer["by_dump"]] == [
        [A, 4, 2, 2, 2, 2.5, 3],
        [B, 33, 3, 2, 31, 3.0, 30],
    ]


def test_the_largest_come_first(dclm):
    largest = dclm("clusters", "--json")["largest"]
    assert [(found["cluster_id"], found["size"], found["n_kept"]) for found in largest] == [
        (doc_id("d00"), 30, 1),
        (doc_id("a0"), 3, 1),
        (doc_id("a2"), 2, 1),
        (doc_id("b1"), 2, 1),
    ]
    # The survivor's own similarity of 1 is none of its members'.
    assert (largest[1]["min_similarity"], largest[1]["mean_similarity"]) == (0.7, 0.8)
    assert (largest[1]["url"], largest[1]["dumps"], largest[1]["farthest"]) == (URL, [A, B], doc_id("b0"))
    assert (largest[3]["min_similarity"], largest[3]["mean_similarity"], largest[3]["farthest"]) == (None, None, None)
    one = dclm("clusters", "--largest", 1, "--dump", A, "--json")
    assert [found["cluster_id"] for found in one["largest"]] == [doc_id("a0")]
    assert ([entry["dump"] for entry in one["by_dump"]], one["overall"]["clusters"]) == ([A], 2)


def test_figures_in_words(dclm):
    words = format_clusters(dclm("clusters", "--json"))
    lines = [line.split() for line in words.splitlines()]
    assert lines[0][:2] == ["scope", "all"]
    assert lines[1] == ["all", "37", "4", "4", "33", "2.5", "30"]
    assert ["3", "1", "0.700", "0.800", A, "and", "1", "more"] in lines
    assert [doc_id("b1"), "http://evil.org/\ufffd[2J"] in lines


def test_the_most_chained_are_those_with_the_farthest_member(dclm):
    chained = dclm("clusters", "--chained", "--json")
    assert [(found["cluster_id"][:3], found["min_similarity"]) for found in chained] == [
        ("a00", 0.7),
        ("d00", 0.71),
        ("a20", 0.95),
    ]
    assert f"{doc_id('b0')}  is least similar" in format_chained(chained)


def test_sizes_by_powers_of_two(dclm, tmp_path):
    sizes = dclm("clusters", "--sizes", "--json")
    assert [tuple(entry.values()) for entry in sizes] == [
        (2, 2, 2, 4),
        (3, 4, 1, 3),
        (5, 8, 0, 0),
        (9, 16, 0, 0),
        (17, 32, 1, 30),
    ]
    png, svg = tmp_path / "sizes.png", tmp_path / "sizes.svg"
    words = dclm("clusters", "--sizes", "--plot", png).splitlines()
    assert [line.split() for line in words[3:6:2]] == [["5-8", "0", "0"], ["17-32", "1", "30", "#" * 25]]
    assert round(40 * math.log2(2) / math.log2(3)) == 25 and words[1].endswith("   " + "#" * 40)
    assert png.read_bytes().startswith(b"\x89PNG")
    for _ in range(2):
        plot_sizes(sizes, svg)
        assert "<svg" in (drawn := svg.read_text())
    assert svg.read_text() == drawn


def test_giant_buckets_have_examples(dclm):
    giants = dclm("clusters", "--giants", "--json")
    assert [(found["text_hash"], found["size"]) for found in giants] == [(GIANT, 20_000), (SMALL, 15_000)]
    assert [(page["doc_id"][:2], page["n_documents"]) for page in giants[0]["examples"]] == [
        ("a2", 2),
        ("a4", 1),
        ("d0", 1),
    ]
    assert giants[0]["examples"][0]["text"] == "A bell rings at noon."
    words = format_giants(giants).splitlines()
    assert words[-5] == "bucket of 15,000 texts"
    assert words[-4].split() == [doc_id("d00"), B, "http://l00.org/"]
    assert words[-3] == "    1 with this text: Licence 0 of many words."


def test_merged_clusters_are_listed(dclm):
    row = {"dump": B, "scope": "all", "cluster_id": doc_id("a0"), "merged_id": doc_id("a9")}
    assert dclm("clusters", "--merged", "--json") == [row]
    assert format_merged([row]) == f"{B} (all): {doc_id('a9')} has become a part of {doc_id('a0')}"
    assert dclm("clusters", "--merged", "--dump", A).startswith("no merged clusters")


# -- one page ---------------------------------------------------------------------------------------------------------


def test_a_page_beside_its_survivor(dclm):
    words = dclm("clusters", doc_id("a1"))
    lines = words.splitlines()
    assert lines[:3] == [
        "http://copy.org/harbour",
        f"  {doc_id('a1')}  {A}",
        f"  near-duplicate of {doc_id('a0')} ({URL}), similarity 0.90, cluster of 3, removed",
    ]
    assert [line.split()[:3] for line in lines[5:8]] == [
        ["1.000", "22", "survivor"],
        ["0.900", "22", "removed"],
        ["0.700", "25", "removed"],
    ]
    assert lines[-1] == "    The harbour of the [-old-]{+ancient+} town lies west of the"
    assert "21 words the same, [-1 only in the survivor-] {+1 only here+}" in lines[-2]


def test_a_url_of_two_dumps_tells_of_its_cluster_once(dclm):
    entries = dclm("clusters", URL, "--json")
    assert [(entry["doc_id"], "cluster" in entry) for entry in entries] == [(doc_id("a0"), True), (doc_id("b0"), False)]
    # The survivor's own page: others are laid beside it, the least alike first.
    assert [diff["doc_id"] for diff in entries[0]["diffs"]] == [doc_id("b0"), doc_id("a1")]
    words = format_pages(entries)
    assert "  its cluster is shown above" in words
    assert "lies [-west-]{+\ufffd[31mnorth+} of" in words and " remember. {+So they say.+}" in words
    assert "\x1b" not in words


def test_of_a_large_cluster_a_few_members_are_listed(dclm):
    (entry,) = dclm("clusters", doc_id("d01"), "--json")
    members = [member["doc_id"][:3] for member in entry["cluster"]["members"]]
    # The survivor, the page asked for, then the least alike.
    assert members == ["d00", "d01", *(f"d{n:02}" for n in range(29, 11, -1))]
    assert [diff["doc_id"][:3] for diff in entry["diffs"]] == ["d01"]
    assert "  and 10 more" in format_pages([entry]).splitlines()
    (entry,) = dclm("clusters", doc_id("d01"), "--members", 2, "--json")
    assert [diff["doc_id"][:3] for diff in entry["diffs"]] == ["d01", "d29"]


def test_a_page_whose_similarity_is_not_known(dclm):
    words = dclm("clusters", doc_id("b2"))
    assert f"near-duplicate of {doc_id('b1')} (http://evil.org/\ufffd[2J), not verified, cluster of 2, removed" in words
    assert "[-at.-]{+at, at all.+}" in words


def test_a_page_in_no_cluster(dclm):
    said = f"  is in no cluster: no other page of the dumps compared with {A} is similar"
    (entry,) = dclm("clusters", "http://long.org/alone", "--json")
    assert format_pages([entry]).splitlines()[-1] == said
    assert (entry["duplicates"]["scope"], entry["duplicates"]["cluster_size"], entry["cluster"]) == ("all", 1, None)


# -- funnel and explain -----------------------------------------------------------------------------------------------


def test_the_funnel_goes_on_to_what_is_deduplicated(dclm):
    entries = {entry["dump"]: entry for entry in dclm("funnel", "--json")}
    fields = ("filtered", "duplicates_removed", "deduplicated", "is_balanced", "is_stale")
    assert [entries[A][field] for field in fields] == [5, {"near_duplicate": 2}, 3, True, True]
    assert [entries[B][field] for field in fields] == [33, {"near_duplicate": 31}, 2, True, True]
    assert [entries[LATE][field] for field in fields] == [1, {"near_duplicate": 0}, 0, False, True]
    lines = format_funnel([entries[B] | {"is_stale": False}]).splitlines()
    assert [line.split() for line in lines[-5:]] == [
        ["filtered", "33", "100.0%"],
        ["removed", "31", "93.9%"],
        ["near_duplicate", "31", "93.9%"],
        ["deduplicated", "2", "6.1%"],
        ["adds", "up:", "filtered", "=", "removed", "+", "deduplicated"],
    ]


def test_the_sentence_speaks_of_the_sums_that_were_made(dclm):
    late = next(entry for entry in dclm("funnel", "--json") if entry["dump"] == LATE)
    assert format_funnel([late]).endswith("  DOES NOT ADD UP: filtered = removed + deduplicated")
    documents = {"files": 1, "skipped_files": 0, "records": 1, "skipped": {}, "quarantined": {}, "documents": 1}
    sums = "records = skipped + quarantined + documents, documents = removed + filtered"
    assert format_funnel([late | documents]).endswith(f": {sums}, filtered = removed + deduplicated")
    whole = {"dump": B, **documents, "is_balanced": True}
    assert format_funnel([whole]).endswith(f"  adds up: {sums}")


@pytest.mark.parametrize(
    "name, said, data",
    [
        ("a0", "survivor of a cluster of 3", (3, 1.0, True, URL)),
        (
            "a1",
            f"near-duplicate of {doc_id('a0')} ({URL}), similarity 0.90, cluster of 3, removed",
            (3, 0.9, False, URL),
        ),
        ("a4", "similar to no other page", (1, None, True, None)),
    ],
)
def test_explain_says_what_became_of_a_page(dclm, name, said, data):
    (explained,) = dclm("explain", doc_id(name), "--json")
    assert f"  kept by recipe tested\n  {said}\n" in format_explanation(explained)
    fields = ("cluster_size", "similarity", "is_kept", "survivor_url")
    assert tuple(explained["duplicates"][field] for field in fields) == data


# -- elsewhere, or wrong ----------------------------------------------------------------------------------------------


def test_an_upstream_lends_its_clusters(lake, tmp_path, capsys):
    arguments = ["clusters", doc_id("a1"), "--warehouse", str(tmp_path / "own"), "--upstream", str(lake)]
    assert main.main(arguments) == 0
    assert "{+ancient+}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (
            ["http://nowhere.org/"],
            "has no page 'http://nowhere.org/' in filtered; expected a URL as crawled, or a doc_id",
        ),
        (["http://late.org/"], f"no duplicates of dump {LATE} in "),
        (["--dump", LATE], f"no duplicates of dump {LATE} in "),
        (["--dump", "../x"], "cannot name a partition"),
        (["--plot", "x.png"], "--plot draws --sizes"),
        (["--sizes", "--plot", "x.pdf"], "expected a file that ends in .png or .svg"),
        (["--sizes", "--plot", "/nowhere/x.png"], "no folder /nowhere"),
        (["--members", "3"], "name a page"),
        (["x", "--members", "101"], "expected 100 at most"),
        (["x", "--dump", A], "--dump and a page do not go together"),
    ],
)
def test_what_cannot_be_shown_is_named(lake, capsys, arguments, said):
    assert main.main(["clusters", *arguments, "--warehouse", str(lake)]) == 2
    assert said in capsys.readouterr().err


def test_without_duplicates_the_command_that_makes_them_is_named(spark, tmp_path, capsys):
    assert main.main(["clusters", "--warehouse", str(tmp_path / "none")]) == 2
    assert "no table duplicates in" in (said := capsys.readouterr().err) and "`dclm-spark duplicates` makes it" in said


def test_where_none_are_alike_there_is_nothing_to_list(spark, tmp_path):
    place = Warehouse(spark, str(tmp_path / "lake"))
    place.prepare("duplicates")
    assert count_clusters(place)["overall"] == {
        "documents": 0,
        "clusters": 0,
        "kept": 0,
        "removed": 0,
        "median_size": None,
        "largest_size": None,
    }
    assert format_clusters(count_clusters(place)) == "no clusters: no two documents are similar"
    for listed, said in (
        (format_chained(list_chained(place, 3)), "no clusters in which"),
        (format_sizes(count_sizes(place)), "no clusters: "),
        (format_giants(list_giants(place)), "no giant buckets"),
        (format_merged(list_merged(place)), "no merged clusters"),
    ):
        assert listed.startswith(said)


def test_a_plot_without_matplotlib_says_what_to_install(lake, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main.main(["clusters", "--sizes", "--plot", str(tmp_path / "x.png"), "--warehouse", str(lake)]) == 2
    assert "pip install 'dclm-spark[plot]'" in capsys.readouterr().err


# -- words that differ ------------------------------------------------------------------------------------------------


def test_places_keep_a_few_words_of_context_and_all_words_are_counted():
    one = " ".join(map(str, range(40)))
    other = re.sub(r"\b(20|21|35)\b", "x", one).replace("3 4 ", "")
    diff = diff_words(one, other)
    assert (diff["n_same"], diff["n_gone"], diff["n_new"], diff["is_cut"]) == (35, 5, 3, False)
    assert format_diff(diff) == [
        "0 1 2 [-3 4-] 5 6 7 8 9",
        "15 16 17 18 19 [-20 21-]{+x x+} 22 23 24 25 26",
        "30 31 32 33 34 [-35-]{+x+} 36 37 38 39",
    ]


def test_changes_close_to_each_other_are_one_place():
    assert format_diff(diff_words("a b c d e f", "x b c d e y")) == ["[-a-]{+x+} b c d e [-f-]{+y+}"]


def test_scripts_without_spaces_are_compared_by_character():
    assert format_diff(diff_words("古い町の港は丘の西。", "古い町の港は丘の東。")) == ["の港は丘の[-西-]{+東+}。"]


def test_long_texts_are_cut_and_long_changes_shortened(monkeypatch):
    diff = diff_words("", "word " * 30_000)
    assert (diff["n_new"], diff["is_cut"]) == (20_000, True)
    line, cut = format_diff(diff)
    assert line == "{+" + "word " * 20 + "... 19,960 words ..." + " word" * 20 + "+}"
    assert cut == "only the first 20,000 words were compared"
    # Words that repeat without end are compared as far as that takes seconds.
    monkeypatch.setattr("dclm_spark.reports.word_diff._MAX_PAIRS", 1_000_000)
    diff = diff_words("a b " * 3_000, "b a a " * 2_000)
    assert diff["is_coarse"] and diff["n_same"] + diff["n_gone"] == 6_000
    assert "words repeat too often" in format_diff(diff)[-1]


def test_colours_leave_the_marks():
    assert format_diff(diff_words("a b", "c b"), has_colour=True) == ["\x1b[31m[-a-]\x1b[0m\x1b[32m{+c+}\x1b[0m b"]
