"""What every test may ask for: a session, a warehouse, the bundled records, and the large folder if present."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED_DATA = HERE.parent.parent / "shared" / "data"
IS_CONNECT = os.environ.get("DCLM_SPARK_TEST_SESSION") == "connect"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of large test data, a sibling of the checkout; the test skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the large test data (../shared/data beside the checkout) is not on this machine")
    return SHARED_DATA


@pytest.fixture(scope="session")
def sample() -> Path:
    """The bundled records: one folder a dump."""
    return HERE / "data" / "sample"


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """One local session for all tests, classic or, under `DCLM_SPARK_TEST_SESSION=connect`, Spark Connect; AQE off."""
    from dclm_spark.spark.session import get_session

    config = {
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        # A heap that begins small is collected every second, which costs 6 % of the CPU time.
        "spark.driver.extraJavaOptions": "-Xms1g -Xmn400m",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("catalog")),
    }
    where = {"remote": "local[2]"} if IS_CONNECT else {"master": "local[2]"}
    session = get_session(**where, config=config)
    yield session
    session.stop()


@pytest.fixture
def warehouse(spark, tmp_path):
    """An empty warehouse in a folder of its own."""
    from dclm_spark.lake.warehouse import Warehouse

    return Warehouse(spark, str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def demo(spark, tmp_path_factory):
    """The tables that `make demo` makes, and what it prints."""
    from tests.support.blocks import make_demo

    return make_demo(tmp_path_factory.mktemp("demo") / "lake")
