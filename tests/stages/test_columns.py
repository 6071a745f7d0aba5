"""Expressions that sort documents: ranks of many domains, and the order that n-grams are asked in."""

import pytest
from pyspark.sql import functions as F

from dclm_spark.recipe.deduplication import MAX_PREFERRED_DOMAINS, Bloom, methods_problems
from dclm_spark.recipe.near_duplicates import NearDuplicates
from dclm_spark.stages.columns import document_order, domain_rank, rank_bits
from dclm_spark.stages.edges import bucket_order

DOMAINS = ["org", *(f"{'www.' * (n % 3)}host{n}.example.org" for n in range(300)), "host7.example.org"]


def rank_of(host: str | None, domains: list[str]) -> int:
    ranks = (place for place, domain in enumerate(domains) if host == domain or (host or "").endswith(f".{domain}"))
    return next(ranks, len(domains))


@pytest.mark.parametrize("domains", [DOMAINS, DOMAINS[1:], ["good.org"]])
def test_a_host_has_the_rank_of_the_first_domain_it_lies_below(spark, domains):
    hosts = [None, "", "org", "com", "good.org", "www.good.org", "notgood.org", *DOMAINS]
    hosts += [f"a.{domain}" for domain in DOMAINS] + [f"x{domain}" for domain in DOMAINS]
    rows = spark.createDataFrame([(host,) for host in hosts], "host STRING")
    found = {row["host"]: row["rank"] for row in rows.withColumn("rank", domain_rank("host", domains)).collect()}
    assert found == {host: rank_of(host, domains) for host in hosts}


def test_documents_and_buckets_are_sorted_by_as_many_ranks_as_there_are_domains(spark):
    domains = [f"host{n}.example.org" for n in range(300)]
    # The later a host is in the list, the smaller the id, and the longer the text.
    rows = [(f"{400 - n:032x}", f"host{n}.example.org", "x" * n, n) for n in range(302)]
    frame = spark.createDataFrame(rows, "doc_id STRING, host STRING, text STRING, n_chars INT")
    orders = {
        "documents": document_order(F.lit(3), ("preferred_domains", "longest_text"), domains),
        "buckets": bucket_order(
            F.lit(3), NearDuplicates(survivor=("preferred_domains",), preferred_domains=tuple(domains))
        ),
    }
    made = frame.select("host", *(order.alias(name) for name, order in orders.items())).collect()
    for name, shift in (("documents", 52), ("buckets", 48)):
        in_order = sorted(made, key=lambda row: (row[name], row["host"]))
        ranks = [rank_of(row["host"], domains) for row in in_order]
        assert ranks == sorted(ranks) and ranks[-2:] == [300, 300]
        assert len({row[name] for row in made}) >= 301
        assert {row[name] >> shift for row in made} == {3}


def test_an_order_holds_the_dump_then_the_criteria_then_the_beginning_of_the_id(spark):
    domains = ("a.org", "b.org")
    rows = [("f" * 32, "b.org", "x" * 5, 5), ("0123456789abcdef" * 2, "c.org", "", 0)]
    frame = spark.createDataFrame(rows, "doc_id STRING, host STRING, text STRING, n_chars BIGINT")
    of_both, of_length = ("longest_text", "preferred_domains"), ("earliest_dump", "longest_text")
    orders = [
        document_order(F.lit(3), of_both, domains),
        document_order(F.lit(0), (), ()),
        bucket_order(F.lit(3), NearDuplicates(survivor=of_both, preferred_domains=domains)),
        bucket_order(F.lit(2), NearDuplicates(survivor=of_length)),
    ]
    found = [list(row) for row in frame.select(*orders).collect()]
    most = (1 << 24) - 1
    assert found == [
        [
            3 << 52 | (most - 5) << 28 | 1 << 20 | 0xFFFFF,
            0xFFFFFFFFFFFFF,
            3 << 48 | (most - 5) << 24 | 1 << 16,
            2 << 48 | (most - 5) << 24,
        ],
        [
            3 << 52 | most << 28 | 2 << 20 | 0x01234,
            0x0123456789ABC,
            3 << 48 | most << 24 | 2 << 16,
            2 << 48 | most << 24,
        ],
    ]


@pytest.mark.once
def test_more_domains_than_an_order_can_hold_are_refused():
    def problems(n_domains: int) -> list[str]:
        domains = tuple(f"host{n}.org" for n in range(n_domains))
        return methods_problems((Bloom(order=("longest_text", "preferred_domains"), preferred_domains=domains),))

    assert problems(MAX_PREFERRED_DOMAINS) == []
    assert problems(MAX_PREFERRED_DOMAINS + 1) == [
        "deduplication[0].preferred_domains names 4,096 domains; expected at most 4,095: name those above them, or "
        "leave out the last"
    ]
    assert [rank_bits(["a"] * n) for n in (1, 255, 256, 300, MAX_PREFERRED_DOMAINS)] == [8, 8, 9, 9, 12]
