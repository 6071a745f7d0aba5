"""Defines the errors that a user can see: each lists every problem found, and says what to do about it."""

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_MAX_REASON_CHARS = 500
_MAX_NAMED = 50  # largest number of files named in an error


class DclmError(ValueError):
    """Base class of all errors that the package raises intentionally; bugs raise other errors."""


class ProblemsError(DclmError):
    """Reports all problems found by one check together.

    Args:
        problems: The problems, one sentence each: what was found, what was expected, what to do.
    """

    def __init__(self, problems: Sequence[str]):
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self):
        return type(self), (self.problems,)


class InputError(ProblemsError):
    """The input names no archive, or names one in an invalid way."""


class RecipeError(ProblemsError):
    """A recipe contradicts itself, or names something that does not exist."""


class WarehouseError(ProblemsError):
    """The warehouse cannot be used: not writable, another recipe's rows, a table with another schema."""


class SessionError(ProblemsError):
    """No Spark session can be started or used: Java, pyspark or the Delta jars are missing."""


class JavaEnd(NamedTuple):
    """How a JVM ended: its exit status (or the negative number of a signal), its memory limit, its last lines of
    output."""

    status: int
    memory: str
    words: tuple[str, ...]


class JavaEndedError(DclmError):
    """The Java process of Spark ended before the work did."""

    def __init__(self, end: JavaEnd):
        self.end = end
        super().__init__(f"Spark's Java process ended with status {end.status}")

    def __reduce__(self):
        return type(self), (self.end,)


class FaultLimitError(DclmError):
    """A stage has written all its rows, but more of its records failed than the recipe allows."""


class UnreadFilesError(FaultLimitError):
    """Some files of a dump could not be read. The rows of all others are written; the dump is not finished.

    Args:
        dump: Name of the dump.
        unread: Path of each file that was not read -> the reason.
        n_files: Number of files of the dump.
    """

    def __init__(self, dump: str, unread: Mapping[str, str], n_files: int):
        self.dump, self.unread, self.n_files = dump, dict(unread), n_files
        named = [f"  {path}: {why}" for path, why in list(self.unread.items())[:_MAX_NAMED]]
        more = len(self.unread) - len(named)
        super().__init__(
            "\n".join(
                [
                    f"{len(self.unread):,} of {n_files:,} files of {dump} could not be read:",
                    *named,
                    *([f"  and {more:,} more"] if more else []),
                    "all others are read and safe; the same command reads just these, --skip-unreadable ends without",
                ]
            )
        )

    def __reduce__(self):
        return type(self), (self.dump, self.unread, self.n_files)


class RoundLimitError(DclmError):
    """An iteration that runs until nothing changes still changed something in the last round allowed."""


def refuse_recipe(problems: Sequence[str]) -> None:
    """Raises an error that lists all problems; does nothing if there are none.

    Raises:
        RecipeError: There are problems.
    """
    if problems:
        raise RecipeError(problems)


def spark_failure(error: Exception) -> str | None:
    """Returns the innermost cause of an error of Spark, in one line; None for an error that is not Spark's.

    >>> spark_failure(KeyError("mine")) is None
    True
    """
    if not type(error).__module__.startswith(("pyspark", "py4j")):
        return None
    said = str(error)
    # A Python worker's traceback ends with its error; a chain of Java causes ends with the innermost one.
    in_worker = re.findall(r"^Traceback \(most recent call last\):\n(?:\s.*\n)*(\S.*)", said, re.MULTILINE)
    causes = re.findall(r"^Caused by: (.*)", said, re.MULTILINE)
    told = said.removeprefix("An error occurred while calling ").splitlines()[said.startswith("An error occurred") :]
    lines = [*in_worker[-1:], *causes[-1:], *(line.lstrip(": ") for line in told if line.strip(": "))]
    return lines[0].strip()[:_MAX_REASON_CHARS] if lines else type(error).__name__


def abbreviated(value: object) -> str:
    """Formats a value for an error message: one line of at most about 100 characters.

    >>> len(abbreviated("a" * 500)), abbreviated([[[[1]]]])
    (60, '[[[...]]]')
    """
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxdict = 2, 4, 4, 4


def unknown(field: str, value: str, known: Iterable[str]) -> list[str]:
    """Says in one sentence that a value is not one of the known ones; empty if it is."""
    return [] if value in known else [f"{field} is {abbreviated(value)}; expected one of: {', '.join(known)}"]
