"""Spark expressions: Column -> Column, and how rows are spread over tasks."""

import json
import operator
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.kernels.ngrams.ngram_decisions import PLACE_SHIFT
from dclm_spark.kernels.signals.urls import host_of
from dclm_spark.recipe.bounds import NO_TEXT, NO_TEXT_WORDS, Bound

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def breaks(bound: Bound) -> "Column":
    """True where a row breaks the bound; false, never null, where its signal is null or it is in another language."""
    signal = F.col(bound.signal)
    tests = (
        (operator.lt, bound.at_least),
        (operator.le, bound.above),
        (operator.gt, bound.at_most),
        (operator.ge, bound.below),
    )
    broken = reduce(operator.or_, [test(signal, F.lit(limit)) for test, limit in tests if limit is not None])
    if bound.language is not None:
        broken = broken & (F.col("language.code") == F.lit(bound.language))
    return F.coalesce(broken, F.lit(False))


def removed_by(bounds: Sequence[Bound]) -> "Column":
    """The name of the first signal whose bound is broken; null where none is.

    A document without text that breaks a bound on texts is removed for that, by `NO_TEXT`.
    """
    return _unless_empty(_of_first_broken(bounds, lambda bound: F.lit(bound.signal), "string"), bounds, NO_TEXT)


def _unless_empty(found: "Column", bounds: Sequence[Bound], instead: str | None) -> "Column":
    """What was found of the first broken bound, but for documents whose text breaks it because there is none."""
    in_url = [bound for bound in bounds if bound.group == "urls"]
    in_text = [bound for bound in bounds if bound.group != "urls"]
    if not in_text:
        return found
    # By the signals, so that nobody has to read the texts. Words between white space, and tokens, are none of a blank
    # text alone; a language is null for it alone.
    is_empty = F.coalesce(
        F.col("quality.n_words_split") == 0,
        F.col("gopher.n_tokens") == 0,
        F.when(F.col("language.p_target").isNotNull(), F.col("language.code").isNull()),
        F.lit(False),
    )
    is_empty = reduce(operator.and_, (~breaks(bound) for bound in in_url), is_empty)
    return F.when(is_empty & reduce(operator.or_, map(breaks, in_text)), F.lit(instead)).otherwise(found)


def unless_measured(bounds: Sequence[Bound]) -> "Column":
    """Null, a string; it fails on a row with a text on which signals that a bound speaks of were not measured.

    A bound on a null keeps the row, so that it would keep everything. (A signal of a group that was measured may be
    null, such as a rule's whose list nobody has given.)
    """
    groups = dict.fromkeys([bound.group for bound in bounds] + ["language" for bound in bounds if bound.language])
    missing = [
        F.when(F.col(group).isNull() & F.col("text").isNotNull(), F.lit(f"the signals of {group!r} were not measured"))
        for group in groups
    ]
    advice = "; annotate the documents with the recipe that filters them, or with all_signals"
    said = F.coalesce(*missing) if missing else F.lit(None)
    return F.when(said.isNotNull(), F.raise_error(F.concat(said, F.lit(advice)))).cast("string")


def removed_value(bounds: Sequence[Bound]) -> "Column":
    """That signal's value, as a double; null where no bound is broken."""
    value = _of_first_broken(bounds, lambda bound: F.col(bound.signal).cast("double"), "double")
    return _unless_empty(value, bounds, None)


def removed_detail(bounds: Sequence[Bound]) -> "Column":
    """That bound in words; null where none is broken."""
    return _unless_empty(_of_first_broken(bounds, lambda bound: F.lit(str(bound)), "string"), bounds, NO_TEXT_WORDS)


def _of_first_broken(bounds: Sequence[Bound], of, type_: str) -> "Column":
    if not bounds:
        return F.lit(None).cast(type_)
    return F.coalesce(*(F.when(breaks(bound), of(bound)) for bound in bounds))


def one_a_task(spark: "SparkSession", paths: Sequence[str]) -> "DataFrame":
    """Rows of one column, `path`: n paths on n tasks, one on each, the first path on the first task.

    Hash partitioning would leave about 37 % of n tasks empty and double others. A range has exactly one number a task,
    and finds its path in a literal, without a join. The literal is one value, however many paths there are.
    """
    listed = F.from_json(F.lit(json.dumps(list(paths))), "ARRAY<STRING>")
    return spark.range(0, len(paths), 1, len(paths)).select(F.get(listed, F.col("id")).alias("path"))


