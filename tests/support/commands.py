"""Runs `dclm-spark` in this process."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from dclm_spark.cli import main


class Said(NamedTuple):
    """What a command answered."""

    status: int
    out: str
    err: str


def dclm(*arguments: object) -> Said:
    """A command in this process. Whatever it is, no user is shown a stack trace."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main.main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's own
            status = end.code
    assert "Traceback" not in err.getvalue()
    return Said(status, out.getvalue(), err.getvalue())
