"""`python -m dclm_spark COMMAND` is `dclm-spark COMMAND`."""

from dclm_spark.spark import interrupts


def main() -> int:
    """The command of the process' arguments; whatever is not 0 is raised as SystemExit, see `cli.main`."""
    with interrupts.taken():  # a signal may come while modules are imported
        from dclm_spark.cli.main import main as run

        return run()


if __name__ == "__main__":
    main()
