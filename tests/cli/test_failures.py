"""What is promised after a failure is what is true of its kind."""

import pytest

from dclm_spark.cli.failures import CONTINUES, told_of_java
from dclm_spark.errors import JavaEnd

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "status, words, expected, continues",
    [
        (-9, (), "was killed (signal 9)", True),
        (-15, (), "was ended (signal 15)", True),
        (3, ("Terminating due to java.lang.OutOfMemoryError: Java heap space",), "its heap has 1g", False),
        (52, (), "its heap has 1g", False),
        (134, ("# A fatal error has been detected",), "ended with status 134: # A fatal error has been", False),
    ],
)
def test_how_java_ended(status, words, expected, continues):
    first, second = told_of_java(JavaEnd(status, "1g", words))
    assert expected in first and second.startswith("what is written is safe")
    assert (CONTINUES in second) == continues
