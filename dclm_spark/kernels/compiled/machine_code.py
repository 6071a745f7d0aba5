"""Sends machine code of kernels from the driver, which compiles it, to the workers, which load it.

Otherwise each worker would compile a kernel at its first use, at the same time as all others: 10 to 20 seconds for
those of `annotated`. So the driver compiles once, stores the code in the folder of `jit`, and sends it with the work,
about a megabyte. If a host has another processor, Numba or Python than the driver, Numba does not accept the code, and
compiles again.
"""

import contextlib
import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dclm_spark.kernels.compiled.jit import cache_folder, sources_hash

_MARK = ".exercised"
_INDEX, _CODE = ".nbi", ".nbc"  # Numba's: `KERNEL.nbi` names the files `KERNEL.N.nbc`, one a signature


@dataclass(frozen=True)
class MachineCode:
    """Holds the files of a cache of compiled kernels.

    Args:
        version: Hash of the sources that they were compiled from.
        files: Name of the file -> content, compressed.
    """

    version: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


def machine_code(what: str, exercise: Callable[[], object]) -> MachineCode:
    """Returns the code of all kernels compiled on this machine; empty if there is no folder to store it.

    Args:
        what: Name of the set of kernels to run; equal names mean equal kernels.
        exercise: Function that runs them on tiny data. It is called once for each `what` on this machine. If it fails,
            the work itself will fail too, and report the reason.
    """
    folder = cache_folder()
    if folder is None:
        return MachineCode()
    mark = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}{_MARK}"
    if not mark.exists():
        with contextlib.suppress(Exception):
            exercise()
            mark.touch()
    files = {}
    with contextlib.suppress(OSError):
        files = {
            path.name: zlib.compress(path.read_bytes(), 1)
            for path in sorted(folder.iterdir())
            if path.suffix in (_INDEX, _CODE)
        }
    return MachineCode(sources_hash(), files)


def keep(code: MachineCode) -> None:
    """Stores the code where this process searches it; keeps existing files, and ignores code of another version."""
    folder = cache_folder()
    if folder is None or code.version != sources_hash():
        return
    for index in (name for name in code.files if name.endswith(_INDEX)):
        if not (folder / index).exists():
            # The index names its files of code, so it is written after them.
            stem = index.removesuffix(_INDEX)
            own = [name for name in code.files if name.endswith(_CODE) and name.rsplit(".", 2)[0] == stem]
            with contextlib.suppress(OSError):
                for name in (*own, index):
                    _write(folder / name, zlib.decompress(code.files[name]))


def _write(path: Path, content: bytes) -> None:
    """Writes a file in one step, so that other processes never see a part of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".kept-")
    with os.fdopen(handle, "wb") as out:
        out.write(content)
    os.replace(temporary, path)
