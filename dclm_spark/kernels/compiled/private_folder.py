"""Whether a folder is safe to run code or read models from: nobody else can have put anything there."""

import contextlib
import os
import stat
from pathlib import Path

GROUP_OR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_private(folder: Path) -> bool:
    """True if the folder is there, made with mode 0700 if need be, is this user's own, and nobody else can write to it.

    A link to a folder is none: whoever made it chose what it leads to.
    """
    # The name is guessable: a folder that someone else put there first is never used.
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    try:
        status = folder.lstat()
    except OSError:
        return False
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return stat.S_ISDIR(status.st_mode) and is_own and not may_be_written(folder)


def may_be_written(folder: Path, by: int = GROUP_OR_OTHERS) -> bool:
    """True if others can write to a folder, or put another in its place: write to one above it that is not sticky.

    Args:
        folder: A folder that is there; links are followed.
        by: The bits of a mode that speak of the others.
    """
    if not hasattr(os, "getuid"):
        return False
    folder = folder.resolve()
    modes = [above.stat().st_mode for above in folder.parents]
    # In a sticky folder, such as the temporary one, nobody can rename what is another's.
    return any(mode & by for mode in [folder.stat().st_mode, *(mode for mode in modes if not mode & stat.S_ISVTX)])
