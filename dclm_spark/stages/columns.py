"""Builds Spark expressions that several stages use, and spreads rows over tasks."""

import json
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from dclm_spark.kernels.ngrams.ngram_decisions import DOCUMENT_ORDER_BITS
from dclm_spark.kernels.signals.urls import host_of
from dclm_spark.recipe.bounds import NO_TEXT, NO_TEXT_WORDS, Bound

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def breaks(bound: Bound) -> "Column":
    """Tests whether a row breaks the bound; false, never null, if the signal is null or the bound does not apply."""
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
    """Returns the name of the first signal whose bound is broken; null if none is.

    If a document without text breaks a bound on text, the name is `NO_TEXT`.
    """
    return _unless_empty(_of_first_broken(bounds, lambda bound: F.lit(bound.signal), "string"), bounds, NO_TEXT)


def _unless_empty(found: "Column", bounds: Sequence[Bound], instead: str | None) -> "Column":
    """Replaces `found` by `instead` for documents that break a bound on text because their text is empty."""
    in_url = [bound for bound in bounds if bound.group == "urls"]
    in_text = [bound for bound in bounds if bound.group != "urls"]
    if not in_text:
        return found
    # Tested by the signals, so that no text has to be read. Only a blank text has no words and no tokens, and only a
    # blank text has a null language.
    is_empty = F.coalesce(
        F.col("quality.n_words_split") == 0,
        F.col("gopher.n_tokens") == 0,
        F.when(F.col("language.p_target").isNotNull(), F.col("language.code").isNull()),
        F.lit(False),
    )
    is_empty = reduce(operator.and_, (~breaks(bound) for bound in in_url), is_empty)
    return F.when(is_empty & reduce(operator.or_, map(breaks, in_text)), F.lit(instead)).otherwise(found)


