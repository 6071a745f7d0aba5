"""Describes command-line options that set fields of a deduplication method."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dclm_spark.errors import InputError


@dataclass(frozen=True)
class Option:
    """Describes a command-line option that sets fields of a method.

    Args:
        flag: The option, with its dashes.
        help: Help text, one line without a full stop.
        fields: Names of the fields that it sets. If there are several, it accepts one value for all or one for each.
        kind: Type of a value.
        metavar: Name of a value in the help; null: the flag in capitals.
    """

    flag: str
    help: str
    fields: tuple[str, ...]
    kind: type = str
    metavar: str | None = None

    def values(self, given: Any) -> Mapping[str, Any]:
        """Returns field -> value for the option's arguments; empty if the option was not given.

        >>> sizes = Option("--ngram", "tokens", ("min_ngram", "max_ngram"), kind=int)
        >>> sizes.values([5]), sizes.values([5, 13]), sizes.values(None)
        ({'min_ngram': 5, 'max_ngram': 5}, {'min_ngram': 5, 'max_ngram': 13}, {})
        """
        if given is None:
            return {}
        if len(self.fields) == 1:
            return {self.fields[0]: given}
        if len(given) not in (1, len(self.fields)):
            expected = f"1 value, or {len(self.fields)} ({', '.join(self.fields)})"
            raise InputError([f"{self.flag} takes {expected}; found {len(given)}"])
        return dict(zip(self.fields, given if len(given) > 1 else given * len(self.fields), strict=True))
