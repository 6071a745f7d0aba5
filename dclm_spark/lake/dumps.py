"""Checks the names of dumps."""

import re

_DUMP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def check_dump(dump: str) -> list[str]:
    """Lists what is wrong with a dump's name, one sentence each: it names a partition, so it must be a plain name.

    >>> check_dump("CC-MAIN-2022-05")
    []
    >>> len(check_dump("../etc"))
    1
    """
    if _DUMP.fullmatch(dump) and ".." not in dump:
        return []
    return [
        f"the dump name {dump!r} cannot name a partition; expected letters, digits, '-', '_' and single '.', "
        "beginning with a letter or digit, at most 128, such as CC-MAIN-2022-05"
    ]