def unless_measured(bounds: Sequence[Bound]) -> "Column":
    """Returns a null string, but fails on a row with text whose signal groups that a bound uses were not measured.

    A bound keeps rows whose signal is null, so it would keep all rows. (A single signal of a measured group may be
    null, for instance if its list of words was not given.)
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
    """Returns the value, a double, of the signal whose bound is broken first; null if none is."""
    value = _of_first_broken(bounds, lambda bound: F.col(bound.signal).cast("double"), "double")
    return _unless_empty(value, bounds, None)


def removed_detail(bounds: Sequence[Bound]) -> "Column":
    """Returns the first broken bound as text; null if none is broken."""
    return _unless_empty(_of_first_broken(bounds, lambda bound: F.lit(str(bound)), "string"), bounds, NO_TEXT_WORDS)


def _of_first_broken(bounds: Sequence[Bound], of: "Callable[[Bound], Column]", type_: str) -> "Column":
    """Returns `of` the first broken bound; a null of the given type if no bound is broken."""
    if not bounds:
        return F.lit(None).cast(type_)
    return F.coalesce(*(F.when(breaks(bound), of(bound)) for bound in bounds))


def one_a_task(spark: "SparkSession", paths: Sequence[str]) -> "DataFrame":
    """Makes rows of one column, `path`, with one path on each task, the first path on the first task.

    Hash partitioning would leave about 37 % of the tasks empty and give others several paths. A range has exactly one
    number on each task, and looks its path up in a literal array, without a join. The literal is one value, however
    many paths there are.
    """
    listed = F.from_json(F.lit(json.dumps(list(paths))), "ARRAY<STRING>")
    return spark.range(0, len(paths), 1, len(paths)).select(F.get(listed, F.col("id")).alias("path"))


def domain_rank(host: str, domains: Sequence[str]) -> "Column":
    """Returns the index of the first domain that a host equals or lies below; `len(domains)` if there is none."""
    domains = [host_of(f"http://{domain}") or domain for domain in domains]  # one spelling, as `urls.host` has it
    # One literal is searched for each suffix of the host that could be listed. A test for each domain would make the
    # plan, and the comparisons for each row, grow with the list.
    listed = F.from_json(F.lit(json.dumps(domains)), "ARRAY<STRING>")
    n_labels = sorted({domain.count(".") + 1 for domain in domains})
    positions = [F.call_function("array_position", listed, F.substring_index(host, ".", -n)) for n in n_labels]
    none = F.lit(len(domains))
    return F.least(none, none, *(F.when(position > 0, position - 1) for position in positions)).cast("int")


def rank_bits(domains: Sequence[str]) -> int:
    """Returns how many bits hold every value of `domain_rank`."""
    return max(_RANK_BITS, len(domains).bit_length())


_RANK_BITS = 8  # also for short lists, so that existing orders do not change


_CHARS_BITS = 24
_MOST_CHARS = (1 << _CHARS_BITS) - 1  # texts that are longer count as equally long


def criterion(name: str, n_chars: "Column", preferred_domains: Sequence[str]) -> tuple[int, "Column"]:
    """Returns a criterion for `order_key`: its number of bits, and its value, which is smaller for better documents.

    Args:
        name: `longest_text` or `preferred_domains`.
        n_chars: Length of the text.
        preferred_domains: The most preferred domains first; rows need the column `host`.
    """
    if name == "longest_text":
        return _CHARS_BITS, F.lit(_MOST_CHARS) - F.least(n_chars, F.lit(_MOST_CHARS))
    return rank_bits(preferred_domains), domain_rank("host", preferred_domains)


def order_key(
    index: "Column", criteria: Sequence[tuple[int, "Column"]], *, n_bits: int, breaks_ties: bool = False
) -> "Column":
    """Returns a sort key of documents, a BIGINT of at least 0: the dump's index above `n_bits` bits with the criteria.

    Args:
        index: The dump's index, from 0.
        criteria: Number of bits and value of each criterion, the most important first; together they fit.
        n_bits: Number of bits below the dump's index, a multiple of four.
        breaks_ties: Whether the bits that the criteria leave hold the beginning of the doc_id; else they are 0.
    """
    parts, left = [F.shiftleft(index.cast("bigint"), n_bits)], n_bits
    for n_own, value in criteria:
        left -= n_own
        parts.append(F.shiftleft(value.cast("bigint"), left))
    if breaks_ties:
        of_id = F.conv(F.substring("doc_id", 1, n_bits // 4), 16, 10).cast("bigint")
        parts.append(F.shiftright(of_id, n_bits - left))
    return reduce(lambda left, right: left.bitwiseOR(right), parts)


def document_order(index: "Column", order: Sequence[str], preferred_domains: Sequence[str]) -> "Column":
    """Returns the sort key of a document, see `order_key`: the criteria of `Bloom.order`, then the doc_id.

    Args:
        index: The dump's index, from 0.
        order: See `Bloom`.
        preferred_domains: See `Bloom`.
    """
    criteria = [criterion(name, F.length("text"), preferred_domains) for name in order]
    return order_key(index, criteria, n_bits=DOCUMENT_ORDER_BITS, breaks_ties=True)


def dump_index(dumps: Sequence[str]) -> "Column":
    """Returns the index of a row's dump among these, from 0."""
    indices = F.create_map(*(F.lit(word) for index, dump in enumerate(dumps) for word in (dump, index)))
    return F.element_at(indices, F.col("dump"))


def hash_share(column: str, n: int) -> "Column":
    """Returns the number, from 0 to `n` - 1, of the share that a value falls into by its hash."""
    return F.pmod(F.xxhash64(column), F.lit(n)).cast("int")


def without_paragraphs(text: str, cuts: str, *, keeps_numbers: bool) -> "Column":
    """Removes paragraphs from a text; the text is unchanged if `cuts` is null.

    Args:
        text: Name of the text's column.
        cuts: Name of a column with the numbers of the paragraphs to remove, ascending and distinct.
        keeps_numbers: Whether an empty paragraph replaces each removed one, so that the others keep their numbers.
    """
    n_cuts = F.size(cuts)

    def cut(paragraphs: "Column") -> "Column":
        def stretch(index: "Column") -> "Column":
            """The paragraphs kept between the removed paragraph with this index in `cuts` and the one before it."""
            start = F.when(index == 0, 0).otherwise(F.element_at(cuts, index) + 1)
            stop = F.when(index == n_cuts, F.size(paragraphs)).otherwise(F.element_at(cuts, index + 1))
            kept = F.slice(paragraphs, start + 1, stop - start)
            return F.when(index < n_cuts, F.concat(kept, F.array(F.lit("")))).otherwise(kept) if keeps_numbers else kept

        return F.array_join(F.flatten(F.transform(F.sequence(F.lit(0), n_cuts), stretch)), "\n")

    # A lambda's variable is evaluated once; without it, the text would be split again for each stretch.
    whole = F.array(F.split(F.col(text), "\n", -1))
    return F.when(F.col(cuts).isNull(), F.col(text)).otherwise(F.element_at(F.transform(whole, cut), 1))
