"""Machine code of kernels from one process for others: the driver compiles, the workers load.

A worker that meets a kernel for the first time on its host compiles it, ten to twenty seconds for all that `annotated`
measures, and each worker of a host does so at the same time. So the driver does it once, keeps the code where `jit`
keeps it, and sends it along with the work: a megabyte. Where a host has another processor, Numba or Python than the
driver, Numba finds the code not to be for it, and compiles as before.
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
    """Files of a cache of compiled kernels.

    Args:
        version: Hash of the sources that they were compiled from.
        files: Name -> content, compressed.
    """

    version: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


def machine_code(what: str, exercise: Callable[[], object]) -> MachineCode:
    """The code of all kernels that this machine has compiled; nothing where there is no place to keep it.

    Args:
        what: Says what is about to be run: the same text, the same kernels.
        exercise: Runs them on little. It is called once for each `what` on this machine; should it fail, then so will
            the work itself, which says why.
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
    """Puts the code where this process looks for it; what is there stays, what is of another version is left out."""
    folder = cache_folder()
    if folder is None or code.version != sources_hash():
        return
    for index in (name for name in code.files if name.endswith(_INDEX)):
        if not (folder / index).exists():
            # It names the files of code that belong to it, so it comes after them.
            stem = index.removesuffix(_INDEX)
            own = [name for name in code.files if name.endswith(_CODE) and name.rsplit(".", 2)[0] == stem]
            with contextlib.suppress(OSError):
                for name in (*own, index):
                    _write(folder / name, zlib.decompress(code.files[name]))


def _write(path: Path, content: bytes) -> None:
    """Writes a file that other processes see whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".kept-")
    with os.fdopen(handle, "wb") as out:
        out.write(content)
    os.replace(temporary, path)
