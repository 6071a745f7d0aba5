"""A finished dump that several modules begin with, made once."""

import shutil
from pathlib import Path

import pytest

from dclm_spark.lake.warehouse import Warehouse
from tests.support.chains import job_of, make_all, write_dump


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Path:
    """The archives of `write_dump`."""
    return write_dump(tmp_path_factory.mktemp("warc"))


@pytest.fixture(scope="session")
def made(spark, tmp_path_factory, inputs) -> Path:
    """The warehouse of a finished dump, its documents in two commits, which no test changes."""
    folder = tmp_path_factory.mktemp("made") / "lake"
    assert all(outcome.is_new for outcome in make_all(job_of(Warehouse(spark, str(folder))), inputs, batch_files=2))
    return folder


@pytest.fixture
def lake(spark, made, tmp_path) -> Warehouse:
    """The same warehouse, for one test alone."""
    return Warehouse(spark, str(shutil.copytree(made, tmp_path / "lake")))