def domain_rank(host: str, domains: Sequence[str]) -> "Column":
    """The place, from 0, of the first of these domains that a host is or lies below; their number if there is none."""
    domains = [host_of(f"http://{domain}") or domain for domain in domains]  # one spelling, as `urls.host` has it
    # One literal, searched for each end of the host that could be listed: a test for each domain would make a plan, and
    # for each row as many comparisons, that grow with the list.
    listed = F.from_json(F.lit(json.dumps(domains)), "ARRAY<STRING>")
    n_labels = sorted({domain.count(".") + 1 for domain in domains})
    places = [F.call_function("array_position", listed, F.substring_index(host, ".", -n)) for n in n_labels]
    none = F.lit(len(domains))
    return F.least(none, none, *(F.when(place > 0, place - 1) for place in places)).cast("int")


def rank_bits(domains: Sequence[str]) -> int:
    """Bits that hold every place which `domain_rank` gives."""
    return max(_RANK_BITS, len(domains).bit_length())


_RANK_BITS = 8  # of short lists, too: what an order has held so far


def document_order(place: "Column", order: Sequence[str], preferred_domains: Sequence[str]) -> "Column":
    """A BIGINT of at least 0 by which documents are sorted: the dump's place, then the words of `Bloom.order`, then as
    much of the doc_id as there is room for in the `PLACE_SHIFT` bits below the place.

    Args:
        place: The dump's place, from 0.
        order: See `Bloom`.
        preferred_domains: See `Bloom`.
    """
    parts, left = [F.shiftleft(place.cast("bigint"), PLACE_SHIFT)], PLACE_SHIFT
    for word in order:
        bits, key = {
            "longest_text": lambda: (24, F.lit((1 << 24) - 1) - F.least(F.length("text"), F.lit((1 << 24) - 1))),
            "preferred_domains": lambda: (rank_bits(preferred_domains), domain_rank("host", preferred_domains)),
        }[word]()
        left -= bits
        parts.append(F.shiftleft(key.cast("bigint"), left))
    of_id = F.conv(F.substring("doc_id", 1, PLACE_SHIFT // 4), 16, 10).cast("bigint")
    parts.append(F.shiftright(of_id, PLACE_SHIFT - left))
    return reduce(lambda one, other: one.bitwiseOR(other), parts)


def place_of(dumps: Sequence[str]) -> "Column":
    """The place, from 0, of a row's dump among these."""
    return F.element_at(
        F.create_map(*(F.lit(word) for place, dump in enumerate(dumps) for word in (dump, place))), F.col("dump")
    )


def hash_share(column: str, n: int) -> "Column":
    """Which of `n` equal shares, from 0, a text falls into by its hash."""
    return F.pmod(F.xxhash64(column), F.lit(n)).cast("int")


def without_paragraphs(text: str, cuts: str, *, keeps_places: bool) -> "Column":
    """A text without some of its paragraphs; the text itself where `cuts` is null.

    Args:
        text: The text's column.
        cuts: The column of the paragraphs' numbers, rising, each once.
        keeps_places: An empty paragraph takes the place of one that is cut, so that the others keep their numbers.
    """
    n_cuts = F.size(cuts)

    def cut(paragraphs: "Column") -> "Column":
        def stretch(index: "Column") -> "Column":
            """The paragraphs between the cut with this number, from 0, and the one before it."""
            start = F.when(index == 0, 0).otherwise(F.element_at(cuts, index) + 1)
            stop = F.when(index == n_cuts, F.size(paragraphs)).otherwise(F.element_at(cuts, index + 1))
            kept = F.slice(paragraphs, start + 1, stop - start)
            return F.when(index < n_cuts, F.concat(kept, F.array(F.lit("")))).otherwise(kept) if keeps_places else kept

        return F.array_join(F.flatten(F.transform(F.sequence(F.lit(0), n_cuts), stretch)), "\n")

    # A variable of a lambda is evaluated once; a text would be split anew for each stretch.
    whole = F.array(F.split(F.col(text), "\n", -1))
    return F.when(F.col(cuts).isNull(), F.col(text)).otherwise(F.element_at(F.transform(whole, cut), 1))
