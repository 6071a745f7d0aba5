"""A wrong argument is one line on standard error: what is wrong, what was perhaps meant, where help is."""

import pytest

from dclm_spark.cli import main

pytestmark = pytest.mark.once


def said(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main.main(arguments)
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("dclm-spark: ") and line.endswith("--help` tells more")
    return line


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["funnle"], "no command 'funnle'; did you mean 'funnel'?"),
        (["documetns", "--dump", "D"], "did you mean 'documents'?"),
        (["xyzzy"], "no command 'xyzzy'; expected one of: run, documents, "),
        ([], "which command? One of: run, documents, "),
        (["funnel", "--warehouse", "w", "--wat-if", "x"], "unknown: --wat-if x; did you mean '--what-if'?"),
        (["funnel", "--warehouse", "w", "spare"], "unknown: spare"),
        (["recipe", "dif"], "no action 'dif'; did you mean 'diff'?"),
        (["run", "--dump", "D", "--warehose=w"], "run needs --warehouse (the warehouse of the tables: "),
        (["run", "--dump", "D", "--warehose=w"], "; did you mean '--warehouse'?"),
        (["run"], "(the dump's name, such as CC-MAIN-2022-05)"),
        (["export", "--warehouse", "w"], "export needs TABLE (a table that holds texts, such as filtered) and --to ("),
        (["funnel", "--warehouse"], "expected one argument"),
        (["run", "--batch-files", "0"], "'0' is no whole number from 1 up"),
    ],
)
def test_a_wrong_argument_is_one_line(capsys, arguments, expected):
    assert expected in said(capsys, *arguments)


def test_help_lists_the_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        main.main(["--help"])
    statuses = capsys.readouterr().out.split("Exit status:")[1].splitlines()
    assert [line.split()[0] for line in statuses if line.strip()] == ["0", "1", "2", "3", "130"]
