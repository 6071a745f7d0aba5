"""`urls.n_banned_domains`: a join with a list is a plain rule on each page, and changes nothing else."""

import random
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from urllib.parse import urlparse

import pytest

from dclm_spark import schemas
from dclm_spark.errors import RecipeError
from dclm_spark.recipe.annotation import DomainList
from dclm_spark.recipe.builtin import DCLM_BASELINE, DCLM_BASELINE_FAITHFUL
from dclm_spark.stages.annotated import annotate

DOCUMENTS = "doc_id STRING, dump STRING, url STRING, text STRING"
TEXT = "A text of a few words."
SUFFIXES = ("com", "co.uk", "org", "com.au")
NAMES = ("example", "www", "harbour", "a")
RECIPES = {"fixed": DCLM_BASELINE, "faithful": DCLM_BASELINE_FAITHFUL}


def random_pages(n: int) -> list[tuple[str, list[str]]]:
    """URLs, each with the hosts whose listing bans it: known because the URL was put together from them."""
    pages = []
    for i in range(n):
        registered = f"{random.choice(NAMES)}{random.choice(['', i % 7])}.{random.choice(SUFFIXES)}"
        hosts = [registered]
        for _ in range(random.choice([0, 0, 1, 1, 2])):
            hosts.append(f"{random.choice(['www', 'a', 'b'])}.{hosts[-1]}")
        if random.random() < 0.1:
            hosts = [f"192.0.2.{random.randint(1, 9)}"]
        host = random.choice([str, str.upper])(hosts[-1])
        url = f"http://{random.choice(['', '', 'me@'])}{host}{random.choice(['', '', ':8080'])}/{i}"
        pages.append((url, hosts))
    return pages


def random_list(pages: list[tuple[str, list[str]]]) -> list[tuple[str, str | None]]:
    """Lines of a list, each with the host that it bans; many lines come several times, in one spelling or another."""
    entries = []
    for _, hosts in random.sample(pages, len(pages) // 8):
        host = random.choice(hosts)
        # A listed "www.x" is read as "x", where there is an x to own.
        bare = host.removeprefix("www.")
        banned = host if bare in SUFFIXES else bare
        entries += [(random.choice([host, host.upper(), f" {host}. "]), banned)] * random.choice([1, 1, 3])
        if host[0].isalpha() and random.random() < 0.3:
            entries.append((f"www.{host}", host))
    entries += [(suffix, None) for suffix in SUFFIXES] + [("# a comment", None), ("", None), ("2.1", None)]
    random.shuffle(entries)
    return entries


def expected(url: str | None, hosts: list[str], entries: list[tuple[str, str | None]], match: str) -> int | None:
    if url is None:
        return None
    if match == "fixed":
        return int(not {host for _, host in entries}.isdisjoint(hosts))
    if "[" in url:  # DCLM's job ends at such a URL; here the page is on no list
        return 0
    return int(urlparse(url).netloc.lower().replace("www", "") in {line.lower() for line, _ in entries})


def documents_of(spark, urls):
    return spark.createDataFrame([(str(i), "D", url, TEXT) for i, url in enumerate(urls)], DOCUMENTS)


def lines_of(spark, lines):
    return spark.createDataFrame([(line,) for line in lines], "domain STRING")


def plan_of(frame) -> str:
    with redirect_stdout(StringIO()) as out:
        frame.explain()
    return out.getvalue()


@pytest.fixture(scope="module")
def case(spark):
    """(pages, entries, documents, lines): random, and a page of each odd kind."""
    random.seed(24)
    pages = random_pages(600)
    entries = random_list(pages)
    pages += [(None, []), ("", []), ("http://", []), ("dns:example.com", []), ("http://[bad", [])]
    documents = documents_of(spark, [url for url, _ in pages]).repartition(5)
    return pages, entries, documents, lines_of(spark, [line for line, _ in entries] + [None])


@pytest.fixture(params=["broadcast", "shuffled"])
def join(request, spark):
    """How Spark joins: the stage's way, or by sorting either side, as where nothing may be broadcast."""
    settings = {"spark.sql.optimizer.disableHints": "true", "spark.sql.autoBroadcastJoinThreshold": "-1"}
    if request.param == "shuffled":
        for key, value in settings.items():
            spark.conf.set(key, value)
    yield request.param
    for key in settings:
        spark.conf.unset(key)


@pytest.mark.parametrize("match", ["fixed", "faithful"])
def test_the_join_is_the_plain_rule(case, join, match):
    pages, entries, documents, lines = case
    annotated = annotate(documents, recipe=RECIPES[match], banned_domains=lines)
    assert annotated.columns == schemas.ANNOTATED.names
    assert annotated.schema["urls"].dataType.names == schemas.URLS.names
    assert ("BroadcastHashJoin" in plan_of(annotated)) == (join == "broadcast")
    rows = annotated.collect()
    found = {int(row["doc_id"]): row["urls"]["n_banned_domains"] for row in rows}
    assert len(rows) == len(found) == len(pages)
    assert found == {i: expected(url, hosts, entries, match) for i, (url, hosts) in enumerate(pages)}
    counts = Counter(found.values())
    assert counts[0] > 50 and counts[1] > 20 and counts[None] == 1


def test_all_other_signals_are_those_without_a_list(case, join):
    _, _, documents, lines = case

    def others(annotated):
        rows = (row.asDict(recursive=True) for row in annotated.collect())
        return {row["doc_id"]: row | {"urls": row["urls"] | {"n_banned_domains": 0}} for row in rows}

    assert others(annotate(documents, banned_domains=lines)) == others(annotate(documents))


def test_a_document_is_measured_once_and_its_text_stays_where_it_is(case):
    _, _, documents, lines = case
    plan = plan_of(annotate(documents, banned_domains=lines))
    assert plan.count("MapInArrow measure(") == 1
    join, _, below = plan.partition("BroadcastHashJoin [domain_key")
    assert "Exchange" not in join and "measure(" in below.partition("BroadcastExchange")[0]
    # What is looked up travels without the text.
    assert "text" not in plan.partition("look_up(")[2].partition("\n")[0]


def test_without_a_list_nothing_is_joined(case):
    _, _, documents, _ = case
    plan = plan_of(annotate(documents))
    assert plan.count("MapInArrow") == 1 and "Join" not in plan


def test_an_empty_list_bans_nothing(spark):
    documents = documents_of(spark, ["http://example.com/", None])
    rows = annotate(documents, banned_domains=lines_of(spark, [])).collect()
    assert {row["doc_id"]: row["urls"]["n_banned_domains"] for row in rows} == {"0": 0, "1": None}


def test_a_recipe_with_a_list_asks_for_its_lines(spark):
    listed = DomainList("mine.txt", "0" * 64, 1)
    recipe = replace(DCLM_BASELINE, annotation=replace(DCLM_BASELINE.annotation, banned_domains=listed))
    with pytest.raises(RecipeError, match=r"names the list mine\.txt; give its lines as banned_domains"):
        annotate(documents_of(spark, ["http://example.com/"]), recipe=recipe)
