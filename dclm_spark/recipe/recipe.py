"""Defines `Recipe`: every choice that changes a row of the output, as frozen data.

A recipe is what `dclm-spark --recipe` names, what `runs` records as JSON and what `dataclasses.replace` varies. Each
stage uses one part of it. If a part changes, its stage and all later stages are run again; earlier stages are not.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

from dclm_spark import schemas
from dclm_spark.errors import abbreviated, refuse_recipe
from dclm_spark.recipe.annotation import Annotation
from dclm_spark.recipe.bounds import Bound
from dclm_spark.recipe.deduplication import Method, Near, methods_problems
from dclm_spark.recipe.extraction import Extraction
from dclm_spark.recipe.near_duplicates import MinHash, NearDuplicates

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, repr=False)
class Recipe:
    """Holds all choices for one chain of tables.

    Args:
        name: Name of the recipe in lineage and reports.
        extraction: The part that the stage `documents` uses.
        annotation: The part that the stage `annotated` uses.
        bounds: The part that the stage `filtered` uses: rules in the order in which they are applied to a page.
        signatures: The part that the stage `signatures` uses; null: near-duplicates are not searched.
        duplicates: The part that the stage `duplicates` uses; null if and only if `signatures` is.
        deduplication: The part that the stage `deduplicated` uses: methods in the order in which they are applied. If
            it is empty and the recipe has `duplicates`, their clusters are applied.
        all_signals: Whether every signal group is measured; if false, only `urls` and the groups that bounds use are.
        max_fault_share: Largest share of the records read that may be quarantined before a job fails, [0, 1]. It
            belongs to no stage, since it changes no row.
    """

    name: str
    extraction: Extraction = Extraction()
    annotation: Annotation = Annotation()
    bounds: tuple[Bound, ...] = ()
    signatures: MinHash | None = None
    duplicates: NearDuplicates | None = None
    deduplication: tuple[Method, ...] = ()
    all_signals: bool = False
    max_fault_share: float = 0.05

    def __repr__(self) -> str:
        """Shows the name and the number of bounds only: the whole recipe has about 100 lines (`recipe show`)."""
        return f"<Recipe {self.name}, {len(self.bounds)} bounds>"

    def part(self, stage: str) -> Any:
        """Returns the part of the recipe that a stage uses; null for a stage that uses none.

        A stage is up to date while its part is unchanged.
        """
        return {
            "documents": self.extraction,
            "annotated": self.annotation,
            "filtered": self.bounds,
            "signatures": self.signatures,
            "duplicates": self.duplicates,
            "deduplicated": self.deduplication or None,  # null: `duplicates` has decided everything
        }.get(stage)

    def with_bound(
        self,
        signal: str,
        *,
        at_least: float | None = None,
        above: float | None = None,
        at_most: float | None = None,
        below: float | None = None,
        language: str | None = None,
    ) -> "Recipe":
        """Returns the recipe with one bound changed; a signal that has no bound gets a new one, after all others.

        A limit that is not given keeps its value: `with_bound("quality.n_words", at_least=200)` does not change the
        largest number of words. The recipe keeps its name; `dataclasses.replace` gives it another.

        Args:
            signal: `group.name` of a number in `annotated`.
            at_least: Smallest value kept; replaces `above`.
            above: Values must be larger than this; replaces `at_least`.
            at_most: Largest value kept; replaces `below`.
            below: Values must be smaller than this; replaces `at_most`.
            language: Label of a language: change the bound that holds for pages in this language only.

        Raises:
            RecipeError: The signal does not exist, no limit is given, no page could pass, or the signal has bounds for
                single languages and `language` names none of them.
        """
        key = (signal, language)
        of_signal = [bound for bound in self.bounds if bound.signal == signal]
        if of_signal and all(bound.language != language for bound in of_signal):
            known = ", ".join(repr(bound.language) for bound in of_signal)
            refuse_recipe([f"{self.name} bounds {signal} for language={known}, not {language!r}; name one of them"])
        limits = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
        if all(limit is None for limit in limits.values()):
            refuse_recipe([f"no limit for {signal}; give at_least, above, at_most or below"])
        bounds = tuple(b.with_limits(**limits) if (b.signal, b.language) == key else b for b in self.bounds)
        if not of_signal:
            bounds = (*bounds, Bound(signal, **limits, language=language))
        refuse_recipe([problem for b in bounds if (b.signal, b.language) == key for problem in b.problems()])
        return replace(self, bounds=bounds)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Signals that have a bound but are not measured, because the recipe names no list for them."""
        lists = {
            "urls.n_banned_domains": self.annotation.banned_domains,
            "urls.n_strict_words": self.annotation.strict_words,
            "urls.n_hard_words": self.annotation.hard_words,
            "urls.n_soft_words": self.annotation.soft_words,
            "c4.n_bad_words": self.annotation.bad_words,
        }
        signals = dict.fromkeys(bound.signal for bound in self.bounds)
        return tuple(signal for signal in signals if signal in lists and lists[signal] is None)

    @property
    def methods(self) -> tuple[Method, ...]:
        """Methods of `deduplicated` in the order in which they run; empty if the recipe does not deduplicate."""
        return self.deduplication or ((Near(),) if self.duplicates is not None else ())

    @property
    def groups(self) -> tuple[str, ...]:
        """Signal groups that `annotated` measures, in the order of its schema; the other groups are null there."""
        if self.all_signals:
            return tuple(schemas.SIGNAL_GROUPS)
        # `filtered` has the host of each page; a bound for one language needs the language of each page.
        needed = {"urls", *(bound.group for bound in self.bounds)}
        if self.annotation.stop_words_of or any(bound.language for bound in self.bounds):
            needed.add("language")
        return tuple(group for group in schemas.SIGNAL_GROUPS if group in needed)

    def problems(self) -> list[str]:
        """Lists what is wrong with the recipe's values, one sentence each; empty if nothing is."""
        found = [problem for rule in (*self.bounds, *self.annotation.line_rules) for problem in rule.problems()]
        found += self.extraction.problems() + self.annotation.problems()
        if _CONTROL.search(self.name):
            found.append(f"the name {abbreviated(self.name)} has control characters; expected a line of text")
        if (self.signatures is None) != (self.duplicates is None):
            found.append("signatures and duplicates must be given together; found only one of them")
        found += [problem for part in (self.signatures, self.duplicates) if part for problem in part.problems()]
        found += methods_problems(self.deduplication)
        if self.duplicates is None and any(isinstance(method, Near) for method in self.deduplication):
            found.append(
                "deduplication names 'near', but the recipe has no `duplicates`, so there are no clusters to apply"
            )
        is_exact = self.duplicates is not None and self.duplicates.verify == "exact"
        if is_exact and self.signatures and not self.signatures.stores_shingles:
            found.append("duplicates.verify 'exact' needs signatures.stores_shingles")
        if not 0 <= self.max_fault_share <= 1:
            found.append(f"max_fault_share is {self.max_fault_share}; expected a share from 0 to 1")
        return found
