"""The cache of compiled kernels: used by the next process, found from a zip, and never a reason to fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dclm_spark
from dclm_spark.kernels.compiled import jit
from dclm_spark.kernels.compiled.private_folder import is_private

pytestmark = pytest.mark.slow  # compiles anew, in processes of its own

PACKAGE = Path(dclm_spark.__file__).parent
COUNT = """
import pyarrow as pa, sys
from dclm_spark.kernels.compiled import jit
from dclm_spark.kernels.text import words
assert words.count_words_split(pa.array(["a b"])).to_pylist() == [2]
print(words.__file__, jit.cache_folder(), sum(words._count_rows.stats.cache_hits.values()), sep="\\n")
"""


def count_in_new_process(package_path: Path, **environment: str) -> tuple[str, str, int]:
    """Where the package was found, where its cache is, and how many kernels came from it."""
    variables = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "TMPDIR")}
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=variables | {"PYTHONPATH": str(package_path), "PYTHONSAFEPATH": "1"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    source, folder, n_hits = done.stdout.splitlines()
    return source, folder, int(n_hits)


@pytest.fixture(scope="module")
def zipped(tmp_path_factory) -> Path:
    """The package as `spark-submit --py-files` gets it."""
    folder = tmp_path_factory.mktemp("zipped")
    return Path(shutil.make_archive(str(folder / "packed"), "zip", PACKAGE.parent, PACKAGE.name))


def test_the_next_process_finds_the_code_also_from_a_zip(zipped, tmp_path):
    source, folder, n_hits = count_in_new_process(zipped, NUMBA_CACHE_DIR=str(tmp_path))
    assert source.startswith(str(zipped))
    assert folder.startswith(str(tmp_path))
    assert n_hits == 0
    assert count_in_new_process(zipped, NUMBA_CACHE_DIR=str(tmp_path))[1:] == (folder, 1)
    # The same sources elsewhere share it.
    assert count_in_new_process(PACKAGE.parent, NUMBA_CACHE_DIR=str(tmp_path))[1:] == (folder, 1)


def test_without_compiling_a_debugger_can_step_through_a_kernel(tmp_path):
    lines = (
        "import pyarrow as pa",
        "from dclm_spark.kernels.text import words",
        "print(words.count_words_split(pa.array(['a b'])))",
    )
    variables = os.environ | {"NUMBA_DISABLE_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=variables, capture_output=True, text=True)
    assert done.stdout.split() == ["[", "2", "]"] and not list(tmp_path.iterdir())


def test_without_a_folder_named_it_is_the_users_own_temporary_one(tmp_path):
    folder = Path(count_in_new_process(PACKAGE.parent, TMPDIR=str(tmp_path))[1])
    assert folder.parent.parent == tmp_path
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert count_in_new_process(PACKAGE.parent, TMPDIR=str(tmp_path))[2] == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes are POSIX")
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    planted = tmp_path / f"dclm_spark-numba-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    assert count_in_new_process(PACKAGE.parent, TMPDIR=str(tmp_path))[1:] == ("None", 0)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes are POSIX")
@pytest.mark.parametrize("kind", ["open", "below an open one", "planted", "link"])
def test_a_cache_where_others_may_have_put_code_is_not_used(tmp_path, kind):
    own, named = tmp_path / "tmp", tmp_path / "shared"
    own.mkdir(mode=0o700)
    named.mkdir()
    planted = named / f"dclm_spark-{jit.sources_hash()}"
    if kind == "open":
        named.chmod(0o777)
    elif kind == "below an open one":
        named.chmod(0o777)
        named = named / "mine"
        named.mkdir(mode=0o700)
    elif kind == "planted":
        planted.mkdir()
        planted.chmod(0o777)
        named.chmod(0o1777)
    else:
        (tmp_path / "elsewhere").mkdir()
        planted.symlink_to(tmp_path / "elsewhere")
    folder = Path(count_in_new_process(PACKAGE.parent, NUMBA_CACHE_DIR=str(named), TMPDIR=str(own))[1])
    assert folder.is_relative_to(own)
    assert not any(path.is_file() for path in (tmp_path / "shared").rglob("*"))


def test_the_cache_that_is_not_used_is_named(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    monkeypatch.setattr(jit.config, "CACHE_DIR", str(tmp_path))
    with pytest.warns(RuntimeWarning, match="not this user's alone"):
        assert not jit.cache_folder.__wrapped__().is_relative_to(tmp_path)


def test_a_sticky_folder_that_all_may_write_to_is_safe(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert is_private(tmp_path / "tmp" / "mine") and not is_private(tmp_path / "tmp")
    (tmp_path / "link").symlink_to(tmp_path / "tmp" / "mine")
    assert not is_private(tmp_path / "link")


def test_a_place_that_cannot_be_written_or_read_costs_only_a_compilation(tmp_path):
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    assert count_in_new_process(PACKAGE.parent, NUMBA_CACHE_DIR=str(no_folder))[1:] == ("None", 0)
    # Torn files: a machine that went down while it wrote.
    folder = Path(count_in_new_process(PACKAGE.parent, NUMBA_CACHE_DIR=str(tmp_path))[1])
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert count_in_new_process(PACKAGE.parent, NUMBA_CACHE_DIR=str(tmp_path))[2] == 0


def test_importing_writes_nothing(tmp_path):
    subprocess.run(
        [sys.executable, "-c", "import dclm_spark.kernels.signals.quality, dclm_spark.kernels.signals.corrections"],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent), "NUMBA_CACHE_DIR": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []
