"""Checks whether a folder is safe to load code or models from, that is, no other user can write to it."""

import contextlib
import os
import stat
from pathlib import Path

GROUP_OR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_private(folder: Path) -> bool:
    """Returns whether a folder belongs to this user and only this user can write to it; creates it with mode 0700 if
    needed.

    A link to a folder is refused, because its owner chose the target.
    """
    # The name can be guessed, so a folder that another user has created first is never used.
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    try:
        status = folder.lstat()
    except OSError:
        return False
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return stat.S_ISDIR(status.st_mode) and is_own and not may_be_written(folder)


def may_be_written(folder: Path, by: int = GROUP_OR_OTHERS) -> bool:
    """Returns whether other users can write to a folder, or replace it by writing to a parent that is not sticky.

    Args:
        folder: An existing folder; links are followed.
        by: Mode bits of the users to check.
    """
    if not hasattr(os, "getuid"):
        return False
    folder = folder.resolve()
    modes = [above.stat().st_mode for above in folder.parents]
    # In a sticky folder, such as the temporary one, users can only rename their own files.
    return any(mode & by for mode in [folder.stat().st_mode, *(mode for mode in modes if not mode & stat.S_ISVTX)])
