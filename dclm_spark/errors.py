"""The errors a user can meet: each lists every problem found, and says what to do about it."""

from collections.abc import Sequence


class DclmError(ValueError):
    """Base of all errors that the package raises on purpose; catching it catches no bug."""


class ProblemsError(DclmError):
    """Several problems found by one check, reported together.

    Args:
        problems: One sentence each: what was found, what was expected, what to do.
    """

    def __init__(self, problems: Sequence[str]):
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self):
        return type(self), (self.problems,)


class InputError(ProblemsError):
    """The input names no archive, or names one in a way that cannot be right."""


class RecipeError(ProblemsError):
    """A recipe contradicts itself or names what does not exist."""


class WarehouseError(ProblemsError):
    """The warehouse cannot be used: not writable, another recipe's rows, a table with another schema."""


class SessionError(ProblemsError):
    """No Spark session can be had: Java, pyspark or the Delta jars are missing."""


class FaultLimitError(DclmError):
    """A stage finished, its work safe, but more of its records failed than the recipe allows."""
