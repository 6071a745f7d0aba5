"""Near-duplicates in plain Python, as an oracle, and small corpora of variants."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates

WORDS = [
    f"{first}{second}" for first in "bcdfghjklmnpqrstvwz" for second in ("a", "ado", "emi", "ilo", "o", "una", "y")
]


def variants(n: int, *, seed: int = 1, n_words: int = 120) -> list[str]:
    """Texts that form families: an original, copies of it, and variants with ever more words changed."""
    chance = random.Random(seed)
    texts: list[str] = []
    while len(texts) < n:
        original = [chance.choice(WORDS) for _ in range(n_words)]
        texts.append(" ".join(original))
        words = original
        for _ in range(chance.randrange(7)):
            # A variant of the original, or of the last variant: those make chains.
            words = list(chance.choice([original, words]))
            for _ in range(chance.choice([0, 0, 1, 2, 4, 8, 16])):
                words[chance.randrange(n_words)] = chance.choice(WORDS)
            texts.append(" ".join(words))
    return texts[:n]


def documents(texts: Sequence[str], *, dump: str = "D", first: int = 0) -> list[dict[str, Any]]:
    """Rows of `filtered` for texts; ids follow from dump and number."""
    return [
        {
            "doc_id": f"{dump}-{first + number:05d}",
            "dump": dump,
            "url": f"http://{'good' if number % 3 == 0 else 'other'}.org/{dump}/{first + number}",
            "host": f"{'www.good' if number % 3 == 0 else 'other'}.org",
            "language": "en",
            "n_words": len(text.split()),
            "text": text,
        }
        for number, text in enumerate(texts)
    ]


def meetings(
    bucket: Sequence[int], is_alike: Callable[[int, int], bool], *, n_delegates: int = 8
) -> list[tuple[int, int]]:
    """The pairs of a bucket's members, in their order, that meet and are alike: a member, and one before it."""
    first, *others = bucket
    group_of = {first: first}  # of the first and the delegates: a name for those that hang together
    found = []
    for member in others:
        group = None
        for other in list(group_of):
            if group != group_of[other] and is_alike(member, other):
                found.append((member, other))
                old, group = group, group_of[other]
                group_of |= {name: group for name, its in group_of.items() if its == old}
        n = len(group_of) - 1
        if n < (n_delegates + 1) // 2 or (group is None and n < n_delegates):
            group_of[member] = member if group is None else group
    return found


def clusters_of(rows: Iterable[dict[str, Any]], minhash: MinHash, near: NearDuplicates) -> dict[str, list[str]]:
    """cluster_id -> its members in survivor order, of all dumps at once; rows are those of `signatures`.

    Only `earliest_dump` and `longest_text` are known as a survivor order.
    """
    rows = [row for row in rows if row["text_hash"] is not None]
    order = {id(row): (row["dump"], -row["n_chars"], row["doc_id"]) for row in rows}
    of_text = defaultdict(list)
    for row in rows:
        of_text[row["text_hash"]].append(row)
    first = {text: min((row["dump"], -row["n_chars"]) for row in copies) for text, copies in of_text.items()}
    signature = {text: np.frombuffer(copies[0]["signature"], "<u2") for text, copies in of_text.items()}
    root = {text: text for text in of_text}

    def find(text: int) -> int:
        while root[text] != text:
            text = root[text]
        return text

    def is_alike(text: int, other: int) -> bool:
        return float(np.mean(signature[text] == signature[other])) >= near.threshold

    for band in range(minhash.n_bands):
        buckets = defaultdict(set)
        for text, copies in of_text.items():
            buckets[bytes(copies[0]["keys"][8 * band : 8 * band + 8])].add(text)
        for texts in buckets.values():
            in_order = sorted(texts, key=lambda text: (first[text], text))
            for text, other in meetings(in_order, lambda *pair: near.verify == "none" or is_alike(*pair)):
                root[find(text)] = find(other)
    members = defaultdict(list)
    for text, copies in of_text.items():
        members[find(text)] += copies
    clusters = {}
    for found in members.values():
        found.sort(key=lambda row: order[id(row)])
        if len(found) > 1:
            clusters[found[0]["doc_id"]] = [row["doc_id"] for row in found]
    return clusters
